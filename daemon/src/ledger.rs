//! The durable truth: jobs, their parts, the queue, the events and the audit log. Every change is a
//! checked transition of [`Job`], and is on disk before anyone is told.
//!
//! # Crash consistency
//! A change is one transaction over all trees ([`book`]), put on disk with all others of its moment
//! by the group commit ([`flush`]), which answers last. A crash before that leaves the change done
//! or not done, never in part, and nobody was told. Dropping a future of this module takes nothing
//! back: what was committed becomes durable all the same.
//!
//! # Invariants
//! - A worker writes by its lease's token alone. Tokens only grow, across restarts too, so a worker
//!   that lost its job writes nothing any more.
//! - Parts exist only for the upload that the job holds now.
//! - What is read by id or by list can be a change that is not on disk for another moment; what
//!   was answered, and what is an event, is on disk.
//! - Nothing outside may assume that only one daemon exists, nor that this one is on sled.

mod actor;
mod audit;
mod book;
mod claim;
mod error;
mod flush;
mod key;
mod parts;
mod query;
mod record;
mod space;
mod store;
mod uploads;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use actor::Actor;
pub use claim::Lanes;
pub use error::Error;
pub use query::{Counts, Event, Events, Filter, PAGE_SIZE_MAX, Page};
pub use uploads::BegunUpload;

use crate::base::{SharedObserver, clock};
use crate::integrity;
use crate::model::{Change, Illegal, Job, JobId, JobState, Submission, TransferSpec};
use audit::{Audit, Entry};
use book::{Book, Desk, Draft};
use flush::{Flusher, Ticket};
use store::{Store, Table};

/// What tests make small.
#[derive(Debug, Clone, Copy)]
struct Tuning {
    events_kept: u64,
    free_bytes_min: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { events_kept: 65_536, free_bytes_min: space::FREE_BYTES_MIN }
    }
}

/// The open ledger. Clones are the same one; the last that is dropped releases the directory.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    instance: String,
    book: Mutex<Book>,
    desk: Desk,
}

/// A submission that is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    pub job: Job,
    /// The idempotency key was known: this is the job that it made then.
    pub existed: bool,
}

/// What an idempotency key stands for.
#[derive(Serialize, Deserialize)]
struct KeyUse {
    job: JobId,
    /// Hexadecimal BLAKE3 of the spec's JSON. A spec can hold a secret, so it is not kept whole.
    spec: String,
}

impl Ledger {
    /// Opens the ledger in `dir`, making it where there is none. Blocks, and starts a thread.
    ///
    /// # Errors
    /// Anything but those about one job; the daemon cannot start then.
    pub fn open(dir: &Path, observer: SharedObserver) -> Result<Self, Error> {
        Self::open_tuned(dir, observer, Tuning::default())
    }

    fn open_tuned(dir: &Path, observer: SharedObserver, tuning: Tuning) -> Result<Self, Error> {
        let not_writable = |source| Error::NotWritable { dir: dir.to_owned(), source };
        let audit_dir = dir.join("audit");
        store::make_dir(&audit_dir).map_err(not_writable)?;
        space::check(dir, tuning.free_bytes_min)?;
        let store = Arc::new(Store::open(&dir.join("ledger"))?);
        let mut audit = Audit::open(&audit_dir.join("audit.jsonl"))?;
        audit.append(&outbox(&store)?).map_err(|error| Error::Audit(Arc::new(error)))?;
        let book = Book::open(&store, audit.last_seq())?;
        let flusher = Flusher::start(store.clone(), audit, book.cursor(), observer);
        let desk = Desk::new(store, flusher.map_err(not_writable)?, tuning)?;
        let instance = hex::encode(rand::random::<[u8; 16]>());
        let inner = Inner { dir: dir.to_owned(), instance, book: Mutex::new(book), desk };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The id of this process as the owner of leases; another one after every start.
    pub fn instance(&self) -> &str {
        &self.inner.instance
    }

    /// Takes a job into the queue. With an idempotency key that is known for the same spec, gives
    /// the job that it made.
    ///
    /// # Errors
    /// [`Error::KeyReused`] where the key is known for another spec.
    pub async fn submit(&self, submission: Submission, actor: &str) -> Result<Submitted, Error> {
        let (submitted, ticket) = self.enter_submission(submission, actor)?;
        ticket.durable().await?;
        Ok(submitted)
    }

    fn enter_submission(
        &self,
        submission: Submission,
        actor: &str,
    ) -> Result<(Submitted, Ticket), Error> {
        let desk = &self.inner.desk;
        let mut book = self.book()?;
        let mut draft = Draft::default();
        let now = clock::now();
        let id = key::next_id(book.last_id, now, rand::random());
        if let Some(key) = submission.idempotency_key.clone() {
            let spec = fingerprint(&submission.spec)?;
            let what = || "an idempotency key".to_owned();
            if let Some(used) = desk.store.read::<KeyUse>(Table::Keys, key.as_bytes(), what)? {
                if used.spec != spec {
                    return Err(Error::KeyReused { key, job: used.job });
                }
                let submitted = Submitted { job: desk.job(used.job)?, existed: true };
                // It may be a moment old, and not on disk yet.
                return Ok((submitted, desk.enter(&mut book, draft)?));
            }
            let used = KeyUse { job: id, spec };
            store::put(&mut draft.writes, Table::Keys, key.as_bytes(), &used, what)?;
        }
        draft.audit(Entry::new("submitted", actor, Some(id)).with_submission(&submission)?);
        let job = Job::submitted(id, submission, actor.to_owned(), now);
        draft.job(None, &job)?;
        let ticket = desk.enter(&mut book, draft)?;
        book.last_id = Some(id);
        Ok((Submitted { job, existed: false }, ticket))
    }

    /// The job as it stands.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`], or [`Error::Corrupt`] where its record is not what was written.
    pub fn get(&self, id: JobId) -> Result<Job, Error> {
        self.inner.desk.job(id)
    }

    /// Jobs by state.
    pub fn counts(&self) -> Counts {
        self.inner.desk.counts()
    }

    /// Does what a person asks: pause, resume, cancel, retry or reprioritize.
    ///
    /// # Errors
    /// [`Error::Illegal`] where the job's state does not allow it, or it is not a person's to ask.
    pub async fn control(&self, id: JobId, change: Change, actor: &str) -> Result<Job, Error> {
        let (job, ticket) = self.enter_control(id, change, actor)?;
        ticket.durable().await?;
        Ok(job)
    }

    fn enter_control(
        &self,
        id: JobId,
        change: Change,
        actor: &str,
    ) -> Result<(Job, Ticket), Error> {
        let mut entry = Entry::new("control", actor, Some(id)).with("change", &change.as_str())?;
        match &change {
            Change::Pause | Change::Resume | Change::Cancel | Change::Retry | Change::Expire => {}
            Change::Reprioritize(priority) => entry = entry.with("priority", priority)?,
            other => {
                let why = "only its worker may change so";
                return Err(Error::Illegal { id, source: Illegal { change: other.as_str(), why } });
            }
        }
        let mut book = self.book()?;
        let before = self.inner.desk.job(id)?;
        let mut draft = Draft::default();
        draft.audit(entry);
        self.enter_change(&mut book, draft, &before, change, actor)
    }

    /// Writes what the worker that holds the lease `token` reports.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the job's lease has another token, or it has none.
    pub async fn apply(&self, id: JobId, token: u64, change: Change) -> Result<Job, Error> {
        let (job, ticket) = {
            let mut book = self.book()?;
            let before = self.leased(id, token)?;
            // A lease is extended, never exchanged for another.
            if matches!(&change, Change::Renew(lease) if lease.token != token) {
                return Err(Error::LeaseLost);
            }
            let actor = Actor::daemon();
            self.enter_change(&mut book, Draft::default(), &before, change, &actor)?
        };
        ticket.durable().await?;
        Ok(job)
    }

    /// Applies one change to one job, with the audit line of its end and the loss of its parts.
    fn enter_change(
        &self,
        book: &mut Book,
        mut draft: Draft,
        before: &Job,
        change: Change,
        actor: &str,
    ) -> Result<(Job, Ticket), Error> {
        let desk = &self.inner.desk;
        let after = before
            .apply(change, clock::now())
            .map_err(|source| Error::Illegal { id: before.id, source })?;
        draft.job(Some(before), &after)?;
        desk.drop_parts(&mut draft, before, &after)?;
        draft.upload(before, &after)?;
        if after.state.is_terminal() && after.state != before.state {
            draft.audit(end_of(&after, actor)?);
        }
        let ticket = desk.enter(book, draft)?;
        Ok((after, ticket))
    }

    /// The newest event's cursor that is on disk.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.desk.flusher.published()
    }

    /// A durable text by its name.
    ///
    /// # Errors
    /// Storage, or a corrupt record.
    pub fn setting(&self, key: &str) -> Result<Option<String>, Error> {
        self.inner.desk.store.read(Table::Settings, key.as_bytes(), || format!("setting {key}"))
    }

    /// Writes a durable text, or removes it. It stands in the audit log: never a secret.
    ///
    /// # Errors
    /// Storage alone.
    pub async fn put_setting(
        &self,
        key: &str,
        value: Option<String>,
        actor: &str,
    ) -> Result<(), Error> {
        let mut draft = Draft::default();
        draft.audit(Entry::new("setting", actor, None).with("key", &key)?.with("value", &value)?);
        match value {
            None => draft.writes.remove(Table::Settings, key.as_bytes()),
            Some(value) => {
                let what = || format!("setting {key}");
                store::put(&mut draft.writes, Table::Settings, key.as_bytes(), &value, what)?;
            }
        }
        let ticket = self.inner.desk.enter(&mut *self.book()?, draft)?;
        ticket.durable().await
    }

    /// Whether work can be taken: the ledger has not failed, there is room, and a small write gets
    /// to the disk. Blocks for one sync.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check_writable(&self) -> Result<(), Error> {
        self.inner.desk.flusher.admit()?;
        space::check(&self.inner.dir, self.inner.desk.tuning.free_bytes_min)
    }

    /// Returns once everything that was changed before is on disk.
    ///
    /// # Errors
    /// Storage, or the audit log.
    pub async fn flush(&self) -> Result<(), Error> {
        let ticket = self.inner.desk.enter(&mut *self.book()?, Draft::default())?;
        ticket.durable().await
    }

    /// Puts everything on disk and takes no more changes, through any clone. The directory is
    /// released when the last clone is gone.
    ///
    /// # Errors
    /// As [`Ledger::flush`].
    pub async fn close(self) -> Result<(), Error> {
        let outcome = self.flush().await;
        self.inner.desk.flusher.close();
        outcome
    }

    /// The writer's lock. A panic under it leaves unknown what was written: nothing may follow.
    fn book(&self) -> Result<MutexGuard<'_, Book>, Error> {
        self.inner.book.lock().map_err(|_| {
            let error = Error::broken("a panic in the middle of a change");
            self.inner.desk.flusher.refuse_all(&error);
            error
        })
    }

    fn leased(&self, id: JobId, token: u64) -> Result<Job, Error> {
        let job = self.inner.desk.job(id)?;
        let holds = job.lease.as_ref().is_some_and(|lease| lease.token == token);
        if holds { Ok(job) } else { Err(Error::LeaseLost) }
    }
}

/// sled's own `Debug` prints what the trees hold.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("dir", &self.inner.dir).finish_non_exhaustive()
    }
}

/// The audit line of a job that ended.
fn end_of(job: &Job, actor: &str) -> Result<Entry, Error> {
    let entry = Entry::new(job.state.as_str(), actor, Some(job.id));
    match job.state {
        JobState::Succeeded => entry.with("receipt", &job.receipt),
        JobState::Failed => entry.with("failure", &job.failure),
        JobState::Queued | JobState::Running | JobState::Paused | JobState::Cancelled => Ok(entry),
    }
}

/// The entries that a crash may have kept from the audit log.
fn outbox(store: &Store) -> Result<Vec<Entry>, Error> {
    let entries = store.tree(Table::Outbox).iter().map(|item| {
        let (_, value) = item.map_err(Error::Storage)?;
        record::decode(&value, || "an entry of the audit outbox".into())
    });
    entries.collect()
}

fn fingerprint(spec: &TransferSpec) -> Result<String, Error> {
    let json = serde_json::to_vec(spec)
        .map_err(|error| Error::corrupt(format!("the spec has no JSON: {error}")))?;
    Ok(hex::encode(integrity::blake3(&json)))
}

#[cfg(test)]
mod tests;
