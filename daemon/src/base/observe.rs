//! How the layers report what they measure, without knowing who counts it.
//!
//! `telemetry` stands below them and implements [`Observe`]; they hold a [`SharedObserver`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::FailureClass;

/// Which way bytes go, seen from the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Read,
    Write,
}

impl Direction {
    /// The word used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// One thing that happened. `remote` is a remote's name, or `presigned`.
#[derive(Debug, Clone, Copy)]
pub enum Measure<'a> {
    /// Object bytes that passed.
    Bytes { remote: &'a str, direction: Direction, bytes: u64 },
    /// A part began (`1`) or ended (`-1`) on one side.
    PartsInFlight { remote: &'a str, direction: Direction, change: i64 },
    /// A part was carried, from its GET's first byte asked to its acknowledgement.
    Part { elapsed: Duration },
    /// A request was answered, or failed: `outcome` is `ok` or a failure class.
    Request { remote: &'a str, operation: &'static str, outcome: &'static str, elapsed: Duration },
    /// Something is tried again.
    Retry { remote: &'a str, class: FailureClass },
    /// The side asked to slow down.
    Throttled { remote: &'a str },
    /// Time spent waiting for a limit: `kind` is `read_bandwidth`, `write_bandwidth` or `requests`.
    RateWait { remote: &'a str, kind: &'static str, waited: Duration },
    /// The ledger waited for the disk.
    LedgerFlush { elapsed: Duration },
    /// A proof did not hold: `stage` is `source`, `part`, `sealing` or `verifying`.
    VerificationFailure { stage: &'static str },
    /// A job came to its end: `outcome` is `succeeded`, `failed` or `cancelled`.
    JobFinished { kind: &'static str, outcome: &'static str },
}

/// Whoever counts. Called on the data path: it must neither block nor allocate much.
pub trait Observe: Send + Sync + fmt::Debug {
    /// Takes one measure.
    fn record(&self, measure: Measure<'_>);
}

/// How the observer is handed around.
pub type SharedObserver = Arc<dyn Observe>;

/// Counts nothing: for tests and tools.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observe for NoObserver {
    fn record(&self, _: Measure<'_>) {}
}
