//! The limits of one remote: bytes a second each way, and requests a second. Changed live.
//!
//! What counts are object bytes when the daemon hands them on: not headers, not TLS, not what the
//! kernel's buffers hold, which together are 1 to 2 % on the wire and a moment at the start.
//!
//! # Invariants
//! - Over any ten seconds no more passes than the limit and 0.9 % of it, and while more is wanted no
//!   less than 97 % of it. A request is a whole one: of those, one more at the most.
//! - A change of limits reaches every waiter within a burst, 80 ms.
//! - Jobs share a limit by the weight of their priority, however many parts each has in flight.

mod gate;
mod line;
mod share;

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Direction, Limits, Measure, RateMeter, SharedObserver};
use gate::Gate;
pub use share::Share;

/// Paces what one job does at one remote, and meters what passes. All jobs' paces of a remote share its
/// limits.
#[derive(Debug)]
pub struct Pace {
    shared: Arc<Shared>,
    share: Arc<Share>,
}

/// What all paces of one remote share.
#[derive(Debug)]
struct Shared {
    remote: String,
    limits: ArcSwap<Limits>,
    /// Why nothing is to pass.
    closed: watch::Sender<Option<Arc<str>>>,
    read: Arc<Gate>,
    write: Arc<Gate>,
    requests: Arc<Gate>,
    read_meter: RateMeter,
    write_meter: RateMeter,
    observer: SharedObserver,
}

impl Pace {
    /// `remote` is the name that measures are reported under. What is of no job has a share of its own.
    pub fn new(remote: impl Into<String>, limits: Limits, observer: SharedObserver) -> Arc<Self> {
        let shared = Shared {
            remote: remote.into(),
            limits: ArcSwap::default(),
            closed: watch::Sender::new(None),
            read: Gate::new("read_bandwidth"),
            write: Gate::new("write_bandwidth"),
            requests: Gate::new("requests"),
            read_meter: RateMeter::default(),
            write_meter: RateMeter::default(),
            observer,
        };
        let pace = Arc::new(Self { shared: Arc::new(shared), share: Share::new(0) });
        pace.set(limits);
        pace
    }

    /// The same limits, as the job with this share passes them.
    #[must_use]
    pub fn of(&self, share: &Arc<Share>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(&self.shared), share: Arc::clone(share) })
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        **self.shared.limits.load()
    }

    /// Puts other limits in force, at once.
    pub fn set(&self, limits: Limits) {
        let shared = &self.shared;
        shared.read.set(limits.read_bandwidth.map(|rate| rate.0));
        shared.write.set(limits.write_bandwidth.map(|rate| rate.0));
        shared.requests.set(limits.requests_per_second.map(u64::from));
        shared.limits.store(Arc::new(limits));
    }

    /// Says that nothing is to pass, and why; with `None`, that it may again. It is for who passes to
    /// keep to it, at the next point where nothing is lost.
    pub fn close(&self, why: Option<String>) {
        self.shared.closed.send_replace(why.map(Arc::from));
    }

    /// Why nothing is to pass now.
    pub fn closed(&self) -> Option<Arc<str>> {
        self.shared.closed.borrow().clone()
    }

    /// Completes while something may pass.
    pub async fn opened(&self) {
        // The sender is in this very pace: it is not dropped meanwhile.
        let _ = self.shared.closed.subscribe().wait_for(Option::is_none).await;
    }

    /// Completes while nothing is to pass.
    pub async fn shut(&self) {
        let _ = self.shared.closed.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns when one more request may be sent.
    pub async fn request(&self) {
        self.pass(&self.shared.requests, 1).await;
    }

    /// Returns when `bytes` more may pass, and counts them as passed.
    pub async fn bytes(&self, direction: Direction, bytes: u64) {
        let shared = &self.shared;
        let gate = shared.gate(direction);
        let mut left = bytes;
        while let Some(piece) = gate.piece().filter(|_| left > 0) {
            let piece = piece.min(left);
            self.pass(gate, piece).await;
            left -= piece;
        }
        match direction {
            Direction::Read => shared.read_meter.add(bytes),
            Direction::Write => shared.write_meter.add(bytes),
        }
        let remote = &shared.remote;
        shared.observer.record(Measure::Bytes { remote, direction, bytes });
    }

    /// The most bytes that are to be handed on at once, so that what passes keeps to the limit also
    /// over a fraction of a second; `None` without a limit.
    pub fn piece(&self, direction: Direction) -> Option<u64> {
        self.shared.gate(direction).piece()
    }

    /// Whether a limit holds this job back.
    pub fn is_waiting(&self) -> bool {
        self.share.is_held()
    }

    /// Bytes a second that passed lately, of all jobs.
    pub fn rate(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Read => self.shared.read_meter.per_second(),
            Direction::Write => self.shared.write_meter.per_second(),
        }
    }

    async fn pass(&self, gate: &Arc<Gate>, units: u64) {
        let waited = gate.pass(&self.share, units).await;
        if !waited.is_zero() {
            let measure =
                Measure::RateWait { remote: &self.shared.remote, kind: gate.kind, waited };
            self.shared.observer.record(measure);
        }
    }
}

impl Shared {
    fn gate(&self, direction: Direction) -> &Arc<Gate> {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }
}

#[cfg(test)]
mod tests;
