//! Lets so many pass a second, and makes the rest wait: one client is held to its share.
//!
//! Waiting is the answer, not a refusal: a client that is slowed down needs no code for it, and one that
//! floods slows itself down. What waits is bounded by whoever counts its requests in progress.
//!
//! Who has to wait passes by the handful, not one by one: what passes together shares a flush of the ledger and
//! a wake-up of each watch. One by one, 250 submissions a second took 14 % of a transfer's speed where the
//! processors were full.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Mutex;
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
    /// As many as may pass in a tenth of a second.
    handful: NonZeroU32,
    /// Places that are taken and not used. Who holds it waits for the limit, and the others, in their order, for
    /// that one: if all did, each would be woken for every single place.
    places: Mutex<u32>,
}

impl Turnstile {
    pub fn new(per_second: NonZeroU32) -> Self {
        let handful = NonZeroU32::new(per_second.get() / 10).unwrap_or(NonZeroU32::MIN);
        Self { limiter: limiter(Quota::per_second(per_second)), handful, places: Mutex::new(0) }
    }

    /// One a period, which is not zero; after a rest, so many at once.
    pub fn one_each(period: Duration, at_once: NonZeroU32) -> Self {
        let quota = Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let limiter = limiter(quota.allow_burst(at_once));
        Self { limiter, handful: NonZeroU32::MIN, places: Mutex::new(0) }
    }

    /// Passes, when it is its turn.
    pub async fn pass(&self) {
        let mut places = self.places.lock().await;
        if *places == 0 {
            if self.try_pass().is_ok() {
                return;
            }
            let limiter = &self.limiter;
            // A second's worth holds ten handfuls: there is always a time at which one is free.
            while let Ok(Err(not_until)) = limiter.check_n(self.handful) {
                tokio::time::sleep(not_until.wait_time_from(limiter.clock().now())).await;
            }
            *places = self.handful.get();
        }
        *places -= 1;
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

    /// What passes together is written down together.
    #[tokio::test(start_paused = true)]
    async fn who_waits_passes_by_the_handful() {
        let turnstile = Turnstile::new(NonZeroU32::new(100).expect("not 0"));
        while turnstile.try_pass().is_ok() {}
        let mut passed = Vec::new();
        for _ in 0..30 {
            turnstile.pass().await;
            passed.push(Instant::now());
        }
        let together = passed.chunk_by(|one, next| one == next).map(<[_]>::len);
        assert_eq!(together.collect::<Vec<_>>(), [10, 10, 10]);
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
