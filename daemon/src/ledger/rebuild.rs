//! Making the database again from the audit log, where it is broken or gone.
//!
//! # Crash consistency
//! The new database is filled beside the old one and takes its place only when it is whole: a crash in
//! between leaves the old one, or none, and the next start does the same again.
//!
//! # Invariants
//! - Nothing is deleted but what an earlier rebuild left unfinished: the broken database is moved aside.
//! - A log whose chain does not hold is not used. Jobs would be missing, and nobody would know.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::audit::chain;
use super::replay::Replay;
use super::seal::Counted;
use super::secret::Secrets;
use super::store::Store;
use super::{Error, clock, seal};

/// The database's name in the data directory.
pub(super) const LEDGER: &str = "ledger";
/// The audit log's.
pub(super) const AUDIT: &str = "audit";
const NEW: &str = "ledger.new";

/// A database that was made anew.
#[derive(Debug)]
pub(super) struct Rebuilt {
    /// What was wrong with the one before.
    pub(super) why: String,
    /// Where it went; `None` where there was none.
    pub(super) aside: Option<PathBuf>,
    /// How many jobs were restored.
    pub(super) jobs: u64,
}

/// A database that is what was written.
pub(super) struct Opened {
    pub(super) store: Store,
    /// Its jobs.
    pub(super) counted: Counted,
    pub(super) rebuilt: Option<Rebuilt>,
}

/// Opens the database of the data directory `dir`, and makes it anew where it is not what was written
/// and there is a log to make it from. `audited` is the number of the log's last line.
pub(super) fn open(
    dir: &Path,
    had_log: bool,
    audited: u64,
    secrets: &Secrets,
) -> Result<Opened, Error> {
    let why = match open_whole(dir, audited) {
        Ok((store, counted)) => return Ok(Opened { store, counted, rebuilt: None }),
        Err(error) if had_log && error.is_broken() => told(&error),
        Err(error) => return Err(error),
    };
    tracing::info!(%why, dir = %dir.display(), "the ledger is broken: making it anew from the audit log");
    let jobs = build(dir, &dir.join(AUDIT), secrets).map_err(|source| Error::Lost {
        dir: dir.join(LEDGER),
        why: why.clone(),
        source: Box::new(source),
    })?;
    let aside = replace(dir, "broken")
        .map_err(|source| Error::NotWritable { dir: dir.to_owned(), source })?;
    let (store, counted) = open_whole(dir, audited)?;
    Ok(Opened { store, counted, rebuilt: Some(Rebuilt { why, aside, jobs }) })
}

fn open_whole(dir: &Path, audited: u64) -> Result<(Store, Counted), Error> {
    let path = dir.join(LEDGER);
    if audited > 0 && !path.join("db").exists() {
        return Err(Error::corrupt(format!("{} is gone", path.display())));
    }
    let store = Store::open(&path)?;
    match seal::check(&store, audited) {
        Ok(counted) => Ok((store, counted)),
        Err(error) => Err(store.abandon(error)),
    }
}

/// Fills a new database in `dir` from the log in `audit`; gives how many jobs it has.
pub(super) fn build(dir: &Path, audit: &Path, secrets: &Secrets) -> Result<u64, Error> {
    let path = dir.join(NEW);
    remove_unfinished(&path).map_err(|source| Error::NotWritable { dir: path.clone(), source })?;
    let store = Store::open(&path)?;
    let mut replay = Replay::new(&store, secrets);
    let walked = chain::walk(audit, |entry| replay.take(entry))?;
    let jobs = replay.finish(walked.last.as_ref())?;
    store.flush()?;
    Ok(jobs)
}

/// Removes what was being made when the process ended.
pub(super) fn remove_unfinished(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Moves the database aside, as `ledger.{what}-{moment}`, and the new one to its place.
pub(super) fn replace(dir: &Path, what: &str) -> io::Result<Option<PathBuf>> {
    let (path, now) = (dir.join(LEDGER), clock::now());
    let stamp = clock::rfc3339(now).replace(':', "");
    let aside = dir.join(format!("{LEDGER}.{what}-{stamp}"));
    let aside = match fs::rename(&path, &aside) {
        Ok(()) => Some(aside),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    fs::rename(dir.join(NEW), &path)?;
    File::open(dir)?.sync_all()?;
    Ok(aside)
}

/// The error and what caused it, in one line.
fn told(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
