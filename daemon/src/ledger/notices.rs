//! What webhooks are to be told and were not yet.
//!
//! # Crash consistency
//! A notice is written in the transaction of the change that it tells of, and removed once its receiver said
//! yes. A crash in between has it sent again, with the same id: at least once, never lost. The audit log
//! does not tell what was delivered, so a database that was made anew tells again of what ended lately.
//!
//! # Invariants
//! - A notice is given out only once its change is on disk: nobody is told of what may be undone.
//! - At most so many wait for one webhook; then the oldest goes. A receiver that is gone for good fills no
//!   disk and holds up no job.
//! - The body is written once: however often it is sent, it is the same bytes.
//! - A notice that vanishes from the database shows at the next start, as a vanished job does.

mod body;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::MutexGuard;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::book::{Desk, Draft};
use super::store::{self, Store, Table, Writes};
use super::{Error, Ledger, is_over, key, record};
use crate::base::clock;
use crate::model::{Job, JobEvent, JobState, Timestamp};

/// That wait for one webhook: some 20 MiB on disk.
pub const PENDING_MAX: usize = 10_000;
/// How long a notice is worth telling.
pub const NOTICE_LIFETIME: Duration = Duration::from_secs(3 * 24 * 3600);

/// Which jobs' events a webhook is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRule {
    pub name: String,
    pub events: Vec<JobEvent>,
    /// Of every job; else of those that name it.
    pub all_jobs: bool,
}

impl WebhookRule {
    fn wants(&self, job: &Job, event: JobEvent) -> bool {
        self.events.contains(&event) && (self.all_jobs || job.notify.contains(&self.name))
    }
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The same for the same change of the same job, always.
    pub id: String,
    pub at: Timestamp,
    /// JSON.
    pub body: String,
}

impl Notice {
    pub(super) fn of(job: &Job, event: JobEvent, at: Timestamp) -> Result<Self, Error> {
        // An end may be told of later, when something else was done to the job.
        let revision = job.ended_revision.unwrap_or(job.revision);
        let id = format!("{}.{}.{revision}", job.id, event.as_str());
        Ok(Self { id, at, body: body::of(job, event, revision, at)? })
    }
}

const TELL_AGAIN: &[u8] = b"tell-again";

/// Has whoever serves webhooks next tell again what ended lately: the database was made anew, perhaps by another
/// process.
pub(super) fn put_tell_again(writes: &mut Writes) -> Result<(), Error> {
    store::put(writes, Table::Meta, TELL_AGAIN, &true, || "tell-again".into())
}

/// A row on its way: the webhook's name and the record.
type Row = (String, Vec<u8>);

/// The rules, and what waits, by webhook and by the cursor of its event.
#[derive(Debug, Default)]
pub(super) struct Notices {
    rules: Vec<WebhookRule>,
    pending: BTreeMap<String, BTreeSet<u64>>,
    /// Dropped for room since anybody asked.
    dropped: BTreeMap<String, u64>,
}

impl Notices {
    /// Finds what a daemon before left to be told.
    pub(super) fn open(store: &Store) -> Result<Self, Error> {
        let mut found = Self::default();
        for row in store.tree(Table::Notices).iter().keys() {
            match of_key(&row.map_err(Error::Storage)?) {
                Some((cursor, name)) => {
                    found.pending.entry(name).or_default().insert(cursor);
                }
                None => tracing::error!("a row of the notices has no key of ours: it is left"),
            }
        }
        Ok(found)
    }

    /// What the change of a job has to be told to whom.
    pub(super) fn rows(
        &self,
        job: &Job,
        before: Option<JobState>,
        after: JobState,
    ) -> Result<Vec<Row>, Error> {
        let Some(event) = JobEvent::of(before, after) else { return Ok(Vec::new()) };
        let wants = |rule: &&WebhookRule| rule.wants(job, event);
        let mut names = self.rules.iter().filter(wants).map(|rule| &rule.name).peekable();
        if names.peek().is_none() {
            return Ok(Vec::new());
        }
        let notice = Notice::of(job, event, clock::now())?;
        let record = record::encode(&notice, || format!("a notice of job {}", job.id))?;
        Ok(names.map(|name| (name.clone(), record.clone())).collect())
    }

    /// Writes the rows under the cursor of their event; where there are more than `most`, the oldest goes.
    pub(super) fn take(&mut self, writes: &mut Writes, cursor: u64, rows: Vec<Row>, most: usize) {
        for (name, record) in rows {
            writes.put(Table::Notices, &of(cursor, &name), record);
            let pending = self.pending.entry(name.clone()).or_default();
            pending.insert(cursor);
            while pending.len() > most {
                let Some(oldest) = pending.pop_first() else { break };
                writes.remove(Table::Notices, &of(oldest, &name));
                *self.dropped.entry(name.clone()).or_default() += 1;
            }
        }
    }

    fn forget(&mut self, name: &str, cursors: &[u64]) {
        if let Some(pending) = self.pending.get_mut(name) {
            pending.retain(|cursor| !cursors.contains(cursor));
        }
    }
}

/// `[cursor: 8][the webhook's name]`.
fn of(cursor: u64, name: &str) -> Vec<u8> {
    [&cursor.to_be_bytes(), name.as_bytes()].concat()
}

fn of_key(row: &[u8]) -> Option<(u64, String)> {
    let (cursor, name) = row.split_first_chunk::<8>()?;
    Some((key::number(cursor)?, std::str::from_utf8(name).ok()?.to_owned()))
}

impl Ledger {
    /// Says which webhooks there are. What waits for others is dropped. Blocks, for some seconds after a
    /// rebuild, when what ended lately is to be told again.
    ///
    /// # Errors
    /// Storage.
    pub fn serve_webhooks(&self, rules: Vec<WebhookRule>) -> Result<(), Error> {
        let mut book = self.book()?;
        let desk = &self.inner.desk;
        let mut draft = Draft::default();
        let tell_again = desk.store.read(Table::Meta, TELL_AGAIN, || "tell-again".into())?;
        let again = match tell_again {
            Some(true) if !rules.is_empty() => ended_lately(desk, &rules)?,
            Some(_) | None => Vec::new(),
        };
        if tell_again.is_some() {
            draft.writes.remove(Table::Meta, TELL_AGAIN);
        }
        let mut notices = desk.notices();
        let gone = |name: &String| !rules.iter().any(|rule| rule.name == *name);
        let names: Vec<_> = notices.pending.keys().filter(|name| gone(name)).cloned().collect();
        for name in names {
            let cursors = notices.pending.remove(&name).unwrap_or_default();
            tracing::warn!(webhook = %name, notices = cursors.len(), "dropped: there is no such webhook any more");
            cursors.iter().for_each(|at| draft.writes.remove(Table::Notices, &of(*at, &name)));
        }
        notices.rules = rules;
        // Cursors below the newest were never given out since the rebuild, which began with the clock's.
        for (rows, back) in again.into_iter().zip(1..) {
            let cursor = book.cursor().saturating_sub(back);
            notices.take(&mut draft.writes, cursor, rows, desk.tuning.notices_max);
        }
        drop(notices);
        drop(desk.enter(&mut book, draft)?);
        Ok(())
    }

    /// The cursors of what waits for a webhook above `after`, as far as it is on disk, oldest first.
    pub fn notices(&self, webhook: &str, after: Option<u64>) -> Vec<u64> {
        let durable = *self.inner.desk.flusher.published().borrow();
        let notices = self.inner.desk.notices();
        let Some(pending) = notices.pending.get(webhook) else { return Vec::new() };
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        pending.range((begin, Bound::Unbounded)).take_while(|at| **at <= durable).copied().collect()
    }

    /// How many wait for a webhook.
    pub fn notices_pending(&self, webhook: &str) -> usize {
        self.inner.desk.notices().pending.get(webhook).map_or(0, BTreeSet::len)
    }

    /// How many were dropped for room since this was asked before.
    pub fn notices_dropped(&self, webhook: &str) -> u64 {
        self.inner.desk.notices().dropped.remove(webhook).unwrap_or_default()
    }

    /// One notice; `None` where it was dropped meanwhile.
    ///
    /// # Errors
    /// Storage, or a record that is not what was written.
    pub fn notice(&self, webhook: &str, cursor: u64) -> Result<Option<Notice>, Error> {
        let what = || format!("a notice to {webhook}");
        self.inner.desk.store.read(Table::Notices, &of(cursor, webhook), what)
    }

    /// Writes down that these were told, or never will be. Becomes durable with the next change.
    ///
    /// # Errors
    /// Storage; they may then be told again.
    pub fn forget_notices(&self, webhook: &str, cursors: &[u64]) -> Result<(), Error> {
        if cursors.is_empty() {
            return Ok(());
        }
        let mut book = self.book()?;
        let mut draft = Draft::default();
        cursors.iter().for_each(|at| draft.writes.remove(Table::Notices, &of(*at, webhook)));
        drop(self.inner.desk.enter(&mut book, draft)?);
        self.inner.desk.notices().forget(webhook, cursors);
        Ok(())
    }

    /// Drops what waits for a webhook, and takes nothing for it any more. Gives how many those were.
    ///
    /// # Errors
    /// Storage.
    pub fn mute_webhook(&self, webhook: &str) -> Result<usize, Error> {
        let cursors: Vec<u64> = {
            let mut notices = self.inner.desk.notices();
            notices.rules.retain(|rule| rule.name != webhook);
            notices.pending.get(webhook).into_iter().flatten().copied().collect()
        };
        self.forget_notices(webhook, &cursors)?;
        Ok(cursors.len())
    }
}

impl Desk {
    pub(super) fn notices(&self) -> MutexGuard<'_, Notices> {
        self.notices.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What is to be told again after a rebuild, newest first: the log does not say what was delivered.
fn ended_lately(desk: &Desk, rules: &[WebhookRule]) -> Result<Vec<Vec<Row>>, Error> {
    let asking = Notices { rules: rules.to_vec(), ..Notices::default() };
    let now = clock::now();
    let lifetime = u64::try_from(NOTICE_LIFETIME.as_millis()).unwrap_or(u64::MAX);
    let mut again = Vec::new();
    for item in desk.store.tree(Table::Jobs).iter().rev() {
        let (id, value) = item.map_err(Error::Storage)?;
        let job: Job = record::decode(&value, || format!("job {}", hex::encode(&id)))?;
        let is_late = job.finished_at.is_some_and(|at| now.millis_since(at) < lifetime);
        if !is_over(&job) || !is_late {
            continue;
        }
        let rows = asking.rows(&job, Some(JobState::Running), job.state)?;
        if !rows.is_empty() {
            again.push(rows);
        }
        if again.len() >= desk.tuning.notices_max {
            break;
        }
    }
    Ok(again)
}
