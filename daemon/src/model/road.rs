//! What is asked of an image, and how far it has come: store, carry, restore, alias, and what follows.
//!
//! The object that is carried in between is the job's [`TransferSpec`](super::TransferSpec), as a transfer's is.
//!
//! ```text
//!          described ─▶ store asked ─▶ stored ─▶ carried ─▶ restore asked ─▶ restoring ─▶ available
//!                          ▲   │ failed                        ▲   │ failed      │   ▲       │
//!                          └───┘                               └───┘     repair asked┘       ▼
//!                                     done ◀─ chores, one by one ◀─ aliased ◀─ alias asked ◀─┘
//! ```
//!
//! # Invariants
//! - EC2's creating requests have no client token: what is asked for is written down before it is asked.
//! - A fact is written once, in this order; only that something is asked for may be written again, until it is
//!   there, and again after its task failed.
//! - Nothing but a chore touches the image that was stored, and no chore is done before the new image is
//!   available and its alias written.

mod fact;
mod fidelity;

use serde::{Deserialize, Serialize};

pub use fact::ImageFact;
pub use fidelity::{Difference, Fidelity};

use super::image::{Image, ImageAddress, ImageId, Tags};
use super::{ObjectAddress, PublishedObject, Receipt, RemoteName, Timestamp};

/// What an image job is asked to do. A store has no `restore`, a restore no `store`, a migrate both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreSpec>,
    /// Delete the object that EC2 wrote.
    #[serde(default)]
    pub clean_up_stored: bool,
    /// Delete the object that was carried.
    #[serde(default)]
    pub clean_up_landed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_source: Option<Retire>,
}

/// An image that becomes an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSpec {
    pub image: ImageAddress,
    /// Of the image's Region and account.
    pub bucket: String,
    /// Take a copy of the image that stands there already.
    #[serde(default)]
    pub reuse_stored: bool,
    /// The snapshots may be encrypted, although the object is not as they are.
    #[serde(default)]
    pub allow_decrypted: bool,
    /// Of the object.
    #[serde(default)]
    pub tags: Tags,
}

impl StoreSpec {
    /// Where EC2 writes the object.
    pub fn stored(&self) -> ObjectAddress {
        self.image.stored_in(&self.bucket)
    }
}

/// An object that becomes an image, at the remote that it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreSpec {
    pub object: ObjectAddress,
    /// `None`: the name of the image that was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default)]
    pub tags: Tags,
    /// The tags of the image that is stored go along.
    #[serde(default)]
    pub copy_tags: bool,
    /// The SSM parameter that is to name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// In seconds, from when it is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecate_after: Option<u64>,
    /// Its snapshots have to be encrypted.
    #[serde(default)]
    pub require_encryption: bool,
    /// Register it anew where what it boots by was lost.
    #[serde(default)]
    pub repair: bool,
}

/// What becomes of the image that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retire {
    Deprecate,
    Disable,
    /// And delete its snapshots.
    Deregister,
}

/// What is done after the new image is there, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chore {
    Deprecate,
    CleanUpStored,
    CleanUpLanded,
    RetireSource,
}

impl ImageSpec {
    /// The remote that the image is stored at.
    pub fn source_remote(&self) -> Option<&RemoteName> {
        self.store.as_ref().map(|store| &store.image.remote)
    }

    /// The remote that the image is restored at.
    pub fn target_remote(&self) -> Option<&RemoteName> {
        self.restore.as_ref().map(|restore| &restore.object.remote)
    }

    /// Whether this is to be done.
    fn asks_for(&self, chore: Chore) -> bool {
        match chore {
            Chore::Deprecate => self.restore.as_ref().is_some_and(|r| r.deprecate_after.is_some()),
            Chore::CleanUpStored => self.clean_up_stored,
            Chore::CleanUpLanded => self.clean_up_landed,
            Chore::RetireSource => self.retire_source.is_some(),
        }
    }
}

/// EC2 was about to be asked to store an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreAsked {
    pub at: Timestamp,
    /// When the newest task of before was begun, by EC2's clock: a later one is this job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
}

/// The object that EC2 wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// It stood there before this job, which was told to take it.
    #[serde(default)]
    pub reused: bool,
}

impl StoredObject {
    /// As what was published.
    pub fn published(&self) -> PublishedObject {
        PublishedObject { etag: self.etag.clone(), version_id: self.version_id.clone() }
    }
}

/// The new image, once it is available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredImage {
    pub image: Image,
    pub fidelity: Fidelity,
}

/// The value of an alias before the job's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasAsked {
    /// `None`: there was no such parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// What a task of EC2 leaves to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look at the image, and whether all of the road is open.
    Describe,
    Store,
    Carry,
    Restore,
    Alias,
    Chore(Chore),
    /// Nothing is left.
    Done,
}

/// How far an image has come: each fact once it is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageProgress {
    /// The image that is stored, as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<Image>>,
    /// When EC2 was about to be asked. It may have been, or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_asked: Option<StoreAsked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<At<StoredObject>>,
    /// What the transfer alone would have for a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<At<Box<Receipt>>>,
    /// When EC2 was about to be asked. It may have been, or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_asked: Option<Timestamp>,
    /// The new image, from when EC2 named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<ImageId>,
    /// The image as EC2 restored it, which is to be registered anew from its snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair_asked: Option<Box<Image>>,
    /// When EC2 was about to be asked to register it. It may have been, or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register_asked: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<At<Box<RestoredImage>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_asked: Option<At<AliasAsked>>,
    /// The version of the parameter that names the new image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliased: Option<u64>,
    /// The value of before was put back.
    #[serde(default)]
    pub alias_rolled_back: bool,
    /// What was done, and what was found while doing it, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chores: Vec<(Chore, String)>,
}

impl ImageProgress {
    /// The same, with what EC2 is asked for again and again asked at `at`.
    #[must_use]
    pub fn asked_at(mut self, at: Timestamp) -> Self {
        if let Some(asked) = &mut self.store_asked {
            asked.at = at;
        }
        self.restore_asked = self.restore_asked.map(|_| at);
        self
    }

    fn has_done(&self, chore: Chore) -> bool {
        self.chores.iter().any(|(done, _)| *done == chore)
    }
}

/// A fact, and when it became one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct At<T> {
    pub at: Timestamp,
    pub fact: T,
}

/// An image job's own part of a [`Job`](super::Job).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageWork {
    pub spec: ImageSpec,
    #[serde(default)]
    pub progress: ImageProgress,
}

impl ImageWork {
    /// An image job that nothing is done of.
    pub fn new(spec: ImageSpec) -> Self {
        Self { spec, progress: ImageProgress::default() }
    }

    /// What is to be done next; `carries` says that the job has an object to carry.
    pub fn step(&self, carries: bool) -> Step {
        const CHORES: [Chore; 4] =
            [Chore::Deprecate, Chore::CleanUpStored, Chore::CleanUpLanded, Chore::RetireSource];
        let (spec, now) = (&self.spec, &self.progress);
        let alias = spec.restore.as_ref().and_then(|restore| restore.alias.as_ref());
        if spec.store.is_some() && now.source.is_none() {
            return Step::Describe;
        }
        if spec.store.is_some() && now.stored.is_none() {
            return Step::Store;
        }
        if carries && now.carried.is_none() {
            return Step::Carry;
        }
        if spec.restore.is_some() && now.available.is_none() {
            return Step::Restore;
        }
        if alias.is_some() && now.aliased.is_none() {
            return Step::Alias;
        }
        let next = CHORES.into_iter().find(|chore| spec.asks_for(*chore) && !now.has_done(*chore));
        next.map_or(Step::Done, Step::Chore)
    }

    /// The name that the new image gets, where anybody but EC2 knows it.
    pub fn name(&self) -> Option<&str> {
        let asked = self.spec.restore.as_ref()?.name.as_deref();
        asked.or_else(|| self.progress.source.as_deref().map(|image| image.name.as_str()))
    }

    /// The tags that the new image gets beside the job's own.
    pub fn tags(&self) -> Tags {
        let Some(restore) = &self.spec.restore else { return Tags::new() };
        let copied = self.progress.source.as_deref().filter(|_| restore.copy_tags);
        let mut tags = copied.map(|image| image.tags.clone()).unwrap_or_default();
        // AWS keeps those for itself, and refuses a request that sets one.
        tags.retain(|key, _| !key.starts_with("aws:"));
        tags.extend(restore.tags.clone());
        tags
    }

    /// What a job that ends early leaves behind, a line each.
    pub fn leftovers(&self) -> Vec<String> {
        let (spec, now) = (&self.spec, &self.progress);
        let mut left = Vec::new();
        let is_stored = now.store_asked.is_some() && !now.has_done(Chore::CleanUpStored);
        if let Some(store) = spec.store.as_ref().filter(|_| is_stored) {
            left.push(match &now.stored {
                Some(_) => format!("the stored object {} stays", store.stored()),
                None => format!(
                    "EC2 may still store {} as {}: a store cannot be cancelled",
                    store.image,
                    store.stored()
                ),
            });
        }
        left.extend(self.carried_object().map(|object| {
            // Whoever deleted it now would take it from under the restore.
            match now.restore_asked.is_some() && now.available.is_none() {
                true => {
                    format!("the carried object {object} stays, and EC2 may still be reading it")
                }
                false => format!("the carried object {object} stays"),
            }
        }));
        if let Some(restore) = spec.restore.as_ref().filter(|_| now.restore_asked.is_some()) {
            let remote = &restore.object.remote;
            left.push(match &now.restoring {
                Some(id) => format!("the new image {remote}:{id} stays: deregister it if unwanted"),
                None => format!(
                    "EC2 may still restore {} at {remote}: a restore cannot be cancelled",
                    restore.object
                ),
            });
        }
        let alias = spec.restore.as_ref().and_then(|restore| restore.alias.as_ref());
        if let Some((alias, asked)) = alias.zip(now.alias_asked.as_ref()) {
            let names = if now.aliased.is_some() { "names" } else { "may come to name" };
            let held = asked.fact.previous.as_deref().unwrap_or("nothing");
            left.push(format!("the alias {alias} {names} the new image; it held {held} before"));
        }
        left
    }

    /// Where the object is that was carried and proven, unless it was deleted since.
    fn carried_object(&self) -> Option<String> {
        let (spec, now) = (&self.spec, &self.progress);
        let carried = now.carried.as_ref()?;
        if now.has_done(Chore::CleanUpLanded) {
            return None;
        }
        let restored = spec.restore.as_ref().map(|restore| restore.object.to_string());
        restored.or_else(|| {
            let target = carried.fact.target.as_ref()?;
            Some(format!("{}:{}/{}", target.remote, target.bucket, target.key))
        })
    }
}

#[cfg(test)]
mod tests;
