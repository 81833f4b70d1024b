//! The durable truth: jobs, their parts, the queue, the events and the audit log. Every change is a
//! checked transition of [`Job`], and is on disk before anyone is told.
//!
//! # Crash consistency
//! A change is staged whole ([`book`]) and put on disk with all others of its moment, in one transaction
//! over all trees, by the group commit ([`flush`]), which answers last. A crash before that leaves the change done
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
//! - The database is never the only copy: where it is not what was written, it is made anew from the
//!   audit log at open ([`rebuild`]).

mod actor;
mod audit;
mod backup;
mod book;
mod claim;
mod error;
mod events;
mod flush;
mod key;
mod lock;
mod notices;
mod outbox;
mod parts;
mod private;
mod query;
mod rebuild;
mod record;
mod replay;
mod schema;
mod seal;
mod secret;
mod settings;
mod space;
mod staged;
mod store;
mod submit;
#[cfg(feature = "testing")]
pub mod trial;
mod uploads;
mod waiting;
mod writable;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

pub use actor::Actor;
pub use backup::{BackedUp, Tail, Verified, backup, restore, verify};
pub use claim::berth_of;
pub use error::Error;
pub use notices::{NOTICE_LIFETIME, Notice, PENDING_MAX, WebhookRule};
pub use private::check_private;
pub use query::{Counts, Event, Events, Filter, PAGE_SIZE_MAX, Page};
pub use space::Space;
pub use submit::Submitted;
pub use uploads::{AskedUpload, BegunUpload};

use crate::base::{SharedObserver, clock};
use crate::integrity;
use crate::model::{Change, Illegal, Job, JobId};
use audit::{Audit, Entry};
use book::{Book, Desk, Draft};
use flush::{Flusher, Ticket};
use lock::Lock;
use rebuild::Rebuilt;
use secret::Secrets;
use writable::Writable;

const SIGNATURE_IS_GONE: Illegal = Illegal {
    change: "retry",
    why: "has a presigned source whose signature is not kept any more: submit it anew with a fresh URL",
};

/// What tests make small.
#[derive(Debug, Clone, Copy)]
struct Tuning {
    events_kept: usize,
    events_bytes: usize,
    free_bytes_min: u64,
    reserve_bytes: u64,
    segment_bytes: u64,
    notices_max: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            events_kept: 16_384,
            events_bytes: 16 << 20,
            free_bytes_min: space::FREE_BYTES_MIN,
            reserve_bytes: space::RESERVE_BYTES,
            segment_bytes: audit::SEGMENT_BYTES,
            notices_max: PENDING_MAX,
        }
    }
}

/// The open ledger. Clones are the same one; the last that is dropped releases the directory.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    instance: String,
    book: Mutex<Book>,
    desk: Desk,
    secrets: Secrets,
    writable: Writable,
    /// Released last, when all files are.
    _lock: Lock,
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
        let audit_dir = dir.join(rebuild::AUDIT);
        store::make_dir(&audit_dir).map_err(not_writable)?;
        let lock = Lock::take(dir)?;
        space::check(dir, tuning.free_bytes_min)?;
        let had_log = !audit::segment::list(&audit_dir).map_err(not_writable)?.is_empty();
        let mut audit = Audit::open(&audit_dir, tuning.segment_bytes)?;
        let secrets = Secrets::open(dir)?;
        let opened = rebuild::open(dir, had_log, audit.last_seq(), &secrets)?;
        let store = Arc::new(opened.store);
        schema::upgrade(&store, &secrets)?;
        outbox::catch_up(&mut audit, &store)?;
        // Of a job that cannot be read nothing is thrown away.
        secrets.sweep(|id| match store.job(id) {
            Ok(job) => job.is_some_and(|job| secrets.is_needed_by(&job)),
            Err(_) => true,
        })?;
        let book = Book::open(&store, audit.last_seq())?;
        let notices = notices::Notices::open(&store)?;
        let flusher = Flusher::start(store.clone(), audit, book.cursor(), observer)?;
        let inner = Inner {
            instance: hex::encode(rand::random::<[u8; 16]>()),
            book: Mutex::new(book),
            desk: Desk::new(dir.to_owned(), store, flusher, tuning, opened.counted, notices),
            secrets,
            writable: Writable::default(),
            _lock: lock,
        };
        let ledger = Self { inner: Arc::new(inner) };
        if let Some(rebuilt) = opened.rebuilt {
            ledger.tell(&rebuilt)?;
        }
        Ok(ledger)
    }

    /// Says, in the log of both kinds, that the database is another one.
    fn tell(&self, rebuilt: &Rebuilt) -> Result<(), Error> {
        let Rebuilt { why, aside, jobs } = rebuilt;
        let aside =
            aside.as_ref().map_or("nowhere: it was gone".into(), |to| to.display().to_string());
        tracing::error!(%why, %aside, jobs, "the ledger was broken, and was made anew from the audit log");
        let entry = Entry::new("rebuilt", &Actor::daemon(), None);
        let mut draft = Draft::default();
        draft.audit(entry.with("why", why)?.with("aside", &aside)?.with("jobs", jobs)?);
        // It becomes durable with the next cycle; nobody waits for it.
        drop(self.inner.desk.enter(&mut *self.book()?, draft)?);
        Ok(())
    }

    /// The id of this process as the owner of leases; another one after every start.
    pub fn instance(&self) -> &str {
        &self.inner.instance
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
        let presigned =
            matches!(change, Change::Retry) && secret::was_left_out(self.get(id)?.spec.as_ref());
        let entered = if presigned {
            // From here on nobody removes it.
            let _entering = self.inner.secrets.entering(id);
            match self.secret(id)? {
                Some(_) => self.enter_control(id, change, actor),
                None => Err(Error::Illegal { id, source: SIGNATURE_IS_GONE }),
            }
        } else {
            self.enter_control(id, change, actor)
        };
        let outcome = answered(entered).await;
        self.settle_secret(id, &outcome);
        outcome
    }

    fn enter_control(
        &self,
        id: JobId,
        change: Change,
        actor: &str,
    ) -> Result<(Job, Ticket), Error> {
        let mut entry = Entry::new("control", actor, Some(id)).with("change", &change.as_str())?;
        match &change {
            Change::Pause
            | Change::Resume
            | Change::Cancel
            | Change::Retry
            | Change::RollBackAlias
            | Change::Expire => {}
            Change::Reprioritize(priority) => entry = entry.with("priority", priority)?,
            other => {
                let why = "only its worker may change so";
                return Err(Error::Illegal { id, source: Illegal { change: other.as_str(), why } });
            }
        }
        let mut book = self.book()?;
        let before = self.inner.desk.job(id)?;
        self.enter_change(&mut book, Draft::default(), Some(entry), &before, change, actor)
    }

    /// Writes what the worker that holds the lease `token` reports. See [`Error::may_pass`].
    ///
    /// # Errors
    /// [`Error::LeaseLost`] where the job's lease has another token, or it has none.
    pub async fn apply(&self, id: JobId, token: u64, change: Change) -> Result<Job, Error> {
        let (job, ticket) = self.enter_report(id, token, change)?;
        let outcome = self.settled(ticket).await.map(|()| job);
        if let Ok(job) = &outcome
            && is_over(job)
            && secret::presigned(job.spec.as_ref()).is_some()
        {
            // Somebody may have asked for a retry since, so this looks at the job again.
            self.settle_secret(id, &outcome);
        }
        outcome
    }

    /// As [`Ledger::apply`], and does not wait for the disk: for what the worker may lose in a crash, since
    /// it would find out again. It is on disk before any later change of anybody is.
    ///
    /// # Errors
    /// As [`Ledger::apply`].
    pub fn note(&self, id: JobId, token: u64, change: Change) -> Result<Job, Error> {
        Ok(self.enter_report(id, token, change)?.0)
    }

    fn enter_report(&self, id: JobId, token: u64, change: Change) -> Result<(Job, Ticket), Error> {
        let mut book = self.book()?;
        let before = self.leased(id, token)?;
        // A lease is extended, never exchanged for another.
        if matches!(&change, Change::Renew(lease) if lease.token != token) {
            return Err(Error::LeaseLost);
        }
        self.enter_change(&mut book, Draft::default(), None, &before, change, &Actor::daemon())
    }

    /// Waits until a worker's change, which is committed, is on disk. While the audit log cannot be
    /// written this takes longer, and no more: told of an error the worker would do again what is done.
    async fn settled(&self, ticket: Ticket) -> Result<(), Error> {
        let mut outcome = ticket.durable().await;
        while let Err(Error::Audit(_)) = outcome {
            tokio::time::sleep(flush::RETRY_PAUSE).await;
            outcome = self.flush().await;
        }
        outcome
    }

    /// Applies one change to one job, with its audit lines and the loss of its parts. `asked` is the
    /// line of whoever asked for it.
    fn enter_change(
        &self,
        book: &mut Book,
        mut draft: Draft,
        asked: Option<Entry>,
        before: &Job,
        change: Change,
        actor: &str,
    ) -> Result<(Job, Ticket), Error> {
        let desk = &self.inner.desk;
        let event = change.as_str();
        let after = before
            .apply(change, clock::now())
            .map_err(|source| Error::Illegal { id: before.id, source })?;
        draft.job(Some(before), &after)?;
        desk.drop_parts(&mut draft, before, &after)?;
        draft.upload(before, &after)?;
        let ended = is_over(&after) && after.state != before.state;
        // That EC2 is asked again changes the moment of it alone, every 15 s for days.
        let image = |job: &Job| {
            job.image.as_ref().map(|image| image.progress.clone().asked_at(job.submitted_at))
        };
        let moved = audit::step(&before.transfer) != audit::step(&after.transfer)
            || image(before) != image(&after);
        let by_itself = match (ended, moved && asked.is_none()) {
            (true, _) => Some(after.state.as_str()),
            (false, true) => Some(event),
            (false, false) => None,
        };
        let by_itself = by_itself.map(|event| Entry::new(event, actor, Some(after.id)));
        for entry in asked.into_iter().chain(by_itself) {
            draft.audit(entry.with_standing(before, &after)?);
        }
        let ticket = desk.enter(book, draft)?;
        Ok((after, ticket))
    }

    /// The newest event's cursor that is on disk.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.desk.flusher.published()
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
        f.debug_struct("Ledger").field("dir", &self.inner.desk.dir).finish_non_exhaustive()
    }
}

/// What a person is told of a change, once it is on disk or refused.
async fn answered<T>(entered: Result<(T, Ticket), Error>) -> Result<T, Error> {
    let (made, ticket) = entered?;
    ticket.durable().await.map(|()| made)
}

/// Whether nothing more happens to the job unless a person asks.
fn is_over(job: &Job) -> bool {
    job.state.is_terminal()
}

#[cfg(test)]
mod tests;
