//! Whether a part still moves.
//!
//! A stalled read is seen by the reader, which waits for the next frame. A stalled write shows only in
//! that nobody asks for the next frame, or that no answer follows the last one: this watches for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the target may take no byte, or give no answer after the last one.
const STALL: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Past this much, old time counts half.
const LATELY: Duration = Duration::from_secs(20);

/// Beats whenever the upload asks for a frame or is given one.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    at: Instant,
    /// The reader is at work on a frame: the target is not the one that is waited for.
    reading: bool,
    /// Time that went into reads, and into writes, lately.
    reads: Duration,
    writes: Duration,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let (reads, writes) = Default::default();
        Self(Mutex::new(Beat { at: Instant::now(), reading: false, reads, writes }))
    }

    pub(super) fn beat(&self, reading: bool) {
        let mut beat = self.lock();
        *beat = beat.until(Instant::now());
        beat.reading = reading;
    }

    /// Whether it was the source that was waited for, most of the time lately.
    pub(super) fn mostly_reading(&self) -> bool {
        let beat = self.lock().until(Instant::now());
        beat.reads > beat.writes
    }

    /// Completes when the target has stood still for too long.
    pub(super) async fn stalled(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let beat = *self.lock();
            if !beat.reading && beat.at.elapsed() > STALL {
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Beat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beat {
    /// The same with the time up to `now` put down to whoever was waited for.
    fn until(self, now: Instant) -> Self {
        let waited = now.duration_since(self.at);
        let Self { mut reads, mut writes, reading, .. } = self;
        *(if reading { &mut reads } else { &mut writes }) += waited;
        if reads + writes > LATELY {
            (reads, writes) = (reads / 2, writes / 2);
        }
        Self { at: now, reading, reads, writes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_target_that_stands_still_is_stalled() {
        let pulse = Pulse::new();
        let patience = Duration::from_secs(300);
        pulse.beat(true);
        assert!(tokio::time::timeout(patience, pulse.stalled()).await.is_err(), "reading");
        pulse.beat(false);
        assert!(tokio::time::timeout(patience, pulse.stalled()).await.is_ok(), "writing");
    }

    /// A slow source is given a new connection under the same upload; a slow target is not.
    #[tokio::test(start_paused = true)]
    async fn it_knows_who_was_waited_for_lately() {
        let pulse = Pulse::new();
        let wait = async |reading, seconds| {
            pulse.beat(reading);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        };
        wait(true, 30).await;
        assert!(pulse.mostly_reading());
        wait(false, 5).await;
        assert!(pulse.mostly_reading(), "a moment is not most of the time");
        wait(false, 40).await;
        assert!(!pulse.mostly_reading());
    }
}
