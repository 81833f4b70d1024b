//! What a webhook is sent: the envelope of the Standard Webhooks specification, with the job by the names
//! that the client's JSON and receipts have.
//!
//! A presigned source is printed without its query, as everywhere.

use serde::Serialize;
use serde_json::{Value, json};

use crate::base::clock::rfc3339;
use crate::ledger::Error;
use crate::model::{Failure, Job, JobEvent, Labels, Receipt, RemoteName, Side, Timestamp};

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    job_id: String,
    kind: &'static str,
    state: &'static str,
    /// As submitted: an object, a presigned URL, or an image.
    source: Option<String>,
    target: Option<String>,
    labels: &'a Labels,
    revision: u64,
    attempts: u32,
    submitted_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    /// The object's size; absent until it is known.
    bytes_total: Option<u64>,
    bytes_sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Value>,
}

/// `revision` is the one that the event gave the job.
pub(super) fn of(
    job: &Job,
    event: JobEvent,
    revision: u64,
    at: Timestamp,
) -> Result<String, Error> {
    let receipt = job.receipt.as_ref();
    let size = receipt.and_then(|receipt| receipt.source.as_ref()).map(|source| source.size);
    let data = Data {
        job_id: job.id.to_string(),
        kind: job.kind.as_str(),
        state: job.state.as_str(),
        source: source(job),
        target: target(job),
        labels: &job.labels,
        revision,
        attempts: job.attempts,
        submitted_at: rfc3339(job.submitted_at),
        started_at: job.started_at.map(rfc3339),
        finished_at: job.finished_at.map(rfc3339),
        bytes_total: job.size().or(size),
        bytes_sent: receipt.map_or(0, |it| it.bytes_sent).max(job.progress.bytes_sent),
        failure: job.failure.as_ref().map(failure),
        receipt: receipt.map(told).transpose()?,
    };
    let kind = format!("job.{}", event.as_str());
    let message = Message { kind, timestamp: rfc3339(at), data };
    serde_json::to_string(&message).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> Error {
    Error::corrupt(format!("a notice has no JSON: {error}"))
}

/// The image that is stored, or the object that is read.
fn source(job: &Job) -> Option<String> {
    let image = job.image.as_ref().map(|image| &image.spec);
    let stored = image.and_then(|spec| spec.store.as_ref()).map(|store| store.image.to_string());
    let carried = || job.spec.as_ref().map(|spec| spec.source.to_string());
    let restored = || Some(image?.restore.as_ref()?.object.to_string());
    stored.or_else(carried).or_else(restored)
}

/// The object that is written last; where none is, the remote of the image that is made.
fn target(job: &Job) -> Option<String> {
    let image = job.image.as_ref().map(|image| &image.spec);
    let written = job.spec.as_ref().map(|spec| spec.target.to_string());
    let restored = image.and_then(|spec| spec.restore.as_ref());
    let made = restored.map(|restore| format!("{}:", restore.object.remote));
    let stored = image.and_then(|spec| spec.store.as_ref());
    made.or(written).or_else(|| stored.map(|store| store.stored().to_string()))
}

/// As the client's JSON has it: what is not known is `null`.
fn failure(failure: &Failure) -> Value {
    let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    json!({
        "class": failure.class.as_str(),
        "side": failure.side.map(Side::as_str),
        "remote": failure.remote.as_ref().map(RemoteName::as_str),
        "operation": known(&failure.operation),
        "resource": known(&failure.resource),
        "reason": failure.reason,
        "remedy": known(&failure.remedy),
        "message": failure.to_string(),
    })
}

/// The receipt as the client prints it.
fn told(receipt: &Receipt) -> Result<Value, Error> {
    let mut told = serde_json::to_value(receipt).map_err(|error| unwritable(&error))?;
    if let Some(fields) = told.as_object_mut() {
        for (name, at) in [
            ("submitted_at", receipt.submitted_at),
            ("started_at", receipt.started_at),
            ("finished_at", receipt.finished_at),
        ] {
            fields.insert(name.to_owned(), rfc3339(at).into());
        }
        // Of a presigned source little is known.
        for object in fields.values_mut().filter_map(Value::as_object_mut) {
            object.values_mut().filter(|value| *value == "").for_each(|it| *it = Value::Null);
        }
        if receipt.verified_by.is_none() {
            let of_the_carried = ["blake3", "crc64nvme", "parts", "part_size", "bytes_sent"];
            of_the_carried.iter().for_each(|name| drop(fields.remove(*name)));
        }
    }
    Ok(told)
}
