//! A job, its parts, its progress and its receipt, as the API shows them.

use std::collections::{BTreeMap, HashMap};

use causeway_proto::v1;
use prost::Message;

use super::{Places, image, timestamp, words};
use crate::control::engine::DryRun;
use crate::model::{
    Address, Failure, Intent, Job, JobState, Live, ObjectRef, PartFact, PartNumber, PinnedObject,
    PresignedUrl, TransferSpec,
};

/// The job as it is shown. `live` are its figures while it runs here; `place` tells where a remote is.
pub fn job(job: &Job, live: Option<&Live>, place: &Places<'_>) -> v1::Job {
    let live = live.filter(|_| job.state == JobState::Running);
    let planned = job.transfer.planned();
    let wait = live.and_then(|live| live.wait.as_ref());
    v1::Job {
        id: job.id.to_string(),
        kind: words::kind(job.kind).into(),
        state: words::state(job.state).into(),
        stage: stage(job).into(),
        wait_reason: wait.map_or(0, |wait| words::wait_reason(wait.reason).into()),
        wait_detail: wait.map(|wait| wait.detail.clone()).unwrap_or_default(),
        transfer: job.spec.as_ref().map(transfer_spec),
        priority: job.priority,
        labels: job.labels.clone().into_iter().collect(),
        submitted_at: Some(timestamp(job.submitted_at)),
        started_at: job.started_at.map(timestamp),
        finished_at: job.finished_at.map(timestamp),
        revision: job.revision,
        attempts: job.attempts,
        bytes_total: bytes_total(job),
        bytes_done: bytes_done(job, live),
        bytes_sent: bytes_sent(job),
        parts_total: planned.map_or(0, |(_, plan)| plan.parts().into()),
        parts_done: job.progress.parts,
        part_size: planned.map_or(0, |(_, plan)| plan.part_size()),
        failure: job.failure.as_ref().map(failure),
        warnings: job.warnings.clone(),
        pause_requested: job.intent == Intent::Pause,
        cancel_requested: job.intent == Intent::Cancel,
        actor: job.actor.clone(),
        idempotency_key: job.idempotency_key.clone(),
        notify: job.notify.clone(),
        receipt: receipt(job, place),
        source: source(job, place),
        bytes_per_second: live.map_or(0, |live| live.bytes_per_second),
        store: image::store(job),
        restore: image::restore(job),
        migrate: image::migrate(job),
        image: image::progress(job, live, place),
    }
}

/// About as many bytes as the job takes on the wire: enough to keep a page within a message.
pub fn weight(job: &v1::Job) -> usize {
    /// Ids, moments, numbers, digests, field tags.
    const FIXED: usize = 1024;
    let pairs = |map: &HashMap<String, String>| -> usize {
        map.iter().map(|(key, value)| key.len() + value.len() + 8).sum()
    };
    // The addresses come again in the source and in the receipt, and a failure's fields in its line.
    let spec = job.transfer.as_ref();
    let spec =
        spec.map_or(0, |spec| 3 * (spec.source.len() + spec.target.len()) + pairs(&spec.tags));
    let failure = job.failure.as_ref().map_or(0, |failure| 2 * failure.message.len());
    let warnings: usize = job.warnings.iter().map(String::len).sum();
    let key = job.idempotency_key.as_ref().map_or(0, String::len);
    // Twice, where there is a receipt; and the tags of what was asked for.
    let image = job.image.as_ref().map_or(0, |image| 2 * image.encoded_len());
    let migrate = job.migrate.as_ref().map_or(0, Message::encoded_len);
    let restore = job.restore.as_ref().map_or(0, Message::encoded_len);
    let asked = migrate + restore + job.store.as_ref().map_or(0, Message::encoded_len);
    FIXED
        + spec
        + pairs(&job.labels)
        + failure
        + warnings
        + key
        + job.notify.iter().map(|name| name.len() + 2).sum::<usize>()
        + job.wait_detail.len()
        + image
        + asked
}

/// What a running job does; unspecified for any other.
fn stage(job: &Job) -> v1::Stage {
    match job.state {
        JobState::Running => words::stage(job.stage()),
        _ => v1::Stage::Unspecified,
    }
}

fn bytes_total(job: &Job) -> Option<u64> {
    job.size().or_else(|| received(job))
}

/// The size of what was carried, as the receipt has it.
fn received(job: &Job) -> Option<u64> {
    job.receipt.as_ref()?.source.as_ref().map(|source| source.size)
}

/// A job that succeeded is done whole, also where no part was sent: a single PutObject has none, and
/// `skip` found the object at the target.
fn bytes_done(job: &Job, live: Option<&Live>) -> u64 {
    match received(job) {
        Some(size) => size,
        None => live.map_or(0, |live| live.bytes_done).max(job.progress.bytes),
    }
}

fn bytes_sent(job: &Job) -> u64 {
    let receipt = job.receipt.as_ref();
    receipt.map_or(0, |receipt| receipt.bytes_sent).max(job.progress.bytes_sent)
}

/// As submitted. A presigned source prints itself without its query.
fn transfer_spec(spec: &TransferSpec) -> v1::TransferSpec {
    let (sse, sse_kms_key_id) = words::encryption(spec);
    v1::TransferSpec {
        source: spec.source.to_string(),
        target: spec.target.to_string(),
        verify: words::verify(spec.verify).into(),
        if_exists: words::if_exists(spec.if_exists).into(),
        part_size: spec.part_size,
        storage_class: spec.storage_class.clone(),
        sse: sse.into(),
        sse_kms_key_id,
        tags: spec.tags.clone().into_iter().collect(),
        expect_blake3: spec.expect_blake3.map(hex::encode),
    }
}

fn failure(failure: &Failure) -> v1::Failure {
    v1::Failure {
        class: failure.class.as_str().to_owned(),
        side: failure.side.map(|side| side.as_str().to_owned()).unwrap_or_default(),
        remote: failure.remote.as_ref().map(ToString::to_string).unwrap_or_default(),
        operation: failure.operation.clone(),
        resource: failure.resource.clone(),
        reason: failure.reason.clone(),
        remedy: failure.remedy.clone(),
        message: failure.to_string(),
    }
}

/// The pinned source. The receipt's word is taken where there is one: it knew the place at the time.
fn source(job: &Job, place: &Places<'_>) -> Option<v1::ObjectRef> {
    if let Some(source) = job.receipt.as_ref().and_then(|receipt| receipt.source.as_ref()) {
        return Some(object_ref(source));
    }
    let (pinned, _) = job.transfer.planned()?;
    Some(match &job.spec.as_ref()?.source {
        Address::Object(object) => {
            let place = place(&object.remote).unwrap_or_default();
            v1::ObjectRef {
                remote: object.remote.to_string(),
                partition: place.partition,
                account: place.account.unwrap_or_default(),
                region: place.region,
                bucket: object.bucket.clone(),
                key: object.key.clone(),
                ..pinned_ref(pinned)
            }
        }
        Address::Presigned(url) => v1::ObjectRef {
            remote: "presigned".to_owned(),
            key: presigned_key(url),
            ..pinned_ref(pinned)
        },
    })
}

fn pinned_ref(pinned: &PinnedObject) -> v1::ObjectRef {
    v1::ObjectRef {
        version_id: pinned.version_id.clone(),
        etag: pinned.etag.clone(),
        size: pinned.size,
        ..v1::ObjectRef::default()
    }
}

/// Which part of the path is the bucket cannot be told: the host may name it, or the path.
fn presigned_key(url: &PresignedUrl) -> String {
    url.expose().path().trim_start_matches('/').to_owned()
}

pub(super) fn object_ref(object: &ObjectRef) -> v1::ObjectRef {
    v1::ObjectRef {
        remote: object.remote.clone(),
        partition: object.partition.clone(),
        account: object.account.clone().unwrap_or_default(),
        region: object.region.clone(),
        bucket: object.bucket.clone(),
        key: object.key.clone(),
        version_id: object.version_id.clone(),
        etag: object.etag.clone(),
        size: object.size,
    }
}

/// The job's receipt, field by field, once it has one.
pub fn receipt(job: &Job, place: &Places<'_>) -> Option<v1::Receipt> {
    let receipt = job.receipt.as_ref()?;
    Some(v1::Receipt {
        job_id: receipt.job_id.to_string(),
        kind: words::kind(receipt.kind).into(),
        source: receipt.source.as_ref().map(object_ref),
        target: receipt.target.as_ref().map(object_ref),
        blake3: receipt.blake3.clone(),
        crc64nvme: receipt.crc64nvme.clone(),
        verified_by: receipt.verified_by.map(|by| by.as_str().to_owned()).unwrap_or_default(),
        parts: receipt.parts.into(),
        part_size: receipt.part_size,
        bytes_sent: receipt.bytes_sent,
        attempts: receipt.attempts,
        submitted_at: Some(timestamp(receipt.submitted_at)),
        started_at: Some(timestamp(receipt.started_at)),
        finished_at: Some(timestamp(receipt.finished_at)),
        daemon_version: receipt.daemon_version.clone(),
        image: image::progress(job, None, place),
    })
}

/// What a transfer would do.
pub fn plan(run: &DryRun) -> v1::Plan {
    v1::Plan {
        source: Some(object_ref(&run.source)),
        target: Some(object_ref(&run.target)),
        part_size: run.part_size,
        parts: run.parts.into(),
        verify: words::verify(run.verify).into(),
        if_exists: words::if_exists(run.if_exists).into(),
        bytes_to_send: run.bytes_to_send,
        warnings: run.warnings.clone(),
    }
}

/// Every part of the job in the order of their numbers: done by the ledger's facts, active by the
/// live figures, else pending. Empty until planned, and for a single PutObject.
pub fn part_map(job: &Job, facts: &[PartFact], live: Option<&Live>) -> Vec<v1::Part> {
    let Some((_, plan)) = job.transfer.planned() else { return Vec::new() };
    let done: BTreeMap<PartNumber, u32> =
        facts.iter().map(|fact| (fact.number, fact.attempts)).collect();
    let active: BTreeMap<PartNumber, u32> =
        live.into_iter().flat_map(|live| live.parts_active.iter().copied()).collect();
    let part = |number: PartNumber| {
        let range = plan.range(number)?;
        let (state, attempts) = match (done.get(&number), active.get(&number)) {
            (Some(attempts), _) => (v1::PartState::Done, *attempts),
            (None, Some(attempt)) => (v1::PartState::Active, *attempt),
            // The facts may be gone once the proof holds; what they said still stands.
            (None, None) if job.state == JobState::Succeeded => (v1::PartState::Done, 0),
            (None, None) => (v1::PartState::Pending, 0),
        };
        Some(v1::Part {
            number: number.get().into(),
            offset: range.start,
            size: range.len,
            state: state.into(),
            attempts,
        })
    };
    plan.numbers().filter_map(part).collect()
}

/// The live figures of a running job.
pub fn progress(job: &Job, live: &Live) -> v1::Progress {
    let bytes_done = bytes_done(job, Some(live));
    let wait = live.wait.as_ref();
    let total = bytes_total(job);
    v1::Progress {
        job_id: job.id.to_string(),
        stage: stage(job).into(),
        wait_reason: wait.map_or(0, |wait| words::wait_reason(wait.reason).into()),
        wait_detail: wait.map(|wait| wait.detail.clone()).unwrap_or_default(),
        bytes_done,
        bytes_total: total,
        bytes_per_second: live.bytes_per_second,
        parts_done: job.progress.parts,
        parts_total: job.transfer.planned().map_or(0, |(_, plan)| plan.parts().into()),
        parts_active: u32::try_from(live.parts_active.len()).unwrap_or(u32::MAX),
        // Without a rate there is no end in sight: nothing is said.
        eta_seconds: total
            .and_then(|total| total.saturating_sub(bytes_done).checked_div(live.bytes_per_second)),
        stage_percent: live.percent.map(u32::from),
    }
}

#[cfg(test)]
mod tests;
