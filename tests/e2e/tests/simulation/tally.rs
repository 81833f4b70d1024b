//! What a run came to, over all its seeds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use causewayd::base::CrashPoint;

/// Counts. What must be none (jobs lost, objects wrong, uploads left) fails its seed.
#[derive(Debug, Default)]
pub struct Tally {
    pub seeds: AtomicU64,
    pub jobs: AtomicU64,
    pub succeeded: AtomicU64,
    pub failed: AtomicU64,
    pub cancelled: AtomicU64,
    pub faults: AtomicU64,
    /// Crashes at a moment of no choice.
    pub crashes: AtomicU64,
    pub bytes_moved: AtomicU64,
    pub bytes_needed: AtomicU64,
    points: Mutex<BTreeMap<CrashPoint, u64>>,
}

impl Tally {
    /// Adds to one of the counts.
    pub fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }

    /// Counts a crash at a named point.
    pub fn crashed_at(&self, point: CrashPoint) {
        *self.points.lock().unwrap_or_else(PoisonError::into_inner).entry(point).or_default() += 1;
    }

    /// Crashes at a named point.
    pub fn crashes_at(&self, point: CrashPoint) -> u64 {
        let points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        points.get(&point).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (moved, needed) = (of(&self.bytes_moved), of(&self.bytes_needed));
        writeln!(
            f,
            "{} seeds; {} jobs: {} succeeded, {} failed, {} cancelled; {} faults injected",
            of(&self.seeds),
            of(&self.jobs),
            of(&self.succeeded),
            of(&self.failed),
            of(&self.cancelled),
            of(&self.faults),
        )?;
        write!(f, "{} crashes at random", of(&self.crashes))?;
        for point in CrashPoint::ALL {
            write!(f, ", {} at {point:?}", self.crashes_at(point))?;
        }
        let again = moved.saturating_sub(needed);
        writeln!(f, "\n{} MiB moved, {} MiB of them again or in vain", moved >> 20, again >> 20)?;
        write!(f, "0 jobs lost, 0 objects wrong, 0 uploads left")
    }
}
