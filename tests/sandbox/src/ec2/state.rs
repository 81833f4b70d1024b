//! All that EC2 knows, as plain data behind one lock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::admission::Admission;
use super::image::{Image, Owner, Snapshot};
use super::options::Ec2Options;
use super::store::StoreTask;
use crate::api::Refused;
use crate::content::synthetic::mix;

/// Images, snapshots, tasks and quotas of one account and Region.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Ec2Options,
    pub(super) images: BTreeMap<String, Image>,
    /// The ids of those that were deregistered.
    pub(super) deregistered: BTreeSet<String>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    /// In the order they were started.
    pub(super) stores: Vec<StoreTask>,
    pub(super) storing: Admission,
    pub(super) restoring: Admission,
    seed: u64,
    ids: u64,
}

impl State {
    /// The ids of two Regions differ.
    pub(super) fn new(options: Ec2Options, region: &str) -> Self {
        Self {
            options,
            images: BTreeMap::new(),
            deregistered: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            stores: Vec::new(),
            storing: Admission::default(),
            restoring: Admission::default(),
            seed: region.bytes().fold(0, |seed, byte| mix(seed ^ u64::from(byte))),
            ids: 0,
        }
    }

    /// An id that was not there before: `PREFIX-` and 17 hexadecimal digits.
    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}-0{:016x}", mix(self.seed.wrapping_add(self.ids)))
    }

    /// When something that is made now is seen.
    pub(super) fn visible_at(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.options.visible_after_ms)
    }

    /// An image that the account sees.
    ///
    /// # Errors
    /// `InvalidAMIID.Malformed`, `InvalidAMIID.NotFound`; `InvalidAMIID.Unavailable` where it was deregistered.
    pub(super) fn image(&self, id: &str) -> Result<&Image, Refused> {
        check_id(id, "ami", "InvalidAMIID.Malformed")?;
        if self.deregistered.contains(id) {
            let message = format!("The image ID '{id}' is no longer available");
            return Err(Refused::new("InvalidAMIID.Unavailable", message));
        }
        let visible = |image: &&Image| image.visible_at <= Instant::now();
        self.images.get(id).filter(visible).ok_or_else(|| {
            let message = format!("The image id '[{id}]' does not exist");
            Refused::new("InvalidAMIID.NotFound", message)
        })
    }

    /// An image that the account may change.
    ///
    /// # Errors
    /// Those of [`State::image`], and `AuthFailure`.
    pub(super) fn own_image(&mut self, id: &str) -> Result<&mut Image, Refused> {
        let not_ours = || Refused::new("AuthFailure", format!("Not authorized for image:{id}"));
        let is_own = self.image(id)?.owner == Owner::Own;
        self.images.get_mut(id).filter(|_| is_own).ok_or_else(not_ours)
    }

    /// # Errors
    /// `InvalidSnapshotID.Malformed`, `InvalidSnapshot.NotFound`.
    pub(super) fn snapshot(&self, id: &str) -> Result<&Snapshot, Refused> {
        check_id(id, "snap", "InvalidSnapshotID.Malformed")?;
        let visible = |snapshot: &&Snapshot| snapshot.is_visible(Instant::now());
        self.snapshots.get(id).filter(visible).ok_or_else(|| {
            let message = format!("The snapshot '{id}' does not exist.");
            Refused::new("InvalidSnapshot.NotFound", message)
        })
    }

    /// # Errors
    /// Those of [`State::snapshot`], and `AuthFailure`.
    pub(super) fn own_snapshot(&mut self, id: &str) -> Result<&mut Snapshot, Refused> {
        let not_ours = || Refused::new("AuthFailure", format!("Not authorized for snapshot:{id}"));
        let is_own = self.snapshot(id)?.owner == Owner::Own;
        self.snapshots.get_mut(id).filter(|_| is_own).ok_or_else(not_ours)
    }

    /// Whether a new image can have this name.
    ///
    /// # Errors
    /// `InvalidAMIName.Malformed`, `InvalidAMIName.Duplicate`.
    pub(super) fn check_name(&self, name: &str) -> Result<(), Refused> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c);
        if !(3..=128).contains(&name.len()) || !name.chars().all(legal) {
            let message = "AMI names must be between 3 and 128 characters long, and may contain \
                           letters, numbers, '(', ')', '.', '-', '/' and '_'";
            return Err(Refused::new("InvalidAMIName.Malformed", message));
        }
        // One that nobody sees yet has its name all the same.
        let holder = self.images.values().find(|i| i.owner == Owner::Own && i.name == name);
        match holder {
            None => Ok(()),
            Some(image) => {
                let message = format!("AMI name {name} is already in use by AMI {}", image.id);
                Err(Refused::new("InvalidAMIName.Duplicate", message))
            }
        }
    }
}

/// `PREFIX-` and 8 or 17 hexadecimal digits.
fn check_id(id: &str, prefix: &str, code: &str) -> Result<(), Refused> {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    let legal = |digits: &str| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match digits.is_some_and(legal) {
        true => Ok(()),
        false => Err(Refused::new(code, format!("Invalid id: \"{id}\""))),
    }
}
