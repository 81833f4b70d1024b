//! RegisterImage: an image of snapshots that are there.
//!
//! Everything is said: what is left out becomes i386, paravirtual, gp2 and deleted on termination.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>

use aws_sdk_ec2::operation::register_image::builders::RegisterImageFluentBuilder;
use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice, ResourceType};

use super::{Device, Error, Images, Tags, Traits, Volume, tags};
use crate::remote::Operation;

const REGISTER: Operation = Operation::new("RegisterImage", "ec2:RegisterImage");
/// Volume types whose IOPS can be chosen: others are refused with any number, their own among them.
const IOPS_CHOSEN: [&str; 3] = ["gp3", "io1", "io2"];
const THROUGHPUT_CHOSEN: [&str; 1] = ["gp3"];

/// An image to be registered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    pub name: String,
    pub description: Option<String>,
    /// What they leave out, EC2 chooses.
    pub traits: Traits,
    /// UEFI variables, base64.
    pub uefi_data: Option<String>,
    pub devices: Vec<Device>,
    pub tags: Tags,
}

impl Images {
    /// Registers an image; gives its id, which may not be found for a moment.
    ///
    /// # Errors
    /// `NameTaken`: it may be that of a registration whose answer was lost. `Refused` where its architecture,
    /// virtualization or root device is not said. After an error whose [`Error::answer_lost`] holds, the image
    /// may be there.
    pub async fn register(&self, image: &Registration) -> Result<String, Error> {
        self.check(image)?;
        let request = self.register_request(image).send();
        let answer = self.call(REGISTER, &image.name, request).await?;
        self.created(REGISTER, &image.name, answer.image_id)
    }

    /// Whether [`Images::register`] would be permitted.
    ///
    /// # Errors
    /// As that.
    pub async fn may_register(&self, image: &Registration) -> Result<(), Error> {
        self.check(image)?;
        let request = self.register_request(image).dry_run(true).send();
        self.rehearse(REGISTER, &image.name, request).await
    }

    /// EC2 would choose for these, and choose what nobody wants.
    fn check(&self, image: &Registration) -> Result<(), Error> {
        let traits = &image.traits;
        for (said, missing) in [
            (&traits.architecture, "its architecture is not said"),
            (&traits.virtualization, "its virtualization type is not said"),
            (&traits.root_device_name, "its root device is not said"),
        ] {
            if said.is_none() {
                return Err(Error::Refused(self.told(REGISTER, &image.name, missing)));
            }
        }
        Ok(())
    }

    fn register_request(&self, image: &Registration) -> RegisterImageFluentBuilder {
        let traits = &image.traits;
        let devices = image.devices.iter().map(written).collect();
        self.ec2
            .register_image()
            .name(&image.name)
            .set_description(image.description.clone())
            .set_architecture(traits.architecture.as_deref().map(Into::into))
            .set_virtualization_type(traits.virtualization.clone())
            .set_root_device_name(traits.root_device_name.clone())
            .set_ena_support(traits.ena_support)
            .set_sriov_net_support(traits.sriov_net_support.clone())
            .set_boot_mode(traits.boot_mode.as_deref().map(Into::into))
            .set_tpm_support(traits.tpm_support.as_deref().map(Into::into))
            .set_imds_support(traits.imds_support.as_deref().map(Into::into))
            .set_uefi_data(image.uefi_data.clone())
            .set_block_device_mappings(Some(devices))
            .set_tag_specifications(tags::specified(&image.tags, &[ResourceType::Image]))
    }
}

fn written(device: &Device) -> BlockDeviceMapping {
    BlockDeviceMapping::builder()
        .device_name(&device.name)
        .set_ebs(device.volume.as_ref().map(ebs))
        .set_virtual_name(device.virtual_name.clone())
        .set_no_device(device.is_suppressed.then(String::new))
        .build()
}

fn ebs(volume: &Volume) -> EbsBlockDevice {
    let kind = volume.kind.as_deref();
    let chosen = |kinds: &[&str]| kind.is_some_and(|kind| kinds.contains(&kind));
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    // A volume of a snapshot is encrypted as that is, and a request that says so is refused.
    let is_empty = volume.snapshot.is_none();
    EbsBlockDevice::builder()
        .set_snapshot_id(volume.snapshot.clone())
        .set_volume_size(volume.gib.map(number))
        .set_volume_type(kind.map(Into::into))
        .set_iops(volume.iops.filter(|_| chosen(&IOPS_CHOSEN)).map(number))
        .set_throughput(volume.throughput.filter(|_| chosen(&THROUGHPUT_CHOSEN)).map(number))
        .set_delete_on_termination(volume.delete_on_termination)
        .set_encrypted(volume.encrypted.filter(|_| is_empty))
        .set_kms_key_id(volume.kms_key.clone().filter(|_| is_empty))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_says_only_what_its_kind_can_be_told() {
        let volume = |kind: &str| Volume {
            snapshot: Some("snap-1".to_owned()),
            gib: Some(8),
            kind: Some(kind.to_owned()),
            iops: Some(3_000),
            throughput: Some(125),
            encrypted: Some(true),
            kms_key: Some("arn:aws:kms:us-east-2:111122223333:key/1".to_owned()),
            delete_on_termination: Some(false),
        };
        for (kind, iops, throughput) in
            [("gp3", Some(3_000), Some(125)), ("io2", Some(3_000), None), ("gp2", None, None)]
        {
            let ebs = ebs(&volume(kind));
            assert_eq!((ebs.iops, ebs.throughput), (iops, throughput), "{kind}");
            assert_eq!((ebs.encrypted, ebs.kms_key_id), (None, None), "{kind}");
            assert_eq!(
                (ebs.volume_size, ebs.delete_on_termination),
                (Some(8), Some(false)),
                "{kind}"
            );
        }
        let empty = ebs(&Volume { snapshot: None, ..volume("gp3") });
        assert_eq!(empty.encrypted, Some(true));
        assert!(empty.kms_key_id.is_some());
    }
}
