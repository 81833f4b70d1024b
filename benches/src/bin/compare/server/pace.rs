//! How fast one connection is: a bandwidth cap in each direction.

use std::time::{Duration, Instant};

/// Waits shorter than this are saved up: a sleep is not more exact.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// One direction of one connection.
pub struct Pace {
    bytes_per_second: Option<u64>,
    /// When all that was counted so far may have been carried.
    due: Instant,
}

impl Pace {
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, due: Instant::now() }
    }

    /// Counts `bytes` as carried, and waits until they may have been. Time that nobody used is gone.
    pub fn carried(&mut self, bytes: usize) {
        let Some(rate) = self.bytes_per_second else { return };
        let now = Instant::now();
        let nanos = (bytes as u64).saturating_mul(1_000_000_000) / rate.max(1);
        self.due = self.due.max(now) + Duration::from_nanos(nanos);
        let ahead = self.due - now;
        if ahead >= WAIT_MIN {
            wait(ahead);
        }
    }
}

/// Blocks this thread, which serves one connection and nothing else.
#[expect(clippy::disallowed_methods, reason = "there is no runtime here")]
pub fn wait(duration: Duration) {
    std::thread::sleep(duration);
}
