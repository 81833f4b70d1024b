//! A line that is a transfer.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::columns::Cell;
use super::entry::{Entry, Names, choice, merged, queued};
use crate::units::parse_size;
use crate::v1::{IfExists, ServerSideEncryption, SubmitRequest, TransferSpec, Verify};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    source: String,
    target: String,
    priority: Option<i32>,
    verify: Option<String>,
    if_exists: Option<String>,
    #[serde(default, deserialize_with = "size")]
    part_size: Option<u64>,
    storage_class: Option<String>,
    sse: Option<String>,
    sse_kms_key_id: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    expect_blake3: Option<String>,
    idempotency_key: Option<String>,
    #[serde(default)]
    notify: Names,
}

impl Entry for Transfer {
    const COLUMNS: &'static [(&'static str, Cell)] = &[
        ("source", Cell::Text),
        ("target", Cell::Text),
        ("priority", Cell::Whole),
        ("verify", Cell::Text),
        ("if_exists", Cell::Text),
        ("part_size", Cell::Text),
        ("storage_class", Cell::Text),
        ("sse", Cell::Text),
        ("sse_kms_key_id", Cell::Text),
        ("tags", Cell::Pairs),
        ("labels", Cell::Pairs),
        ("expect_blake3", Cell::Text),
        ("idempotency_key", Cell::Text),
        ("notify", Cell::Text),
    ];
    const REQUIRED: &'static [&'static str] = &["source", "target"];

    fn into_request(self, defaults: &SubmitRequest) -> Result<SubmitRequest, String> {
        if self.source.is_empty() || self.target.is_empty() {
            return Err("source and target must not be empty".to_owned());
        }
        let base = defaults.transfer.clone().unwrap_or_default();
        let verify: Option<Verify> = choice("verify", self.verify.as_deref())?;
        let if_exists: Option<IfExists> = choice("if_exists", self.if_exists.as_deref())?;
        let sse: Option<ServerSideEncryption> = choice("sse", self.sse.as_deref())?;
        let transfer = TransferSpec {
            source: self.source,
            target: self.target,
            verify: verify.map_or(base.verify, Into::into),
            if_exists: if_exists.map_or(base.if_exists, Into::into),
            part_size: self.part_size.or(base.part_size),
            storage_class: self.storage_class.or(base.storage_class),
            sse: sse.map_or(base.sse, Into::into),
            sse_kms_key_id: self.sse_kms_key_id.or(base.sse_kms_key_id),
            tags: merged(base.tags, self.tags),
            expect_blake3: self.expect_blake3.or(base.expect_blake3),
        };
        let request =
            queued(self.priority, self.labels, self.idempotency_key, self.notify, defaults)?;
        Ok(SubmitRequest { transfer: Some(transfer), ..request })
    }
}

/// A size as a number of bytes or as `"256MiB"`.
fn size<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    use serde::de::Error;
    match Value::deserialize(input)? {
        Value::Null => Ok(None),
        Value::Number(number) => {
            let bytes = number.as_u64().ok_or_else(|| {
                D::Error::custom(format!("part_size: {number} is not a number of bytes"))
            })?;
            Ok(Some(bytes))
        }
        Value::String(text) => match parse_size(&text) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(D::Error::custom(format!("part_size: {error}"))),
        },
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(D::Error::custom("part_size: neither a number of bytes nor a text like \"256MiB\""))
        }
    }
}
