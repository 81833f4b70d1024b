//! The group commit: one thread that puts on disk, together, whatever was changed since it last did, and
//! only then tells everyone.
//!
//! # Crash consistency
//! One cycle is: one transaction of all that is staged, with its audit entries in the outbox; flush the
//! database; append to the audit log and sync it; publish the newest event cursor; answer. A crash between
//! any two leaves changes that nobody was told of.
//!
//! # Invariants
//! - Nobody is answered, and no cursor is published, before both files are on disk.
//! - Waiters are enqueued under the writer's lock, so the audit log and the cursors keep its order, and
//!   together with what they stage, so no change is committed without its audit entry.
//! - The list of waiters is bounded by the callers: each enqueues what it does at once, and waits.
//! - A failed database stays refused until the daemon is started again: after a failed sync the
//!   kernel forgets what it could not write, so a later success would prove nothing. A failed audit
//!   log is tried again every second, with the lines it still owes.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Error;
use super::audit::{Audit, Text};
use super::outbox::Outbox;
use super::store::{Store, Writes};
use crate::base::{Measure, SharedObserver};

pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long a cycle lets changes gather where many come, and how many are many. One costs the disk and the
/// processor as much for one change as for hundreds.
const GATHER: Duration = Duration::from_millis(2);
const MANY: usize = 16;

/// Why nothing is taken now. Told to every caller, so it can be copied.
#[derive(Debug, Clone)]
enum Fault {
    Storage(sled::Error),
    Audit(Arc<io::Error>),
    Closed,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Storage(error) => Self::Storage(error),
            Fault::Audit(error) => Self::Audit(error),
            Fault::Closed => Self::Closed,
        }
    }
}

fn storage_fault(error: &Error) -> Fault {
    match error {
        Error::Storage(error) => Fault::Storage(error.clone()),
        other => Fault::Storage(sled::Error::ReportableBug(other.to_string())),
    }
}

/// A change that is made and not yet on disk.
#[derive(Debug)]
pub(super) struct Ticket(oneshot::Receiver<Result<(), Fault>>);

impl Ticket {
    /// Returns once the change, and all before it, are on disk. Dropping this takes nothing back.
    pub(super) async fn durable(self) -> Result<(), Error> {
        self.0.await.unwrap_or(Err(Fault::Closed)).map_err(Error::from)
    }
}

/// What one change asks of the next cycle.
struct Waiter {
    /// The newest event's cursor at that time.
    cursor: u64,
    entries: Vec<Text>,
    answer: oneshot::Sender<Result<(), Fault>>,
}

#[derive(Default)]
struct Pending {
    waiters: Vec<Waiter>,
    fault: Option<Fault>,
    closing: bool,
    /// The thread has ended: nobody would answer any more.
    ended: bool,
}

#[derive(Default)]
struct Desk {
    pending: Mutex<Pending>,
    wake: Condvar,
    /// The database failed: nothing is taken until it is opened anew.
    broken: watch::Sender<Option<sled::Error>>,
}

impl Desk {
    /// The state is plain data that every holder leaves whole: a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how a turn ended, or of a commit that failed; gives what was known before. A
    /// database that failed stays so.
    fn note(&self, fault: Option<Fault>) -> Option<Fault> {
        let mut pending = self.lock();
        if let Some(known @ Fault::Storage(_)) = &pending.fault {
            return Some(known.clone());
        }
        if let Some(Fault::Storage(error)) = &fault {
            self.broken.send_replace(Some(error.clone()));
        }
        std::mem::replace(&mut pending.fault, fault)
    }
}

/// The handle of the thread, which ends with it.
pub(super) struct Flusher {
    desk: Arc<Desk>,
    store: Arc<Store>,
    published: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// Starts the thread. `cursor` is the newest event's, on disk already.
    pub(super) fn start(
        store: Arc<Store>,
        audit: Audit,
        cursor: u64,
        observer: SharedObserver,
    ) -> Result<Self, Error> {
        let desk = Arc::new(Desk::default());
        let (publish, published) = watch::channel(cursor);
        let cycle = Cycle {
            outbox: Outbox::open(&store)?,
            store: store.clone(),
            audit,
            desk: desk.clone(),
            cursor,
            changes: 0,
            publish,
            observer,
        };
        let named = thread::Builder::new().name("ledger-flush".into());
        let thread = named.spawn(move || cycle.run()).map_err(|error| {
            Error::broken(format!("the host gives no thread for its group commit: {error}"))
        })?;
        Ok(Self { desk, store, published, thread: Some(thread) })
    }

    /// Whether a change may be made at all.
    pub(super) fn admit(&self) -> Result<(), Error> {
        let pending = self.desk.lock();
        match &pending.fault {
            Some(fault) => Err(fault.clone().into()),
            None if pending.closing => Err(Error::Closed),
            None => Ok(()),
        }
    }

    /// Takes one change, to be put on disk. Called under the writer's lock.
    pub(super) fn enqueue(&self, cursor: u64, writes: Writes, entries: Vec<Text>) -> Ticket {
        let (answer, answered) = oneshot::channel();
        let mut pending = self.desk.lock();
        if !pending.ended {
            self.store.stage(writes);
            pending.waiters.push(Waiter { cursor, entries, answer });
            self.desk.wake.notify_one();
        }
        Ticket(answered)
    }

    /// Lets nothing follow a commit that failed: it may have been applied in part.
    pub(super) fn refuse_all(&self, why: &Error) {
        self.desk.note(Some(storage_fault(why)));
        self.desk.wake.notify_one();
    }

    /// Completes once the database has failed for good.
    pub(super) async fn broken(&self) -> sled::Error {
        let mut broken = self.desk.broken.subscribe();
        match broken.wait_for(Option::is_some).await.map(|error| error.clone()) {
            Ok(Some(error)) => error,
            // The sender lives as long as this.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// The newest event's cursor that is on disk.
    pub(super) fn published(&self) -> watch::Receiver<u64> {
        self.published.clone()
    }

    /// Takes no more changes. Those that wait are still put on disk.
    pub(super) fn close(&self) {
        self.desk.lock().closing = true;
        self.desk.wake.notify_one();
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take() {
            // A panic in it was told to everyone who waited.
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Cycle {
    store: Arc<Store>,
    audit: Audit,
    outbox: Outbox,
    desk: Arc<Desk>,
    cursor: u64,
    /// Changes of the cycle before.
    changes: usize,
    publish: watch::Sender<u64>,
    observer: SharedObserver,
}

impl Cycle {
    fn run(mut self) {
        while let Some(mut waiters) = self.next() {
            self.changes = waiters.len();
            let outcome = self.turn(&mut waiters);
            self.settle(&outcome);
            for waiter in waiters {
                // Whoever does not wait any more does not mind.
                let _ = waiter.answer.send(outcome.clone());
            }
        }
    }

    /// Waits until there is something to do; `None` when there never will be.
    fn next(&self) -> Option<Vec<Waiter>> {
        let mut pending = self.desk.lock();
        let mut may_gather = self.changes > 1;
        loop {
            if !pending.waiters.is_empty() {
                // A lone caller is answered at once.
                if std::mem::take(&mut may_gather) && pending.waiters.len() < MANY {
                    drop(pending);
                    // Asleep, not waiting: a wake-up for each change is what this saves.
                    #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
                    thread::sleep(GATHER);
                    pending = self.desk.lock();
                }
                self.store.leave();
                return Some(std::mem::take(&mut pending.waiters));
            }
            if pending.closing {
                return None;
            }
            let wake = &self.desk.wake;
            pending = match pending.fault {
                Some(Fault::Audit(_)) => {
                    let waited = wake.wait_timeout(pending, RETRY_PAUSE);
                    let (pending, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                    if waited.timed_out() {
                        return Some(Vec::new());
                    }
                    pending
                }
                _ => wake.wait(pending).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Remembers how the turn ended, and says so once when that is new.
    fn settle(&self, outcome: &Result<(), Fault>) {
        match (self.desk.note(outcome.clone().err()), outcome) {
            (Some(Fault::Audit(_)), Ok(())) => tracing::info!("the audit log can be written again"),
            (None, Err(fault)) => {
                tracing::error!(?fault, "the ledger cannot be written: nothing is taken");
            }
            (Some(_), _) | (None, Ok(())) => {}
        }
    }

    fn turn(&mut self, waiters: &mut [Waiter]) -> Result<(), Fault> {
        let fault = self.desk.lock().fault.clone();
        if let Some(fault @ Fault::Storage(_)) = fault {
            return Err(fault);
        }
        let begin = Instant::now();
        for waiter in waiters {
            self.cursor = self.cursor.max(waiter.cursor);
            self.outbox.take(std::mem::take(&mut waiter.entries));
        }
        let committed = self.store.commit_leaving(self.outbox.writes());
        committed.map_err(|error| storage_fault(&error))?;
        #[cfg(feature = "testing")]
        if self.observer.dies_at(crate::base::CrashPoint::LedgerFlushing) {
            return Err(Fault::Closed);
        }
        self.store.flush().map_err(|error| storage_fault(&error))?;
        #[cfg(feature = "testing")]
        if self.observer.dies_at(crate::base::CrashPoint::LedgerFlushed) {
            return Err(Fault::Closed);
        }
        let appended = self.audit.append(self.outbox.owed());
        appended.map_err(|error| Fault::Audit(Arc::new(error)))?;
        self.observer.record(Measure::LedgerFlush { elapsed: begin.elapsed() });
        self.outbox.paid();
        self.publish
            .send_if_modified(|cursor| std::mem::replace(cursor, self.cursor) != self.cursor);
        Ok(())
    }
}

/// However the thread ends, nobody is left waiting for it.
impl Drop for Cycle {
    fn drop(&mut self) {
        let mut pending = self.desk.lock();
        pending.ended = true;
        pending.waiters.clear();
        let by_panic = !pending.closing;
        drop(pending);
        if by_panic {
            self.desk.note(Some(storage_fault(&Error::broken("a panic in the group commit"))));
        }
    }
}
