//! One transfer of a manifest: the fields a line may have, and the request they make.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::units::parse_size;
use crate::v1::{IfExists, ServerSideEncryption, SubmitRequest, TransferSpec, Verify};
use crate::words::Word;

/// The fields of a line, in both formats. A field that is not here is a fault: a misspelt `verify` must
/// not become the default.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub source: String,
    pub target: String,
    pub priority: Option<i32>,
    pub verify: Option<String>,
    pub if_exists: Option<String>,
    #[serde(default, deserialize_with = "size")]
    pub part_size: Option<u64>,
    pub storage_class: Option<String>,
    pub sse: Option<String>,
    pub sse_kms_key_id: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    pub expect_blake3: Option<String>,
    pub idempotency_key: Option<String>,
}

impl Entry {
    pub(super) fn from_json(text: &str) -> Result<Self, String> {
        if text.starts_with('[') {
            return Err("a JSON array: write one object a line".to_owned());
        }
        serde_json::from_str(text).map_err(|error| {
            // serde_json counts lines within what it was given, and that is always one line.
            let message = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            match message.strip_suffix(&place) {
                Some(reason) => format!("column {}: {reason}", error.column()),
                None => message,
            }
        })
    }

    /// The request; what the line leaves out comes from the defaults.
    pub(super) fn into_request(self, defaults: &SubmitRequest) -> Result<SubmitRequest, String> {
        if self.source.is_empty() || self.target.is_empty() {
            return Err("source and target must not be empty".to_owned());
        }
        let priority = self.priority.unwrap_or(defaults.priority);
        if !(-100..=100).contains(&priority) {
            return Err(format!("priority: {priority} is not within -100 and 100"));
        }
        let base = defaults.transfer.clone().unwrap_or_default();
        let transfer = TransferSpec {
            source: self.source,
            target: self.target,
            verify: choice::<Verify>("verify", self.verify.as_deref(), base.verify)?,
            if_exists: choice::<IfExists>("if_exists", self.if_exists.as_deref(), base.if_exists)?,
            part_size: self.part_size.or(base.part_size),
            storage_class: self.storage_class.or(base.storage_class),
            sse: choice::<ServerSideEncryption>("sse", self.sse.as_deref(), base.sse)?,
            sse_kms_key_id: self.sse_kms_key_id.or(base.sse_kms_key_id),
            tags: merged(base.tags, self.tags),
            expect_blake3: self.expect_blake3.or(base.expect_blake3),
        };
        Ok(SubmitRequest {
            transfer: Some(transfer),
            priority,
            labels: merged(defaults.labels.clone(), self.labels),
            idempotency_key: self.idempotency_key,
            dry_run: defaults.dry_run,
        })
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

fn choice<T: Word + Into<i32>>(
    field: &str,
    text: Option<&str>,
    default: i32,
) -> Result<i32, String> {
    let Some(text) = text else { return Ok(default) };
    T::from_word(text)
        .map(Into::into)
        .ok_or_else(|| format!("{field}: `{text}` is none of {}", T::words().join(", ")))
}

fn merged(
    mut base: HashMap<String, String>,
    own: BTreeMap<String, String>,
) -> HashMap<String, String> {
    base.extend(own);
    base
}
