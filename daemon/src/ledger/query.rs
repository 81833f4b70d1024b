//! Reading: lists by filter and page, and the events in their order.
//!
//! # Invariants
//! - A page looks at a bounded number of records, so a filter that nothing meets does not hold a
//!   thread for the length of a million jobs. It may come back short, even empty, with more to
//!   follow: only an absent `next` is the end.
//! - A job that moves between states while they are listed is found once: it is in one of them, and all
//!   that are asked for are read at the same moment. Who acts on many jobs misses none of them.
//! - Events are shown once they are on disk, never before.
//! - A record that is corrupt is left out of lists, and named in the log: one bad record must not
//!   hide all the others. Asked for by its id, it is an error.

use std::sync::Arc;

use super::store::Table;
use super::{Error, Ledger, key};
use crate::model::{Job, JobId, JobKind, JobState, Labels, Timestamp};

/// The most jobs on one page.
pub const PAGE_SIZE_MAX: usize = 1_000;
/// The most records that are read for one page.
const SCAN_MAX: usize = 5_000;
/// The most ids that are read at the same moment: commits wait meanwhile.
const IDS_AT_ONCE_MAX: usize = 256;

/// Which jobs: those that meet all of it. An empty field is met by every job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub states: Vec<JobState>,
    pub kinds: Vec<JobKind>,
    /// Each of these, with this value.
    pub labels: Labels,
}

impl Filter {
    /// Whether this job is meant.
    pub fn matches(&self, job: &Job) -> bool {
        (self.states.is_empty() || self.states.contains(&job.state))
            && (self.kinds.is_empty() || self.kinds.contains(&job.kind))
            && self.labels.iter().all(|(name, value)| job.labels.get(name) == Some(value))
    }
}

/// Some of the jobs, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    pub jobs: Vec<Job>,
    /// Where the next page begins; `None` at the end. A page can be short and still have a next.
    pub next: Option<JobId>,
}

/// How many jobs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// By state, in the order of the contract.
    pub states: [(JobState, u64); JobState::ALL.len()],
    /// Since when the one has waited that came into the queue first, to the second. One that came back,
    /// by a retry, a resume or a restart, waits since then.
    pub oldest_queued: Option<Timestamp>,
}

impl Counts {
    /// Jobs in one state.
    pub fn of(&self, state: JobState) -> u64 {
        self.states.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count)
    }
}

/// One durable change.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// From 1, without a gap.
    pub cursor: u64,
    /// The job as it was after the change.
    pub job: Arc<Job>,
}

/// The answer to 'what came after this cursor'.
#[derive(Debug, Clone, PartialEq)]
pub enum Events {
    /// In order, each once; empty where nothing has come yet.
    Some(Vec<Event>),
    /// What came next is not kept any more, or the cursor is of another ledger: list the jobs, and
    /// go on from the cursor that was newest before listing.
    TooOld {
        /// The oldest event that is kept.
        oldest: u64,
    },
}

impl Ledger {
    /// The jobs that meet `filter`, newest first, from below `after`. At most `page_size`, and never
    /// more than 1,000. Reads the disk: up to some tens of milliseconds.
    ///
    /// # Errors
    /// Storage alone.
    pub fn list(
        &self,
        filter: &Filter,
        page_size: usize,
        after: Option<JobId>,
    ) -> Result<Page, Error> {
        let page_size = page_size.clamp(1, PAGE_SIZE_MAX);
        let mut page = Page::default();
        let (mut ids, mut last) = (Vec::new().into_iter(), after);
        for _ in 0..SCAN_MAX {
            if ids.as_slice().is_empty() {
                ids = self.ids(&filter.states, last)?.into_iter();
            }
            let Some(id) = ids.next() else { return Ok(page) };
            if page.jobs.len() == page_size {
                page.next = last;
                return Ok(page);
            }
            last = Some(id);
            match self.inner.desk.store.job(id) {
                // Read without the lock: the state may have changed since the index was read.
                Ok(Some(job)) if filter.matches(&job) => page.jobs.push(job),
                Ok(_) => {}
                Err(error @ Error::Corrupt { .. }) => tracing::error!(%error, "left out of a list"),
                Err(error) => return Err(error),
            }
        }
        page.next = last;
        Ok(page)
    }

    /// The next ids below `after`, newest first, by index alone; none at the end.
    fn ids(&self, states: &[JobState], after: Option<JobId>) -> Result<Vec<JobId>, Error> {
        let store = &self.inner.desk.store;
        let end = after.unwrap_or(JobId::from_bytes([u8::MAX; 16]));
        if states.is_empty() {
            let keys = store.tree(Table::Jobs).range(..end.to_bytes()).keys().rev();
            return keys
                .take(IDS_AT_ONCE_MAX)
                .map(|key| {
                    let key = key.map_err(Error::Storage)?;
                    key::id(&key).ok_or_else(|| Error::corrupt("a key of the jobs"))
                })
                .collect();
        }
        let none = JobId::from_bytes([0; 16]);
        let of_state = |state| {
            let range = key::state(state, none)..key::state(state, end);
            store.tree(Table::States).range(range).keys().rev().take(IDS_AT_ONCE_MAX).map(|key| {
                let found = key::stated_job(&key.map_err(Error::Storage)?).map(|(_, id)| id);
                found.ok_or_else(|| Error::corrupt("a key of the states"))
            })
        };
        let wanted = JobState::ALL.into_iter().filter(|state| states.contains(state));
        // Read one after the other, they would miss whoever moves from the one to the other.
        let found =
            store.between_commits(|| wanted.flat_map(of_state).collect::<Result<Vec<_>, _>>());
        let mut ids = found?;
        ids.sort_unstable_by(|one, other| other.cmp(one));
        // Each state gave no more than its newest: only of these is none missing in between.
        ids.truncate(IDS_AT_ONCE_MAX);
        Ok(ids)
    }

    /// The durable changes after the cursor `after`, at most `max` of them.
    ///
    /// # Errors
    /// None of this ledger: it has them in memory.
    pub fn events(&self, after: u64, max: usize) -> Result<Events, Error> {
        let (published, ring) = (*self.subscribe().borrow(), &self.inner.desk.events);
        if after == published || max == 0 {
            return Ok(Events::Some(Vec::new()));
        }
        let first = after.saturating_add(1);
        let found = ring.range(first, published, max);
        if found.is_empty() {
            let oldest = ring.oldest().unwrap_or(u64::MAX).min(published.saturating_add(1));
            return Ok(Events::TooOld { oldest });
        }
        let events = found.into_iter().map(|(cursor, job)| Event { cursor, job });
        Ok(Events::Some(events.collect()))
    }
}
