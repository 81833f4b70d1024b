//! The legal steps of an image's progress.

use super::{AliasAsked, At, Chore, ImageProgress, RestoredImage, StoreAsked, StoredObject};
use crate::model::image::{Image, ImageId};
use crate::model::{Receipt, Timestamp};

/// What a worker writes down of an image job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFact {
    /// All of the road is open to this image.
    Described(Box<Image>),
    /// EC2 is about to be asked to store it.
    StoreAsked {
        /// When the newest of its tasks in that bucket so far was begun, by EC2's clock.
        newest: Option<Timestamp>,
    },
    /// EC2 refused to begin a task, or its task failed: it may be asked again.
    StoreFailed,
    Stored(StoredObject),
    /// The object was carried and proven.
    Carried(Box<Receipt>),
    /// EC2 is about to be asked to restore it.
    RestoreAsked,
    /// EC2 refused to begin a restore, or it failed and what it left is gone: it may be asked again.
    RestoreFailed,
    /// EC2 named the new image.
    Restoring(ImageId),
    /// The restored image is about to be deregistered, and registered anew from its snapshots.
    RepairAsked(Box<Image>),
    /// It is deregistered, and EC2 is about to be asked to register it anew.
    RegisterAsked,
    Available(Box<RestoredImage>),
    /// SSM is about to be asked.
    AliasAsked(AliasAsked),
    /// The version that names the new image.
    Aliased(u64),
    Done(Chore, String),
}

impl ImageFact {
    /// The word used in the audit log and in errors.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Described(_) => "described",
            Self::StoreAsked { .. } => "store asked",
            Self::StoreFailed => "store failed",
            Self::Stored(_) => "stored",
            Self::Carried(_) => "carried",
            Self::RestoreAsked => "restore asked",
            Self::RestoreFailed => "restore failed",
            Self::Restoring(_) => "restoring",
            Self::RepairAsked(_) => "repair asked",
            Self::RegisterAsked => "register asked",
            Self::Available(_) => "available",
            Self::AliasAsked(_) => "alias asked",
            Self::Aliased(_) => "aliased",
            Self::Done(..) => "done",
        }
    }
}

impl ImageProgress {
    /// Takes a fact of the moment `now`.
    ///
    /// # Errors
    /// Where it is a fact already, or what comes before it is none.
    pub(in crate::model) fn take(
        &mut self,
        fact: ImageFact,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        const OUT_OF_ORDER: &str = "has not come to that step, or is past it";
        let is_due = match &fact {
            // Looked at again while nothing is asked for.
            ImageFact::Described(_) => self.store_asked.is_none() && self.stored.is_none(),
            ImageFact::StoreAsked { .. } => self.stored.is_none(),
            ImageFact::StoreFailed => self.store_asked.is_some() && self.stored.is_none(),
            ImageFact::Stored(_) => self.stored.is_none(),
            ImageFact::Carried(_) => self.carried.is_none() && self.restore_asked.is_none(),
            ImageFact::RestoreAsked => self.restoring.is_none() && self.available.is_none(),
            ImageFact::RestoreFailed => self.restore_asked.is_some() && self.available.is_none(),
            // Of a repair, the second one.
            ImageFact::Restoring(_) => {
                self.restore_asked.is_some()
                    && self.available.is_none()
                    && (self.restoring.is_none() || self.repair_asked.is_some())
            }
            ImageFact::RepairAsked(_) => {
                self.restoring.is_some() && self.repair_asked.is_none() && self.available.is_none()
            }
            ImageFact::RegisterAsked => self.repair_asked.is_some() && self.available.is_none(),
            ImageFact::Available(_) => self.restoring.is_some() && self.available.is_none(),
            ImageFact::AliasAsked(_) => self.available.is_some() && self.aliased.is_none(),
            ImageFact::Aliased(_) => self.alias_asked.is_some() && self.aliased.is_none(),
            ImageFact::Done(chore, _) => self.chores.iter().all(|(done, _)| done != chore),
        };
        if !is_due {
            return Err(OUT_OF_ORDER);
        }
        match fact {
            ImageFact::Described(image) => self.source = Some(image),
            ImageFact::StoreAsked { newest } => {
                self.store_asked = Some(StoreAsked { at: now, newest });
            }
            ImageFact::StoreFailed => self.store_asked = None,
            ImageFact::Stored(object) => self.stored = Some(At { at: now, fact: object }),
            ImageFact::Carried(receipt) => self.carried = Some(At { at: now, fact: receipt }),
            ImageFact::RestoreAsked => self.restore_asked = Some(now),
            ImageFact::RestoreFailed => {
                (self.restore_asked, self.restoring) = (None, None);
                (self.repair_asked, self.register_asked) = (None, None);
            }
            ImageFact::Restoring(image) => self.restoring = Some(image),
            ImageFact::RepairAsked(image) => self.repair_asked = Some(image),
            ImageFact::RegisterAsked => self.register_asked = Some(now),
            ImageFact::Available(image) => self.available = Some(At { at: now, fact: image }),
            // What was there before the first time it was asked is what a rollback is about.
            ImageFact::AliasAsked(asked) => {
                let previous = self.alias_asked.take().map_or(asked, |before| before.fact);
                self.alias_asked = Some(At { at: now, fact: previous });
            }
            ImageFact::Aliased(version) => self.aliased = Some(version),
            ImageFact::Done(chore, line) => self.chores.push((chore, line)),
        }
        Ok(())
    }
}
