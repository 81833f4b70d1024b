//! The database: eleven sled trees under one transaction, and the only place that knows sled's ways.
//!
//! # Crash consistency
//! A [`Writes`] is [`staged`](super::staged) first, and recovered whole or not at all: all that is staged
//! at a moment is one sled transaction over all trees. sled keeps that promise only while no two
//! transactions run at once (<https://github.com/spacejam/sled/issues/897>), so one thread alone calls
//! [`Store::commit`].
//!
//! On Linux sled's own flush is `sync_file_range`: it flushes neither the disk's write cache nor
//! the length of the file, and so proves nothing after a loss of power
//! (<https://github.com/spacejam/sled/issues/1452>). [`Store::flush`] therefore syncs the file too.
//!
//! # Invariants
//! - Nothing that sled does at open takes the process down: a panic there becomes an error. A database
//!   that failed so is never dropped, since that makes sled write, or panic while it panics.
//! - A commit that failed may have been applied in part: its caller lets nothing follow it.
//! - The sum of all records ([`seal`]) is written with every change of one: a page that is lost, or old,
//!   shows at the next start.

use std::any::Any;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional as _};

use super::staged::Staged;
use super::{Error, key, record, schema, seal};
use crate::model::{Job, JobId};

/// The daemon as a whole stays below 160 MiB resident. sled's page table comes on top of this, at
/// about 50 MiB for 200,000 jobs; four times the cache made nothing faster.
const CACHE_BYTES: u64 = 16 << 20;
const SEAL_KEY: &[u8] = b"seal";
/// A daemon that is being restarted may find the lock of the one before it for a moment.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// One tree each. Their order is on disk, in the [`seal`]: a new one goes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// id -> the job.
    Jobs,
    /// [`key::state`] -> nothing.
    States,
    /// [`key::queue`] -> nothing.
    Queue,
    /// [`key::part`] -> the part's fact.
    Parts,
    /// The job and its upload -> an upload that may exist at a target.
    Uploads,
    /// Idempotency key -> the job it made.
    Keys,
    /// Name -> text.
    Settings,
    /// The last one's number -> audit entries that may not be in the audit log yet.
    Outbox,
    /// Name -> number.
    Meta,
    /// id -> an upload that the job asked for, and whose request may not have landed yet.
    Asked,
    /// The event's cursor and a webhook's name -> what it is to be told.
    Notices,
}

impl Table {
    pub(super) const COUNT: usize = 11;
    const ALL: [(Self, &'static str); Self::COUNT] = [
        (Self::Jobs, "jobs"),
        (Self::States, "states"),
        (Self::Queue, "queue"),
        (Self::Parts, "parts"),
        (Self::Uploads, "uploads"),
        (Self::Keys, "keys"),
        (Self::Settings, "settings"),
        (Self::Outbox, "outbox"),
        (Self::Meta, "meta"),
        (Self::Asked, "asked"),
        (Self::Notices, "notices"),
    ];

    /// Every table.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|(table, _)| table)
    }
}

/// What one transaction writes. The last word on a key counts.
#[derive(Debug, Default)]
pub(super) struct Writes(Vec<Write>);

/// One record, or with no value its removal.
#[derive(Debug)]
struct Write {
    table: Table,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

impl Writes {
    pub(super) fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.0.push(Write { table, key: key.to_vec(), value: Some(value) });
    }

    pub(super) fn remove(&mut self, table: Table, key: &[u8]) {
        self.0.push(Write { table, key: key.to_vec(), value: None });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_rows(self) -> impl Iterator<Item = (Table, Vec<u8>, Option<Vec<u8>>)> {
        self.0.into_iter().map(|Write { table, key, value }| (table, key, value))
    }
}

/// The open database. Held by one process at a time.
pub(super) struct Store {
    trees: Vec<sled::Tree>,
    db: sled::Db,
    file: File,
    /// Of all sealed records, as the last commit left it.
    seal: Mutex<u128>,
    staged: Mutex<Staged>,
}

impl Store {
    /// Opens the database in `dir`, making it where there is none. Blocks.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let not_writable = |source| Error::NotWritable { dir: dir.to_owned(), source };
        make_dir(dir).map_err(not_writable)?;
        let (db, trees) = start_patiently(dir)?;
        let file = File::open(dir.join("db")).map_err(not_writable)?;
        // The names of the files sled just made have to survive a loss of power as well.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(not_writable)?;
        let store = Self { trees, db, file, seal: Mutex::default(), staged: Mutex::default() };
        let prepared = caught(|| {
            schema::check(&store)?;
            let seal = store.read_seal()?;
            *store.seal() = seal;
            // A predecessor that was killed may have left what is recovered in the page cache only.
            store.flush()
        });
        match prepared {
            Ok(()) => Ok(store),
            Err(error) if error.is_broken() => Err(store.abandon(error)),
            Err(error) => Err(error),
        }
    }

    /// Lets go of a broken database without dropping it; its memory is the price.
    pub(super) fn abandon(self, error: Error) -> Error {
        std::mem::forget(self);
        error
    }

    /// What the seal of all records ought to be.
    pub(super) fn read_seal(&self) -> Result<u128, Error> {
        let found: Option<[u8; 16]> = self.read(Table::Meta, SEAL_KEY, || "seal".into())?;
        Ok(found.map_or(0, u128::from_be_bytes))
    }

    /// Plain data that every holder leaves whole.
    fn seal(&self) -> MutexGuard<'_, u128> {
        self.seal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For range scans of what is committed.
    pub(super) fn tree(&self, table: Table) -> &sled::Tree {
        &self.trees[table as usize]
    }

    /// One record. `what` names it, for the error.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
        what: impl Fn() -> String,
    ) -> Result<Option<T>, Error> {
        // The database only after what is staged: on its way from there to here a row is in both.
        let staged = self.staged().get(table, key);
        let found = match staged {
            Some(found) => found,
            None => self.tree(table).get(key).map_err(Error::Storage)?,
        };
        found.map(|bytes| record::decode(&bytes, what)).transpose()
    }

    /// The job as it stands; `None` where there is none.
    pub(super) fn job(&self, id: JobId) -> Result<Option<Job>, Error> {
        self.read(Table::Jobs, &id.to_bytes(), || format!("job {id}"))
    }

    /// The lowest and the highest of a tree that is keyed by numbers.
    pub(super) fn numbers(&self, table: Table) -> Result<Option<(u64, u64)>, Error> {
        let tree = self.tree(table);
        let first = tree.first().map_err(Error::Storage)?;
        let last = tree.last().map_err(Error::Storage)?;
        let (Some((first, _)), Some((last, _))) = (first, last) else { return Ok(None) };
        key::number(&first)
            .zip(key::number(&last))
            .map(Some)
            .ok_or_else(|| Error::corrupt(format!("a key of {table:?} is not a number")))
    }

    /// Takes changes on their way. They are seen at once, and durable after the next commit and flush.
    pub(super) fn stage(&self, writes: Writes) {
        self.staged().take(writes);
    }

    /// Applies all that is staged or, after a crash, nothing of it. It is on disk after the next flush.
    ///
    /// # Errors
    /// As [`Store::commit_leaving`].
    pub(super) fn commit(&self) -> Result<(), Error> {
        self.leave();
        self.commit_leaving(Writes::default())
    }

    /// Sets apart what is staged now: the next commit is of this, whatever is staged meanwhile.
    pub(super) fn leave(&self) {
        self.staged().leave();
    }

    /// Applies what was set apart, with `more`, or, after a crash, nothing of it.
    ///
    /// # Errors
    /// It may then be applied in part: nothing may be written after it.
    pub(super) fn commit_leaving(&self, more: Writes) -> Result<(), Error> {
        let rows = self.staged().leaving(more);
        if rows.is_empty() {
            return Ok(());
        }
        let mut seal = self.seal();
        let before = *seal;
        let result = self.trees.as_slice().transaction(|trees| {
            let mut sum = before;
            for (table, key, value) in rows.iter() {
                let tree = &trees[table as usize];
                let old = match value {
                    Some(value) => tree.insert(key, value)?,
                    None => tree.remove(key)?,
                };
                sum ^= seal::of(table, key, old.as_deref());
                sum ^= seal::of(table, key, value.map(|value| &**value));
            }
            if sum != before {
                let record = record::encode(&sum.to_be_bytes(), || "seal".into());
                let record = record.map_err(ConflictableTransactionError::Abort)?;
                trees[Table::Meta as usize].insert(SEAL_KEY, record)?;
            }
            Ok(sum)
        });
        *seal = result.map_err(|error| match error {
            TransactionError::Storage(error) => Error::Storage(error),
            TransactionError::Abort(error) => error,
        })?;
        // Dropped after the lock is released.
        let _left = self.staged().left();
        Ok(())
    }

    /// Lets no transaction run while `read` does: who reads several indexes finds each job in one place.
    pub(super) fn between_commits<T>(&self, read: impl FnOnce() -> T) -> T {
        let _seal = self.seal();
        read()
    }

    /// Plain data that every holder leaves whole.
    pub(super) fn staged(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once everything committed before it is on disk. Blocks.
    pub(super) fn flush(&self) -> Result<(), Error> {
        caught(|| self.db.flush().map_err(Error::Storage))?;
        self.file.sync_data().map_err(|error| Error::Storage(sled::Error::Io(error)))
    }
}

/// Adds the record of `value`. `what` names it, for the error.
pub(super) fn put<T: Serialize>(
    writes: &mut Writes,
    table: Table,
    key: &[u8],
    value: &T,
    what: impl Fn() -> String,
) -> Result<(), Error> {
    writes.put(table, key, record::encode(value, what)?);
    Ok(())
}

/// Makes a directory, and those above it, that only its owner can enter.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

type Opened = (sled::Db, Vec<sled::Tree>);

#[expect(clippy::disallowed_methods, reason = "opening blocks, and says so")]
fn start_patiently(dir: &Path) -> Result<Opened, Error> {
    let mut tries = 1;
    loop {
        match start(dir) {
            Err(Error::AlreadyOpen { .. }) if tries < LOCK_TRIES => thread::sleep(LOCK_PAUSE),
            outcome => return outcome,
        }
        tries += 1;
    }
}

fn start(dir: &Path) -> Result<Opened, Error> {
    // The group commit flushes; a second flusher would only compete with it.
    let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let db = caught(|| config.open().map_err(Error::Storage)).map_err(|error| match error {
        Error::Storage(error) if is_held(&error) => Error::AlreadyOpen { dir: dir.to_owned() },
        error => error,
    })?;
    let trees = Table::ALL.iter().map(|(_, name)| db.open_tree(name));
    match caught(|| trees.collect::<sled::Result<_>>().map_err(Error::Storage)) {
        Ok(trees) => Ok((db, trees)),
        Err(error) => {
            // As `Store::abandon`.
            std::mem::forget(db);
            Err(error)
        }
    }
}

/// Runs `work`, and makes an error of a panic in it: sled panics on some of the bytes that it cannot
/// read.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::Storage(panicked(&*panic))))
}

/// sled has no variant for it, only these words.
fn is_held(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().contains("could not acquire lock"))
}

fn panicked(panic: &(dyn Any + Send)) -> sled::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    sled::Error::ReportableBug(format!("it panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_is_the_tree_of_its_name() {
        for (at, (table, name)) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table as usize, at, "{name}");
            assert_eq!(format!("{table:?}").to_lowercase(), name);
        }
    }

    /// What a panic says is kept: it is all there is to report.
    #[test]
    fn a_panic_is_told_as_an_error() {
        let panic = catch_unwind(|| panic!("torn page {}", 7)).expect_err("it panicked");
        assert!(panicked(&*panic).to_string().contains("torn page 7"));
    }
}
