//! The restored image beside the one that was stored, field by field.

use serde::{Deserialize, Serialize};

use crate::model::image::{Device, Image};

/// What no store and restore carries, whatever the images.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-store-restore.html>
const LOST_BY_DESIGN: [&str; 2] = [
    "whom the image is shared with: share it anew",
    "deprecation and deregistration protection: set them anew",
];

/// How a restored image came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fidelity {
    pub differences: Vec<Difference>,
    /// A line each.
    pub lost_by_design: Vec<String>,
    /// It was registered anew because of what was lost.
    #[serde(default)]
    pub repaired: bool,
    /// All its snapshots are.
    #[serde(default)]
    pub encrypted: bool,
}

/// A field that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// DescribeImages' word for it.
    pub field: String,
    /// Empty where it had none.
    pub source: String,
    /// Empty where it has none.
    pub restored: String,
}

impl Fidelity {
    /// Compares them; `tags` are what the new image was given beside the source's own, and `copies_tags` says
    /// that those are expected too.
    pub fn of(source: &Image, restored: &Image) -> Self {
        let mut fidelity =
            Self { lost_by_design: LOST_BY_DESIGN.map(str::to_owned).to_vec(), ..Self::default() };
        fidelity.traits(source, restored);
        fidelity.devices(source, restored);
        fidelity.tags(source, restored);
        fidelity
    }

    /// Whether what the image boots by was lost, which registering it anew brings back.
    pub fn needs_repair(&self) -> bool {
        const REPAIRED: [&str; 4] = ["BootMode", "TpmSupport", "ImdsSupport", "UefiData"];
        self.differences.iter().any(|one| REPAIRED.contains(&one.field.as_str()))
    }

    /// Notes a field where it differs.
    pub fn compare(&mut self, field: &str, source: Option<&str>, restored: Option<&str>) {
        let (source, restored) = (source.unwrap_or_default(), restored.unwrap_or_default());
        if source != restored {
            let (source, restored) = (source.to_owned(), restored.to_owned());
            self.differences.push(Difference { field: field.to_owned(), source, restored });
        }
    }

    fn traits(&mut self, source: &Image, restored: &Image) {
        let word = |flag: Option<bool>| flag.map(|flag| flag.to_string());
        let (was, is) = (&source.traits, &restored.traits);
        let ena = (word(was.ena_support), word(is.ena_support));
        for (field, was, is) in [
            ("Architecture", &was.architecture, &is.architecture),
            ("VirtualizationType", &was.virtualization, &is.virtualization),
            ("RootDeviceName", &was.root_device_name, &is.root_device_name),
            ("EnaSupport", &ena.0, &ena.1),
            ("SriovNetSupport", &was.sriov_net_support, &is.sriov_net_support),
            ("BootMode", &was.boot_mode, &is.boot_mode),
            ("TpmSupport", &was.tpm_support, &is.tpm_support),
            ("ImdsSupport", &was.imds_support, &is.imds_support),
            ("Platform", &source.platform, &restored.platform),
            ("PlatformDetails", &source.platform_details, &restored.platform_details),
            ("UsageOperation", &source.usage_operation, &restored.usage_operation),
            ("Description", &source.description, &restored.description),
        ] {
            self.compare(field, was.as_deref(), is.as_deref());
        }
    }

    fn devices(&mut self, source: &Image, restored: &Image) {
        let named = |image: &Image, name: &str| {
            image.devices.iter().find(|device| device.name == name).map(shape)
        };
        for device in &source.devices {
            let field = format!("BlockDeviceMapping {}", device.name);
            let is = named(restored, &device.name);
            self.compare(&field, Some(&shape(device)), is.as_deref());
        }
        let is_new = |device: &&Device| named(source, &device.name).is_none();
        for device in restored.devices.iter().filter(is_new) {
            let field = format!("BlockDeviceMapping {}", device.name);
            self.compare(&field, None, Some(&shape(device)));
        }
    }

    /// A tag that the source has and the new image has not, or has otherwise. What it has beside is its own.
    fn tags(&mut self, source: &Image, restored: &Image) {
        for (key, was) in source.tags.iter().filter(|(key, _)| !key.starts_with("aws:")) {
            let is = restored.tags.get(key).map(String::as_str);
            self.compare(&format!("Tag {key}"), Some(was), is);
        }
    }
}

/// A device, but for its snapshot, which is another, and whether that is encrypted, which the account decides.
fn shape(device: &Device) -> String {
    let Some(volume) = &device.volume else {
        return device.virtual_name.clone().unwrap_or_else(|| "no device".to_owned());
    };
    let mut words = Vec::new();
    words.extend(volume.gib.map(|gib| format!("{gib} GiB")));
    words.extend(volume.kind.clone());
    words.extend(volume.iops.map(|iops| format!("{iops} IOPS")));
    words.extend(volume.throughput.map(|mib| format!("{mib} MiB/s")));
    if volume.delete_on_termination == Some(false) {
        words.push("kept on termination".to_owned());
    }
    words.join(", ")
}
