//! An object in S3, as a target.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;

use super::{Error, Habits};
use crate::base::Pace;
use crate::model::{
    Encryption, ObjectAddress, ObjectHeaders, ObjectRef, PartNumber, PublishedObject, Timestamp,
    UploadId,
};
use crate::remote::Remote;

/// What the object is to carry besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub headers: ObjectHeaders,
    /// Names in lower case without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub storage_class: Option<String>,
    pub encryption: Option<Encryption>,
}

/// What stands at the target key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    pub version_id: Option<String>,
    pub last_modified: Option<Timestamp>,
    /// Only where S3 calls it a full-object checksum.
    pub crc64nvme: Option<u64>,
    pub headers: ObjectHeaders,
    pub metadata: BTreeMap<String, String>,
    /// `None`: the server says STANDARD, or nothing.
    pub storage_class: Option<String>,
    /// `None`: the server did not say how many, or 0.
    pub tag_count: Option<u32>,
}

/// A multipart upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedUpload {
    pub upload: UploadId,
    /// When a lifecycle rule of the bucket aborts it, where one will.
    pub abort_at: Option<Timestamp>,
}

/// The target has the part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartAck {
    /// Without quotes.
    pub etag: String,
    /// As the target computed it, where it says.
    pub crc64nvme: Option<u64>,
}

/// A part as ListParts tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    pub number: PartNumber,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    pub crc64nvme: Option<u64>,
}

/// A part as CompleteMultipartUpload names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPart {
    pub number: PartNumber,
    /// Without quotes.
    pub etag: String,
    pub crc64nvme: u64,
}

/// Why a part was not taken: the target's fault, or that of the frames it was made from.
#[derive(Debug, thiserror::Error)]
pub enum PartError<E> {
    /// The body ended with its own error, unchanged.
    #[error("the part's bytes could not be had")]
    Body(E),
    /// The body gave more or fewer bytes than were announced.
    #[error("the part's body gave {found} bytes, not {expected}")]
    Length { expected: u64, found: u64 },
    /// The target refused it, or was not reached.
    #[error(transparent)]
    Target(#[from] Error),
}

/// The frames of a part to send, with the sender's own error.
pub type PartFrames<E> = Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;

/// One key in S3, to be written.
#[derive(Debug, Clone)]
pub struct S3Target {
    remote: Arc<Remote>,
    address: ObjectAddress,
    habits: Habits,
}

impl S3Target {
    /// The key at `address`, whose remote is `remote`.
    pub fn new(remote: Arc<Remote>, address: ObjectAddress) -> Self {
        Self { remote, address, habits: Habits::default() }
    }

    /// The same, at a server with these habits.
    #[must_use]
    pub fn with_habits(self, habits: Habits) -> Self {
        Self { habits, ..self }
    }

    /// The remote's name.
    pub fn name(&self) -> &str {
        self.remote.name().as_str()
    }

    /// The remote's limits.
    pub fn pace(&self) -> &Arc<Pace> {
        self.remote.pace()
    }

    /// The remote.
    pub fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// The address.
    pub fn address(&self) -> &ObjectAddress {
        &self.address
    }

    /// How this server takes uploads.
    pub fn habits(&self) -> Habits {
        self.habits
    }

    /// The object as the receipt names it.
    pub fn describe(&self, _published: &PublishedObject, _size: u64) -> ObjectRef {
        todo!()
    }

    /// What stands at the key now, or at one of its versions.
    pub async fn head(&self, _version: Option<&str>) -> Result<Option<Existing>, Error> {
        todo!()
    }

    /// Begins a multipart upload.
    pub async fn create_upload(&self, _attributes: &Attributes) -> Result<CreatedUpload, Error> {
        todo!()
    }

    /// Sends one part of `len` bytes, frame by frame as they come.
    pub async fn upload_part<E>(
        &self,
        _upload: &UploadId,
        _number: PartNumber,
        _len: u64,
        _frames: PartFrames<E>,
    ) -> Result<PartAck, PartError<E>>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        todo!()
    }

    /// Publishes the object.
    pub async fn complete(
        &self,
        _upload: &UploadId,
        _parts: &[SealedPart],
        _crc64nvme: u64,
        _size: u64,
        _only_if_absent: bool,
    ) -> Result<PublishedObject, Error> {
        todo!()
    }

    /// Throws the upload away. One that is gone already is fine.
    pub async fn abort(&self, _upload: &UploadId) -> Result<(), Error> {
        todo!()
    }

    /// Writes a whole small object.
    pub async fn put(
        &self,
        _bytes: Bytes,
        _crc64nvme: u64,
        _attributes: &Attributes,
        _only_if_absent: bool,
    ) -> Result<PublishedObject, Error> {
        todo!()
    }

    /// The parts the target has; `None` where it does not know the upload.
    pub async fn list_parts(&self, _upload: &UploadId) -> Result<Option<Vec<ListedPart>>, Error> {
        todo!()
    }

    /// The object's tags.
    pub async fn tags(&self) -> Result<BTreeMap<String, String>, Error> {
        todo!()
    }

    /// Sets the object's tags, all of them.
    pub async fn put_tags(&self, _tags: &BTreeMap<String, String>) -> Result<(), Error> {
        todo!()
    }

    /// Finds out how this server takes uploads, by a tiny one that leaves nothing behind.
    pub async fn probe(&self) -> Result<Habits, Error> {
        todo!()
    }
}
