//! RegisterImage: an image from snapshots that are there. Its defaults are AWS's, and treacherous: i386 and
//! paravirtual.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html>

use super::Ec2;
use super::image::{
    Device, Image, ImageState, ImageTraits, Owner, SnapshotState, Volume, VolumeShape,
};
use super::state::State;
use super::tags::{Specified, Tags};
use crate::api::Refused;
use crate::lock::lock;
use crate::query::{Form, Written};

impl Ec2 {
    pub(super) fn register(&self, form: &Form) -> Result<Written, Refused> {
        let name = form.need("Name")?.to_owned();
        let tags = Specified::of(form)?;
        if !tags.snapshot.is_empty() {
            let message = "'snapshot' is not a valid taggable resource type for this operation.";
            return Err(Refused::new("InvalidParameterValue", message));
        }
        if form.get("ImageLocation").is_some() {
            let message = "Images backed by an instance store cannot be registered here.";
            return Err(Refused::new("UnsupportedOperation", message));
        }
        let traits = traits(form)?;
        let mut state = lock(&self.0.state);
        state.check_name(&name)?;
        let devices = form.members("BlockDeviceMapping");
        let devices = devices.iter().map(|form| device(&mut state, form));
        let devices = devices.collect::<Result<Vec<_>, _>>()?;
        let id = state.new_id("ami");
        let visible_at = state.visible_at();
        let image = Image {
            id: id.clone(),
            name,
            traits,
            owner: Owner::Own,
            state: ImageState::Available,
            devices,
            protected: false,
            deprecated_at: None,
            created: self.0.clock.now(),
            tags: Tags::new(tags.image, visible_at),
            visible_at,
        };
        if !image.is_ebs_backed() {
            let message = format!(
                "The root device {:?} is not in the block device mapping, or has no snapshot",
                image.traits.root_device_name
            );
            return Err(Refused::new("InvalidBlockDeviceMapping", message));
        }
        state.images.insert(id.clone(), image);
        Ok(Box::new(|xml| xml.leaf("imageId", id)))
    }
}

fn traits(form: &Form) -> Result<ImageTraits, Refused> {
    let text = |name: &str| form.get(name).map(str::to_owned);
    let or = |name: &str, default: &str| text(name).unwrap_or_else(|| default.to_owned());
    let one_of = |name: &str, allowed: &[&str]| match form.get(name) {
        Some(value) if !allowed.contains(&value) => {
            let message = format!("Value ({value}) for parameter {name} is invalid.");
            Err(Refused::new("InvalidParameterValue", message))
        }
        Some(_) | None => Ok(()),
    };
    one_of("Architecture", &["i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac"])?;
    one_of("VirtualizationType", &["hvm", "paravirtual"])?;
    one_of("BootMode", &["legacy-bios", "uefi", "uefi-preferred"])?;
    one_of("TpmSupport", &["v2.0"])?;
    one_of("ImdsSupport", &["v2.0"])?;
    let traits = ImageTraits {
        description: or("Description", ""),
        architecture: or("Architecture", "i386"),
        virtualization: or("VirtualizationType", "paravirtual"),
        root_device_name: or("RootDeviceName", ""),
        ena_support: form.flag("EnaSupport")?,
        sriov_net_support: text("SriovNetSupport"),
        boot_mode: text("BootMode"),
        tpm_support: text("TpmSupport"),
        imds_support: text("ImdsSupport"),
        uefi_data: text("UefiData"),
        platform: None,
    };
    let hvm_only = traits.boot_mode.is_some() || traits.ena_support;
    if hvm_only && traits.virtualization != "hvm" {
        let message = "A boot mode and ENA need the virtualization type hvm";
        return Err(Refused::new("InvalidParameterCombination", message));
    }
    // <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/enable-nitrotpm-prerequisites.html>
    if traits.tpm_support.is_some() && traits.boot_mode.as_deref() != Some("uefi") {
        let message = "NitroTPM needs the boot mode uefi";
        return Err(Refused::new("InvalidParameterCombination", message));
    }
    Ok(traits)
}

fn device(state: &mut State, form: &Form) -> Result<Device, Refused> {
    let device_name = form.need("DeviceName")?.to_owned();
    let ebs = form.below("Ebs");
    if ebs.is_empty() {
        form.need("VirtualName")?;
        return Ok(Device { device_name, volume: None });
    }
    let snapshot = state.own_snapshot(ebs.need("SnapshotId")?)?;
    if snapshot.state != SnapshotState::Completed {
        let message = format!("Snapshot {} is not completed", snapshot.id);
        return Err(Refused::new("IncorrectState", message));
    }
    let gib = ebs.parsed("VolumeSize")?.unwrap_or(snapshot.gib);
    if gib < snapshot.gib {
        let message = format!(
            "Volume of size {gib}GB is smaller than snapshot '{}', expect size >= {}GB",
            snapshot.id, snapshot.gib
        );
        return Err(Refused::new("InvalidBlockDeviceMapping", message));
    }
    let shape = VolumeShape {
        gib,
        volume_type: ebs.get("VolumeType").unwrap_or("gp2").to_owned(),
        delete_on_termination: ebs.parsed("DeleteOnTermination")?.unwrap_or(true),
        iops: ebs.parsed("Iops")?,
        throughput: ebs.parsed("Throughput")?,
    };
    Ok(Device { device_name, volume: Some(Volume { snapshot_id: snapshot.id.clone(), shape }) })
}
