//! How long to wait before trying again: exponential, with full jitter.
//!
//! Full jitter spreads the retries of many parts that failed together over the whole window; see
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use std::time::Duration;

use rand::Rng as _;

/// A growing window to wait in.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The window of the first retry.
    pub first: Duration,
    /// The widest window.
    pub widest: Duration,
}

impl Backoff {
    /// For requests: a fifth of a second, to half a minute.
    pub const REQUEST: Self =
        Self { first: Duration::from_millis(200), widest: Duration::from_secs(30) };

    /// The window of retry `attempt`, counted from 1.
    pub fn window(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.widest)
    }

    /// A random wait within the window of retry `attempt`, counted from 1.
    pub fn delay(self, attempt: u32) -> Duration {
        self.window(attempt).mul_f64(rand::rng().random_range(0.0..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_doubles_up_to_its_widest() {
        let windows: Vec<_> =
            (1..=10).map(|attempt| Backoff::REQUEST.window(attempt).as_millis()).collect();
        assert_eq!(windows, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        assert_eq!(Backoff::REQUEST.window(u32::MAX), Duration::from_secs(30));
        for attempt in 0..100 {
            assert!(Backoff::REQUEST.delay(attempt) <= Backoff::REQUEST.window(attempt));
        }
    }
}
