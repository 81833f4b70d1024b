//! What was asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Address, Encryption, ImageSpec, JobKind, ObjectAddress};

/// S3's limit on object tags.
pub const TAGS_MAX: usize = 10;
/// Limits of our own on what a job may carry.
pub const LABELS_MAX: usize = 16;
pub const PRIORITY_MAX: i32 = 100;
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
pub const NOTIFY_MAX: usize = 16;

/// `key=value` pairs that people select jobs by.
pub type Labels = BTreeMap<String, String>;

/// How the proof is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// The target's own full-object checksum where it gives one, else reading back.
    #[default]
    Auto,
    /// The target's own full-object checksum, or failure.
    Checksum,
    /// Read the target again and compare BLAKE3.
    Readback,
}

/// What happens when the target key exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfExists {
    #[default]
    Fail,
    /// Succeed without a byte moved when it is the same object, else fail.
    Skip,
    Replace,
}

/// One transfer, as asked for, with the daemon's defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferSpec {
    pub source: Address,
    pub target: ObjectAddress,
    pub verify: Verify,
    pub if_exists: IfExists,
    /// Bytes; `None`: the daemon chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Tags to set beside the source's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    #[serde(default, with = "hex_option", skip_serializing_if = "Option::is_none")]
    pub expect_blake3: Option<[u8; 32]>,
}

impl TransferSpec {
    /// The transfer of `source` to `target`, with nothing else asked for.
    pub fn new(source: Address, target: ObjectAddress) -> Self {
        Self {
            source,
            target,
            verify: Verify::default(),
            if_exists: IfExists::default(),
            part_size: None,
            storage_class: None,
            encryption: None,
            tags: BTreeMap::new(),
            expect_blake3: None,
        }
    }
}

/// What a job is to do, and how to queue it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The object that it carries; always there without `image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<TransferSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSpec>,
    /// -100 to 100; higher runs first.
    pub priority: i32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Webhooks that are told of it, besides those that are told of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
    /// Of the request alone: it says nothing about the job.
    #[serde(skip)]
    pub left_open: LeftOpen,
}

/// What of a transfer a request left to the configuration, which may say something else when it is sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOpen {
    pub verify: bool,
    pub if_exists: bool,
}

impl Submission {
    /// The transfer, without priority, label or key.
    pub fn new(spec: TransferSpec) -> Self {
        Self::of(Some(spec), None)
    }

    /// The image job, which carries an object of `spec`; without priority, label or key.
    pub fn image(image: ImageSpec, spec: Option<TransferSpec>) -> Self {
        Self::of(spec, Some(image))
    }

    fn of(spec: Option<TransferSpec>, image: Option<ImageSpec>) -> Self {
        let (labels, notify) = (Labels::new(), Vec::new());
        let left_open = LeftOpen::default();
        Self { spec, image, priority: 0, labels, idempotency_key: None, notify, left_open }
    }

    /// What a job of it does.
    pub fn kind(&self) -> JobKind {
        match &self.image {
            None => JobKind::Transfer,
            Some(ImageSpec { restore: None, .. }) => JobKind::Store,
            Some(ImageSpec { store: None, .. }) => JobKind::Restore,
            Some(ImageSpec { .. }) => JobKind::Migrate,
        }
    }
}

mod hex_option {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(value: &Option<[u8; 32]>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => to.serialize_some(&hex::encode(bytes)),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(D::Error::custom)?;
        Ok(Some(bytes))
    }
}
