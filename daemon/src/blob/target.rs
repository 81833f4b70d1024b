//! A key in S3, as a target: what stands there, whole small objects, tags.
//!
//! Multipart uploads are in `upload`; how a server takes them is found out in `probe`, and whether it takes
//! one of this identity in `rehearsal`.

mod attributes;
mod probe;
mod rehearsal;
mod upload;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use aws_sdk_s3::primitives::{ByteStream, SdkBody};

pub use attributes::Attributes;
pub use rehearsal::Rehearsed;
pub use upload::{
    Checksum, CreatedUpload, ListedPart, ListedUpload, PartAck, PartBytes, PartError, PartFrames,
    SealedPart,
};

use super::call::{ANSWER_PATIENCE, Caller, Operation};
use super::frames::PartBody;
use super::head::{Existing, head, look, real_version, unquoted};
use super::{Error, Exchange, Habits, tags};
use crate::base::Pace;
use crate::model::digest::crc64nvme_to_base64;
use crate::model::{ObjectAddress, ObjectRef, PublishedObject};
use crate::remote::Remote;

const PUT: Operation = Operation::new("PutObject", "s3:PutObject");
const DELETE: Operation = Operation::new("DeleteObject", "s3:DeleteObject");

/// One key in S3, to be written.
#[derive(Clone)]
pub struct S3Target {
    caller: Caller,
    habits: Habits,
}

impl S3Target {
    /// The key at `address`, whose remote is `remote`, at a server with AWS's habits.
    pub fn new(remote: Arc<Remote>, address: ObjectAddress) -> Self {
        Self { caller: Caller::new(remote, address), habits: Habits::default() }
    }

    /// The same, at a server with these habits.
    #[must_use]
    pub fn with_habits(self, habits: Habits) -> Self {
        Self { habits, ..self }
    }

    /// The remote's name.
    pub fn name(&self) -> &str {
        self.caller.remote.name().as_str()
    }

    /// The remote's limits.
    pub fn pace(&self) -> &Arc<Pace> {
        self.caller.remote.pace()
    }

    /// The remote.
    pub fn remote(&self) -> &Arc<Remote> {
        &self.caller.remote
    }

    /// The address.
    pub fn address(&self) -> &ObjectAddress {
        &self.caller.address
    }

    /// How this server takes uploads.
    pub fn habits(&self) -> Habits {
        self.habits
    }

    /// The object, `size` bytes long, as the receipt names it.
    pub fn describe(&self, published: &PublishedObject, size: u64) -> ObjectRef {
        super::s3::describe(
            &self.caller.remote,
            &self.caller.address,
            &published.etag,
            published.version_id.clone(),
            size,
        )
    }

    /// What stands at the key now, or at one of its versions; `None` where nothing does.
    ///
    /// # Errors
    /// Where S3 does not say: `AccessDenied` may hide a key that does not exist, too.
    pub async fn head(&self, version: Option<&str>) -> Result<Option<Existing>, Error> {
        match head(&self.caller, version).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NoSuchKey(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`S3Target::head`] of what stands there now, where nothing is what is hoped for: that there is no
    /// bucket either shows when the object is written.
    ///
    /// # Errors
    /// As [`S3Target::head`].
    pub async fn look(&self) -> Result<Option<Existing>, Error> {
        look(&self.caller).await
    }

    /// Writes a whole object, frame by frame as they come. The server compares its CRC64NVME.
    /// `only_if_absent` asks for `If-None-Match: *`, which some servers ignore.
    ///
    /// # Errors
    /// `PreconditionFailed` where the key exists and must not. After an error whose
    /// [`Error::answer_lost`] holds the object may stand there.
    pub async fn put(
        &self,
        object: PartBytes<Infallible>,
        crc64nvme: u64,
        attributes: &Attributes,
        only_if_absent: bool,
    ) -> Result<PublishedObject, Error> {
        let checksum = self.habits.full_object.then(|| crc64nvme_to_base64(crc64nvme));
        let (body, mut watch) = PartBody::new(object, false);
        let request = self
            .caller
            .client
            .put_object()
            .bucket(&self.caller.address.bucket)
            .key(&self.caller.address.key)
            .content_length(i64::try_from(body.wire_len()).unwrap_or(i64::MAX))
            .set_checksum_crc64_nvme(checksum)
            .set_if_none_match(only_if_absent.then(|| "*".to_owned()))
            .body(ByteStream::new(SdkBody::from_body_1_x(body)));
        let request = attributes::carried!(request, attributes).customize();
        let request = request.mutate_request(attributes::expires(attributes));
        let sent = watch.sent();
        let answer = self.caller.call_within(PUT, ANSWER_PATIENCE, sent, request.send()).await;
        if let Some(fault) = watch.fault() {
            return Err(fault.of_target(&self.caller, PUT));
        }
        let answer = answer?;
        self.published(PUT, answer.e_tag.as_deref(), answer.version_id)
    }

    /// The error of a PutObject that the target did not do this to: `how`.
    pub fn put_stalled(&self, how: &str) -> Error {
        let message = format!("the target {how}");
        Error::Unanswered(Box::new(Exchange { message, ..self.caller.asked(PUT) }))
    }

    /// Deletes the object, whatever it is; gives whether its bucket keeps it as an older version. What is gone
    /// is no error.
    ///
    /// # Errors
    /// The faults of a request.
    pub async fn delete(&self) -> Result<bool, Error> {
        let address = &self.caller.address;
        let request = self.caller.client.delete_object().bucket(&address.bucket).key(&address.key);
        let answer = self.caller.call(DELETE, request.send()).await?;
        Ok(answer.delete_marker.unwrap_or_default())
    }

    /// S3 can say 200 and mean nothing by it: only an ETag proves that an object stands there.
    fn published(
        &self,
        operation: Operation,
        etag: Option<&str>,
        version_id: Option<String>,
    ) -> Result<PublishedObject, Error> {
        let etag = etag.map(unquoted).filter(|etag| !etag.is_empty());
        let etag = etag.ok_or_else(|| {
            let message = "the answer gives no ETag".to_owned();
            let asked = self.caller.asked(operation);
            Error::Unanswered(Box::new(Exchange { message, ..asked }))
        })?;
        Ok(PublishedObject { etag, version_id: real_version(version_id) })
    }

    /// The object's tags, or those of one of its versions.
    ///
    /// # Errors
    /// `Unsupported` at a server without tags.
    pub async fn tags(&self, version: Option<&str>) -> Result<BTreeMap<String, String>, Error> {
        tags::get(&self.caller, version).await
    }

    /// Sets the tags of the object, or of one of its versions, all of them.
    ///
    /// # Errors
    /// `Unsupported` at a server without tags.
    pub async fn put_tags(
        &self,
        tags: &BTreeMap<String, String>,
        version: Option<&str>,
    ) -> Result<(), Error> {
        tags::put(&self.caller, tags, version).await
    }
}

impl fmt::Debug for S3Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Target({})", self.caller.address)
    }
}
