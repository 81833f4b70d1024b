//! DescribeImages and DescribeSnapshots: which are shown, and how they are written.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html>

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Ec2;
use super::describe::{Filters, page};
use super::image::{Image, ImageState, Owner, Snapshot, SnapshotState};
use super::state::State;
use super::store::progress;
use crate::api::Refused;
use crate::clock::stamp;
use crate::lock::lock;
use crate::query::{Form, Written, Xml};

/// An image, with what of it depends on the moment.
struct Shown {
    image: Image,
    owner_id: String,
    tags: BTreeMap<String, String>,
    /// By its id: whether each snapshot is encrypted.
    encrypted: BTreeMap<String, bool>,
}

/// A snapshot, with what of it depends on the moment.
struct ShownSnapshot {
    snapshot: Snapshot,
    owner_id: String,
    tags: BTreeMap<String, String>,
    progress: u128,
}

/// What `tag:KEY` and `tag-key` compare with.
fn tag_values(tags: &BTreeMap<String, String>, name: &str) -> Option<Vec<String>> {
    match name.strip_prefix("tag:") {
        Some(key) => Some(tags.get(key).cloned().into_iter().collect()),
        None if name == "tag-key" => Some(tags.keys().cloned().collect()),
        None => None,
    }
}

impl Ec2 {
    fn owner_id(&self, owner: &Owner) -> String {
        match owner {
            Owner::Own => self.0.partition.account.clone(),
            Owner::SharedBy(account) | Owner::Public(account) => account.clone(),
        }
    }

    /// Whether `Owner.N` or `RestorableBy.N` names the owner.
    fn is_named(&self, named: &[&str], owner: &Owner) -> bool {
        let id = self.owner_id(owner);
        named.is_empty()
            || named.iter().any(|name| *name == id || (*name == "self" && *owner == Owner::Own))
    }

    pub(super) fn describe_images(&self, form: &Form) -> Result<Written, Refused> {
        let (ids, owners) = (form.list("ImageId"), form.list("Owner"));
        let (executable_by, filters) = (form.list("ExecutableBy"), Filters::of(form));
        let deprecated = form.flag("IncludeDeprecated")?;
        let disabled = form.flag("IncludeDisabled")?;
        let state = lock(&self.0.state);
        for id in &ids {
            state.image(id)?;
        }
        let now = self.0.clock.now();
        let executable = |image: &Image| match image.owner {
            Owner::Own => executable_by.is_empty(),
            Owner::SharedBy(_) => executable_by.is_empty() || executable_by.contains(&"self"),
            Owner::Public(_) => executable_by.is_empty() || executable_by.contains(&"all"),
        };
        let mut shown = Vec::new();
        for image in state.images.values() {
            let is_deprecated = image.deprecated_at.is_some_and(|at| at <= now);
            // An owner's own are always shown.
            let hidden = is_deprecated && !deprecated && image.owner != Owner::Own
                || image.state == ImageState::Disabled && !disabled
                || image.visible_at > Instant::now();
            let wanted = (ids.is_empty() || ids.contains(&image.id.as_str()))
                && self.is_named(&owners, &image.owner)
                && executable(image);
            if hidden || !wanted {
                continue;
            }
            let image = self.shown(&state, image);
            if filters.pass(|name| image.values(name))? {
                shown.push(image);
            }
        }
        let (shown, next) = page(form, shown, |shown| shown.image.id.clone(), 1..=1000)?;
        Ok(Box::new(move |xml| {
            xml.list("imagesSet", shown, |xml, shown| shown.write(xml));
            xml.leaf_if("nextToken", next);
        }))
    }

    fn shown(&self, state: &State, image: &Image) -> Shown {
        let encrypted = |id: &str| {
            let snapshot = state.snapshots.get(id);
            (id.to_owned(), snapshot.is_some_and(|snapshot| snapshot.encrypted))
        };
        Shown {
            owner_id: self.owner_id(&image.owner),
            tags: image.tags.visible(Instant::now()),
            encrypted: image.snapshot_ids().map(encrypted).collect(),
            image: image.clone(),
        }
    }

    pub(super) fn describe_snapshots(&self, form: &Form) -> Result<Written, Refused> {
        let (ids, owners) = (form.list("SnapshotId"), form.list("Owner"));
        let (restorable_by, filters) = (form.list("RestorableBy"), Filters::of(form));
        if !ids.is_empty() && form.get("MaxResults").is_some() {
            let message = "MaxResults and SnapshotId cannot be given together";
            return Err(Refused::new("InvalidParameterCombination", message));
        }
        let state = lock(&self.0.state);
        for id in &ids {
            state.snapshot(id)?;
        }
        let now = Instant::now();
        let mut shown = Vec::new();
        for snapshot in state.snapshots.values().filter(|snapshot| snapshot.is_visible(now)) {
            let wanted = (ids.is_empty() || ids.contains(&snapshot.id.as_str()))
                && self.is_named(&owners, &snapshot.owner)
                && (restorable_by.is_empty() || restorable_by.contains(&"self"));
            let snapshot = ShownSnapshot {
                owner_id: self.owner_id(&snapshot.owner),
                tags: snapshot.tags.visible(now),
                progress: match snapshot.state {
                    SnapshotState::Pending => progress(snapshot.span.0, snapshot.span.1, now),
                    SnapshotState::Completed => 100,
                    SnapshotState::Failed => 0,
                },
                snapshot: snapshot.clone(),
            };
            if wanted && filters.pass(|name| snapshot.values(name))? {
                shown.push(snapshot);
            }
        }
        let (shown, next) = page(form, shown, |shown| shown.snapshot.id.clone(), 5..=1000)?;
        Ok(Box::new(move |xml| {
            xml.list("snapshotSet", shown, |xml, shown| shown.write(xml));
            xml.leaf_if("nextToken", next);
        }))
    }
}

fn write_tags(xml: &mut Xml, tags: BTreeMap<String, String>) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.leaf("key", key);
        xml.leaf("value", value);
    });
}

impl Shown {
    fn root_device_type(&self) -> &'static str {
        if self.image.is_ebs_backed() { "ebs" } else { "instance-store" }
    }

    fn is_public(&self) -> bool {
        matches!(self.image.owner, Owner::Public(_))
    }

    /// What a filter of this name compares with.
    fn values(&self, name: &str) -> Option<Vec<String>> {
        let (image, traits) = (&self.image, &self.image.traits);
        let optional = |value: &Option<String>| value.iter().cloned().collect();
        Some(match name {
            "architecture" => vec![traits.architecture.clone()],
            "block-device-mapping.device-name" => {
                image.devices.iter().map(|device| device.device_name.clone()).collect()
            }
            "block-device-mapping.snapshot-id" => image.snapshot_ids().map(str::to_owned).collect(),
            "boot-mode" => optional(&traits.boot_mode),
            "creation-date" => vec![stamp(image.created)],
            "description" => vec![traits.description.clone()],
            "ena-support" => vec![traits.ena_support.to_string()],
            "hypervisor" => vec!["xen".to_owned()],
            "image-id" => vec![image.id.clone()],
            "image-type" => vec!["machine".to_owned()],
            "imds-support" => optional(&traits.imds_support),
            "is-public" => vec![self.is_public().to_string()],
            "name" => vec![image.name.clone()],
            "owner-id" => vec![self.owner_id.clone()],
            "platform" => optional(&traits.platform),
            "root-device-name" => vec![traits.root_device_name.clone()],
            "root-device-type" => vec![self.root_device_type().to_owned()],
            "sriov-net-support" => optional(&traits.sriov_net_support),
            "state" => vec![image.state.name().to_owned()],
            "tpm-support" => optional(&traits.tpm_support),
            "virtualization-type" => vec![traits.virtualization.clone()],
            _ => return tag_values(&self.tags, name),
        })
    }

    fn write(self, xml: &mut Xml) {
        let (root_device_type, is_public) = (self.root_device_type(), self.is_public());
        let (traits, image) = (self.image.traits.clone(), self.image);
        let windows = traits.platform.is_some();
        xml.leaf("imageId", &image.id);
        xml.leaf("imageLocation", format!("{}/{}", self.owner_id, image.name));
        xml.leaf("imageState", image.state.name());
        xml.leaf("imageOwnerId", &self.owner_id);
        xml.leaf("isPublic", is_public);
        xml.leaf("architecture", traits.architecture);
        xml.leaf("imageType", "machine");
        xml.leaf_if("platform", traits.platform);
        xml.leaf("platformDetails", if windows { "Windows" } else { "Linux/UNIX" });
        xml.leaf("usageOperation", if windows { "RunInstances:0002" } else { "RunInstances" });
        xml.leaf("name", &image.name);
        if !traits.description.is_empty() {
            xml.leaf("description", traits.description);
        }
        xml.leaf("rootDeviceType", root_device_type);
        xml.leaf("rootDeviceName", traits.root_device_name);
        write_devices(xml, &image, &self.encrypted);
        xml.leaf("virtualizationType", traits.virtualization);
        write_tags(xml, self.tags);
        xml.leaf("hypervisor", "xen");
        xml.leaf("enaSupport", traits.ena_support);
        xml.leaf_if("sriovNetSupport", traits.sriov_net_support);
        xml.leaf_if("bootMode", traits.boot_mode);
        xml.leaf_if("tpmSupport", traits.tpm_support);
        xml.leaf_if("imdsSupport", traits.imds_support);
        xml.leaf("creationDate", stamp(image.created));
        xml.leaf_if("deprecationTime", image.deprecated_at.map(stamp));
        let protection = if image.protected { "enabled-without-cooldown" } else { "disabled" };
        xml.leaf("deregistrationProtection", protection);
        if let ImageState::Failed { reason } = &image.state {
            xml.node("stateReason", |xml| {
                xml.leaf("code", "Client.ImportFailed");
                xml.leaf("message", reason);
            });
        }
    }
}

fn write_devices(xml: &mut Xml, image: &Image, encrypted: &BTreeMap<String, bool>) {
    let mut ephemeral = 0;
    xml.list("blockDeviceMapping", &image.devices, |xml, device| {
        xml.leaf("deviceName", &device.device_name);
        let Some(volume) = &device.volume else {
            xml.leaf("virtualName", format!("ephemeral{ephemeral}"));
            ephemeral += 1;
            return;
        };
        let shape = &volume.shape;
        xml.node("ebs", |xml| {
            xml.leaf("snapshotId", &volume.snapshot_id);
            xml.leaf("volumeSize", shape.gib);
            xml.leaf("deleteOnTermination", shape.delete_on_termination);
            xml.leaf("volumeType", &shape.volume_type);
            xml.leaf_if("iops", shape.iops);
            xml.leaf_if("throughput", shape.throughput);
            let encrypted = encrypted.get(&volume.snapshot_id).copied().unwrap_or(false);
            xml.leaf("encrypted", encrypted);
        });
    });
}

impl ShownSnapshot {
    fn status(&self) -> &'static str {
        match self.snapshot.state {
            SnapshotState::Pending => "pending",
            SnapshotState::Completed => "completed",
            SnapshotState::Failed => "error",
        }
    }

    /// What a filter of this name compares with.
    fn values(&self, name: &str) -> Option<Vec<String>> {
        let snapshot = &self.snapshot;
        Some(match name {
            "description" => vec![snapshot.description.clone()],
            "encrypted" => vec![snapshot.encrypted.to_string()],
            "owner-id" => vec![self.owner_id.clone()],
            "progress" => vec![format!("{}%", self.progress)],
            "snapshot-id" => vec![snapshot.id.clone()],
            "start-time" => vec![stamp(snapshot.started)],
            "status" => vec![self.status().to_owned()],
            "storage-tier" => vec!["standard".to_owned()],
            "volume-size" => vec![snapshot.gib.to_string()],
            _ => return tag_values(&self.tags, name),
        })
    }

    fn write(self, xml: &mut Xml) {
        let status = self.status();
        let snapshot = self.snapshot;
        xml.leaf("snapshotId", snapshot.id);
        // What AWS names for snapshots that no volume of the account was copied for.
        xml.leaf("volumeId", "vol-ffffffff");
        xml.leaf("status", status);
        if snapshot.state == SnapshotState::Failed {
            xml.leaf("statusMessage", "the restore failed");
        }
        xml.leaf("startTime", stamp(snapshot.started));
        xml.leaf("progress", format!("{}%", self.progress));
        xml.leaf("ownerId", self.owner_id);
        xml.leaf("volumeSize", snapshot.gib);
        xml.leaf("description", snapshot.description);
        xml.leaf("encrypted", snapshot.encrypted);
        write_tags(xml, self.tags);
        xml.leaf("storageTier", "standard");
    }
}
