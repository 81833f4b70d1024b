//! An object in S3, as a source.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Error, Frames, Source};
use crate::base::Pace;
use crate::model::{ByteRange, ObjectAddress, ObjectRef, PinnedObject};
use crate::remote::Remote;

/// One object in S3.
#[derive(Debug, Clone)]
pub struct S3Object {
    remote: Arc<Remote>,
    address: ObjectAddress,
}

impl S3Object {
    /// The object at `address`, whose remote is `remote`.
    pub fn new(remote: Arc<Remote>, address: ObjectAddress) -> Self {
        Self { remote, address }
    }
}

#[async_trait]
impl Source for S3Object {
    fn name(&self) -> &str {
        self.remote.name().as_str()
    }

    fn pace(&self) -> &Arc<Pace> {
        self.remote.pace()
    }

    async fn pin(&self) -> Result<(PinnedObject, Vec<String>), Error> {
        todo!()
    }

    async fn read(&self, _pinned: &PinnedObject, _range: ByteRange) -> Result<Frames, Error> {
        todo!()
    }

    fn describe(&self, _pinned: &PinnedObject) -> ObjectRef {
        let _ = &self.address;
        todo!()
    }
}
