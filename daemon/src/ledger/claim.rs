//! Handing out work: the best jobs that there is room for, under a lease with a fencing token.
//!
//! # Crash consistency
//! The claim and its token are one transaction, on disk before the worker has the job. A daemon
//! that dies leaves its jobs running under its lease; the next one finds them at open and puts them
//! back ([`Ledger::reclaim`]).
//!
//! # Invariants
//! - A lane is judged by its head alone, so a large job never hides a small one.
//! - An entry of the queue that no job stands behind is taken out and told, and the next one is
//!   claimed: one bad record does not stop the queue.

use std::time::Duration;

use super::book::{Book, Draft};
use super::flush::Ticket;
use super::key::Lane;
use super::store::Table;
use super::{Actor, Error, Ledger, key};
use crate::base::{Room, clock};
use crate::model::{Change, Intent, Job, JobState, Lease, Weight};

/// The lanes that there is room for. A cancel may be claimed wherever there is room: it takes a moment,
/// and what it cleans up is billed until then.
fn permitted(room: Room) -> impl Iterator<Item = Lane> {
    let lanes = [
        (room.has(Weight::Small) || room.has(Weight::Medium), Lane::Cancel),
        (room.has(Weight::Small), Lane::Small),
        (room.has(Weight::Medium), Lane::Medium),
        (room.has(Weight::Large), Lane::Large),
        (room.has(Weight::Image), Lane::Image),
    ];
    lanes.into_iter().filter_map(|(open, lane)| open.then_some(lane))
}

/// The kind of berth that a claimed job takes of `room`: its weight's, or for a cancel whichever there is.
pub fn berth_of(job: &Job, room: Room) -> Weight {
    match job.intent {
        Intent::Cancel if room.has(Weight::Small) => Weight::Small,
        Intent::Cancel => Weight::Medium,
        Intent::Run | Intent::Pause => job.weight(),
    }
}

impl Ledger {
    /// Takes the best job that there is `room` for out of the queue: those to be cancelled first, then
    /// by priority, then by age. `None` where there is none. The lease is in the job.
    ///
    /// Not to be dropped midway: the job would be leased to nobody until the next start.
    ///
    /// # Errors
    /// Storage; or the audit log, where nothing was claimed.
    pub async fn claim(&self, room: Room, lease_for: Duration) -> Result<Option<Job>, Error> {
        let claimed = {
            let mut book = self.book()?;
            self.enter_claim(&mut book, room, lease_for)?
        };
        let Some((job, ticket)) = claimed else { return Ok(None) };
        stands(ticket).await?;
        Ok(Some(job))
    }

    /// As [`Ledger::claim`], all that there is room for: on disk together.
    ///
    /// # Errors
    /// As [`Ledger::claim`]; of what was claimed nobody knows where the database failed.
    pub async fn claim_many(&self, room: Room, lease_for: Duration) -> Result<Vec<Job>, Error> {
        let (jobs, tickets) = self.enter_claims(room, lease_for)?;
        for ticket in tickets {
            stands(ticket).await?;
        }
        Ok(jobs)
    }

    fn enter_claims(
        &self,
        mut room: Room,
        lease_for: Duration,
    ) -> Result<(Vec<Job>, Vec<Ticket>), Error> {
        let mut book = self.book()?;
        let (mut jobs, mut tickets) = (Vec::new(), Vec::new());
        loop {
            let claimed = match self.enter_claim(&mut book, room, lease_for) {
                Ok(claimed) => claimed,
                // What was claimed before it stands.
                Err(error) if jobs.is_empty() => return Err(error),
                Err(_) => break,
            };
            let Some((job, ticket)) = claimed else { break };
            room = room.beside(berth_of(&job, room));
            jobs.push(job);
            tickets.push(ticket);
        }
        Ok((jobs, tickets))
    }

    fn enter_claim(
        &self,
        book: &mut Book,
        room: Room,
        lease_for: Duration,
    ) -> Result<Option<(Job, Ticket)>, Error> {
        while let Some(found) = self.best(room)? {
            let Some(before) = self.behind(&found)? else {
                let mut draft = Draft::default();
                draft.writes.remove(Table::Queue, &found);
                // It becomes durable with the next change; until then it would be found again.
                drop(self.inner.desk.enter(book, draft)?);
                continue;
            };
            let millis = u64::try_from(lease_for.as_millis()).unwrap_or(u64::MAX);
            let lease = Lease {
                owner: self.inner.instance.clone(),
                token: book.last_token + 1,
                expires_at: clock::now().plus_millis(millis),
            };
            let mut draft = Draft::default();
            draft.token(lease.token);
            let change = Change::Claim(lease);
            return self
                .enter_change(book, draft, None, &before, change, &Actor::daemon())
                .map(Some);
        }
        Ok(None)
    }

    /// The head of the lanes that there is room for.
    fn best(&self, room: Room) -> Result<Option<sled::IVec>, Error> {
        let mut best: Option<sled::IVec> = None;
        for lane in permitted(room) {
            let head = self.inner.desk.store.first(Table::Queue, &[lane as u8])?;
            let Some(head) = head else { continue };
            if lane == Lane::Cancel {
                return Ok(Some(head));
            }
            if best.as_ref().is_none_or(|best| head[1..] < best[1..]) {
                best = Some(head);
            }
        }
        Ok(best)
    }

    /// The job that stands in the queue at this key; `None` where none does.
    fn behind(&self, found: &[u8]) -> Result<Option<Job>, Error> {
        let Some(id) = key::queued_job(found) else {
            tracing::error!(
                key = hex::encode(found),
                "taken out of the queue: no job has this key"
            );
            return Ok(None);
        };
        match self.inner.desk.store.job(id) {
            Ok(Some(job)) if key::queue(&job).is_some_and(|key| key == found) => Ok(Some(job)),
            Ok(_) => {
                tracing::error!(%id, "taken out of the queue: the job does not stand there");
                Ok(None)
            }
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(%id, %error, "taken out of the queue: the job cannot be read");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// At start-up: puts the jobs that ran under another process's lease back into the queue. Gives
    /// how many. The directory is held by one process, so the other one is gone.
    ///
    /// # Errors
    /// Storage, or the audit log.
    pub async fn reclaim(&self) -> Result<usize, Error> {
        let tickets = self.enter_reclaim()?;
        let count = tickets.len();
        for ticket in tickets {
            ticket.durable().await?;
        }
        Ok(count)
    }

    fn enter_reclaim(&self) -> Result<Vec<Ticket>, Error> {
        let desk = &self.inner.desk;
        let mut book = self.book()?;
        let mut tickets = Vec::new();
        let running = [key::state_byte(JobState::Running)];
        for found in desk.store.tree(Table::States).scan_prefix(running).keys() {
            let found = found.map_err(Error::Storage)?;
            let Some((_, id)) = key::stated_job(&found) else { continue };
            let job = match desk.job(id) {
                Ok(job) => job,
                Err(error @ (Error::Corrupt { .. } | Error::NoSuchJob(_))) => {
                    tracing::error!(%error, "a running job cannot be put back");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let ours = job.lease.as_ref().is_some_and(|lease| lease.owner == self.inner.instance);
            if job.state == JobState::Running && !ours {
                let (change, actor) = (Change::Release, Actor::daemon());
                let entered =
                    self.enter_change(&mut book, Draft::default(), None, &job, change, &actor)?;
                tickets.push(entered.1);
            }
        }
        Ok(tickets)
    }
}

/// Returns once the claim is on disk. It has no line in the audit log, which is written after the
/// database: what became there of others' lines is not the claim's affair, and whoever took their error
/// for its own would leave the job to nobody.
async fn stands(ticket: Ticket) -> Result<(), Error> {
    match ticket.durable().await {
        Err(Error::Audit(_)) => Ok(()),
        outcome => outcome,
    }
}
