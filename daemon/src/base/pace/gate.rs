//! One limit: what passes is paid for in time, at governor.
//!
//! A cell of governor's is a microsecond of the limit, not a number of bytes: so one quota serves every
//! rate, its interval is exact (a cell of bytes has an interval of so many nanoseconds, and what is cut
//! off that was up to 20 % of a fast limit), 32 bits suffice for it, and a change of the rate is one
//! store, which brings no new burst.
//!
//! # Invariants
//! - A piece passes when all before it are paid: over any time, at most the limit, a burst and one piece.
//! - What is paid is exact: what does not fill a cell stays owed.
//! - Nobody is chosen before there is room for a piece, so that a job with one part in flight is in line
//!   again by then.
//! - Without a limit a pass is one atomic load.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::Quota;
use governor::clock::Clock as _;
use tokio::time::Instant;

use super::Share;
use super::line::Line;
use crate::base::turnstile::{Limiter, limiter};

/// A cell.
const CELL: Duration = Duration::from_micros(1);
const CELLS_PER_SECOND: u128 = 1_000_000;
/// What may pass at once after a rest, in cells: with a piece, 0.9 % of ten seconds.
const BURST: NonZeroU32 = NonZeroU32::new(80_000).expect("not 0");
/// What is paid at once, in cells, and the most that is let pass at once. Much less than the burst, so
/// that waking up late by the difference, as on a busy host, loses nothing.
const PIECE: u32 = 10_000;

/// One limit.
#[derive(Debug)]
pub(super) struct Gate {
    /// What waiting here is reported as.
    pub(super) kind: &'static str,
    /// Units a second; 0 is no limit.
    rate: AtomicU64,
    limiter: Limiter,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    line: Line,
    /// What has passed and is not paid, in millionths of a unit.
    owed: u128,
    /// A task pays, and lets pass.
    is_served: bool,
}

impl Gate {
    pub(super) fn new(kind: &'static str) -> Arc<Self> {
        let quota = Quota::with_period(CELL).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let limiter = limiter(quota.allow_burst(BURST));
        Arc::new(Self { kind, rate: AtomicU64::new(0), limiter, state: Mutex::default() })
    }

    /// Another limit, in units a second. Nobody sleeps for longer than a burst, so that it reaches all.
    pub(super) fn set(&self, rate: Option<u64>) {
        self.rate.store(rate.map_or(0, |rate| rate.max(1)), Ordering::Relaxed);
    }

    /// The most units that are to pass at once; `None` without a limit.
    pub(super) fn piece(&self) -> Option<u64> {
        let rate = self.rate.load(Ordering::Relaxed);
        let piece = u128::from(rate) * u128::from(PIECE) / CELLS_PER_SECOND;
        (rate > 0).then(|| u64::try_from(piece).unwrap_or(u64::MAX).max(1))
    }

    /// Lets `units` pass, a piece at the most; returns how long that took.
    pub(super) async fn pass(self: &Arc<Self>, share: &Arc<Share>, units: u64) -> Duration {
        if self.rate.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        let turn = {
            let mut state = self.lock();
            if !state.is_served {
                // The line is empty: whoever leaves it owing nothing leaves nothing behind.
                state.owe(units);
                if self.pay(&mut state).is_none() {
                    return Duration::ZERO;
                }
                state.is_served = true;
                tokio::spawn(Arc::clone(self).serve());
                state.line.charge(share, units);
                return Duration::ZERO;
            }
            state.line.join(share, units)
        };
        let (began, _waiting) = (Instant::now(), share.wait());
        // The other end is kept in line for as long as this one is.
        let _ = turn.await;
        began.elapsed()
    }

    /// Serves the line until it is empty and nothing is owed.
    async fn serve(self: Arc<Self>) {
        while let Some(wait) = self.advance() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Pays and lets pass as much as it can, and says when to try again.
    fn advance(&self) -> Option<Duration> {
        let mut state = self.lock();
        loop {
            if let Some(wait) = self.pay(&mut state) {
                return Some(wait);
            }
            let Some(units) = state.line.next() else {
                state.line.clear();
                state.is_served = false;
                return None;
            };
            state.owe(units);
        }
    }

    /// Pays what is owed, a piece at a time; how long until the next can be paid, if not now.
    fn pay(&self, state: &mut State) -> Option<Duration> {
        let rate = u128::from(self.rate.load(Ordering::Relaxed));
        if rate == 0 {
            state.owed = 0;
        }
        loop {
            let cells = state.owed.checked_div(rate)?;
            let cells = u32::try_from(cells).unwrap_or(u32::MAX).min(PIECE);
            let cells = NonZeroU32::new(cells)?;
            match self.limiter.check_n(cells) {
                Ok(Ok(())) => state.owed -= u128::from(cells.get()) * rate,
                Ok(Err(not_until)) => {
                    return Some(not_until.wait_time_from(self.limiter.clock().now()));
                }
                // A piece is less than the burst, so that the limiter can hold it.
                Err(_) => return None,
            }
        }
    }

    // No code path panics while it holds the lock; a poisoned one is still consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Jobs that the line remembers.
    #[cfg(test)]
    pub(super) fn lanes(&self) -> usize {
        self.lock().line.lanes()
    }
}

impl State {
    fn owe(&mut self, units: u64) {
        self.owed += u128::from(units) * CELLS_PER_SECOND;
    }
}
