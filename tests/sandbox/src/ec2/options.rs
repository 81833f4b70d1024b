//! How an endpoint's EC2 is to be, and its images that are there from the start.

use serde::{Deserialize, Serialize};

use super::image::ImageTraits;

/// How EC2 behaves. All of it can be changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ec2Options {
    /// How long a store takes for each GiB of volume, in milliseconds.
    pub store_ms_per_gib: u64,
    /// How long a restore takes for each GiB of volume, in milliseconds.
    pub restore_ms_per_gib: u64,
    /// Stores are accepted while less than this is in progress.
    pub store_in_progress_gb: u64,
    /// Restores are accepted while less than this is in progress.
    pub restore_in_progress_gb: u64,
    /// The largest image that can be stored.
    pub image_size_gb: u64,
    /// What a request beyond a quota is refused with. AWS documents that it is rejected, not by which
    /// code; this one is EC2's for 'an Amazon EC2 resource limit', with too many snapshot copies in
    /// progress as its example.
    pub quota_code: String,
    /// A new image, snapshot or tag is not seen before so many milliseconds have passed.
    pub visible_after_ms: u64,
    /// New snapshots are encrypted.
    pub encryption_by_default: bool,
    /// By this key, as GetEbsDefaultKmsKeyId names it. No right to it is asked for.
    pub default_key: String,
    /// What a restored image has lost.
    pub lost_on_restore: Lost,
    /// Stores that end while this is set fail for this reason.
    pub store_failure: Option<String>,
    /// Restores that end while this is set fail for this reason.
    pub restore_failure: Option<String>,
}

impl Default for Ec2Options {
    fn default() -> Self {
        Self {
            store_ms_per_gib: 2,
            restore_ms_per_gib: 2,
            store_in_progress_gb: 1_200,
            restore_in_progress_gb: 600,
            image_size_gb: 5_000,
            quota_code: "ResourceLimitExceeded".to_owned(),
            visible_after_ms: 0,
            encryption_by_default: false,
            default_key: "alias/aws/ebs".to_owned(),
            lost_on_restore: Lost::default(),
            store_failure: None,
            restore_failure: None,
        }
    }
}

impl Ec2Options {
    /// One in which stores, and restores, take so long for a GiB.
    #[must_use]
    pub fn taking(ms_per_gib: u64) -> Self {
        Self { store_ms_per_gib: ms_per_gib, restore_ms_per_gib: ms_per_gib, ..Self::default() }
    }
}

/// Attributes that a restore does not bring back. AWS keeps most of what is not particular to a Region;
/// which is lost was different over time, so that none is by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lost {
    /// `BootMode`.
    pub boot_mode: bool,
    /// `TpmSupport`.
    pub tpm_support: bool,
    /// `ImdsSupport`.
    pub imds_support: bool,
    /// UEFI variables.
    pub uefi_data: bool,
}

impl Lost {
    pub(super) fn take_from(self, mut traits: ImageTraits) -> ImageTraits {
        let losses = [
            (self.boot_mode, &mut traits.boot_mode),
            (self.tpm_support, &mut traits.tpm_support),
            (self.imds_support, &mut traits.imds_support),
            (self.uefi_data, &mut traits.uefi_data),
        ];
        for (lost, value) in losses {
            if lost {
                *value = None;
            }
        }
        traits
    }
}
