//! Whether a part still moves.
//!
//! A stalled read is seen by the reader, which waits for the next frame. A stalled write shows only in
//! that nobody asks for the next frame, or that no answer follows the last one: this watches for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the target may take no byte.
const NO_BYTE: Duration = Duration::from_secs(20);
/// How long it may take to be reached, and to answer after the last byte.
const NO_ANSWER: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Past this much, old time counts half.
const LATELY: Duration = Duration::from_secs(20);

/// Who is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The reader, which is at work on a frame.
    Reading,
    /// The target, to take a frame.
    Writing,
    /// The target, before the first frame or after the last.
    Answer,
}

/// Beats whenever the upload asks for a frame or is given one.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    at: Instant,
    phase: Phase,
    /// Time that went into reads, and into writes, lately.
    reads: Duration,
    writes: Duration,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let (reads, writes) = Default::default();
        Self(Mutex::new(Beat { at: Instant::now(), phase: Phase::Answer, reads, writes }))
    }

    pub(super) fn beat(&self, phase: Phase) {
        let mut beat = self.lock();
        *beat = beat.until(Instant::now());
        beat.phase = phase;
    }

    /// Whether it was the source that was waited for, most of the time lately.
    pub(super) fn mostly_reading(&self) -> bool {
        let beat = self.lock().until(Instant::now());
        beat.reads > beat.writes
    }

    /// Completes when the target has stood still for too long; says what it did not do.
    pub(super) async fn stalled(&self) -> &'static str {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let beat = *self.lock();
            match beat.phase {
                Phase::Writing if beat.at.elapsed() >= NO_BYTE => return "took no byte for 20 s",
                Phase::Answer if beat.at.elapsed() >= NO_ANSWER => return "gave no answer for 60 s",
                Phase::Reading | Phase::Writing | Phase::Answer => {}
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
        let Self { mut reads, mut writes, phase, .. } = self;
        *(if phase == Phase::Reading { &mut reads } else { &mut writes }) += waited;
        if reads + writes > LATELY {
            (reads, writes) = (reads / 2, writes / 2);
        }
        Self { at: now, phase, reads, writes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_target_that_stands_still_is_stalled() {
        let pulse = Pulse::new();
        let patience = Duration::from_secs(300);
        pulse.beat(Phase::Reading);
        assert!(tokio::time::timeout(patience, pulse.stalled()).await.is_err(), "reading");
        for (phase, seconds, word) in [(Phase::Writing, 20, "byte"), (Phase::Answer, 60, "answer")]
        {
            pulse.beat(phase);
            let begun = Instant::now();
            assert!(pulse.stalled().await.contains(word));
            assert_eq!(begun.elapsed(), Duration::from_secs(seconds));
        }
    }

    /// A slow source is given a new connection under the same upload; a slow target is not.
    #[tokio::test(start_paused = true)]
    async fn it_knows_who_was_waited_for_lately() {
        let pulse = Pulse::new();
        let wait = async |phase, seconds| {
            pulse.beat(phase);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        };
        wait(Phase::Reading, 30).await;
        assert!(pulse.mostly_reading());
        wait(Phase::Writing, 5).await;
        assert!(pulse.mostly_reading(), "a moment is not most of the time");
        wait(Phase::Writing, 40).await;
        assert!(!pulse.mostly_reading());
    }
}
