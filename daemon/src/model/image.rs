//! An image as DescribeImages shows it: everything by which two can be compared.
//!
//! Words of EC2 that are only compared and passed on stay as they are: one that is new tomorrow is no error.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::{NotAnAddress, RemoteName, shown};
use super::{ObjectAddress, Timestamp};

/// Tags of images and snapshots, by name.
pub type Tags = BTreeMap<String, String>;

/// The id of an image: `ami-` and 8 or 17 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageId(String);

impl ImageId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that EC2 stores the image under, in whichever bucket.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateStoreImageTask.html>
    pub fn stored_key(&self) -> String {
        format!("{}.bin", self.0)
    }
}

impl FromStr for ImageId {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("ami-").unwrap_or_default();
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if matches!(digits.len(), 8 | 17) && digits.bytes().all(hex) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAnAddress::NotAnImage(shown(text)))
    }
}

impl TryFrom<String> for ImageId {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageId> for String {
    fn from(id: ImageId) -> Self {
        id.0
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `REMOTE:ami-…`
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageAddress {
    pub remote: RemoteName,
    pub image: ImageId,
}

impl ImageAddress {
    /// The object that EC2 makes of it in `bucket`.
    pub fn stored_in(&self, bucket: &str) -> ObjectAddress {
        let (remote, bucket) = (self.remote.clone(), bucket.to_owned());
        ObjectAddress { remote, bucket, key: self.image.stored_key() }
    }
}

impl FromStr for ImageAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_one = || NotAnAddress::NotAnImage(shown(text));
        let (remote, image) = text.split_once(':').ok_or_else(not_one)?;
        Ok(Self { remote: remote.parse()?, image: image.parse().map_err(|_| not_one())? })
    }
}

impl fmt::Display for ImageAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.remote, self.image)
    }
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    pub id: ImageId,
    /// Empty where it has none.
    pub name: String,
    pub description: Option<String>,
    pub state: ImageState,
    /// `CODE: message`, where EC2 says.
    pub state_reason: Option<String>,
    /// The account.
    pub owner: String,
    /// Everybody may launch it. Whom else it is shared with, DescribeImages does not say.
    pub is_public: bool,
    pub created_at: Option<Timestamp>,
    /// From then on it is deprecated.
    pub deprecated_at: Option<Timestamp>,
    /// `disabled`, or how it is protected from being deregistered.
    pub deregistration_protection: Option<String>,
    pub traits: Traits,
    /// `machine`, `kernel` or `ramdisk`.
    pub kind: Option<String>,
    /// `ebs` or `instance-store`.
    pub root_device_type: Option<String>,
    pub hypervisor: Option<String>,
    /// `windows`, or nothing.
    pub platform: Option<String>,
    /// What is billed, e.g. `Linux/UNIX`.
    pub platform_details: Option<String>,
    /// What is billed, e.g. `RunInstances:0002`.
    pub usage_operation: Option<String>,
    pub product_codes: Vec<String>,
    pub kernel: Option<String>,
    pub ramdisk: Option<String>,
    /// In EC2's order.
    pub devices: Vec<Device>,
    pub tags: Tags,
    /// What it was copied from, and where that is.
    pub source_image: Option<String>,
    pub source_region: Option<String>,
}

/// What is true of an image wherever it is registered, and can be said when it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// `x86_64`, `arm64`, …
    pub architecture: Option<String>,
    /// `hvm` or `paravirtual`.
    pub virtualization: Option<String>,
    /// Such as `/dev/xvda`.
    pub root_device_name: Option<String>,
    pub ena_support: Option<bool>,
    /// `simple`, where it has enhanced networking by SR-IOV.
    pub sriov_net_support: Option<String>,
    /// `legacy-bios`, `uefi`, `uefi-preferred`.
    pub boot_mode: Option<String>,
    /// `v2.0`.
    pub tpm_support: Option<String>,
    /// `v2.0`: instances have to use IMDSv2.
    pub imds_support: Option<String>,
}

/// How an image stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageState {
    /// It is being made.
    Pending,
    Available,
    /// Its owner disabled it: it cannot be launched, stored or shared.
    Disabled,
    Deregistered,
    /// It was not made.
    Failed,
    /// A word that is not known here.
    Other(String),
}

/// A line of an image's block device mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// Such as `/dev/xvda`.
    pub name: String,
    pub volume: Option<Volume>,
    /// Such as `ephemeral0`, for an instance store's.
    pub virtual_name: Option<String>,
    /// The device is not mapped.
    pub is_suppressed: bool,
}

/// How the volume of a device is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// What it is made of; an empty volume where absent.
    pub snapshot: Option<String>,
    /// In GiB.
    pub gib: Option<u32>,
    /// `gp3` and the like.
    pub kind: Option<String>,
    pub iops: Option<u32>,
    /// In MiB a second.
    pub throughput: Option<u32>,
    pub encrypted: Option<bool>,
    pub kms_key: Option<String>,
    pub delete_on_termination: Option<bool>,
}

impl Image {
    /// The snapshots that it stands on, in the order of its devices.
    pub fn snapshots(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().filter_map(|device| device.volume.as_ref()?.snapshot.as_deref())
    }

    /// The sum of its volumes' sizes in GiB, which EC2's quotas count as GB.
    pub fn gib(&self) -> u64 {
        let volumes = self.devices.iter().filter_map(|device| device.volume.as_ref());
        volumes.filter_map(|volume| volume.gib).map(u64::from).sum()
    }

    /// Whether more is billed of it than plain Linux: Windows, RHEL, SUSE, SQL Server, or what is sold with it.
    /// RegisterImage cannot be told of it.
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/billing-info-fields.html>
    pub fn is_billed(&self) -> bool {
        const PLAIN: [&str; 2] = ["", "RunInstances"];
        let operation = self.usage_operation.as_deref().unwrap_or_default();
        self.platform.is_some() || !self.product_codes.is_empty() || !PLAIN.contains(&operation)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An image that is available, of one volume of 8 GiB.
    pub(crate) fn image(id: &str) -> Image {
        let volume = Volume { gib: Some(8), kind: Some("gp3".to_owned()), ..Volume::default() };
        let name = "/dev/xvda".to_owned();
        Image {
            id: id.parse().expect("legal"),
            name: "golden".to_owned(),
            description: Some("a disk".to_owned()),
            state: ImageState::Available,
            state_reason: None,
            owner: "111122223333".to_owned(),
            is_public: false,
            created_at: None,
            deprecated_at: None,
            deregistration_protection: None,
            traits: Traits {
                virtualization: Some("hvm".to_owned()),
                boot_mode: Some("uefi".to_owned()),
                ..Traits::default()
            },
            kind: None,
            root_device_type: Some("ebs".to_owned()),
            hypervisor: None,
            platform: None,
            platform_details: None,
            usage_operation: None,
            product_codes: Vec::new(),
            kernel: None,
            ramdisk: None,
            devices: vec![Device { name, volume: Some(volume), ..Device::default() }],
            tags: Tags::from([("team".to_owned(), "images".to_owned())]),
            source_image: None,
            source_region: None,
        }
    }

    #[test]
    fn an_image_is_billed_by_any_of_the_fields_that_say_so() {
        let mut plain = image("ami-01234567");
        assert!(!plain.is_billed(), "nothing is said");
        plain.usage_operation = Some("RunInstances".to_owned());
        assert!(!plain.is_billed(), "plain Linux");
        let rhel = Image { usage_operation: Some("RunInstances:0010".to_owned()), ..plain.clone() };
        let windows = Image { platform: Some("windows".to_owned()), ..plain.clone() };
        let sold = Image { product_codes: vec!["abc".to_owned()], ..plain };
        assert!(rhel.is_billed() && windows.is_billed() && sold.is_billed());
    }

    #[test]
    fn an_image_is_named_by_its_remote_and_id_alone() {
        let text = "com:ami-0123456789abcdef0";
        let address: ImageAddress = text.parse().expect("legal");
        assert_eq!(address.to_string(), text);
        assert_eq!(address.stored_in("via").to_string(), "com:via/ami-0123456789abcdef0.bin");
        for wrong in ["ami-01234567", "com:ami-0123", "com:ami-0123456789ABCDEF0", "com:i-01234567"]
        {
            assert!(wrong.parse::<ImageAddress>().is_err(), "{wrong}");
        }
        assert!("Com:ami-01234567".parse::<ImageAddress>().is_err(), "not a remote's name");
    }
}
