//! Lets so many pass a second, and makes the rest wait: one client is held to its share.
//!
//! Waiting is the answer, not a refusal: a client that is slowed down needs no code for it, and one that
//! floods slows itself down. What waits is bounded by whoever counts its requests in progress.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub(super) type Limiter = RateLimiter<
    NotKeyed,
    InMemoryState,
    TokioClock,
    NoOpMiddleware<<TokioClock as Clock>::Instant>,
>;

/// A limiter on tokio's clock.
pub(super) fn limiter(quota: Quota) -> Limiter {
    RateLimiter::direct_with_clock(quota, TokioClock(Instant::now()))
}

/// tokio's clock, which tests can pause.
#[derive(Debug, Clone)]
pub(super) struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// So many a second; after a rest, those of one second at once.
#[derive(Debug)]
pub struct Turnstile {
    limiter: Limiter,
    /// One waits for the limit, and the others, in their order, for that one: if all did, each would be woken
    /// for every single place.
    first: Semaphore,
}

impl Turnstile {
    pub fn new(per_second: NonZeroU32) -> Self {
        Self { limiter: limiter(Quota::per_second(per_second)), first: Semaphore::new(1) }
    }

    /// Passes, when it is its turn.
    pub async fn pass(&self) {
        // It is never closed.
        let _first = self.first.acquire().await;
        while let Err(wait) = self.try_pass() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Passes now, or says how long to wait before trying again.
    ///
    /// # Errors
    /// The wait.
    pub fn try_pass(&self) -> Result<(), Duration> {
        let limiter = &self.limiter;
        limiter.check().map_err(|not_until| not_until.wait_time_from(limiter.clock().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_passes_in_the_order_in_which_it_came() {
        let turnstile = Turnstile::new(NonZeroU32::new(5).expect("not 0"));
        let passed = std::sync::Mutex::new(Vec::new());
        let pass = async |at: usize| {
            turnstile.pass().await;
            passed.lock().expect("not poisoned").push(at);
        };
        futures::future::join_all((0..50).map(pass)).await;
        assert!(passed.into_inner().expect("not poisoned").is_sorted());
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_passes_at_the_rate_and_a_rest_earns_a_second_of_it() {
        let turnstile = Turnstile::new(NonZeroU32::new(100).expect("not 0"));
        let began = Instant::now();
        for _ in 0..1100 {
            turnstile.pass().await;
        }
        let took = began.elapsed();
        assert!((9.9..10.5).contains(&took.as_secs_f64()), "{took:?}");
        assert!(turnstile.try_pass().is_err());
    }
}
