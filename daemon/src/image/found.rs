//! From EC2's words to an [`Image`].

use aws_sdk_ec2::types::{self, BlockDeviceMapping, EbsBlockDevice};

use super::tags;
use crate::model::{Device, Image, ImageState, Timestamp, Traits, Volume};

impl From<types::ImageState> for ImageState {
    fn from(state: types::ImageState) -> Self {
        match state {
            types::ImageState::Pending | types::ImageState::Transient => Self::Pending,
            types::ImageState::Available => Self::Available,
            types::ImageState::Disabled => Self::Disabled,
            types::ImageState::Deregistered => Self::Deregistered,
            types::ImageState::Failed | types::ImageState::Error | types::ImageState::Invalid => {
                Self::Failed
            }
            word => Self::Other(word.as_str().to_owned()),
        }
    }
}

/// `None` for what has no id, state or owner, or a device without a name: no image that could be compared.
pub(super) fn read(image: types::Image) -> Option<Image> {
    let devices = image.block_device_mappings.unwrap_or_default().into_iter();
    let reason = image.state_reason.map(|reason| {
        let parts = [reason.code, reason.message];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    });
    let codes = image.product_codes.unwrap_or_default().into_iter();
    Some(Image {
        id: image.image_id?.parse().ok()?,
        name: image.name.unwrap_or_default(),
        description: image.description.filter(|text| !text.is_empty()),
        state: image.state?.into(),
        state_reason: reason.filter(|text| !text.is_empty()),
        owner: image.owner_id?,
        is_public: image.public.unwrap_or_default(),
        created_at: image.creation_date.as_deref().and_then(moment),
        deprecated_at: image.deprecation_time.as_deref().and_then(moment),
        deregistration_protection: image.deregistration_protection,
        traits: Traits {
            architecture: image.architecture.map(|word| word.as_str().to_owned()),
            virtualization: image.virtualization_type.map(|word| word.as_str().to_owned()),
            root_device_name: image.root_device_name,
            ena_support: image.ena_support,
            sriov_net_support: image.sriov_net_support,
            boot_mode: image.boot_mode.map(|word| word.as_str().to_owned()),
            tpm_support: image.tpm_support.map(|word| word.as_str().to_owned()),
            imds_support: image.imds_support.map(|word| word.as_str().to_owned()),
        },
        kind: image.image_type.map(|word| word.as_str().to_owned()),
        root_device_type: image.root_device_type.map(|word| word.as_str().to_owned()),
        hypervisor: image.hypervisor.map(|word| word.as_str().to_owned()),
        platform: image.platform.map(|word| word.as_str().to_owned()),
        platform_details: image.platform_details,
        usage_operation: image.usage_operation,
        product_codes: codes.filter_map(|code| code.product_code_id).collect(),
        kernel: image.kernel_id,
        ramdisk: image.ramdisk_id,
        devices: devices.map(device).collect::<Option<_>>()?,
        tags: tags::read(image.tags),
        source_image: image.source_image_id,
        source_region: image.source_image_region,
    })
}

fn device(device: BlockDeviceMapping) -> Option<Device> {
    Some(Device {
        name: device.device_name?,
        volume: device.ebs.map(volume),
        virtual_name: device.virtual_name,
        is_suppressed: device.no_device.is_some(),
    })
}

fn volume(ebs: EbsBlockDevice) -> Volume {
    let count = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    Volume {
        snapshot: ebs.snapshot_id,
        gib: count(ebs.volume_size),
        kind: ebs.volume_type.map(|word| word.as_str().to_owned()),
        iops: count(ebs.iops),
        throughput: count(ebs.throughput),
        encrypted: ebs.encrypted,
        kms_key: ebs.kms_key_id,
        delete_on_termination: ebs.delete_on_termination,
    }
}

/// Such as `2026-11-21T16:46:33.000Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_ec2_writes_it() {
        assert_eq!(moment("2026-01-02T03:04:05.000Z"), Some(Timestamp(1_767_323_045_000)));
        assert_eq!(moment("1969-12-31T00:00:00.000Z"), None);
        assert_eq!(moment("soon"), None);
    }

    /// `failed` and `error` end a wait just as `available` does; a word of tomorrow must not.
    #[test]
    fn every_state_is_told_and_a_new_one_is_kept() {
        for (word, state) in [
            ("pending", ImageState::Pending),
            ("transient", ImageState::Pending),
            ("available", ImageState::Available),
            ("disabled", ImageState::Disabled),
            ("deregistered", ImageState::Deregistered),
            ("failed", ImageState::Failed),
            ("error", ImageState::Failed),
            ("invalid", ImageState::Failed),
            ("asleep", ImageState::Other("asleep".to_owned())),
        ] {
            assert_eq!(ImageState::from(types::ImageState::from(word)), state, "{word}");
        }
    }

    #[test]
    fn what_could_not_be_compared_is_no_image() {
        let whole = || {
            types::Image::builder()
                .image_id("ami-0123456789abcdef0")
                .owner_id("111122223333")
                .state(types::ImageState::Available)
        };
        assert!(read(whole().build()).is_some());
        assert!(read(whole().set_image_id(None).build()).is_none());
        assert!(read(whole().set_owner_id(None).build()).is_none());
        assert!(read(whole().set_state(None).build()).is_none());
        let nameless = BlockDeviceMapping::builder().build();
        assert!(read(whole().block_device_mappings(nameless).build()).is_none());
    }
}
