//! Objects, plans, and the answers to submissions and actions.

use serde::Serialize;

use super::{Job, known, word};
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
    use serde_json::json;

    use super::*;

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
