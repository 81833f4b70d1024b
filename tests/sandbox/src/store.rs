//! What an endpoint keeps: buckets, objects with their versions, and open multipart uploads.
//!
//! # Invariants
//! - Every change is made under one lock, and no lock is held while bytes move: an object or a part is
//!   there whole or not at all.
//! - An object, once stored, is never changed; only tags are replaced, with the object around them.

pub(crate) mod bucket;
pub(crate) mod object;
pub(crate) mod upload;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use s3s::{S3Result, s3_error};

use self::bucket::{Bucket, BucketOptions};
use crate::content::synthetic::mix;
use crate::lock::lock;

/// All buckets of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Store {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    ids: AtomicU64,
}

impl Store {
    /// Makes the bucket, or finds that it is there already.
    ///
    /// # Errors
    /// `BucketAlreadyOwnedByYou`.
    pub(crate) fn create_bucket(&self, name: &str, options: BucketOptions) -> S3Result<()> {
        let mut buckets = lock(&self.buckets);
        if buckets.contains_key(name) {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        buckets.insert(name.to_owned(), Bucket::new(options));
        Ok(())
    }

    /// # Errors
    /// `NoSuchBucket`, `BucketNotEmpty`.
    pub(crate) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        self.bucket(name, |bucket| match bucket.is_empty() {
            true => Ok(()),
            false => Err(s3_error!(BucketNotEmpty)),
        })?;
        lock(&self.buckets).remove(name);
        Ok(())
    }

    /// Works on one bucket under the lock.
    ///
    /// # Errors
    /// `NoSuchBucket`, and whatever `work` says.
    pub(crate) fn bucket<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Bucket) -> S3Result<T>,
    ) -> S3Result<T> {
        match lock(&self.buckets).get_mut(name) {
            Some(bucket) => work(bucket),
            None => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        }
    }

    /// Works on every bucket, in the order of their names.
    pub(crate) fn each_bucket<T>(&self, work: impl Fn(&str, &Bucket) -> T) -> Vec<T> {
        lock(&self.buckets).iter().map(|(name, bucket)| work(name, bucket)).collect()
    }

    /// An id that no other upload or version of this endpoint has, and that does not look like a
    /// number: nobody should be tempted to order them.
    pub(crate) fn unique_id(&self) -> String {
        let n = self.ids.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{:016x}", mix(n.wrapping_add(0x5eed)), mix(!n))
    }
}
