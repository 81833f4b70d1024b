//! What was tried beforehand, as the API shows it.

use causeway_proto::v1;

use crate::model::{Check, CheckOutcome, Policy};

/// The check list, and what the identities have to be allowed.
pub fn preflight(checks: Vec<Check>, policies: Vec<Policy>) -> v1::PreflightResponse {
    v1::PreflightResponse {
        checks: checks.into_iter().map(check).collect(),
        policies: policies.into_iter().map(policy).collect(),
    }
}

fn check(check: Check) -> v1::Check {
    let outcome = match check.outcome {
        CheckOutcome::Passed => v1::CheckOutcome::Passed,
        CheckOutcome::Warning => v1::CheckOutcome::Warning,
        CheckOutcome::Failed => v1::CheckOutcome::Failed,
        CheckOutcome::Skipped => v1::CheckOutcome::Skipped,
    };
    v1::Check {
        side: check.side.as_str().to_owned(),
        remote: check.remote.to_string(),
        name: check.name.to_owned(),
        outcome: outcome.into(),
        detail: check.detail,
        remedy: check.remedy,
    }
}

fn policy(policy: Policy) -> v1::Policy {
    v1::Policy {
        side: policy.side.as_str().to_owned(),
        remote: policy.remote.to_string(),
        json: policy.json,
    }
}
