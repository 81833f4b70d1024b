//! From a request to a submission: every field checked, every default filled in.

mod image;

use std::collections::BTreeMap;
use std::collections::HashMap;

use causeway_proto::v1;

use super::{Invalid, quoted, words};
use crate::control::engine::Defaults;
use crate::model::address::NotAnAddress;
use crate::model::plan::{PART_ALIGNMENT, PART_SIZE_MAX, PART_SIZE_MIN};
use crate::model::spec::{
    IDEMPOTENCY_KEY_BYTES_MAX, LABELS_MAX, NOTIFY_MAX, PRIORITY_MAX, TAGS_MAX,
};
use crate::model::{
    Address, ByteCount, Labels, LeftOpen, ObjectAddress, Submission, Timestamp, TransferSpec,
    Verify,
};

/// The longest target that is read at all.
const TARGET_BYTES_MAX: usize = 2 * 1024;
/// Limits of our own on labels.
const LABEL_KEY_BYTES_MAX: usize = 63;
const LABEL_VALUE_BYTES_MAX: usize = 255;
/// S3's limits on object tags.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
const OBJECT_TAGS: (&str, usize) = ("S3", TAGS_MAX);
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;
/// The longest KMS key id, ARN or alias that AWS takes.
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>
const KMS_KEY_BYTES_MAX: usize = 2048;

/// The storage classes that an object can be written in.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>
const STORAGE_CLASSES: [&str; 13] = [
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "EXPRESS_ONEZONE",
    "OUTPOSTS",
    "SNOW",
    "FSX_OPENZFS",
    "FSX_ONTAP",
];
/// The classes whose objects cannot be read before they are restored.
const ARCHIVED_CLASSES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Reads one job. `now` decides whether a presigned source is still good.
///
/// # Errors
/// The first field that cannot be taken.
pub fn submission(
    request: v1::SubmitRequest,
    defaults: Defaults,
    now: Timestamp,
) -> Result<Submission, Invalid> {
    let asked = [
        request.transfer.is_some(),
        request.store.is_some(),
        request.restore.is_some(),
        request.migrate.is_some(),
    ];
    if asked.into_iter().filter(|is_there| *is_there).count() > 1 {
        let fault = "more than one kind of job is asked for: submit them one by one";
        return Err(Invalid::new("transfer", fault));
    }
    if request.store.is_some() || request.restore.is_some() || request.migrate.is_some() {
        return image::submission(request, defaults);
    }
    let transfer = transfer_of(&request)?;
    let source = object_source(&transfer.source, now)?;
    let target = object_target(&transfer.target, &source)?;
    if matches!(&source, Address::Object(source) if *source == target) {
        return Err(Invalid::new(
            "transfer.target",
            format_args!("'{target}' is the source itself: name another object"),
        ));
    }
    submission_of(request, source, target, defaults)
}

/// The transfer of a request, which has to be there.
pub(super) fn transfer_of(request: &v1::SubmitRequest) -> Result<&v1::TransferSpec, Invalid> {
    request.transfer.as_ref().ok_or_else(|| {
        Invalid::new("transfer", "it is absent: name at least its source and its target")
    })
}

/// Everything but the addresses, which are read already.
pub(super) fn submission_of(
    request: v1::SubmitRequest,
    source: Address,
    target: ObjectAddress,
    defaults: Defaults,
) -> Result<Submission, Invalid> {
    let mut request = request;
    let transfer = request.transfer.take().unwrap_or_default();
    let left_open = LeftOpen {
        verify: transfer.verify() == v1::Verify::Unspecified,
        if_exists: transfer.if_exists() == v1::IfExists::Unspecified,
    };
    let spec = transfer_spec(transfer, source, target, defaults)?;
    queued(Submission { left_open, ..Submission::new(spec) }, request)
}

/// With the fields that every kind of job has.
fn queued(submission: Submission, request: v1::SubmitRequest) -> Result<Submission, Invalid> {
    Ok(Submission {
        priority: priority(request.priority)?,
        labels: labels("labels", request.labels)?,
        idempotency_key: request.idempotency_key.map(idempotency_key).transpose()?,
        notify: notify(request.notify)?,
        ..submission
    })
}

/// Whether there are such webhooks, the engine knows.
fn notify(mut names: Vec<String>) -> Result<Vec<String>, Invalid> {
    names.sort_unstable();
    names.dedup();
    if names.len() > NOTIFY_MAX {
        let fault =
            format_args!("{} webhooks are named: at most {NOTIFY_MAX} are told", names.len());
        return Err(Invalid::new("notify", fault));
    }
    Ok(names)
}

fn transfer_spec(
    asked: v1::TransferSpec,
    source: Address,
    target: ObjectAddress,
    defaults: Defaults,
) -> Result<TransferSpec, Invalid> {
    let key_id = asked.sse_kms_key_id.map(kms_key_id).transpose()?;
    let spec = TransferSpec {
        source,
        target,
        verify: words::verify_asked(asked.verify, defaults.verify)?,
        if_exists: words::if_exists_asked(asked.if_exists, defaults.if_exists)?,
        part_size: asked.part_size.map(part_size).transpose()?,
        storage_class: asked.storage_class.map(storage_class).transpose()?,
        encryption: words::encryption_asked(asked.sse, key_id)?,
        tags: tags("transfer.tags", OBJECT_TAGS, asked.tags)?,
        expect_blake3: asked.expect_blake3.as_deref().map(blake3).transpose()?,
    };
    check_proof(&spec)?;
    Ok(spec)
}

/// An archived object cannot be read back: better refused now than after the last byte.
fn check_proof(spec: &TransferSpec) -> Result<(), Invalid> {
    match spec.storage_class.as_deref() {
        Some(class) if spec.verify == Verify::Readback && ARCHIVED_CLASSES.contains(&class) => {
            Err(Invalid::new(
                "transfer.verify",
                format_args!(
                    "READBACK cannot read an object of class {class} before it is restored: \
                     use CHECKSUM, or another storage class"
                ),
            ))
        }
        _ => Ok(()),
    }
}

fn object_source(text: &str, now: Timestamp) -> Result<Address, Invalid> {
    let source: Address = address("transfer.source", text)?;
    match &source {
        Address::Object(object) if object.is_prefix() => Err(Invalid::new(
            "transfer.source",
            format_args!(
                "{} is a prefix: name one object, or submit the prefix (`submit --recursive`)",
                quoted(text)
            ),
        )),
        Address::Presigned(url) if url.expires_at().is_some_and(|end| end <= now) => {
            Err(Invalid::new(
                "transfer.source",
                format_args!("the presigned URL {url} has expired: sign a new one"),
            ))
        }
        _ => Ok(source),
    }
}

fn object_target(text: &str, source: &Address) -> Result<ObjectAddress, Invalid> {
    let target = target_address(text)?;
    if !target.is_prefix() {
        return Ok(target);
    }
    let name = source.base_name().ok_or_else(|| {
        Invalid::new(
            "transfer.target",
            format_args!(
                "{} is a prefix and the source has no name to append: name the key in full",
                quoted(text)
            ),
        )
    })?;
    target.join(&name).map_err(|fault| Invalid::new("transfer.target", redacted(fault)))
}

/// A target as it is written: an object or a prefix.
pub(super) fn target_address(text: &str) -> Result<ObjectAddress, Invalid> {
    const FIELD: &str = "transfer.target";
    if text.len() > TARGET_BYTES_MAX {
        let fault = format_args!("it is {} bytes long: at most 2048 are taken", text.len());
        return Err(Invalid::new(FIELD, fault));
    }
    if text.contains("://") {
        return Err(Invalid::new(
            FIELD,
            "a URL cannot be a target: expected REMOTE:BUCKET/KEY, with a remote that can write",
        ));
    }
    address(FIELD, text)
}

/// Reads an address; its fault never shows what may be a signature.
pub(super) fn address<A>(field: &'static str, text: &str) -> Result<A, Invalid>
where
    A: std::str::FromStr<Err = NotAnAddress>,
{
    if text.is_empty() {
        return Err(Invalid::new(field, "it is empty: expected REMOTE:BUCKET/KEY"));
    }
    text.parse().map_err(|fault| Invalid::new(field, redacted(fault)))
}

/// A URL that lost its `https://` on the way is no address, but still a secret: nothing after a `?`
/// is repeated.
fn redacted(fault: NotAnAddress) -> NotAnAddress {
    let cut = |text: String| match text.split_once('?') {
        Some((before, _)) => format!("{before}?REDACTED"),
        None => text,
    };
    match fault {
        NotAnAddress::Form(text) => NotAnAddress::Form(cut(text)),
        NotAnAddress::Remote(text) => NotAnAddress::Remote(cut(text)),
        NotAnAddress::Bucket(text) => NotAnAddress::Bucket(cut(text)),
        NotAnAddress::NoKey(text) => NotAnAddress::NoKey(cut(text)),
        NotAnAddress::Image(text) => NotAnAddress::Image(cut(text)),
        NotAnAddress::NotAnImage(text) => NotAnAddress::NotAnImage(cut(text)),
        NotAnAddress::KeyTooLong(_) | NotAnAddress::KeyControl | NotAnAddress::Url(_) => fault,
    }
}

/// Reads a priority.
///
/// # Errors
/// Outside -100 to 100.
pub fn priority(priority: i32) -> Result<i32, Invalid> {
    if (-PRIORITY_MAX..=PRIORITY_MAX).contains(&priority) {
        return Ok(priority);
    }
    Err(Invalid::new("priority", format_args!("{priority} is out of range: use -100 to 100")))
}

fn part_size(size: u64) -> Result<u64, Invalid> {
    let legal = (PART_SIZE_MIN..=PART_SIZE_MAX).contains(&size);
    if legal && size.is_multiple_of(PART_ALIGNMENT) {
        return Ok(size);
    }
    Err(Invalid::new(
        "transfer.part_size",
        format_args!(
            "{size} ({}) is not a size that parts can have: use a multiple of 1 MiB from 5 MiB \
             to 5 GiB, or leave it out and the daemon chooses",
            ByteCount(size)
        ),
    ))
}

fn storage_class(class: String) -> Result<String, Invalid> {
    storage_class_of("transfer.storage_class", class)
}

fn storage_class_of(field: &'static str, class: String) -> Result<String, Invalid> {
    if STORAGE_CLASSES.contains(&class.as_str()) {
        return Ok(class);
    }
    Err(Invalid::new(
        field,
        format_args!(
            "{} is not a storage class of S3: use one of {}",
            quoted(&class),
            STORAGE_CLASSES.join(", ")
        ),
    ))
}

fn kms_key_id(id: String) -> Result<String, Invalid> {
    if (1..=KMS_KEY_BYTES_MAX).contains(&id.len()) && !id.contains(char::is_control) {
        return Ok(id);
    }
    Err(Invalid::new(
        "transfer.sse_kms_key_id",
        format_args!(
            "{} is not a KMS key: give a key id, ARN or alias of the target's account, or leave \
             it out for the account's AWS managed key",
            quoted(&id)
        ),
    ))
}

/// Tags of S3, or of EC2, which differ in how many there may be alone.
fn tags(
    field: &'static str,
    (service, max): (&str, usize),
    tags: HashMap<String, String>,
) -> Result<BTreeMap<String, String>, Invalid> {
    if tags.len() > max {
        let fault = format_args!("{} tags are given: {service} takes at most {max}", tags.len());
        return Err(Invalid::new(field, fault));
    }
    let tags: BTreeMap<_, _> = tags.into_iter().collect();
    for (key, value) in &tags {
        let fault = if !(1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count()) {
            "has a key that is not 1 to 128 characters long"
        } else if value.chars().count() > TAG_VALUE_CHARS_MAX {
            "has a value of more than 256 characters: shorten it"
        } else if key.to_ascii_lowercase().starts_with("aws:") {
            "begins with 'aws:', which AWS keeps for itself: choose another key"
        } else {
            continue;
        };
        return Err(Invalid::new(field, format_args!("{} {fault}", quoted(key))));
    }
    Ok(tags)
}

/// Reads labels, of a job or of a filter.
pub(super) fn labels(
    field: &'static str,
    labels: HashMap<String, String>,
) -> Result<Labels, Invalid> {
    if labels.len() > LABELS_MAX {
        let fault = format_args!("{} are given: use at most {LABELS_MAX}", labels.len());
        return Err(Invalid::new(field, fault));
    }
    let labels: Labels = labels.into_iter().collect();
    for (key, value) in &labels {
        let fault = if !(1..=LABEL_KEY_BYTES_MAX).contains(&key.len()) {
            "has a key that is not 1 to 63 bytes long"
        } else if value.len() > LABEL_VALUE_BYTES_MAX {
            "has a value of more than 255 bytes: shorten it"
        } else {
            continue;
        };
        return Err(Invalid::new(field, format_args!("{} {fault}", quoted(key))));
    }
    Ok(labels)
}

fn idempotency_key(key: String) -> Result<String, Invalid> {
    if (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(key);
    }
    Err(Invalid::new(
        "idempotency_key",
        format_args!("{} is {} bytes long: use 1 to 128, or leave it out", quoted(&key), key.len()),
    ))
}

fn blake3(text: &str) -> Result<[u8; 32], Invalid> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| {
        Invalid::new(
            "transfer.expect_blake3",
            format_args!(
                "{} is not a BLAKE3: give the 64 hexadecimal digits that `b3sum` prints",
                quoted(text)
            ),
        )
    })?;
    Ok(digest)
}

#[cfg(test)]
mod tests;
