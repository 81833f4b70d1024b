//! The one writer: turns a change of a job into one transaction, numbers it, and hands it to the
//! group commit.
//!
//! # Crash consistency
//! The job and its index keys are one [`Writes`], handed to the group commit together with the audit
//! entry: none of them is ever found without the others. Every counter is read back from what the
//! transactions wrote.
//!
//! # Invariants
//! - All of it happens under the lock around [`Book`], held for no await.
//! - Event cursors are contiguous, and never given out twice.
//! - After a commit that failed, nothing is taken any more.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::audit::Entry;
use super::events::Ring;
use super::flush::{Flusher, Ticket};
use super::notices::Notices;
use super::seal::Counted;
use super::store::{self, Store, Table, Writes};
use super::waiting::{self, Waiting};
use super::{Counts, Error, Tuning, key, record, space};
use crate::model::{Job, JobId, JobState, Timestamp, TransferState};

const TOKEN_KEY: &str = "token";
const CURSOR_KEY: &str = "cursor";

/// One change on its way into the ledger.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) writes: Writes,
    entries: Vec<Entry>,
    /// With the length of its record.
    event: Option<(Arc<Job>, usize)>,
    /// The state the job leaves, and the one it enters.
    moved: Option<(Option<JobState>, JobState)>,
    /// Since when it waited in the queue, and since when it does now.
    waits: (Option<Timestamp>, Option<Timestamp>),
    token: Option<u64>,
}

impl Draft {
    /// Writes the job, its index keys and, when its revision grew, its event.
    pub(super) fn job(&mut self, before: Option<&Job>, after: &Job) -> Result<(), Error> {
        let id = after.id;
        let record = record::encode(after, || format!("job {id}"))?;
        let bytes = record.len();
        self.writes.put(Table::Jobs, &id.to_bytes(), record);
        let (old, new) = (before.and_then(key::queue), key::queue(after));
        // The row says since when it waits, too.
        if old != new || before.and_then(|job| job.queued_at) != after.queued_at {
            if let Some(old) = old {
                self.writes.remove(Table::Queue, &old);
            }
            if let Some(new) = new {
                self.writes.put(Table::Queue, &new, waiting::row(after));
            }
        }
        self.waits = (before.and_then(Job::queued_since), after.queued_since());
        let old = before.map(|job| job.state);
        if old != Some(after.state) {
            if let Some(old) = old {
                self.writes.remove(Table::States, &key::state(old, id));
            }
            self.writes.put(Table::States, &key::state(after.state, id), Vec::new());
            self.moved = Some((old, after.state));
        }
        if before.is_none_or(|before| before.revision != after.revision) {
            self.event = Some((Arc::new(after.clone()), bytes));
        }
        Ok(())
    }

    /// Every event and every move comes with a record that is written.
    fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.entries.is_empty() && self.token.is_none()
    }

    /// Adds a line to the audit log.
    pub(super) fn audit(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Makes the fencing token durable with the claim that it was given to.
    pub(super) fn token(&mut self, token: u64) {
        self.token = Some(token);
    }
}

/// The counters, all of them read back at open.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) last_id: Option<JobId>,
    /// The newest fencing token that was given out.
    pub(super) last_token: u64,
    /// The newest event.
    cursor: u64,
    /// The newest audit entry.
    seq: u64,
}

impl Book {
    /// Reads the counters back. `audited` is the number of the audit log's last line.
    pub(super) fn open(store: &Store, audited: u64) -> Result<Self, Error> {
        let number = |key: &str| store.read(Table::Meta, key.as_bytes(), || key.to_owned());
        let seq = store.numbers(Table::Outbox)?.map_or(audited, |(_, newest)| newest);
        let last = store.tree(Table::Jobs).last().map_err(Error::Storage)?;
        Ok(Self {
            last_id: last.and_then(|(id, _)| key::id(&id)),
            last_token: number(TOKEN_KEY)?.unwrap_or(0),
            cursor: number(CURSOR_KEY)?.unwrap_or(0),
            seq: seq.max(audited),
        })
    }

    /// The newest event's cursor.
    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }
}

/// What a change needs beside the lock.
pub(super) struct Desk {
    pub(super) dir: PathBuf,
    pub(super) store: Arc<Store>,
    pub(super) flusher: Flusher,
    pub(super) tuning: Tuning,
    pub(super) events: Ring,
    pub(super) notices: Mutex<Notices>,
    /// Jobs in each state, in the order of [`JobState::ALL`].
    states: [AtomicU64; JobState::ALL.len()],
    waiting: Mutex<Waiting>,
}

impl Desk {
    pub(super) fn new(
        dir: PathBuf,
        store: Arc<Store>,
        flusher: Flusher,
        tuning: Tuning,
        counted: Counted,
        notices: Notices,
    ) -> Self {
        let states = counted.states.map(AtomicU64::new);
        let waiting = Mutex::new(counted.waiting);
        let events = Ring::new(tuning.events_kept, tuning.events_bytes);
        let notices = Mutex::new(notices);
        Self { dir, store, flusher, tuning, events, notices, states, waiting }
    }

    /// The job, which must exist.
    pub(super) fn job(&self, id: JobId) -> Result<Job, Error> {
        self.store.job(id)?.ok_or(Error::NoSuchJob(id))
    }

    /// Commits the draft. It is on disk once the ticket says so. An error here changed nothing; one
    /// of the ticket did.
    pub(super) fn enter(&self, book: &mut Book, draft: Draft) -> Result<Ticket, Error> {
        self.flusher.admit()?;
        if draft.is_empty() {
            return Ok(self.flusher.enqueue(book.cursor, Writes::default(), Vec::new()));
        }
        space::check_free(&self.dir, self.tuning.reserve_bytes)?;
        let Draft { mut writes, mut entries, event, moved, waits, token } = draft;
        if let Some(token) = token {
            put_token(&mut writes, token)?;
        }
        let cursor = book.cursor + u64::from(event.is_some());
        if event.is_some() {
            put_cursor(&mut writes, cursor)?;
        }
        let told = match (&event, moved) {
            (Some((job, _)), Some((before, after))) => self.notices().rows(job, before, after)?,
            _ => Vec::new(),
        };
        let mut texts = Vec::with_capacity(entries.len());
        for (entry, seq) in entries.iter_mut().zip(book.seq + 1..) {
            entry.seq = seq;
            texts.push(entry.text()?);
        }
        // From here on nothing fails.
        self.notices().take(&mut writes, cursor, told, self.tuning.notices_max);
        book.seq = texts.last().map_or(book.seq, |last| last.seq);
        book.cursor = cursor;
        book.last_token = token.unwrap_or(book.last_token);
        if let Some((old, new)) = moved {
            if let Some(old) = old {
                self.states[old as usize].fetch_sub(1, Ordering::Relaxed);
            }
            self.states[new as usize].fetch_add(1, Ordering::Relaxed);
        }
        let queued = self.states[JobState::Queued as usize].load(Ordering::Relaxed);
        self.waiting().change(waits.0, waits.1, queued);
        if let Some((job, bytes)) = event {
            self.events.push(cursor, job, bytes);
        }
        Ok(self.flusher.enqueue(cursor, writes, texts))
    }

    /// Removes the parts that are of no use any more: those of a transfer that begins anew, or that was
    /// proven.
    pub(super) fn drop_parts(
        &self,
        draft: &mut Draft,
        before: &Job,
        after: &Job,
    ) -> Result<(), Error> {
        let anew = after.transfer == TransferState::Unplanned;
        let is_proven = after.state == JobState::Succeeded;
        if !(anew || is_proven) || before.transfer == TransferState::Unplanned {
            return Ok(());
        }
        for part in self.parts(before.id) {
            draft.writes.remove(Table::Parts, &part?.0);
        }
        Ok(())
    }

    /// The rows of a job's parts, by number.
    pub(super) fn parts(
        &self,
        id: JobId,
    ) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), Error>> + '_ {
        let prefix = id.to_bytes();
        let belongs = move |key: &[u8]| key.starts_with(&prefix);
        self.store.scan(Table::Parts, Bound::Included(&prefix), belongs)
    }

    /// Jobs by state, and since when the queue waits.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            states: JobState::ALL.map(|s| (s, self.states[s as usize].load(Ordering::Relaxed))),
            oldest_queued: self.waiting().oldest(),
        }
    }

    /// Plain data that every holder leaves whole.
    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a fencing token the newest that was given out.
pub(super) fn put_token(writes: &mut Writes, token: u64) -> Result<(), Error> {
    store::put(writes, Table::Meta, TOKEN_KEY.as_bytes(), &token, || TOKEN_KEY.into())
}

/// Makes an event's cursor the newest that was given out.
pub(super) fn put_cursor(writes: &mut Writes, cursor: u64) -> Result<(), Error> {
    store::put(writes, Table::Meta, CURSOR_KEY.as_bytes(), &cursor, || CURSOR_KEY.into())
}
