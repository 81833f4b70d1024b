//! The queue, made again from the lines of the audit log, one after the other, into an empty database.
//!
//! # Invariants
//! - A line is taken for what it says: nothing is decided anew, so a log that an older version wrote
//!   gives what that version had.
//! - What the log does not hold is what can be asked for: parts are listed at the target, a plan is
//!   made again, an object that was published is found there.
//! - It holds some hundred jobs in memory, however many there are.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::audit::{Entry, Standing, UNSEEN_MAX};
use super::book::{self, Draft};
use super::secret::Secrets;
use super::store::{self, Store, Table, Writes};
use super::submit::KeyUse;
use super::{Error, notices, uploads};
use crate::base::clock;
use crate::model::{
    Failure, FailureClass, ImageProgress, Intent, Job, JobId, JobState, TransferState, UploadId,
};

/// Changes that are committed together.
const STAGED_MAX: usize = 512;

/// A database that is being filled.
pub(super) struct Replay<'a> {
    store: &'a Store,
    secrets: &'a Secrets,
    /// Jobs that name a secret which is not kept any more.
    bare: BTreeSet<JobId>,
    /// Changes since the last commit.
    staged: Cell<usize>,
}

impl<'a> Replay<'a> {
    pub(super) fn new(store: &'a Store, secrets: &'a Secrets) -> Self {
        Self { store, secrets, bare: BTreeSet::new(), staged: Cell::new(0) }
    }

    /// Takes one line.
    pub(super) fn take(&mut self, entry: &Entry) -> Result<(), Error> {
        match (entry.event.as_str(), entry.job) {
            ("submitted", Some(id)) => self.submitted(id, entry),
            ("setting", _) => self.setting(entry),
            (uploads::GONE, Some(id)) => self.gone(id, entry),
            (_, Some(id)) => self.changed(id, entry),
            (_, None) => Ok(()),
        }
    }

    fn submitted(&mut self, id: JobId, entry: &Entry) -> Result<(), Error> {
        if entry.field::<String>("secret")?.is_some() && self.secrets.read(id)?.is_none() {
            self.bare.insert(id);
        }
        let submission = entry.submission()?;
        let mut draft = Draft::default();
        if let Some(used) = &submission.idempotency_key {
            let spec =
                entry.field("spec_blake3")?.ok_or_else(|| entry.unreadable("spec_blake3"))?;
            let what = || "an idempotency key".to_owned();
            let of = KeyUse { job: id, spec };
            store::put(&mut draft.writes, Table::Keys, used.as_bytes(), &of, what)?;
        }
        let mut job = Job::submitted(id, submission, entry.actor.clone(), entry.moment()?);
        job.revision += UNSEEN_MAX;
        // Claims have no line: it may have run, and begun an upload.
        job.attempts = 1;
        draft.job(None, &job)?;
        self.put_down(draft.writes)
    }

    fn setting(&self, entry: &Entry) -> Result<(), Error> {
        let key: String = entry.field("key")?.ok_or_else(|| entry.unreadable("key"))?;
        let mut writes = Writes::default();
        match entry.field::<Option<String>>("value")?.flatten() {
            None => writes.remove(Table::Settings, key.as_bytes()),
            Some(value) => {
                let what = || format!("setting {key}");
                store::put(&mut writes, Table::Settings, key.as_bytes(), &value, what)?;
            }
        }
        self.put_down(writes)
    }

    fn changed(&self, id: JobId, entry: &Entry) -> Result<(), Error> {
        let Some(standing) = entry.field::<Standing>("after")? else { return Ok(()) };
        let before = self.store.job(id)?.ok_or_else(|| entry.unreadable("job"))?;
        let mut job = before.clone();
        standing.restore(&mut job);
        if let Some(transfer) = entry.field::<TransferState>("transfer")? {
            job.transfer = transfer;
        }
        if let (Some(image), Some(progress)) =
            (&mut job.image, entry.field::<ImageProgress>("image")?)
        {
            // It may have been asked for again since, which has no line.
            image.progress = progress.asked_at(clock::now());
        }
        job.failure = entry.field("failure")?;
        job.receipt = entry.field("receipt")?;
        // That its object was published has no line of its own.
        let is_proven = job.state == JobState::Succeeded || job.is_carried();
        let published = match &mut job.transfer {
            TransferState::Sealing { upload, .. } if is_proven => upload.take(),
            _ => None,
        };
        self.put(&before, &job)?;
        published.map_or(Ok(()), |upload| self.forget(id, &upload))
    }

    /// An upload that its job had let go of is gone from the target.
    fn gone(&self, id: JobId, entry: &Entry) -> Result<(), Error> {
        let upload = entry.field("upload")?.ok_or_else(|| entry.unreadable("upload"))?;
        self.forget(id, &upload)
    }

    fn forget(&self, id: JobId, upload: &UploadId) -> Result<(), Error> {
        let mut writes = Writes::default();
        writes.remove(Table::Uploads, &uploads::key(id, upload));
        self.put_down(writes)
    }

    /// Many changes make one transaction. Nothing reads the database before it is whole.
    fn put_down(&self, writes: Writes) -> Result<(), Error> {
        self.store.stage(writes);
        let staged = self.staged.get() + 1;
        self.staged.set(staged % STAGED_MAX);
        if staged < STAGED_MAX {
            return Ok(());
        }
        self.store.commit()?;
        self.store.flush()
    }

    fn put(&self, before: &Job, job: &Job) -> Result<(), Error> {
        let mut draft = Draft::default();
        draft.job(Some(before), job)?;
        draft.upload(before, job)?;
        self.put_down(draft.writes)
    }

    /// Closes the books after the last line; gives how many jobs there are.
    pub(super) fn finish(self, last: Option<&Entry>) -> Result<u64, Error> {
        for id in &self.bare {
            if let Some(job) = self.store.job(*id)? {
                self.put(&job, &without_secret(job.clone()))?;
            }
        }
        let mut writes = Writes::default();
        if let Some(last) = last {
            let what = || "entry".to_owned();
            store::put(&mut writes, Table::Outbox, &last.seq.to_be_bytes(), &[last], what)?;
        }
        // Tokens and cursors of before are not in the log. Both grow by far less than one a
        // millisecond, so the clock is above them; a cursor of before is then told to be too old.
        let now = clock::now().0;
        book::put_token(&mut writes, now)?;
        book::put_cursor(&mut writes, now)?;
        notices::put_tell_again(&mut writes)?;
        self.store.stage(writes);
        self.store.commit()?;
        Ok(self.store.tree(Table::Jobs).len() as u64)
    }
}

/// A job whose presigned URL cannot be used any more. One that is over keeps its end.
fn without_secret(mut job: Job) -> Job {
    if job.intent == Intent::Cancel {
        // That needs none.
        return job;
    }
    let remedy = "submit it anew with a fresh presigned URL";
    if job.state.is_terminal() {
        job.warnings.push(format!(
            "the secret of its presigned URL is not kept: do not retry it, {remedy}"
        ));
        return job;
    }
    let reason = "the ledger was made anew, and the secret of the presigned URL was not kept";
    job.failure = Some(Failure::new(FailureClass::Permanent, reason, remedy));
    job.state = JobState::Failed;
    job.queued_at = None;
    job.finished_at = Some(clock::now());
    job
}
