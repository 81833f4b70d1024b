//! A line that is the migration of an image. Its fields are named as the flags of `migrate`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::columns::Cell;
use super::entry::{Entry, Names, choice, merged, queued};
use crate::units::parse_duration;
use crate::v1::{MigrateSpec, RestoredImage, RetireSource, SubmitRequest};
use crate::words::CleanUp;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Migration {
    image: String,
    target: String,
    via: Option<String>,
    landing: Option<String>,
    name: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    copy_tags: Option<bool>,
    alias: Option<String>,
    deprecate_after: Option<String>,
    clean_up: Option<String>,
    retire_source: Option<String>,
    reuse_stored: Option<bool>,
    allow_decrypted: Option<bool>,
    require_encryption: Option<bool>,
    repair: Option<bool>,
    priority: Option<i32>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    idempotency_key: Option<String>,
    #[serde(default)]
    notify: Names,
}

impl Entry for Migration {
    const COLUMNS: &'static [(&'static str, Cell)] = &[
        ("image", Cell::Text),
        ("target", Cell::Text),
        ("via", Cell::Text),
        ("landing", Cell::Text),
        ("name", Cell::Text),
        ("tags", Cell::Pairs),
        ("copy_tags", Cell::Flag),
        ("alias", Cell::Text),
        ("deprecate_after", Cell::Text),
        ("clean_up", Cell::Text),
        ("retire_source", Cell::Text),
        ("reuse_stored", Cell::Flag),
        ("allow_decrypted", Cell::Flag),
        ("require_encryption", Cell::Flag),
        ("repair", Cell::Flag),
        ("priority", Cell::Whole),
        ("labels", Cell::Pairs),
        ("idempotency_key", Cell::Text),
        ("notify", Cell::Text),
    ];
    const REQUIRED: &'static [&'static str] = &["image", "target"];

    fn into_request(self, defaults: &SubmitRequest) -> Result<SubmitRequest, String> {
        if self.image.is_empty() || self.target.is_empty() {
            return Err("image and target must not be empty".to_owned());
        }
        let base = defaults.migrate.clone().unwrap_or_default();
        let of_base = CleanUp::of(base.clean_up_stored, base.clean_up_landed);
        let clean_up = choice("clean_up", self.clean_up.as_deref())?.unwrap_or(of_base);
        let retire: Option<RetireSource> = choice("retire_source", self.retire_source.as_deref())?;
        let restored = base.restored.unwrap_or_default();
        let after = self.deprecate_after.as_deref().map(parse_duration).transpose();
        let after = after.map_err(|error| format!("deprecate_after: {error}"))?;
        let restored = RestoredImage {
            name: self.name.unwrap_or(restored.name),
            tags: merged(restored.tags, self.tags),
            alias: self.alias.unwrap_or(restored.alias),
            deprecate_after: after.map(|after| after.as_secs()).or(restored.deprecate_after),
            require_encryption: self.require_encryption.unwrap_or(restored.require_encryption),
            repair: self.repair.unwrap_or(restored.repair),
        };
        let migrate = MigrateSpec {
            image: self.image,
            target: self.target,
            via: bucket("via", self.via, base.via)?,
            landing: bucket("landing", self.landing, base.landing)?,
            restored: Some(restored),
            copy_tags: self.copy_tags.unwrap_or(base.copy_tags),
            clean_up_stored: clean_up.stored(),
            clean_up_landed: clean_up.landed(),
            retire_source: retire.map_or(base.retire_source, Into::into),
            reuse_stored: self.reuse_stored.unwrap_or(base.reuse_stored),
            allow_decrypted: self.allow_decrypted.unwrap_or(base.allow_decrypted),
        };
        let request =
            queued(self.priority, self.labels, self.idempotency_key, self.notify, defaults)?;
        Ok(SubmitRequest { migrate: Some(migrate), ..request })
    }
}

fn bucket(field: &str, own: Option<String>, default: String) -> Result<String, String> {
    let bucket = own.unwrap_or(default);
    match bucket.is_empty() {
        true => Err(format!("{field}: no bucket; name it in the line, or for all by --{field}")),
        false => Ok(bucket),
    }
}
