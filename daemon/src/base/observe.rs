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
    /// A proof did not hold: `stage` is `part`, `sealing` or `verifying`.
    VerificationFailure { stage: &'static str },
    /// A job came to its end: `outcome` is `succeeded`, `failed` or `cancelled`.
    JobFinished { kind: &'static str, outcome: &'static str },
    /// Notices to a webhook: `outcome` is `delivered`, `failed` (and tried again), `expired`, `dropped`, `lost`
    /// or `gone`.
    Webhook { webhook: &'a str, outcome: &'static str, count: u64 },
}

/// Where a crash costs most: between an act and its record. Simulations end the daemon here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CrashPoint {
    /// CreateMultipartUpload said yes, and its id is not written yet.
    UploadCreated,
    /// The upload's id is on disk, and no part was sent.
    UploadRecorded,
    /// UploadPart said yes, and the part's fact is not written yet.
    PartAcknowledged,
    /// The part's fact is on disk, and nothing was made of it yet.
    PartRecorded,
    /// The digest is on disk, and the act that publishes was not asked for.
    BeforePublishing,
    /// The object stands, and it is not written yet.
    Published,
    /// The proof holds, and the job's success is not written yet.
    Proven,
    /// The worker is to cancel, and has aborted nothing yet.
    BeforeAborting,
    /// The upload is aborted, and the job is not cancelled yet.
    UploadAborted,
    /// An upload that is of no use was let go of, and the job does not begin anew yet.
    UploadLetGo,
    /// Changes are committed, and the database is not flushed yet.
    LedgerFlushing,
    /// The database is on disk, and the audit log is not.
    LedgerFlushed,
}

impl CrashPoint {
    /// Every point.
    pub const ALL: [Self; 12] = [
        Self::UploadCreated,
        Self::UploadRecorded,
        Self::PartAcknowledged,
        Self::PartRecorded,
        Self::BeforePublishing,
        Self::Published,
        Self::Proven,
        Self::BeforeAborting,
        Self::UploadAborted,
        Self::UploadLetGo,
        Self::LedgerFlushing,
        Self::LedgerFlushed,
    ];
}

/// Whoever counts. Called on the data path: it must neither block nor allocate much.
pub trait Observe: Send + Sync + fmt::Debug {
    /// Takes one measure.
    fn record(&self, measure: Measure<'_>);

    /// Whether the daemon ends here, as if it were killed.
    #[cfg(feature = "testing")]
    fn dies_at(&self, _: CrashPoint) -> bool {
        false
    }
}

/// Goes no further where a simulation says that the daemon ends here.
pub async fn crash_point(observer: &SharedObserver, point: CrashPoint) {
    #[cfg(feature = "testing")]
    if observer.dies_at(point) {
        std::future::pending::<()>().await;
    }
    #[cfg(not(feature = "testing"))]
    let _ = (observer, point);
}

/// How the observer is handed around.
pub type SharedObserver = Arc<dyn Observe>;

/// Counts nothing: for tests and tools.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observe for NoObserver {
    fn record(&self, _: Measure<'_>) {}
}
