//! The limits of one remote: bytes a second each way, and requests a second. Changed live.
//!
//! # Invariants
//! - Waiters are served in the order they came: a small one is not overtaken for ever.
//! - A change of limits reaches every waiter with its next chunk, at most a second later.
//! - A burst is a twentieth of a second's worth, so that over any ten seconds at most 0.5 % more than
//!   the limit passes.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{Direction, Measure, RateMeter, SharedObserver};
use crate::model::Bandwidth;

/// A cell of a bandwidth limiter, in bytes: governor counts in 32 bits, which bytes would overflow.
const CELL_BYTES: u64 = 64;
/// The burst is a second's worth divided by this.
const BURST_DIVISOR: u32 = 20;

/// Limits of one remote; an absent limit is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bandwidth: Option<Bandwidth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bandwidth: Option<Bandwidth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
}

/// Paces one remote, and meters what passes.
#[derive(Debug)]
pub struct Pace {
    remote: String,
    limits: ArcSwap<Limits>,
    read: Gate,
    write: Gate,
    requests: Gate,
    read_meter: RateMeter,
    write_meter: RateMeter,
    observer: SharedObserver,
}

impl Pace {
    /// `remote` is the name that measures are reported under.
    pub fn new(remote: impl Into<String>, limits: Limits, observer: SharedObserver) -> Arc<Self> {
        let pace = Arc::new(Self {
            remote: remote.into(),
            limits: ArcSwap::default(),
            read: Gate::new("read_bandwidth"),
            write: Gate::new("write_bandwidth"),
            requests: Gate::new("requests"),
            read_meter: RateMeter::default(),
            write_meter: RateMeter::default(),
            observer,
        });
        pace.set(limits);
        pace
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        **self.limits.load()
    }

    /// Puts other limits in force, at once.
    pub fn set(&self, limits: Limits) {
        self.read.set(limits.read_bandwidth.map(|rate| rate.0.div_ceil(CELL_BYTES)));
        self.write.set(limits.write_bandwidth.map(|rate| rate.0.div_ceil(CELL_BYTES)));
        self.requests.set(limits.requests_per_second.map(u64::from));
        self.limits.store(Arc::new(limits));
    }

    /// Returns when one more request may be sent.
    pub async fn request(&self) {
        self.pass(&self.requests, 1).await;
    }

    /// Returns when `bytes` more may pass, and counts them as passed.
    pub async fn bytes(&self, direction: Direction, bytes: u64) {
        let (gate, meter) = match direction {
            Direction::Read => (&self.read, &self.read_meter),
            Direction::Write => (&self.write, &self.write_meter),
        };
        self.pass(gate, bytes.div_ceil(CELL_BYTES)).await;
        meter.add(bytes);
        self.observer.record(Measure::Bytes { remote: &self.remote, direction, bytes });
    }

    /// Whether a limit makes somebody wait at this moment.
    pub fn is_waiting(&self) -> bool {
        [&self.read, &self.write, &self.requests].iter().any(|gate| gate.is_waiting())
    }

    /// Bytes a second that passed lately.
    pub fn rate(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Read => self.read_meter.per_second(),
            Direction::Write => self.write_meter.per_second(),
        }
    }

    async fn pass(&self, gate: &Gate, cells: u64) {
        let waited = gate.pass(cells).await;
        if !waited.is_zero() {
            let measure = Measure::RateWait { remote: &self.remote, kind: gate.kind, waited };
            self.observer.record(measure);
        }
    }
}

/// One limit. Open while it has no limiter.
#[derive(Debug)]
struct Gate {
    kind: &'static str,
    limiter: ArcSwap<Option<Limiter>>,
    /// One waiter at a time stands at the limiter; the others queue here, first come first served.
    turnstile: Semaphore,
}

#[derive(Debug)]
struct Limiter {
    cells: DefaultDirectRateLimiter,
    burst: NonZeroU32,
}

impl Gate {
    fn new(kind: &'static str) -> Self {
        Self { kind, limiter: ArcSwap::from_pointee(None), turnstile: Semaphore::new(1) }
    }

    fn set(&self, cells_per_second: Option<u64>) {
        let limiter = cells_per_second.map(|rate| {
            let rate = u32::try_from(rate).unwrap_or(u32::MAX);
            let rate = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
            let burst = NonZeroU32::new(rate.get() / BURST_DIVISOR).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_second(rate).allow_burst(burst);
            Limiter { cells: RateLimiter::direct(quota), burst }
        });
        self.limiter.store(Arc::new(limiter));
    }

    fn is_waiting(&self) -> bool {
        self.turnstile.available_permits() == 0
    }

    /// Lets `cells` pass, a burst at a time; returns how long that took beyond nothing.
    async fn pass(&self, mut cells: u64) -> Duration {
        if self.limiter.load().is_none() {
            return Duration::ZERO;
        }
        let began = Instant::now();
        let _turn = self.turnstile.acquire().await;
        while cells > 0 {
            let limiter = self.limiter.load_full();
            let Some(limiter) = limiter.as_ref() else { break };
            let chunk = u32::try_from(cells).unwrap_or(u32::MAX).min(limiter.burst.get());
            let Some(chunk) = NonZeroU32::new(chunk) else { break };
            match limiter.cells.check_n(chunk) {
                Ok(Ok(())) => cells -= u64::from(chunk.get()),
                Ok(Err(not_until)) => {
                    let wait = not_until.wait_time_from(DefaultClock::default().now());
                    tokio::time::sleep(wait.min(Duration::from_secs(1))).await;
                }
                // The chunk is at most the burst, so the limiter can hold it.
                Err(_) => break,
            }
        }
        began.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::NoObserver;

    fn pace(limits: Limits) -> Arc<Pace> {
        Pace::new("gov", limits, Arc::new(NoObserver))
    }

    fn read(rate: u64) -> Limits {
        Limits { read_bandwidth: Some(Bandwidth(rate)), ..Limits::default() }
    }

    #[tokio::test]
    async fn an_absent_limit_never_waits() {
        let pace = pace(Limits::default());
        pace.bytes(Direction::Read, u64::MAX / 2).await;
        pace.request().await;
        assert!(!pace.is_waiting());
    }

    /// governor reads the real clock, so this one takes real time: 0.4 s at the least.
    #[tokio::test]
    async fn bytes_beyond_the_burst_take_their_time() {
        let pace = pace(read(1_000_000));
        let began = std::time::Instant::now();
        pace.bytes(Direction::Read, 450_000).await;
        assert!(began.elapsed() >= Duration::from_millis(380), "{:?}", began.elapsed());
        pace.bytes(Direction::Write, 1 << 40).await;
    }

    #[tokio::test]
    async fn a_limit_that_is_lifted_frees_who_waits() {
        let pace = pace(read(64));
        let waiter = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { pace.bytes(Direction::Read, 1 << 30).await }
        });
        while !pace.is_waiting() {
            tokio::task::yield_now().await;
        }
        pace.set(Limits::default());
        waiter.await.expect("no panic");
    }
}
