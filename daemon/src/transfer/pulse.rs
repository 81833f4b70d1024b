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

/// Beats whenever the upload asks for a frame or is given one.
#[derive(Debug)]
pub(super) struct Pulse(Mutex<Beat>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    at: Instant,
    /// The reader is at work on a frame: the target is not the one that is waited for.
    reading: bool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Beat { at: Instant::now(), reading: false }))
    }

    pub(super) fn beat(&self, reading: bool) {
        *self.lock() = Beat { at: Instant::now(), reading };
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
}
