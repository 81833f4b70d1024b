//! What a preflight found, and the policies that would let the job pass.

use serde::Serialize;
use serde_json::Value;

use super::{known, must};
use crate::error::Error;
use crate::v1;

/// One thing that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// `source` or `target`.
    pub side: String,
    pub remote: String,
    pub name: String,
    pub outcome: &'static str,
    pub detail: Option<String>,
    pub remedy: Option<String>,
}

impl From<&v1::Check> for Check {
    fn from(check: &v1::Check) -> Self {
        Self {
            side: check.side.clone(),
            remote: check.remote.clone(),
            name: check.name.clone(),
            outcome: must::<v1::CheckOutcome>(check.outcome),
            detail: known(&check.detail),
            remedy: known(&check.remedy),
        }
    }
}

/// The least that one identity has to be allowed.
#[derive(Clone, Debug, Serialize)]
pub struct Policy {
    /// `source` or `target`.
    pub side: String,
    pub remote: String,
    /// The IAM policy document.
    pub policy: Value,
}

impl TryFrom<&v1::Policy> for Policy {
    type Error = Error;

    fn try_from(policy: &v1::Policy) -> Result<Self, Error> {
        let document = serde_json::from_str(&policy.json);
        let document = document.map_err(|_| Error::Incomplete { field: "policy in JSON" })?;
        Ok(Self { side: policy.side.clone(), remote: policy.remote.clone(), policy: document })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_check_without_a_remedy_has_none() {
        let check = v1::Check {
            side: "source".into(),
            remote: "com".into(),
            name: "bucket Region".into(),
            outcome: v1::CheckOutcome::Passed.into(),
            detail: "us-east-2".into(),
            remedy: String::new(),
        };
        let expected = json!({
            "side": "source", "remote": "com", "name": "bucket Region", "outcome": "passed",
            "detail": "us-east-2", "remedy": null,
        });
        assert_eq!(serde_json::to_value(Check::from(&check)).expect("json"), expected);
    }

    /// A text in a text would have to be parsed twice by everybody.
    #[test]
    fn a_policy_is_a_document_and_not_a_text() {
        let policy = |json: &str| v1::Policy {
            remote: "com".into(),
            json: json.into(),
            ..Default::default()
        };
        let document = Policy::try_from(&policy("{\"Version\":\"2012-10-17\"}")).expect("JSON");
        assert_eq!(document.policy["Version"], "2012-10-17");
        assert!(Policy::try_from(&policy("{")).is_err());
    }
}
