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
    /// A person has to judge who has read or changed it.
    #[error(
        "{} has the mode {mode:04o}, so that others can reach what is the daemon's alone: look who has, \
         then chmod -R go= {}", path.display(), path.display()
    )]
    NotPrivate { path: PathBuf, mode: u32 },
    /// Somebody else has to run this: the daemon's own user, whose directory it is.
    #[error(
        "{} belongs to {owner}, and {runs} runs this: the daemon could not open what that leaves there; \
         run it as {owner}: put '{before}' before it", dir.display()
    )]
    NotOwner { dir: PathBuf, owner: String, runs: String, before: String },
    /// The data is of another version of the daemon: run that one.
    #[error("the ledger has schema {found}, and this daemon knows only {known}")]
    Schema { found: u32, known: u32 },
    /// One record is not what was written. The others stand; this one comes back from a backup or
    /// from the audit log.
    #[error("the ledger's record is corrupt: {what}")]
    Corrupt { what: String },
    /// The database failed. Whether the change is on disk is unknown, and nothing is taken any
    /// more until the daemon is started again.
    #[error("the ledger's database failed: {}", told(.0))]
    Storage(sled::Error),
    /// The audit log cannot be written. A submission or a control may be done, but was not acknowledged;
    /// nothing is taken until the log can be written again, which is tried every second.
    #[error("the audit log failed")]
    Audit(#[source] Arc<io::Error>),
    /// The audit log is not what was written. Nothing is made from it: a person has to look.
    #[error("the audit log is broken in {segment}, line {line}: {what}")]
    Chain { segment: String, line: u64, what: String },
    /// The ledger is broken and cannot be made anew. Both are left as they were found.
    #[error(
        "the ledger in {} is broken ({why}) and cannot be made anew from its audit log: put both \
         back with 'causewayd restore', or move them away to begin with no job", dir.display()
    )]
    Lost { dir: PathBuf, why: String, source: Box<Error> },
    /// A backup that cannot be made, or used, as asked for.
    #[error("{}: {why}", path.display())]
    Backup { path: PathBuf, why: String },
    /// The ledger was closed by this process.
    #[error("the ledger is closed")]
    Closed,
}

impl Error {
    /// Whether a worker's change may succeed later, as it stands: it was not made, because the disk
    /// does not take it now.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NoSpace { .. } | Self::NotWritable { .. } | Self::Audit(_))
    }

    /// Whether the database has failed: what was asked for is done or not done, and nothing can be
    /// written before it is opened anew.
    pub fn is_of_storage(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::Closed)
    }

    /// Whether the database is not what was written, so that another one has to be made: not where it
    /// is the host that refuses.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Storage(sled::Error::Io(error)) => !is_of_the_host(error),
            Self::Storage(_) => true,
            Self::NoSuchJob(_)
            | Self::Illegal { .. }
            | Self::KeyReused { .. }
            | Self::LeaseLost
            | Self::AlreadyOpen { .. }
            | Self::NoSpace { .. }
            | Self::NotWritable { .. }
            | Self::NotPrivate { .. }
            | Self::NotOwner { .. }
            | Self::Schema { .. }
            | Self::Audit(_)
            | Self::Chain { .. }
            | Self::Lost { .. }
            | Self::Backup { .. }
            | Self::Closed => false,
        }
    }

    /// For whatever the database is blamed for without having said so itself.
    pub(super) fn broken(what: impl Into<String>) -> Self {
        Self::Storage(sled::Error::ReportableBug(what.into()))
    }

    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

/// sled keeps of the system's errors what `Debug` says of them, nested: only their number is of use.
fn told(error: &sled::Error) -> String {
    let text = error.to_string();
    let number = text.rsplit_once("code: ").and_then(|(_, rest)| rest.split_once(','));
    match number.and_then(|(number, _)| number.parse().ok()) {
        Some(number) => io::Error::from_raw_os_error(number).to_string(),
        None => text,
    }
}

/// Rights, room and open files: the database may be whole, and opens once the host allows it.
fn is_of_the_host(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::StorageFull,
        io::ErrorKind::QuotaExceeded,
        io::ErrorKind::ReadOnlyFilesystem,
        io::ErrorKind::OutOfMemory,
    ];
    let files = [nix::errno::Errno::EMFILE as i32, nix::errno::Errno::ENFILE as i32];
    kinds.contains(&error.kind()) || error.raw_os_error().is_some_and(|raw| files.contains(&raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_said_is_told_in_its_words() {
        let system = format!("{:?}", io::Error::from_raw_os_error(5));
        let nested = format!("{:?}", io::Error::other(system));
        let error = Error::Storage(sled::Error::Io(io::Error::other(nested)));
        let text = error.to_string();
        assert!(text.ends_with("failed: Input/output error (os error 5)"), "{text}");
        let error = Error::broken("it panicked");
        assert!(error.to_string().contains("it panicked"), "{error}");
    }
}
