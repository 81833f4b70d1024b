//! A rate over the last seconds, from a count that only grows.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Seconds that the rate looks back.
const WINDOW: usize = 8;
const LOOK_BACK: Duration = Duration::from_secs(WINDOW as u64);

/// Counts bytes, and says how many a second passed lately. Counting is one atomic add.
#[derive(Debug)]
pub struct RateMeter {
    total: AtomicU64,
    samples: Mutex<Samples>,
}

/// The total as it stood at the last few looks, at least half a second apart.
#[derive(Debug)]
struct Samples {
    ring: [(Instant, u64); WINDOW],
    newest: usize,
}

impl Default for RateMeter {
    fn default() -> Self {
        let samples = Samples { ring: [(Instant::now(), 0); WINDOW], newest: 0 };
        Self { total: AtomicU64::new(0), samples: Mutex::new(samples) }
    }
}

impl RateMeter {
    /// Counts `bytes`.
    pub fn add(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All that was counted.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// A second, over the last looks. Meant to be asked about every second.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate for people; the quotient of two non-negative numbers"
    )]
    pub fn per_second(&self) -> u64 {
        let total = self.total();
        let now = Instant::now();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = samples.newest;
        if now.duration_since(samples.ring[newest].0).as_millis() >= 500 {
            samples.newest = (newest + 1) % WINDOW;
            let newest = samples.newest;
            samples.ring[newest] = (now, total);
        }
        let (since, before) = samples.oldest_within(now);
        let elapsed = now.duration_since(since).as_secs_f64();
        if elapsed < 0.05 { 0 } else { (total.saturating_sub(before) as f64 / elapsed) as u64 }
    }
}

impl Samples {
    /// The oldest look that is not older than the window; else the one before the newest.
    fn oldest_within(&self, now: Instant) -> (Instant, u64) {
        let recent = self.ring.iter().filter(|sample| now.duration_since(sample.0) < LOOK_BACK);
        recent.copied().min().unwrap_or(self.ring[(self.newest + WINDOW - 1) % WINDOW])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_follows_what_passes_and_falls_to_zero() {
        let meter = RateMeter::default();
        for _ in 0..20 {
            tokio::time::advance(Duration::from_secs(1)).await;
            meter.add(1000);
            meter.per_second();
        }
        let rate = meter.per_second();
        assert!((900..=1200).contains(&rate), "{rate}");
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(1)).await;
            meter.per_second();
        }
        assert_eq!(meter.per_second(), 0);
        assert_eq!(meter.total(), 20_000);
    }
}
