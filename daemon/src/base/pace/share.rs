//! One job's claim on the limits of the remotes that it touches.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Priorities this far apart differ by a factor of two.
const DOUBLES_EVERY: f64 = 25.0;
/// The weight of priority 0; that of -100 is a sixteenth, that of 100 sixteen times as much.
const WEIGHT: f64 = 4096.0;
/// Between two waits of a job that a limit holds back, its bytes are read and hashed.
const LATELY: Duration = Duration::from_secs(1);

/// One job's claim: as much as any other job of its priority, however many parts it has in flight.
#[derive(Debug)]
pub struct Share {
    weight: AtomicU32,
    /// Waiting now, at any gate.
    waiting: AtomicU64,
    waited: Mutex<Option<Instant>>,
}

impl Share {
    /// The claim of a job of this priority, -100 to 100.
    pub fn new(priority: i32) -> Arc<Self> {
        let share = Self {
            weight: AtomicU32::new(1),
            waiting: AtomicU64::new(0),
            waited: Mutex::default(),
        };
        share.set_priority(priority);
        Arc::new(share)
    }

    /// Another priority: it counts from the next piece that passes.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 256 and 65,536"
    )]
    pub fn set_priority(&self, priority: i32) {
        let doublings = f64::from(priority.clamp(-100, 100)) / DOUBLES_EVERY;
        let weight = (WEIGHT * doublings.exp2()).round() as u32;
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Never 0.
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Whether a limit holds the job back: some part of it waits, or did within the last second.
    pub fn is_held(&self) -> bool {
        let lately = |at: &Instant| at.elapsed() < LATELY;
        self.waiting.load(Ordering::Relaxed) > 0 || self.lock().as_ref().is_some_and(lately)
    }

    /// Somebody waits for as long as the answer lives.
    pub(super) fn wait(&self) -> impl Drop + use<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.waited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting<'a>(&'a Share);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        *self.0.lock() = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_five_priorities_double_the_weight() {
        let weight = |priority| Share::new(priority).weight();
        assert_eq!(weight(25), 2 * weight(0));
        assert_eq!(weight(50), 4 * weight(0));
        assert_eq!(weight(0), 16 * weight(-100));
        assert_eq!(weight(100), 256 * weight(-100));
        assert!(weight(1) > weight(0), "each step counts");
    }
}
