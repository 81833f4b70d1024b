//! An object behind a presigned `https://` URL, as a source.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Error, Frames, Source};
use crate::base::{Pace, SharedObserver};
use crate::model::{ByteRange, ObjectRef, PinnedObject, PresignedUrl};

/// One object behind a presigned URL.
#[derive(Debug, Clone)]
pub struct PresignedObject {
    url: PresignedUrl,
    pace: Arc<Pace>,
}

impl PresignedObject {
    /// The object behind `url`. `ca_bundle`: PEM certificates trusted besides the system's.
    ///
    /// # Errors
    /// Where the bundle does not parse.
    pub fn new(
        url: PresignedUrl,
        pace: Arc<Pace>,
        observer: SharedObserver,
        ca_bundle: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let _ = (observer, ca_bundle);
        Ok(Self { url, pace })
    }
}

#[async_trait]
impl Source for PresignedObject {
    fn name(&self) -> &str {
        "presigned"
    }

    fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    async fn pin(&self) -> Result<(PinnedObject, Vec<String>), Error> {
        let _ = &self.url;
        todo!()
    }

    async fn read(&self, _pinned: &PinnedObject, _range: ByteRange) -> Result<Frames, Error> {
        todo!()
    }

    fn describe(&self, _pinned: &PinnedObject) -> ObjectRef {
        todo!()
    }
}
