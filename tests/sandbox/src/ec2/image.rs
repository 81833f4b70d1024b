//! An image and its snapshots as EC2 keeps them, and how a test describes one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::tags::Tags;
use crate::content::Content;

/// What is true of an image wherever it is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageTraits {
    /// Free text.
    pub description: String,
    /// `x86_64`, `arm64`, `i386`, …
    pub architecture: String,
    /// `hvm` or `paravirtual`.
    pub virtualization: String,
    /// Such as `/dev/xvda`.
    pub root_device_name: String,
    /// Enhanced networking by ENA.
    pub ena_support: bool,
    /// `simple`, where SR-IOV is supported.
    pub sriov_net_support: Option<String>,
    /// `legacy-bios`, `uefi`, `uefi-preferred`.
    pub boot_mode: Option<String>,
    /// `v2.0`.
    pub tpm_support: Option<String>,
    /// `v2.0`.
    pub imds_support: Option<String>,
    /// UEFI variables, base64. DescribeImages does not show them.
    pub uefi_data: Option<String>,
    /// `Windows`, or nothing.
    pub platform: Option<String>,
}

/// A restored or registered image begins as pending; one that failed stays so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageState {
    /// A restore is under way.
    Pending,
    /// It can be launched.
    Available,
    /// Its owner disabled it.
    Disabled,
    /// Its restore failed.
    Failed {
        /// What DescribeImages shows as its state's reason.
        reason: String,
    },
}

impl ImageState {
    /// AWS's word for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Available => "available",
            Self::Disabled => "disabled",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Whose an image is, and why the endpoint's account sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Owner {
    /// The endpoint's account.
    #[default]
    Own,
    /// Another account, which shared it and its snapshots with this one.
    SharedBy(String),
    /// Another account, which made it public.
    Public(String),
}

/// One line of an image's block device mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Such as `/dev/xvda`.
    pub device_name: String,
    /// A volume that is made of a snapshot; without one it is an instance store's.
    pub volume: Option<Volume>,
}

/// A volume to be made of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Of this one.
    pub snapshot_id: String,
    /// How it is to be made.
    pub shape: VolumeShape,
}

/// How a volume is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeShape {
    /// Its size.
    pub gib: u64,
    /// `gp3` and the like.
    pub volume_type: String,
    /// Whether it goes with its instance.
    pub delete_on_termination: bool,
    /// For types that have a choice.
    pub iops: Option<u32>,
    /// For types that have a choice.
    pub throughput: Option<u32>,
}

/// An image.
#[derive(Debug, Clone)]
pub struct Image {
    /// `ami-…`
    pub id: String,
    /// Unique among an account's images of a Region.
    pub name: String,
    /// What it is like.
    pub traits: ImageTraits,
    /// Whose it is.
    pub owner: Owner,
    /// How it stands.
    pub state: ImageState,
    /// Its disks.
    pub devices: Vec<Device>,
    /// Cannot be deregistered.
    pub protected: bool,
    /// From when on it is deprecated.
    pub deprecated_at: Option<Timestamp>,
    pub(super) created: Timestamp,
    pub(super) tags: Tags,
    pub(super) visible_at: Instant,
}

impl Image {
    /// Its tags, those that nobody sees yet included.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.tags.all()
    }

    /// The snapshots that it stands on.
    pub fn snapshot_ids(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().filter_map(|device| Some(device.volume.as_ref()?.snapshot_id.as_str()))
    }

    /// The sum of its volumes' sizes.
    #[must_use]
    pub fn gib(&self) -> u64 {
        let volumes = self.devices.iter().filter_map(|device| device.volume.as_ref());
        volumes.map(|volume| volume.shape.gib).sum()
    }

    /// Whether its root device is an EBS volume.
    #[must_use]
    pub fn is_ebs_backed(&self) -> bool {
        let root = &self.traits.root_device_name;
        self.devices.iter().any(|device| device.device_name == *root && device.volume.is_some())
    }
}

/// How a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotState {
    /// It is being made.
    Pending,
    /// It is whole.
    Completed,
    /// It was not made.
    Failed,
}

/// A snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// `snap-…`
    pub id: String,
    /// The size of the volume it was made of.
    pub gib: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// How it stands.
    pub state: SnapshotState,
    /// Free text.
    pub description: String,
    pub(super) owner: Owner,
    pub(super) started: Timestamp,
    /// While it is pending: between these it is made.
    pub(super) span: (Instant, Instant),
    /// What stands for the volume's bytes.
    pub(super) payload: Content,
    pub(super) tags: Tags,
    pub(super) visible_at: Instant,
}

impl Snapshot {
    /// What stands for the volume's bytes.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.payload
    }

    /// Whether the account sees it by now; a public image's are its owner's alone.
    pub(super) fn is_visible(&self, now: Instant) -> bool {
        self.visible_at <= now && !matches!(self.owner, Owner::Public(_))
    }

    /// Its tags, those that nobody sees yet included.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.tags.all()
    }
}

/// An image to be put there: an x86-64 Linux of 8 GiB, if nothing else is said.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    /// Chosen when absent.
    pub id: Option<String>,
    /// Unique among an account's images of a Region.
    pub name: String,
    /// What it is like.
    pub traits: ImageTraits,
    /// Whose it is.
    pub owner: Owner,
    /// Its disks, the root device's first.
    pub devices: Vec<DeviceSpec>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Cannot be deregistered.
    pub protected: bool,
}

/// A disk of an image to be put there.
#[derive(Debug, Clone)]
pub struct DeviceSpec {
    /// Such as `/dev/xvda`.
    pub device_name: String,
    /// None for an instance store's.
    pub volume: Option<VolumeShape>,
    /// How many bytes stand for the volume's in a stored object: far fewer, so that tests are quick.
    pub content_bytes: u64,
    /// Whether its snapshot is encrypted.
    pub encrypted: bool,
    /// Its snapshot's tags.
    pub tags: BTreeMap<String, String>,
}

impl DeviceSpec {
    /// A gp3 volume of so many GiB, of which 1 MiB is stored.
    #[must_use]
    pub fn volume(device_name: impl Into<String>, gib: u64) -> Self {
        let shape = VolumeShape {
            gib,
            volume_type: "gp3".to_owned(),
            delete_on_termination: true,
            iops: Some(3_000),
            throughput: Some(125),
        };
        Self {
            device_name: device_name.into(),
            volume: Some(shape),
            content_bytes: 1 << 20,
            encrypted: false,
            tags: BTreeMap::new(),
        }
    }
}

impl ImageSpec {
    /// An image of the endpoint's account with one root device.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let traits = ImageTraits {
            description: String::new(),
            architecture: "x86_64".to_owned(),
            virtualization: "hvm".to_owned(),
            root_device_name: "/dev/xvda".to_owned(),
            ena_support: true,
            sriov_net_support: Some("simple".to_owned()),
            boot_mode: Some("uefi-preferred".to_owned()),
            tpm_support: None,
            imds_support: Some("v2.0".to_owned()),
            uefi_data: None,
            platform: None,
        };
        Self {
            id: None,
            name: name.into(),
            traits,
            owner: Owner::Own,
            devices: vec![DeviceSpec::volume("/dev/xvda", 8)],
            tags: BTreeMap::new(),
            protected: false,
        }
    }

    /// With a root volume of so many GiB.
    #[must_use]
    pub fn gib(mut self, gib: u64) -> Self {
        if let Some(volume) = self.devices.first_mut().and_then(|root| root.volume.as_mut()) {
            volume.gib = gib;
        }
        self
    }

    /// With a stored object of about so many bytes.
    #[must_use]
    pub fn content_bytes(mut self, bytes: u64) -> Self {
        if let Some(root) = self.devices.first_mut() {
            root.content_bytes = bytes;
        }
        self
    }

    /// With this tag.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}
