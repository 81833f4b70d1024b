//! Receipts. Other people keep them and compare them: their names are the contract's, section 5.
//!
//! A receipt leaves out what its job did not do: a restore carried nothing, so it has no digest, and a
//! transfer has no `image`. Within what it has, an unknown is `null` as everywhere.

use serde::Serialize;

use super::{Alias, Fidelity, Image, Object, StageSpan, must, time};
use crate::v1;

/// What moved, from where, to where, and the proof that it is the same.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    pub job_id: String,
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Object>,
    #[serde(flatten)]
    pub carried: Option<Carried>,
    pub attempts: u32,
    pub submitted_at: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub daemon_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageReceipt>,
}

/// How the object was carried.
#[derive(Clone, Debug, Serialize)]
pub struct Carried {
    pub blake3: String,
    pub crc64nvme: String,
    pub verified_by: String,
    pub parts: u32,
    pub part_size: u64,
    pub bytes_sent: u64,
}

impl From<&v1::Receipt> for Receipt {
    fn from(receipt: &v1::Receipt) -> Self {
        Self {
            job_id: receipt.job_id.clone(),
            kind: must::<v1::JobKind>(receipt.kind),
            source: receipt.source.as_ref().map(Object::from),
            target: receipt.target.as_ref().map(Object::from),
            carried: carried(receipt),
            attempts: receipt.attempts,
            submitted_at: time(receipt.submitted_at.as_ref()),
            started_at: time(receipt.started_at.as_ref()),
            finished_at: time(receipt.finished_at.as_ref()),
            daemon_version: receipt.daemon_version.clone(),
            image: receipt.image.as_ref().map(ImageReceipt::from),
        }
    }
}

/// A digest is the proof that something was carried. A transfer's receipt has all of its fields in any case.
fn carried(receipt: &v1::Receipt) -> Option<Carried> {
    let was_carried = receipt.kind() == v1::JobKind::Transfer || !receipt.blake3.is_empty();
    was_carried.then(|| Carried {
        blake3: receipt.blake3.clone(),
        crc64nvme: receipt.crc64nvme.clone(),
        verified_by: receipt.verified_by.clone(),
        parts: receipt.parts,
        part_size: receipt.part_size,
        bytes_sent: receipt.bytes_sent,
    })
}

/// What came of an image job.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReceipt {
    pub stages: Vec<StageSpan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<Fidelity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<Alias>,
    pub aftermath: Vec<String>,
}

impl From<&v1::ImageProgress> for ImageReceipt {
    fn from(image: &v1::ImageProgress) -> Self {
        Self {
            stages: image.stages.iter().map(StageSpan::from).collect(),
            source: image.source.as_ref().map(Image::from),
            stored: image.stored.as_ref().map(Object::from),
            restored: image.restored.as_ref().map(Image::from),
            fidelity: image.fidelity.as_ref().map(Fidelity::from),
            alias: image.alias.as_ref().map(Alias::from),
            aftermath: image.aftermath.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn object() -> v1::ObjectRef {
        v1::ObjectRef {
            remote: "gov".into(),
            partition: "aws-us-gov".into(),
            account: String::new(),
            region: "us-gov-west-1".into(),
            bucket: "images".into(),
            key: "ami-1.bin".into(),
            version_id: Some("v1".into()),
            etag: "abc-2".into(),
            size: 42,
        }
    }

    fn image(remote: &str, id: &str) -> v1::ImageRef {
        v1::ImageRef { remote: remote.into(), image_id: id.into(), ..Default::default() }
    }

    fn transfer() -> v1::Receipt {
        v1::Receipt {
            job_id: "01J".into(),
            kind: v1::JobKind::Transfer.into(),
            source: Some(object()),
            target: Some(v1::ObjectRef { version_id: None, account: "1".into(), ..object() }),
            blake3: "b3".into(),
            crc64nvme: "crc".into(),
            verified_by: "s3-checksum".into(),
            parts: 2,
            part_size: 32,
            bytes_sent: 42,
            attempts: 1,
            submitted_at: at(0),
            started_at: at(1),
            finished_at: at(2),
            daemon_version: "0.1.0".into(),
            image: None,
        }
    }

    fn json_of(receipt: &v1::Receipt) -> Value {
        serde_json::to_value(Receipt::from(receipt)).expect("json")
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    /// The contract's section 5, name by name. A change here breaks other people's scripts.
    #[test]
    fn a_receipt_has_the_contracts_field_names() {
        let expected = json!({
            "job_id": "01J",
            "kind": "transfer",
            "source": {
                "remote": "gov", "partition": "aws-us-gov", "account": null,
                "region": "us-gov-west-1", "bucket": "images", "key": "ami-1.bin",
                "version_id": "v1", "etag": "abc-2", "size": 42,
            },
            "target": {
                "remote": "gov", "partition": "aws-us-gov", "account": "1",
                "region": "us-gov-west-1", "bucket": "images", "key": "ami-1.bin",
                "version_id": null, "etag": "abc-2", "size": 42,
            },
            "blake3": "b3",
            "crc64nvme": "crc",
            "verified_by": "s3-checksum",
            "parts": 2,
            "part_size": 32,
            "bytes_sent": 42,
            "attempts": 1,
            "submitted_at": "1970-01-01T00:00:00.000Z",
            "started_at": "1970-01-01T00:00:01.000Z",
            "finished_at": "1970-01-01T00:00:02.000Z",
            "daemon_version": "0.1.0",
        });
        assert_eq!(json_of(&transfer()), expected);
    }

    #[test]
    fn the_receipt_of_a_migration_has_the_road_beside_the_proof() {
        let stage = |stage: v1::Stage, from, to| v1::StageProgress {
            stage: stage.into(),
            started_at: at(from),
            finished_at: at(to),
            percent: 100,
        };
        let progress = v1::ImageProgress {
            stages: vec![stage(v1::Stage::Storing, 1, 2), stage(v1::Stage::Aliasing, 2, 3)],
            source: Some(image("com", "ami-1")),
            stored: Some(object()),
            restored: Some(image("gov", "ami-9")),
            fidelity: Some(v1::Fidelity {
                differences: vec![v1::Difference {
                    field: "BootMode".into(),
                    source: "uefi".into(),
                    restored: String::new(),
                }],
                lost_by_design: vec!["launch permissions".into()],
                repaired: false,
                encrypted: true,
            }),
            alias: Some(v1::Alias {
                parameter: "/golden/web".into(),
                version: 3,
                previous: None,
                rolled_back: true,
            }),
            aftermath: vec!["deleted com:east/ami-1.bin".into()],
        };
        let receipt =
            v1::Receipt { kind: v1::JobKind::Migrate.into(), image: Some(progress), ..transfer() };
        let value = json_of(&receipt);
        assert_eq!((&value["kind"], &value["blake3"]), (&json!("migrate"), &json!("b3")));
        let image = &value["image"];
        assert_eq!(
            image["stages"][0],
            json!({
                "stage": "storing", "started_at": "1970-01-01T00:00:01.000Z",
                "finished_at": "1970-01-01T00:00:02.000Z",
            })
        );
        assert_eq!(image["source"]["image_id"], "ami-1");
        assert_eq!(image["stored"]["key"], "ami-1.bin");
        assert_eq!(image["restored"]["remote"], "gov");
        assert_eq!(
            image["fidelity"],
            json!({
                "differences": [{ "field": "BootMode", "source": "uefi", "restored": null }],
                "lost_by_design": ["launch permissions"], "repaired": false, "encrypted": true,
            })
        );
        let alias = json!({ "parameter": "/golden/web", "version": 3, "previous": null });
        assert_eq!(image["alias"], alias, "a receipt tells what was done, not what came later");
        assert_eq!(image["aftermath"], json!(["deleted com:east/ami-1.bin"]));
    }

    /// An empty digest could be taken for one.
    #[test]
    fn the_receipt_of_a_restore_names_nothing_that_was_not_carried() {
        let receipt = v1::Receipt {
            job_id: "01J".into(),
            kind: v1::JobKind::Restore.into(),
            source: Some(object()),
            attempts: 1,
            image: Some(v1::ImageProgress {
                restored: Some(image("gov", "ami-9")),
                ..Default::default()
            }),
            ..Default::default()
        };
        let value = json_of(&receipt);
        let mut expected = [
            "job_id",
            "kind",
            "source",
            "attempts",
            "submitted_at",
            "started_at",
            "finished_at",
            "daemon_version",
            "image",
        ];
        expected.sort_unstable();
        assert_eq!(keys(&value), expected);
        assert_eq!(keys(&value["image"]), ["aftermath", "restored", "stages"]);
    }
}
