//! Finds out how a server takes uploads, by a tiny one that is thrown away.
//!
//! Servers were seen that refuse trailers, and ones that store the trailer's framing as data and say
//! 200. Only a look at what was stored tells.

use std::convert::Infallible;

use bytes::Bytes;

use super::upload::{CreatedUpload, ListedPart, PartBytes};
use super::{Attributes, Error, S3Target};
use crate::blob::{Exchange, Habits, PartChecksum};
use crate::integrity;
use crate::model::{PartNumber, UploadId};

/// The whole of the probe's part.
const PATTERN: Bytes =
    Bytes::from_static(b"causeway asks how this server takes uploads; nothing is kept here.\n");

impl ListedPart {
    /// Whether it is the part of a probe.
    pub fn is_of_probe(&self) -> bool {
        self.number.get() == 1 && self.size == PATTERN.len() as u64
    }
}

impl S3Target {
    /// Finds out how this server takes uploads. AWS's own endpoints are known and not asked.
    ///
    /// The probe is an upload to this very key, so that it needs no right that a transfer does not
    /// need; it is aborted whatever it finds.
    ///
    /// # Errors
    /// Where not even a plain upload works: the transfer would fail in the same way.
    pub async fn probe(&self) -> Result<Habits, Error> {
        if self.caller.remote.s3_endpoint().is_none() {
            return Ok(Habits::default());
        }
        let asking = self.clone().with_habits(Habits::default());
        let habits = asking.probe_with(true).await?;
        if habits.part_checksum == PartChecksum::Trailer {
            return Ok(habits);
        }
        // Without a checksum on its parts a full-object one has to be computed by the server alone:
        // nobody would notice where it does not. Such a server is read back instead.
        let plain = Habits { full_object: false, ..habits };
        self.clone().with_habits(plain).probe_with(false).await
    }

    /// One upload with the habits at hand, one part, one look at it.
    async fn probe_with(&self, may_fall_back: bool) -> Result<Habits, Error> {
        let created = match self.create_upload(&Attributes::default()).await {
            Err(Error::Refused(_) | Error::Unsupported(_)) if self.habits.full_object => {
                let plain = Habits { full_object: false, ..self.habits };
                return Box::pin(self.clone().with_habits(plain).probe_with(may_fall_back)).await;
            }
            created => created?,
        };
        let found = self.probe_part(&created, may_fall_back).await;
        let aborted = self.abort(&created.upload).await;
        let habits = found?;
        aborted?;
        Ok(habits)
    }

    async fn probe_part(
        &self,
        created: &CreatedUpload,
        may_fall_back: bool,
    ) -> Result<Habits, Error> {
        let without = Habits { part_checksum: PartChecksum::None, ..self.habits };
        match self.send_pattern(&created.upload).await {
            Ok(()) => {}
            Err(Error::Refused(_) | Error::Unsupported(_) | Error::Corrupt(_)) if may_fall_back => {
                return Ok(without);
            }
            Err(error) => return Err(error),
        }
        let listed = match self.list_parts(&created.upload).await {
            Ok(Some(listed)) => listed,
            // Somebody aborted it meanwhile: that tells nothing of the server, and is not to be remembered.
            Ok(None) => {
                let message = "the probe's upload is gone".to_owned();
                let asked = self.caller.asked(super::upload::LIST_PARTS);
                return Err(Error::NoSuchUpload(Box::new(Exchange { message, ..asked })));
            }
            // moto's list is not the XML that S3 documents: nobody sees whether framing was stored as
            // data, so none is sent.
            Err(error) if error.is_unreadable() && may_fall_back => return Ok(without),
            Err(error) if error.is_unreadable() => {
                return Ok(Habits { listed_checksums: false, lists_parts: false, ..self.habits });
            }
            Err(error) => return Err(error),
        };
        match listed.as_slice() {
            [part] if part.size == PATTERN.len() as u64 => Ok(self.seen(created, part)),
            // The framing was stored as data.
            _ if may_fall_back => Ok(without),
            _ => {
                let message = "a part is not listed with the size that was sent";
                Err(self.caller.bad_answer(super::upload::LIST_PARTS, message))
            }
        }
    }

    fn seen(&self, created: &CreatedUpload, part: &ListedPart) -> Habits {
        // A server that lists another checksum than the bytes have does not compute it.
        let computed = integrity::digest(&PATTERN).crc64nvme;
        let listed_checksums = part.crc64nvme == Some(computed);
        let wrong = part.crc64nvme.is_some() && !listed_checksums;
        Habits {
            // A server may take the request and know nothing of it.
            full_object: self.habits.full_object
                && !wrong
                && (created.full_object || listed_checksums),
            listed_checksums,
            ..self.habits
        }
    }

    pub(super) async fn send_pattern(&self, upload: &UploadId) -> Result<(), Error> {
        let number = PartNumber::new(1).ok_or_else(|| {
            self.caller.bad_answer(super::upload::UPLOAD_PART, "parts are counted from 1")
        })?;
        let frames = Box::pin(futures::stream::iter([Ok::<_, Infallible>(PATTERN)]));
        let crc64nvme = Box::new(|| integrity::crc64nvme(&PATTERN));
        let part = PartBytes { len: PATTERN.len() as u64, frames, crc64nvme };
        let sent = self.upload_part(upload, number, part).await.map(drop);
        sent.map_err(|fault| fault.of_target(&self.caller, super::upload::UPLOAD_PART))
    }
}
