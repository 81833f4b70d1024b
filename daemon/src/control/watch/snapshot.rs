//! The snapshot of a watch: the jobs as they stand, page by page, and the changes meanwhile.
//!
//! A snapshot of a million jobs takes its time, and events are kept for a while only. So after each
//! page the changes since the last are read as well: those of jobs that the pages have come to are
//! sent, those of jobs further down are left, since their page will show them as they are by then.
//!
//! A page can show a change that is not on disk for another moment, and whose event is still to
//! come. A flush between reading the page and sending it settles both: what is shown is durable, and
//! the events that the page holds already are among those read next, where they are left out.

use std::collections::BTreeMap;

use causeway_proto::v1::SnapshotEnd;
use causeway_proto::v1::watch_event::Event as Shown;

use super::{End, Read, Watcher};
use crate::ledger::{self, Event, Filter, Page};
use crate::model::{Job, JobId, JobState};

/// Jobs read, flushed and sent at a time.
const PAGE_SIZE: usize = 256;

/// The states of jobs that have not ended.
const UNENDED: [JobState; 3] = [JobState::Queued, JobState::Running, JobState::Paused];

impl Watcher {
    /// Sends the watched jobs as they stand and what changes meanwhile, then the end mark. From
    /// there on the position is exact.
    pub(super) async fn snapshot(&mut self) -> Result<(), End> {
        loop {
            self.running.clear();
            self.position = *self.newest.borrow_and_update();
            let read = if self.watched.ids.is_some() {
                self.snapshot_of_ids().await?
            } else {
                self.snapshot_of_filter().await?
            };
            // Events can outrun a client that takes too long over one page: then once more.
            if read == Read::All {
                return self
                    .send(self.position.to_string(), Shown::SnapshotEnd(SnapshotEnd {}))
                    .await;
            }
        }
    }

    /// The jobs that were named, ended or not.
    async fn snapshot_of_ids(&mut self) -> Result<Read, End> {
        // Newest first, as lists are: a page's `next` is the oldest of it.
        let ids: Vec<JobId> = self.watched.ids.iter().flatten().rev().copied().collect();
        let mut pages = ids.chunks(PAGE_SIZE).peekable();
        while let Some(ids) = pages.next() {
            let jobs: Result<_, ledger::Error> =
                ids.iter().map(|id| self.service.ledger.get(*id)).collect();
            let next = ids.last().copied().filter(|_| pages.peek().is_some());
            if self.send_page(Page { jobs: jobs?, next }).await? == Read::Gap {
                return Ok(Read::Gap);
            }
        }
        Ok(Read::All)
    }

    /// The jobs that have not ended and that the filter holds.
    async fn snapshot_of_filter(&mut self) -> Result<Read, End> {
        let Some(states) = self.states(&UNENDED) else { return Ok(Read::All) };
        let filter = Filter { states, ..self.watched.filter.clone() };
        let mut after = None;
        loop {
            let page = self.service.page(filter.clone(), PAGE_SIZE, after).await?;
            after = page.next;
            if self.send_page(page).await? == Read::Gap {
                return Ok(Read::Gap);
            }
            if after.is_none() {
                return Ok(Read::All);
            }
        }
    }

    /// Those of the states that the filter lets through; `None` where there are none, since an empty
    /// list would let all through.
    pub(super) fn states(&self, states: &[JobState]) -> Option<Vec<JobState>> {
        let asked = &self.watched.filter.states;
        let wanted = |state: &&JobState| asked.is_empty() || asked.contains(state);
        let states: Vec<_> = states.iter().filter(wanted).copied().collect();
        Some(states).filter(|states| !states.is_empty())
    }

    async fn send_page(&mut self, page: Page) -> Result<Read, End> {
        // A ledger that cannot be written can still be read: better a change shown twice, should the
        // disk come back, than nothing shown.
        if let Err(error) = self.service.ledger.flush().await {
            tracing::debug!(%error, "a snapshot is shown of a ledger that cannot be written");
        }
        for job in page.jobs.iter().filter(|job| self.watched.holds(job)) {
            let shown = Shown::Job(self.service.show(job));
            self.send(String::new(), shown).await?;
        }
        page.jobs.iter().for_each(|job| self.note(job));
        let shown: BTreeMap<JobId, u64> =
            page.jobs.iter().map(|job| (job.id, job.revision)).collect();
        let come_to = |job: &Job| page.next.is_none_or(|next| job.id >= next);
        let newer = |job: &Job| shown.get(&job.id).is_none_or(|revision| job.revision > *revision);
        let wanted = |event: &Event| come_to(&event.job) && newer(&event.job);
        self.read_with(wanted, |_| String::new()).await
    }
}
