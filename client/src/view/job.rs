//! Jobs, and what belongs to one: its parts, its failure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    ImageProgress, Migrate, Object, Receipt, Restore, Store, Transfer, known, must, sorted, time,
    word,
};
use crate::v1;

/// One job, as the ledger has it.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    pub job_id: String,
    pub kind: &'static str,
    pub state: &'static str,
    pub stage: Option<&'static str>,
    pub wait_reason: Option<&'static str>,
    pub wait_detail: Option<String>,
    /// The object that it carries; an image job may carry none.
    pub transfer: Option<Transfer>,
    pub store: Option<Store>,
    pub restore: Option<Restore>,
    pub migrate: Option<Migrate>,
    pub priority: i32,
    pub labels: BTreeMap<String, String>,
    pub submitted_at: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub revision: u64,
    pub attempts: u32,
    pub bytes_total: Option<u64>,
    pub bytes_done: u64,
    pub bytes_sent: u64,
    pub bytes_per_second: u64,
    pub parts_total: u32,
    pub parts_done: u32,
    pub part_size: Option<u64>,
    pub failure: Option<Failure>,
    pub warnings: Vec<String>,
    pub pause_requested: bool,
    pub cancel_requested: bool,
    pub actor: Option<String>,
    pub idempotency_key: Option<String>,
    /// Webhooks that are told of it.
    pub notify: Vec<String>,
    /// The pinned source, once planned.
    pub source: Option<Object>,
    /// How far an image job is.
    pub image: Option<ImageProgress>,
    pub receipt: Option<Receipt>,
}

impl From<&v1::Job> for Job {
    fn from(job: &v1::Job) -> Self {
        Self {
            job_id: job.id.clone(),
            kind: must::<v1::JobKind>(job.kind),
            state: must::<v1::JobState>(job.state),
            stage: word::<v1::Stage>(job.stage),
            wait_reason: word::<v1::WaitReason>(job.wait_reason),
            wait_detail: known(&job.wait_detail),
            transfer: job.transfer.as_ref().map(Transfer::from),
            store: job.store.as_ref().map(Store::from),
            restore: job.restore.as_ref().map(Restore::from),
            migrate: job.migrate.as_ref().map(Migrate::from),
            priority: job.priority,
            labels: sorted(&job.labels),
            submitted_at: time(job.submitted_at.as_ref()),
            started_at: time(job.started_at.as_ref()),
            finished_at: time(job.finished_at.as_ref()),
            revision: job.revision,
            attempts: job.attempts,
            bytes_total: job.bytes_total,
            bytes_done: job.bytes_done,
            bytes_sent: job.bytes_sent,
            bytes_per_second: job.bytes_per_second,
            parts_total: job.parts_total,
            parts_done: job.parts_done,
            part_size: (job.part_size > 0).then_some(job.part_size),
            failure: job.failure.as_ref().map(Failure::from),
            warnings: job.warnings.clone(),
            pause_requested: job.pause_requested,
            cancel_requested: job.cancel_requested,
            actor: known(&job.actor),
            idempotency_key: job.idempotency_key.clone(),
            notify: job.notify.clone(),
            source: job.source.as_ref().map(Object::from),
            image: job.image.as_ref().map(ImageProgress::from),
            receipt: job.receipt.as_ref().map(Receipt::from),
        }
    }
}

/// What ended a job, or what it last stumbled on.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    pub class: String,
    pub side: Option<String>,
    pub remote: Option<String>,
    pub operation: Option<String>,
    pub resource: Option<String>,
    pub reason: String,
    pub remedy: Option<String>,
    pub message: String,
}

impl From<&v1::Failure> for Failure {
    fn from(failure: &v1::Failure) -> Self {
        Self {
            class: failure.class.clone(),
            side: known(&failure.side),
            remote: known(&failure.remote),
            operation: known(&failure.operation),
            resource: known(&failure.resource),
            reason: failure.reason.clone(),
            remedy: known(&failure.remedy),
            message: failure.message.clone(),
        }
    }
}

/// One part of the target's multipart upload.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    pub number: u32,
    pub offset: u64,
    pub size: u64,
    pub state: &'static str,
    pub attempts: u32,
}

impl From<&v1::Part> for Part {
    fn from(part: &v1::Part) -> Self {
        Self {
            number: part.number,
            offset: part.offset,
            size: part.size,
            state: must::<v1::PartState>(part.state),
            attempts: part.attempts,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_in_json() {
        let job = v1::Job {
            id: "01J".into(),
            kind: v1::JobKind::Transfer.into(),
            state: v1::JobState::Running.into(),
            stage: v1::Stage::Transferring.into(),
            wait_reason: v1::WaitReason::Rate.into(),
            wait_detail: "write_bandwidth of gov".into(),
            transfer: Some(v1::TransferSpec {
                source: "commercial:b/k".into(),
                target: "gov:b/k".into(),
                verify: v1::Verify::Readback.into(),
                sse: v1::ServerSideEncryption::AwsKms.into(),
                ..Default::default()
            }),
            labels: [("team".to_owned(), "images".to_owned())].into(),
            revision: 3,
            bytes_total: Some(10),
            failure: Some(v1::Failure { class: "transient".into(), ..Default::default() }),
            ..Default::default()
        };
        let expected = json!({
            "job_id": "01J", "kind": "transfer", "state": "running", "stage": "transferring",
            "wait_reason": "rate", "wait_detail": "write_bandwidth of gov",
            "transfer": {
                "source": "commercial:b/k", "target": "gov:b/k", "verify": "readback",
                "if_exists": null, "part_size": null, "storage_class": null, "sse": "aws:kms",
                "sse_kms_key_id": null, "tags": {}, "expect_blake3": null,
            },
            "store": null, "restore": null, "migrate": null, "image": null,
            "priority": 0, "labels": { "team": "images" },
            "submitted_at": null, "started_at": null, "finished_at": null,
            "revision": 3, "attempts": 0, "bytes_total": 10, "bytes_done": 0, "bytes_sent": 0,
            "bytes_per_second": 0, "parts_total": 0, "parts_done": 0, "part_size": null,
            "failure": {
                "class": "transient", "side": null, "remote": null, "operation": null,
                "resource": null, "reason": "", "remedy": null, "message": "",
            },
            "warnings": [], "pause_requested": false, "cancel_requested": false, "actor": null,
            "idempotency_key": null, "notify": [], "source": null, "receipt": null,
        });
        assert_eq!(serde_json::to_value(Job::from(&job)).expect("json"), expected);
    }

    /// A newer daemon may send a state that this client has never heard of.
    #[test]
    fn an_unknown_state_is_a_word_too() {
        let job = v1::Job { state: 99, ..Default::default() };
        assert_eq!(Job::from(&job).state, "unknown");
    }
}
