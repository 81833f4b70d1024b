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
    /// Jobs that failed of what passes, and were retried in the end.
    pub retried: AtomicU64,
    pub faults: AtomicU64,
    pub sources_changed: AtomicU64,
    pub uploads_vanished: AtomicU64,
    pub credentials_expired: AtomicU64,
    /// Crashes at a moment of no choice.
    pub crashes: AtomicU64,
    pub restarts: AtomicU64,
    pub bytes_moved: AtomicU64,
    /// Moved again, or in vain: for jobs that were cancelled, failed, or began anew.
    pub bytes_again: AtomicU64,
    /// The same, where nothing but crashes can be the reason, and the bound that it was held against.
    pub strict_again: AtomicU64,
    pub strict_lost_max: AtomicU64,
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
        let mib = |count: &AtomicU64| of(count) >> 20;
        writeln!(
            f,
            "{} seeds; {} jobs: {} succeeded, {} failed as they had to, {} cancelled; {} retries in \
             the end",
            of(&self.seeds),
            of(&self.jobs),
            of(&self.succeeded),
            of(&self.failed),
            of(&self.cancelled),
            of(&self.retried),
        )?;
        writeln!(
            f,
            "{} faults injected, {} sources changed, {} uploads aborted by others, {} times expired \
             credentials",
            of(&self.faults),
            of(&self.sources_changed),
            of(&self.uploads_vanished),
            of(&self.credentials_expired),
        )?;
        let (crashes, restarts) = (of(&self.crashes), of(&self.restarts));
        write!(f, "{restarts} orderly restarts; {crashes} crashes at random")?;
        for point in CrashPoint::ALL {
            write!(f, ", {} at {point:?}", self.crashes_at(point))?;
        }
        writeln!(
            f,
            "\n{} MiB moved, {} MiB of them again or in vain; without faults {} MiB again, where {} \
             MiB were in flight in crashes",
            mib(&self.bytes_moved),
            mib(&self.bytes_again),
            mib(&self.strict_again),
            mib(&self.strict_lost_max),
        )?;
        write!(f, "0 jobs lost, 0 objects wrong, 0 uploads left")
    }
}
