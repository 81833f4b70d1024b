//! One process at a time in a data directory. The database's own lock is not enough: it goes with the
//! database's files, which a rebuild moves aside.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::Error;

/// A daemon that is being restarted may find the lock of the one before it for a moment.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// The data directory is ours for as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits a moment for whoever has it. Blocks.
    ///
    /// # Errors
    /// [`Error::AlreadyOpen`] where another process keeps it.
    #[expect(clippy::disallowed_methods, reason = "opening blocks, and says so")]
    pub(super) fn take(data_dir: &Path) -> Result<Self, Error> {
        for _ in 1..TRIES {
            match Self::take_at_once(data_dir) {
                Err(Error::AlreadyOpen { .. }) => thread::sleep(PAUSE),
                outcome => return outcome,
            }
        }
        Self::take_at_once(data_dir)
    }

    /// The same without waiting.
    pub(super) fn take_at_once(data_dir: &Path) -> Result<Self, Error> {
        let not_writable = |source| Error::NotWritable { dir: data_dir.to_owned(), source };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(data_dir.join(".lock")).map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::AlreadyOpen { dir: data_dir.join("ledger") })
            }
            Err(TryLockError::Error(source)) => Err(not_writable(source)),
        }
    }
}
