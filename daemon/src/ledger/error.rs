//! What the ledger can answer instead of a result, split by what its caller can do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{ByteCount, Illegal, JobId};

/// A request that changed nothing, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller named a job that was never here, or is no longer.
    #[error("there is no job {0}")]
    NoSuchJob(JobId),
    /// The job is in a state that does not allow this. Look at it, and ask for something else.
    #[error("job {id} refused the change")]
    Illegal { id: JobId, source: Illegal },
    /// Two different requests under one idempotency key: one of them is a mistake of the client.
    #[error("the idempotency key '{key}' belongs to job {job}, which was asked for something else")]
    KeyReused { key: String, job: JobId },
    /// Somebody else has the job now, or nobody. The worker stops, and writes nothing more.
    #[error("the lease on the job is lost")]
    LeaseLost,
    /// The daemon cannot start here.
    #[error(
        "the ledger in {} is held by another process: stop the other causewayd, or give this one \
         a data_dir of its own", dir.display()
    )]
    AlreadyOpen { dir: PathBuf },
    /// A person has to make room. Take no new work until then.
    #[error("{} has {free} free, and the ledger needs {floor}: make room", dir.display())]
    NoSpace { dir: PathBuf, free: ByteCount, floor: ByteCount },
    /// A person has to look at the disk or at the rights. Take no new work until then.
    #[error("{} cannot be written", dir.display())]
    NotWritable { dir: PathBuf, source: io::Error },
    /// The data is of another version of the daemon: run that one.
    #[error("the ledger has schema {found}, and this daemon knows only {known}")]
    Schema { found: u32, known: u32 },
    /// One record is not what was written. The others stand; this one comes back from a backup or
    /// from the audit log.
    #[error("the ledger's record is corrupt: {what}")]
    Corrupt { what: String },
    /// The database failed. Whether the change is on disk is unknown, and nothing is taken any
    /// more until the daemon is started again.
    #[error("the ledger's database failed")]
    Storage(#[source] sled::Error),
    /// The audit log cannot be written. The change may be done, but it was not acknowledged;
    /// nothing is taken until the log can be written again, which is tried every second.
    #[error("the audit log failed")]
    Audit(#[source] Arc<io::Error>),
    /// The ledger was closed by this process.
    #[error("the ledger is closed")]
    Closed,
}

impl Error {
    /// Whether the same request may succeed later, as it stands: nothing was refused, the disk did not
    /// take it.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NoSpace { .. } | Self::NotWritable { .. } | Self::Audit(_))
    }

    /// For whatever the database is blamed for without having said so itself.
    pub(super) fn broken(what: impl Into<String>) -> Self {
        Self::Storage(sled::Error::ReportableBug(what.into()))
    }

    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}
