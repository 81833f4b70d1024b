//! What one line of the audit log tells, and how much of a job it holds.
//!
//! # Invariants
//! - A line about a job tells how the job stands after it: whoever replays the log takes the last word
//!   on each, and needs none of the rules that led there.
//! - No secret is written: a presigned URL stands here without its query.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::clock;
use crate::ledger::Error;
use crate::model::{Intent, Job, JobId, JobState, Submission, Timestamp, TransferState};

/// One line but for its chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::ledger) struct Entry {
    /// RFC 3339, UTC.
    pub(super) at: String,
    /// From 1, without a gap.
    pub(in crate::ledger) seq: u64,
    pub(in crate::ledger) event: String,
    pub(in crate::ledger) actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::ledger) job: Option<JobId>,
    #[serde(flatten)]
    pub(super) detail: Map<String, Value>,
}

/// An entry as its line begins: written once, for the outbox and for the log.
#[derive(Debug, Clone)]
pub(in crate::ledger) struct Text {
    pub(in crate::ledger) seq: u64,
    /// One object.
    pub(in crate::ledger) json: Vec<u8>,
}

/// More than the revisions between two audit lines of a job. A client drops what seems older than what it
/// has seen, so a restored job that is not over goes on from above them.
pub(in crate::ledger) const UNSEEN_MAX: u64 = 1 << 20;

/// Where a job stands, but for what never changes and what can be asked for at the target.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct Standing {
    revision: u64,
    state: JobState,
    intent: Intent,
    priority: i32,
    attempts: u32,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_revision: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queued_at: Option<Timestamp>,
}

impl Entry {
    /// An entry of this moment; it is numbered when it is entered.
    pub(in crate::ledger) fn new(event: &str, actor: &str, job: Option<JobId>) -> Self {
        Self::at(clock::now(), event, actor, job)
    }

    /// The same of another moment.
    pub(in crate::ledger) fn at(
        now: Timestamp,
        event: &str,
        actor: &str,
        job: Option<JobId>,
    ) -> Self {
        let (event, actor) = (event.to_owned(), actor.to_owned());
        Self { at: clock::rfc3339(now), seq: 0, event, actor, job, detail: Map::new() }
    }

    /// The same with one more field.
    pub(in crate::ledger) fn with<T: Serialize>(
        mut self,
        name: &str,
        value: &T,
    ) -> Result<Self, Error> {
        let value = serde_json::to_value(value)
            .map_err(|error| Error::corrupt(format!("{name} has no JSON: {error}")))?;
        self.detail.insert(name.to_owned(), value);
        Ok(self)
    }

    /// The same with the submission whole, but for the secret of a presigned source, which is not serialized.
    pub(in crate::ledger) fn with_submission(self, submission: &Submission) -> Result<Self, Error> {
        self.with("submission", submission)
    }

    /// The same with how the job stands after it.
    pub(in crate::ledger) fn with_standing(self, before: &Job, job: &Job) -> Result<Self, Error> {
        let mut entry = self.with("after", &Standing::of(job))?;
        if step(&before.transfer) != step(&job.transfer) {
            let planned = TransferState::Unplanned;
            let known = if step(&job.transfer) == 0 { &planned } else { &job.transfer };
            entry = entry.with("transfer", known)?;
        }
        if let Some(image) = job.image.as_ref().filter(|_| before.image != job.image) {
            entry = entry.with("image", &image.progress)?;
        }
        if let Some(failure) = &job.failure {
            entry = entry.with("failure", failure)?;
        }
        match &job.receipt {
            Some(receipt) => entry.with("receipt", receipt),
            None => Ok(entry),
        }
    }

    /// The entry as text.
    ///
    /// # Errors
    /// None: it is made of what was JSON before.
    pub(in crate::ledger) fn text(&self) -> Result<Text, Error> {
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::corrupt(format!("an audit entry has no JSON: {error}")))?;
        Ok(Text { seq: self.seq, json })
    }

    /// The moment of the change.
    pub(in crate::ledger) fn moment(&self) -> Result<Timestamp, Error> {
        let millis = match self.at.parse::<jiff::Timestamp>() {
            Ok(at) => u64::try_from(at.as_millisecond()).ok(),
            Err(_) => self.at.parse().ok(),
        };
        millis.map(Timestamp).ok_or_else(|| self.unreadable("time"))
    }

    /// A field by its name; `None` where the line has none.
    pub(in crate::ledger) fn field<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.detail.get(name) else { return Ok(None) };
        serde_json::from_value(value.clone()).map(Some).map_err(|_| self.unreadable(name))
    }

    /// The submission; a presigned source is without its query.
    pub(in crate::ledger) fn submission(&self) -> Result<Submission, Error> {
        self.field("submission")?.ok_or_else(|| self.unreadable("submission"))
    }

    /// What is wrong with a line whose chain holds: another version wrote it.
    pub(in crate::ledger) fn unreadable(&self, what: &str) -> Error {
        Error::corrupt(format!(
            "the {what} of audit line {} is not one this version reads",
            self.seq
        ))
    }
}

impl Standing {
    fn of(job: &Job) -> Self {
        Self {
            revision: job.revision,
            state: job.state,
            intent: job.intent,
            priority: job.priority,
            attempts: job.attempts,
            started_at: job.started_at,
            finished_at: job.finished_at,
            ended_revision: job.ended_revision,
            queued_at: job.queued_at,
        }
    }

    /// Puts the job where it stood. Nobody works on it any more: a running one is given back, as after
    /// any restart.
    pub(in crate::ledger) fn restore(self, job: &mut Job) {
        let (state, intent) = match (self.state, self.intent) {
            (JobState::Running, Intent::Pause) => (JobState::Paused, Intent::Run),
            (JobState::Running, intent) => (JobState::Queued, intent),
            stands => stands,
        };
        let unseen = if state.is_terminal() { 0 } else { UNSEEN_MAX };
        job.revision = self.revision.saturating_add(unseen);
        (job.state, job.intent) = (state, intent);
        job.priority = self.priority;
        // Claims have no line: one that is not over may have run since.
        job.attempts = self.attempts.max(u32::from(!state.is_terminal()));
        (job.started_at, job.finished_at) = (self.started_at, self.finished_at);
        job.ended_revision = self.ended_revision;
        job.queued_at = match (self.state, state) {
            (JobState::Running, JobState::Queued) => Some(clock::now()),
            _ => self.queued_at,
        };
    }
}

/// How far a transfer is, as far as a restart without the ledger has to know. A plan is made again, and
/// an object that was published is found at the target.
pub(in crate::ledger) fn step(transfer: &TransferState) -> u8 {
    match transfer {
        TransferState::Unplanned | TransferState::Planned { .. } => 0,
        TransferState::Uploading { .. } => 1,
        TransferState::Sealing { .. } | TransferState::Sealed { .. } => 2,
    }
}
