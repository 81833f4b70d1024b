//! What passes on the lanes of a seat: the measure by which they find their level.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Lane, Slots};

/// How much a new latency moves the one that is remembered.
const LATENCY_WEIGHT: u64 = 8;

/// Counts of one lane. No lock is taken for a frame; the numbers need not be of one moment.
#[derive(Debug)]
pub(super) struct LaneFlow {
    origin: Instant,
    bytes: AtomicU64,
    /// Microseconds until the first byte of a part, lately.
    latency: AtomicU64,
    /// Microseconds from the origin to the next look.
    look_at: AtomicU64,
}

/// Where the bytes of one seat's parts are reported.
#[derive(Debug)]
pub struct Flow {
    slots: Slots,
    lanes: [(Lane, Arc<LaneFlow>); 2],
}

impl Flow {
    pub(super) fn new(slots: Slots, lanes: [(Lane, Arc<LaneFlow>); 2]) -> Self {
        Self { slots, lanes }
    }

    /// The first byte of a part came after this long.
    pub fn began(&self, latency: Duration) {
        let latency = micros(latency);
        for (_, flow) in &self.lanes {
            let known = flow.latency.load(Ordering::Relaxed);
            let moved = (known * (LATENCY_WEIGHT - 1) + latency) / LATENCY_WEIGHT;
            let next = if known == 0 { latency } else { moved };
            flow.latency.store(next, Ordering::Relaxed);
        }
    }

    /// So many bytes went from one side to the other.
    pub fn passed(&self, bytes: u64) {
        let now = Instant::now();
        for (lane, flow) in &self.lanes {
            flow.bytes.fetch_add(bytes, Ordering::Relaxed);
            if flow.is_due(now) {
                self.slots.look(lane);
            }
        }
    }
}

impl LaneFlow {
    pub(super) fn new(origin: Instant) -> Self {
        let zero = AtomicU64::default;
        Self { origin, bytes: zero(), latency: zero(), look_at: zero() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_micros(self.latency.load(Ordering::Relaxed))
    }

    pub(super) fn look_again_at(&self, at: Instant) {
        let at = micros(at.saturating_duration_since(self.origin));
        self.look_at.store(at, Ordering::Relaxed);
    }

    fn is_due(&self, now: Instant) -> bool {
        let now = micros(now.saturating_duration_since(self.origin));
        now >= self.look_at.load(Ordering::Relaxed)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
