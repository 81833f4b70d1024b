//! Reading and writing objects: S3, and presigned HTTPS as a source.
//!
//! Nothing here retries, paces bytes or decides: it asks once, checks that the answer is what was
//! asked for, and says in one [`Error`] what went wrong and who acts next.
//!
//! # Invariants
//! - Frames pass as they arrive: never split, copied or coalesced.
//! - A read is of the pinned version or an error, even at a server that ignores `If-Match`.
//! - A presigned URL's query is in no error, log or `Debug`.

mod error;
mod remedy;

mod habits;

mod s3;

mod presigned;

mod target;

mod list;

mod bucket;

mod settings;

mod call;
mod chunked;
mod classify;
mod document;
mod frames;
mod head;
mod tags;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

pub use bucket::bucket_region;
pub use error::{Error, Exchange};
pub use habits::{Habits, PartChecksum};
pub use head::Existing;
pub use list::{ListedObject, Page, list};
pub use presigned::PresignedObject;
pub use s3::S3Object;
pub use settings::{BucketSettings, LifecycleRule, PublicAccessBlock, When};
pub use target::{
    Attributes, CreatedUpload, ListedPart, ListedUpload, PartAck, PartBytes, PartError, PartFrames,
    Rehearsed, S3Target, SealedPart,
};

use crate::base::Pace;
use crate::model::{ByteRange, ObjectRef, PinnedObject};

/// A body, frame by frame as it arrives.
pub type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// Where an object is read.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug {
    /// The remote's name, or `presigned`: what measures are reported under.
    fn name(&self) -> &str;

    /// The limits of where it is read.
    fn pace(&self) -> &Arc<Pace>;

    /// Looks at the object as it is now; beside it, what could not be learned and why.
    async fn pin(&self) -> Result<(PinnedObject, Vec<String>), Error>;

    /// The bytes of `range`, of exactly the pinned version. The frames give `range.len` bytes or end
    /// with an error.
    async fn read(&self, pinned: &PinnedObject, range: ByteRange) -> Result<Frames, Error>;

    /// The object as the receipt names it.
    fn describe(&self, pinned: &PinnedObject) -> ObjectRef;
}

/// What every backend has to do, whatever server is behind it.
#[cfg(test)]
pub mod conformance;

#[cfg(test)]
pub(crate) mod tests;
