//! What was asked for. `null` means that the daemon's configuration, the bucket or the stored image decides.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{known, sorted, word};
use crate::v1;
use crate::words::{CleanUp, Word};

/// One transfer.
#[derive(Clone, Debug, Serialize)]
pub struct Transfer {
    pub source: String,
    pub target: String,
    pub verify: Option<&'static str>,
    pub if_exists: Option<&'static str>,
    pub part_size: Option<u64>,
    pub storage_class: Option<String>,
    pub sse: Option<&'static str>,
    pub sse_kms_key_id: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub expect_blake3: Option<String>,
}

impl From<&v1::TransferSpec> for Transfer {
    fn from(spec: &v1::TransferSpec) -> Self {
        Self {
            source: spec.source.clone(),
            target: spec.target.clone(),
            verify: word::<v1::Verify>(spec.verify),
            if_exists: word::<v1::IfExists>(spec.if_exists),
            part_size: spec.part_size,
            storage_class: spec.storage_class.clone(),
            sse: word::<v1::ServerSideEncryption>(spec.sse),
            sse_kms_key_id: spec.sse_kms_key_id.clone(),
            tags: sorted(&spec.tags),
            expect_blake3: spec.expect_blake3.clone(),
        }
    }
}

/// An image as an archive copy.
#[derive(Clone, Debug, Serialize)]
pub struct Store {
    pub image: String,
    pub target: String,
    pub storage_class: Option<String>,
    pub reuse_stored: bool,
    pub allow_decrypted: bool,
    pub tags: BTreeMap<String, String>,
    pub via: Option<String>,
}

impl From<&v1::StoreSpec> for Store {
    fn from(spec: &v1::StoreSpec) -> Self {
        Self {
            image: spec.image.clone(),
            target: spec.target.clone(),
            storage_class: spec.storage_class.clone(),
            reuse_stored: spec.reuse_stored,
            allow_decrypted: spec.allow_decrypted,
            tags: sorted(&spec.tags),
            via: known(&spec.via),
        }
    }
}

/// An image of a stored object.
#[derive(Clone, Debug, Serialize)]
pub struct Restore {
    pub source: String,
    pub restored: RestoredImage,
}

impl From<&v1::RestoreSpec> for Restore {
    fn from(spec: &v1::RestoreSpec) -> Self {
        Self { source: spec.source.clone(), restored: RestoredImage::of(spec.restored.as_ref()) }
    }
}

/// The whole road of an image to another remote.
#[derive(Clone, Debug, Serialize)]
pub struct Migrate {
    pub image: String,
    pub target: String,
    pub via: String,
    pub landing: String,
    pub restored: RestoredImage,
    pub copy_tags: bool,
    pub clean_up: Option<&'static str>,
    pub retire_source: Option<&'static str>,
    pub reuse_stored: bool,
    pub allow_decrypted: bool,
}

impl From<&v1::MigrateSpec> for Migrate {
    fn from(spec: &v1::MigrateSpec) -> Self {
        Self {
            image: spec.image.clone(),
            target: spec.target.clone(),
            via: spec.via.clone(),
            landing: spec.landing.clone(),
            restored: RestoredImage::of(spec.restored.as_ref()),
            copy_tags: spec.copy_tags,
            clean_up: CleanUp::of(spec.clean_up_stored, spec.clean_up_landed).word(),
            retire_source: word::<v1::RetireSource>(spec.retire_source),
            reuse_stored: spec.reuse_stored,
            allow_decrypted: spec.allow_decrypted,
        }
    }
}

/// How a restored image is to be.
#[derive(Clone, Debug, Serialize)]
pub struct RestoredImage {
    pub name: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub alias: Option<String>,
    /// Seconds.
    pub deprecate_after: Option<u64>,
    pub require_encryption: bool,
    pub repair: bool,
}

impl RestoredImage {
    /// An absent one asks for nothing, as an empty one does.
    fn of(spec: Option<&v1::RestoredImage>) -> Self {
        let spec = spec.cloned().unwrap_or_default();
        Self {
            name: known(&spec.name),
            tags: sorted(&spec.tags),
            alias: known(&spec.alias),
            deprecate_after: spec.deprecate_after,
            require_encryption: spec.require_encryption,
            repair: spec.repair,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_migration_in_json_has_the_names_of_its_flags() {
        let spec = v1::MigrateSpec {
            image: "com:ami-1".into(),
            target: "gov:".into(),
            via: "east".into(),
            landing: "west".into(),
            restored: Some(v1::RestoredImage {
                alias: "/golden/web".into(),
                deprecate_after: Some(60),
                ..Default::default()
            }),
            clean_up_stored: true,
            clean_up_landed: true,
            retire_source: v1::RetireSource::Deprecate.into(),
            ..Default::default()
        };
        let expected = json!({
            "image": "com:ami-1", "target": "gov:", "via": "east", "landing": "west",
            "restored": {
                "name": null, "tags": {}, "alias": "/golden/web", "deprecate_after": 60,
                "require_encryption": false, "repair": false,
            },
            "copy_tags": false, "clean_up": "both", "retire_source": "deprecate",
            "reuse_stored": false, "allow_decrypted": false,
        });
        assert_eq!(serde_json::to_value(Migrate::from(&spec)).expect("json"), expected);
    }

    #[test]
    fn a_store_and_a_restore_in_json() {
        let store = v1::StoreSpec {
            image: "com:ami-1".into(),
            target: "com:b/".into(),
            storage_class: Some("GLACIER_IR".into()),
            allow_decrypted: true,
            ..Default::default()
        };
        let expected = json!({
            "image": "com:ami-1", "target": "com:b/", "storage_class": "GLACIER_IR",
            "reuse_stored": false, "allow_decrypted": true, "tags": {}, "via": null,
        });
        assert_eq!(serde_json::to_value(Store::from(&store)).expect("json"), expected);
        let restore = v1::RestoreSpec { source: "gov:b/ami-1.bin".into(), restored: None };
        let restore = serde_json::to_value(Restore::from(&restore)).expect("json");
        assert_eq!(restore["source"], "gov:b/ami-1.bin");
        assert_eq!(restore["restored"]["name"], json!(null));
    }
}
