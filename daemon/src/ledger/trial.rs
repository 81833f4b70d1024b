//! Doors for `tests/fuzz`, under the feature `testing` alone: the formats on disk, read without a ledger.
//!
//! They say what came of it and judge nothing: what must hold, the fuzzers say.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::{Entry, Text, chain};
use super::notices::Notice;
use super::submit::KeyUse;
use super::{AskedUpload, BegunUpload, Error, Ledger, Tuning, record};
use crate::base::NoObserver;
use crate::model::{Job, JobEvent, PartFact, TransferState};

/// What a record became that was read, written and read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reread {
    /// What it was read as.
    pub kind: &'static str,
    /// Written again.
    pub record: Vec<u8>,
    /// What that was read as, written once more; `None` where it could not be read.
    pub again: Option<Vec<u8>>,
}

/// Reads the bytes as a record of each kind.
pub fn records(bytes: &[u8]) -> Vec<Reread> {
    let all = [
        reread::<Job>("job", bytes),
        reread::<PartFact>("part", bytes),
        reread::<BegunUpload>("begun upload", bytes),
        reread::<AskedUpload>("asked upload", bytes),
        reread::<KeyUse>("key", bytes),
        reread::<String>("setting", bytes),
        reread::<Vec<Entry>>("outbox", bytes),
        reread::<u64>("number", bytes),
        reread::<[u8; 16]>("seal", bytes),
        reread::<Notice>("notice", bytes),
    ];
    all.into_iter().flatten().collect()
}

fn reread<T: Serialize + DeserializeOwned>(kind: &'static str, bytes: &[u8]) -> Option<Reread> {
    let what = || kind.to_owned();
    let record = record::encode(&record::decode::<T>(bytes, what).ok()?, what).ok()?;
    let again = record::decode::<T>(&record, what).ok();
    let again = again.and_then(|again| record::encode(&again, what).ok());
    Some(Reread { kind, record, again })
}

/// The record of a text that is JSON already.
pub fn record(json: &[u8]) -> Vec<u8> {
    record::headed([&[0; record::HEAD_BYTES], json].concat())
}

/// What webhooks and the audit log are told of the job of a record; `None` where it holds none.
///
/// # Errors
/// Where a job that could be read cannot be told of.
pub fn told(bytes: &[u8]) -> Option<Result<Vec<String>, Error>> {
    let job: Job = record::decode(bytes, String::new).ok()?;
    Some(all_told(&job))
}

fn all_told(job: &Job) -> Result<Vec<String>, Error> {
    let at = job.finished_at.unwrap_or(job.submitted_at);
    let notices = JobEvent::ALL.into_iter().map(|event| Notice::of(job, event, at));
    let mut texts = notices.map(|told| Ok(told?.body)).collect::<Result<Vec<_>, Error>>()?;
    let other = Job { transfer: TransferState::Unplanned, image: None, ..job.clone() };
    let entry = Entry::at(at, job.state.as_str(), &job.actor, Some(job.id));
    let text = entry.with_standing(&other, job)?.text()?;
    texts.push(String::from_utf8_lossy(&text.json).into_owned());
    Ok(texts)
}

/// The lines of an audit log whose entries are these, each one JSON object, whatever it holds: chained as the
/// log's own are.
pub fn lines<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut lines, mut prev) = (Vec::new(), crate::integrity::blake3(b""));
    for (json, seq) in entries.zip(1..) {
        // Writing to memory cannot fail.
        let written = chain::write_line(&mut lines, &Text { seq, json: json.to_vec() }, prev);
        prev = written.unwrap_or(prev);
    }
    lines
}

/// The lines of the audit log in `dir`, each proven; gives how many.
///
/// # Errors
/// The first line that is not what was written there.
pub fn walk(dir: &Path) -> Result<u64, Error> {
    Ok(chain::walk(dir, |_| Ok(()))?.lines)
}

/// As [`Ledger::open`], and needs no room on the disk.
///
/// # Errors
/// As [`Ledger::open`].
pub fn open(dir: &Path) -> Result<Ledger, Error> {
    let tuning = Tuning { free_bytes_min: 0, reserve_bytes: 0, ..Tuning::default() };
    Ledger::open_tuned(dir, Arc::new(NoObserver), tuning)
}
