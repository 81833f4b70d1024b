//! Objects, receipts, plans, and the answers to submissions and actions.

use serde::Serialize;

use super::{Job, known, must, time, word};
use crate::v1::{self, submit_many_response::Outcome};
use crate::words::status_word;

/// One object on one side.
#[derive(Clone, Debug, Serialize)]
pub struct Object {
    pub remote: String,
    pub partition: Option<String>,
    pub account: Option<String>,
    pub region: Option<String>,
    pub bucket: String,
    pub key: String,
    pub version_id: Option<String>,
    pub etag: Option<String>,
    pub size: u64,
}

impl From<&v1::ObjectRef> for Object {
    fn from(object: &v1::ObjectRef) -> Self {
        Self {
            remote: object.remote.clone(),
            partition: known(&object.partition),
            account: known(&object.account),
            region: known(&object.region),
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            version_id: object.version_id.clone(),
            etag: known(&object.etag),
            size: object.size,
        }
    }
}

/// What moved, from where, to where, and the proof that it is the same.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    pub job_id: String,
    pub kind: &'static str,
    pub source: Option<Object>,
    pub target: Option<Object>,
    pub blake3: String,
    pub crc64nvme: String,
    pub verified_by: String,
    pub parts: u32,
    pub part_size: u64,
    pub bytes_sent: u64,
    pub attempts: u32,
    pub submitted_at: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub daemon_version: String,
}

impl From<&v1::Receipt> for Receipt {
    fn from(receipt: &v1::Receipt) -> Self {
        Self {
            job_id: receipt.job_id.clone(),
            kind: must::<v1::JobKind>(receipt.kind),
            source: receipt.source.as_ref().map(Object::from),
            target: receipt.target.as_ref().map(Object::from),
            blake3: receipt.blake3.clone(),
            crc64nvme: receipt.crc64nvme.clone(),
            verified_by: receipt.verified_by.clone(),
            parts: receipt.parts,
            part_size: receipt.part_size,
            bytes_sent: receipt.bytes_sent,
            attempts: receipt.attempts,
            submitted_at: time(receipt.submitted_at.as_ref()),
            started_at: time(receipt.started_at.as_ref()),
            finished_at: time(receipt.finished_at.as_ref()),
            daemon_version: receipt.daemon_version.clone(),
        }
    }
}

/// What a transfer would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    pub source: Option<Object>,
    pub target: Option<Object>,
    pub part_size: u64,
    pub parts: u32,
    pub verify: Option<&'static str>,
    pub if_exists: Option<&'static str>,
    pub bytes_to_send: u64,
    pub warnings: Vec<String>,
}

impl From<&v1::Plan> for Plan {
    fn from(plan: &v1::Plan) -> Self {
        Self {
            source: plan.source.as_ref().map(Object::from),
            target: plan.target.as_ref().map(Object::from),
            part_size: plan.part_size,
            parts: plan.parts,
            verify: word::<v1::Verify>(plan.verify),
            if_exists: word::<v1::IfExists>(plan.if_exists),
            bytes_to_send: plan.bytes_to_send,
            warnings: plan.warnings.clone(),
        }
    }
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The gRPC status in words, e.g. `invalid_argument`.
    pub code: &'static str,
    pub message: String,
}

impl From<&v1::Fault> for Fault {
    fn from(fault: &v1::Fault) -> Self {
        Self { code: status_word(fault.code), message: fault.message.clone() }
    }
}

impl Fault {
    /// A fault found on this side, before the daemon was asked.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: "invalid_argument", message: message.into() }
    }
}

/// The answer to one submission: the job's own fields, and whether it was there already.
#[derive(Clone, Debug, Serialize)]
pub struct Submitted {
    pub existed: bool,
    #[serde(flatten)]
    pub job: Job,
}

/// The answer to one line of many: exactly one of `job`, `plan` and `error` is not `null`.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The manifest's line, or the object's ordinal below a prefix.
    pub line: u64,
    pub existed: bool,
    pub job: Option<Job>,
    pub plan: Option<Plan>,
    pub error: Option<Fault>,
}

impl Line {
    pub fn refused(line: u64, fault: Fault) -> Self {
        Self { line, existed: false, job: None, plan: None, error: Some(fault) }
    }
}

impl From<&v1::SubmitManyResponse> for Line {
    fn from(answer: &v1::SubmitManyResponse) -> Self {
        match &answer.outcome {
            Some(Outcome::Accepted(accepted)) => Self {
                line: answer.line,
                existed: accepted.existed,
                job: accepted.job.as_ref().map(Job::from),
                plan: accepted.plan.as_ref().map(Plan::from),
                error: None,
            },
            Some(Outcome::Refused(fault)) => Self::refused(answer.line, Fault::from(fault)),
            None => Self::refused(
                answer.line,
                Fault { code: "unknown", message: "the daemon's answer has no outcome".into() },
            ),
        }
    }
}

/// What an action did to one job.
#[derive(Clone, Debug, Serialize)]
pub struct ActionResult {
    pub job_id: String,
    pub state: Option<&'static str>,
    pub error: Option<Fault>,
}

impl From<&v1::ActionResult> for ActionResult {
    fn from(result: &v1::ActionResult) -> Self {
        Self {
            job_id: result.job_id.clone(),
            state: word::<v1::JobState>(result.state),
            error: result.fault.as_ref().map(Fault::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use serde_json::json;

    use super::*;

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

    /// The contract's section 5, name by name. A change here breaks other people's scripts.
    #[test]
    fn a_receipt_has_the_contracts_field_names() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let receipt = v1::Receipt {
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
        };
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
        assert_eq!(serde_json::to_value(Receipt::from(&receipt)).expect("json"), expected);
    }

    #[test]
    fn a_refused_line_says_which_and_why() {
        let answer = v1::SubmitManyResponse {
            line: 7_812,
            outcome: Some(Outcome::Refused(v1::Fault {
                code: 3,
                message: "no such remote".into(),
            })),
        };
        let expected = json!({
            "line": 7812, "existed": false, "job": null, "plan": null,
            "error": { "code": "invalid_argument", "message": "no such remote" },
        });
        assert_eq!(serde_json::to_value(Line::from(&answer)).expect("json"), expected);
    }

    #[test]
    fn an_action_result_keeps_state_and_fault_apart() {
        let done = v1::ActionResult {
            job_id: "01J".into(),
            state: v1::JobState::Paused.into(),
            fault: None,
        };
        let expected = json!({ "job_id": "01J", "state": "paused", "error": null });
        assert_eq!(serde_json::to_value(ActionResult::from(&done)).expect("json"), expected);
    }
}
