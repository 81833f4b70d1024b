//! What a transfer does at its target, tried: an upload to the very key, of one tiny part, and aborted.
//!
//! # Invariants
//! - An upload whose id was learned is aborted, whatever came of the rest; nothing is ever published.
//! - It takes the part of a probe: an upload that is left all the same is taken for what it is.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::upload::{ABORT, CREATE, CreatedUpload, LIST_PARTS, Operation, UPLOAD_PART};
use super::{Attributes, Error, S3Target};
use crate::blob::{Exchange, Habits, PartChecksum};
use crate::model::UploadId;

/// An upload that is not aborted costs money until somebody looks.
const ABORT_TRIES: u32 = 3;
const ABORT_PATIENCE: Duration = Duration::from_secs(3);
const ABORT_PAUSE: Duration = Duration::from_millis(300);

/// What came of an upload.
#[derive(Debug)]
pub struct Rehearsed {
    /// What the server said when it began.
    pub created: CreatedUpload,
    /// Whether a part is taken.
    pub part: Result<(), Error>,
    /// Whether the parts may be listed.
    pub listed: Result<(), Error>,
    /// Whether it is gone.
    pub aborted: Result<(), Error>,
}

impl S3Target {
    /// Begins an upload with these attributes, sends a part, lists the parts, and aborts it. From `until` on
    /// nothing is begun but the abort, which takes ten seconds at the most. It must not be dropped midway.
    ///
    /// # Errors
    /// Where none could be begun. After an error whose [`Error::answer_lost`] holds, it may have been.
    pub async fn rehearse(
        &self,
        attributes: &Attributes,
        until: Instant,
    ) -> Result<Rehearsed, Error> {
        let (habits, created) = self.rehearse_create(attributes, until).await?;
        let asking = self.clone().with_habits(habits);
        let part = asking.rehearse_part(&created.upload, until).await;
        let listed = match &part {
            Ok(()) => asking.rehearse_list(&created.upload, until).await,
            Err(error) => Err(error.clone()),
        };
        let aborted = self.abort_surely(&created.upload).await;
        Ok(Rehearsed { created, part, listed, aborted })
    }

    /// Servers exist that do not know full-object checksums.
    async fn rehearse_create(
        &self,
        attributes: &Attributes,
        until: Instant,
    ) -> Result<(Habits, CreatedUpload), Error> {
        let first = self.by(until, CREATE, self.create_upload(attributes)).await;
        match first {
            Err(Error::Refused(_) | Error::Unsupported(_)) if self.habits.full_object => {
                let plain = Habits { full_object: false, ..self.habits };
                let asking = self.clone().with_habits(plain);
                let created = self.by(until, CREATE, asking.create_upload(attributes)).await?;
                Ok((plain, created))
            }
            created => Ok((self.habits, created?)),
        }
    }

    /// Servers exist that refuse trailers.
    async fn rehearse_part(&self, upload: &UploadId, until: Instant) -> Result<(), Error> {
        match self.by(until, UPLOAD_PART, self.send_pattern(upload)).await {
            Err(Error::Refused(_) | Error::Unsupported(_) | Error::Corrupt(_)) => {
                let plain = Habits { part_checksum: PartChecksum::None, ..self.habits };
                let asking = self.clone().with_habits(plain);
                self.by(until, UPLOAD_PART, asking.send_pattern(upload)).await
            }
            sent => sent,
        }
    }

    async fn rehearse_list(&self, upload: &UploadId, until: Instant) -> Result<(), Error> {
        match self.by(until, LIST_PARTS, self.list_parts(upload)).await {
            // A list that is not S3's is a habit of the server, and no missing right.
            Err(error) if error.is_unreadable() => Ok(()),
            listed => listed.map(drop),
        }
    }

    /// Aborts until it is said to be gone, a few times.
    async fn abort_surely(&self, upload: &UploadId) -> Result<(), Error> {
        for tries_left in (0..ABORT_TRIES).rev() {
            let aborted = timeout(ABORT_PATIENCE, self.abort(upload)).await;
            match aborted.unwrap_or_else(|_| Err(self.late(ABORT))) {
                Err(_) if tries_left > 0 => sleep(ABORT_PAUSE).await,
                aborted => return aborted,
            }
        }
        Ok(())
    }

    async fn by<T>(
        &self,
        until: Instant,
        operation: Operation,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout_at(until, request).await.unwrap_or_else(|_| Err(self.late(operation)))
    }

    fn late(&self, operation: Operation) -> Error {
        let message = "no answer in time".to_owned();
        Error::Unanswered(Box::new(Exchange { message, ..self.caller.asked(operation) }))
    }
}
