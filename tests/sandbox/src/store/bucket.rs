//! One bucket: its objects, their versions, its uploads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use s3s::dto::ETagCondition;
use s3s::{S3Result, s3_error};

use super::object::{StoredObject, now};
use super::upload::{Completed, Upload};
use crate::content::synthetic::Synthetic;

/// How a bucket behaves.
#[derive(Debug, Clone, Default)]
pub struct BucketOptions {
    /// Keeps every version under an id of its own.
    pub versioned: bool,
    /// Checks what is uploaded and drops the bytes.
    pub sink: Option<Sink>,
    /// The Region that it is in, where that is not the endpoint's: HeadBucket says so, and EC2 takes none.
    pub region: Option<String>,
    /// ARN of the KMS key that GetBucketEncryption names; S3's own without. Objects say what their requests
    /// asked for.
    pub kms_key: Option<String>,
    /// No public access is blocked. All is by default, as with AWS since April 2023.
    pub open_to_public: bool,
    /// Lifecycle rules, which are told and not carried out.
    pub lifecycle: Vec<Lifecycle>,
}

/// A lifecycle rule.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// Its name.
    pub id: String,
    /// Of the keys that it is about.
    pub prefix: String,
    /// Days after which it aborts an upload.
    pub aborts_uploads: Option<i32>,
    /// Days after which it deletes an object.
    pub expires: Option<i32>,
}

/// What a sink does with the bytes of uploads.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    /// Every uploaded byte is compared with this object; parts have to start at whole MiB of it. What
    /// passed can be read again, though it is not kept. A tiny part of other bytes is taken, for
    /// clients that probe, but never completed.
    pub compare: Option<Synthetic>,
}

/// A bucket and all that is in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) options: BucketOptions,
    pub(crate) created: SystemTime,
    /// By key; the newest version last, never empty.
    objects: BTreeMap<String, Vec<Version>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    /// Uploads that were completed, the newest last.
    completed: VecDeque<Completed>,
}

#[derive(Debug)]
enum Version {
    Object(Arc<StoredObject>),
    DeleteMarker { version_id: String },
}

impl Version {
    fn id(&self) -> Option<&str> {
        match self {
            Self::Object(object) => object.version_id.as_deref(),
            Self::DeleteMarker { version_id } => Some(version_id),
        }
    }
}

/// Completed uploads that are remembered, so that repeating a Complete gets the same answer.
const COMPLETED_MAX: usize = 1024;

/// Conditions of a write.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl Bucket {
    pub(super) fn new(options: BucketOptions) -> Self {
        Self {
            options,
            created: now(),
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            completed: VecDeque::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.uploads.is_empty()
    }

    /// The keys that have an object now.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.objects.keys().filter(|key| self.newest(key).is_some()).cloned().collect()
    }

    /// The newest version, unless that is a delete marker.
    pub(crate) fn newest(&self, key: &str) -> Option<Arc<StoredObject>> {
        match self.objects.get(key)?.last()? {
            Version::Object(object) => Some(Arc::clone(object)),
            Version::DeleteMarker { .. } => None,
        }
    }

    /// # Errors
    /// `NoSuchKey`, `NoSuchVersion`; `MethodNotAllowed` for a delete marker asked for by its id.
    pub(crate) fn get(&self, key: &str, version_id: Option<&str>) -> S3Result<Arc<StoredObject>> {
        let Some(version_id) = version_id else {
            let missing = || s3_error!(NoSuchKey, "The specified key does not exist.");
            return self.newest(key).ok_or_else(missing);
        };
        let versions = self.objects.get(key).map_or(&[][..], Vec::as_slice);
        match versions.iter().find(|version| version.id().unwrap_or("null") == version_id) {
            Some(Version::Object(object)) => Ok(Arc::clone(object)),
            Some(Version::DeleteMarker { .. }) => Err(s3_error!(MethodNotAllowed)),
            None => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
        }
    }

    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` when If-Match finds nothing.
    pub(crate) fn check(&self, key: &str, conditions: &Conditions) -> S3Result<()> {
        let current = self.newest(key);
        let matches = |condition: &ETagCondition, object: &StoredObject| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == object.etag,
        };
        let failed = || {
            s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )
        };
        match (&conditions.if_match, &current) {
            (Some(condition), Some(object)) if !matches(condition, object) => return Err(failed()),
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(_) | None, _) => {}
        }
        match (&conditions.if_none_match, &current) {
            (Some(condition), Some(object)) if matches(condition, object) => Err(failed()),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Stores a new newest version.
    pub(crate) fn put(&mut self, object: StoredObject) -> Arc<StoredObject> {
        let object = Arc::new(object);
        let versions = self.objects.entry(object.key.clone()).or_default();
        if !self.options.versioned {
            versions.clear();
        }
        versions.push(Version::Object(Arc::clone(&object)));
        object
    }

    /// What became of an upload, if it was completed not too long ago.
    pub(crate) fn completed(&self, upload_id: &str, key: &str) -> Option<&Completed> {
        let is_it = |done: &&Completed| done.upload_id == upload_id && done.key == key;
        self.completed.iter().rev().find(is_it)
    }

    /// Closes an upload that became an object.
    pub(crate) fn close(&mut self, completed: Completed) {
        self.uploads.remove(&completed.upload_id);
        if self.completed.len() == COMPLETED_MAX {
            self.completed.pop_front();
        }
        self.completed.push_back(completed);
    }

    /// Puts an object in the place of the version it was made from.
    pub(crate) fn replace(&mut self, object: StoredObject) {
        let versions = self.objects.entry(object.key.clone()).or_default();
        let id = object.version_id.clone();
        if let Some(version) = versions.iter_mut().find(|version| version.id() == id.as_deref()) {
            *version = Version::Object(Arc::new(object));
        }
    }

    /// Deletes a version, or the object. Answers the version id and whether it is a delete marker's.
    pub(crate) fn delete(
        &mut self,
        key: &str,
        version_id: Option<&str>,
        marker_id: String,
    ) -> Option<(String, bool)> {
        if let Some(version_id) = version_id {
            let versions = self.objects.get_mut(key)?;
            let index = versions.iter().position(|version| version.id() == Some(version_id))?;
            let marker = matches!(versions.remove(index), Version::DeleteMarker { .. });
            if versions.is_empty() {
                self.objects.remove(key);
            }
            return Some((version_id.to_owned(), marker));
        }
        if !self.options.versioned {
            self.objects.remove(key);
            return None;
        }
        let marker = Version::DeleteMarker { version_id: marker_id.clone() };
        self.objects.entry(key.to_owned()).or_default().push(marker);
        Some((marker_id, true))
    }

    /// The newest objects whose keys come after `after`, in the order of their keys.
    pub(crate) fn keys_after<'a>(
        &'a self,
        after: &'a str,
    ) -> impl Iterator<Item = Arc<StoredObject>> + 'a {
        let range = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        self.objects.range::<str, _>(range).filter_map(|(_, versions)| match versions.last() {
            Some(Version::Object(object)) => Some(Arc::clone(object)),
            Some(Version::DeleteMarker { .. }) | None => None,
        })
    }
}
