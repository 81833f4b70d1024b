//! The multipart uploads that this daemon's jobs began, until each is known to be gone.
//!
//! What stays at a target unseen costs its owner money for ever. A job forgets an upload that is of no
//! use to it; this table does not, until it was completed or its abort was seen to work.
//!
//! # Crash consistency
//! That an upload is asked for is on disk before the request is sent. The upload enters in the
//! transaction that gives it to its job, and leaves in the one in which the job's object is published,
//! or once the target was seen not to know it any more.
//!
//! # Invariants
//! - Only uploads that a job of this ledger began are here: nobody else's is ever aborted.
//! - An upload that its job holds is no orphan. One that a job let go of is never held again.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::audit::Entry;
use super::book::Draft;
use super::store::{self, Table};
use super::{Error, Ledger, record};
use crate::base::clock;
use crate::integrity;
use crate::model::{Illegal, Job, JobId, ObjectAddress, Timestamp, TransferState, UploadId};

/// An upload that a job began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BegunUpload {
    pub job: JobId,
    pub target: ObjectAddress,
    pub upload: UploadId,
}

impl BegunUpload {
    fn of(job: &Job) -> Option<Self> {
        let upload = job.transfer.upload()?.clone();
        Some(Self { job: job.id, target: job.spec.as_ref()?.target.clone(), upload })
    }

    fn key(&self) -> [u8; 32] {
        key(self.job, &self.upload)
    }
}

/// An upload that a job asks for, before it is known whether there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedUpload {
    pub job: JobId,
    pub target: ObjectAddress,
    /// When it was asked for last.
    pub at: Timestamp,
}

/// The audit log's word for an upload that was aborted and is gone.
pub(super) const GONE: &str = "upload aborted";

/// `[job: 16][half the BLAKE3 of the upload's id: 16]`: an id has no fixed length.
pub(super) fn key(job: JobId, upload: &UploadId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&job.to_bytes());
    key[16..].copy_from_slice(&integrity::blake3(upload.0.as_bytes())[..16]);
    key
}

fn what_is_asked() -> String {
    "an upload that was asked for".into()
}

impl Draft {
    /// Follows the job's upload through one change.
    pub(super) fn upload(&mut self, before: &Job, after: &Job) -> Result<(), Error> {
        let (old, new) = (BegunUpload::of(before), BegunUpload::of(after));
        if old == new {
            return Ok(());
        }
        if let Some(old) = old
            && matches!(after.transfer, TransferState::Sealed { .. })
        {
            self.writes.remove(Table::Uploads, &old.key());
        }
        if let Some(new) = new {
            let what = || format!("the upload of job {}", new.job);
            store::put(&mut self.writes, Table::Uploads, &new.key(), &new, what)?;
        }
        Ok(())
    }
}

impl Ledger {
    /// Writes down that the worker is about to ask its target for an upload. Gives what may be forgotten
    /// once that is answered: `None` while an earlier request of the job is not known to have landed.
    ///
    /// # Errors
    /// [`Error::LeaseLost`].
    pub async fn ask_upload(&self, id: JobId, token: u64) -> Result<Option<AskedUpload>, Error> {
        let (asked, is_first, ticket) = {
            let mut book = self.book()?;
            let nothing = Illegal { change: "begin an upload of", why: "carries no object" };
            let spec = self.leased(id, token)?.spec;
            let target = spec.ok_or(Error::Illegal { id, source: nothing })?.target;
            let asked = AskedUpload { job: id, target, at: clock::now() };
            let is_first = self.asked(id)?.is_none();
            let mut draft = Draft::default();
            store::put(&mut draft.writes, Table::Asked, &id.to_bytes(), &asked, what_is_asked)?;
            (asked, is_first, self.inner.desk.enter(&mut book, draft)?)
        };
        self.settled(ticket).await?;
        Ok(is_first.then_some(asked))
    }

    fn asked(&self, id: JobId) -> Result<Option<AskedUpload>, Error> {
        self.inner.desk.store.read(Table::Asked, &id.to_bytes(), what_is_asked)
    }

    /// Writes down that what was asked for is known: recorded, or gone. Where the job asked again
    /// meanwhile, nothing changes. Becomes durable with the next change.
    ///
    /// # Errors
    /// Storage alone.
    pub fn forget_asked(&self, asked: &AskedUpload) -> Result<(), Error> {
        let mut book = self.book()?;
        if self.asked(asked.job)?.as_ref() == Some(asked) {
            let mut draft = Draft::default();
            draft.writes.remove(Table::Asked, &asked.job.to_bytes());
            drop(self.inner.desk.enter(&mut book, draft)?);
        }
        Ok(())
    }

    /// Uploads that were asked for and are not known to exist, nor not to.
    ///
    /// # Errors
    /// Storage. A corrupt record is reported and left out.
    pub fn asked_uploads(&self) -> Result<Vec<AskedUpload>, Error> {
        let mut all = Vec::new();
        for item in self.inner.desk.store.scan(Table::Asked, Bound::Unbounded, |_| true) {
            let (_, value) = item?;
            match record::decode(&value, what_is_asked) {
                Ok(asked) => all.push(asked),
                Err(error) => tracing::error!(%error, "an upload may be left where it is"),
            }
        }
        Ok(all)
    }

    /// The first `max` uploads that no job holds any more, in an order of their own, after `last`.
    ///
    /// # Errors
    /// Storage. A corrupt record is reported and left out: what it named is not touched.
    pub fn orphans(
        &self,
        max: usize,
        last: Option<&BegunUpload>,
    ) -> Result<Vec<BegunUpload>, Error> {
        let store = &self.inner.desk.store;
        let last = last.map(BegunUpload::key);
        let after = last.as_ref().map_or(Bound::Unbounded, |last| Bound::Excluded(last.as_slice()));
        let mut orphans = Vec::new();
        for item in store.scan(Table::Uploads, after, |_| true) {
            let (_, value) = item?;
            let begun: BegunUpload = match record::decode(&value, || "a begun upload".into()) {
                Ok(begun) => begun,
                Err(error) => {
                    tracing::error!(%error, "an upload is left where it is");
                    continue;
                }
            };
            let job = store.job(begun.job)?;
            if job.and_then(|job| BegunUpload::of(&job)).as_ref() != Some(&begun) {
                orphans.push(begun);
                if orphans.len() >= max {
                    break;
                }
            }
        }
        Ok(orphans)
    }

    /// Whether another job than this has asked for an upload at `target`.
    ///
    /// # Errors
    /// Storage alone.
    pub fn others_ask(&self, job: JobId, target: &ObjectAddress) -> Result<bool, Error> {
        let others = |asked: &AskedUpload| asked.job != job && asked.target == *target;
        Ok(self.asked_uploads()?.iter().any(others))
    }

    /// Whether a job of this ledger began this upload, and it is not known to be gone.
    ///
    /// # Errors
    /// Storage, or a corrupt record.
    pub fn has_begun(&self, target: &ObjectAddress, upload: &UploadId) -> Result<bool, Error> {
        for item in self.inner.desk.store.scan(Table::Uploads, Bound::Unbounded, |_| true) {
            let (_, value) = item?;
            let begun: BegunUpload = record::decode(&value, || "a begun upload".into())?;
            if begun.upload == *upload && begun.target == *target {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes down that the upload is gone from the target.
    ///
    /// # Errors
    /// Storage, or the audit log.
    pub async fn forget_upload(&self, gone: &BegunUpload, actor: &str) -> Result<(), Error> {
        let mut draft = Draft::default();
        let entry = Entry::new(GONE, actor, Some(gone.job));
        draft.audit(entry.with("upload", &gone.upload)?.with("target", &gone.target.to_string())?);
        draft.writes.remove(Table::Uploads, &gone.key());
        let ticket = self.inner.desk.enter(&mut *self.book()?, draft)?;
        ticket.durable().await
    }
}
