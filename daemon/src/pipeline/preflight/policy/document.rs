//! The parts of an IAM policy document, and how AWS names what it is about.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::{ObjectAddress, RemoteName};

/// One side, as policies name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Party {
    pub remote: RemoteName,
    pub partition: String,
    pub region: String,
    /// `None` where STS was not asked: then any.
    pub account: Option<String>,
    /// ARNs of the keys that its buckets encrypt by.
    pub bucket_keys: Vec<String>,
    /// ARNs of the keys of the snapshots that are stored.
    pub snapshot_keys: Vec<String>,
    /// The key that restored snapshots are encrypted by, where it is the account's choice; as EC2 names it.
    pub default_key: Option<String>,
}

impl Party {
    /// The object's ARN.
    pub(super) fn object(&self, object: &ObjectAddress) -> String {
        let key = literal(&object.key);
        format!("arn:{}:s3:::{}/{key}", self.partition, object.bucket)
    }

    /// Its bucket's.
    pub(super) fn bucket(&self, object: &ObjectAddress) -> String {
        format!("arn:{}:s3:::{}", self.partition, object.bucket)
    }

    /// Images and snapshots are named without an account.
    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>
    pub(super) fn image(&self, id: &str) -> String {
        format!("arn:{}:ec2:{}::image/{id}", self.partition, self.region)
    }

    pub(super) fn snapshot(&self, id: &str) -> String {
        format!("arn:{}:ec2:{}::snapshot/{id}", self.partition, self.region)
    }

    /// A name that begins with a slash has none of its own before it.
    /// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html>
    pub(super) fn parameter(&self, name: &str) -> String {
        format!("{}:parameter/{}", self.of("ssm"), name.trim_start_matches('/'))
    }

    /// The key that a request names by its ARN, id or alias, and what tells it where its ARN does not.
    /// <https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html>
    pub(super) fn key(&self, named: &str) -> (Vec<String>, Option<Value>) {
        let Some(at) = named.find("alias/") else {
            let arn = match named.starts_with("arn:") {
                true => named.to_owned(),
                false => format!("{}:key/{named}", self.of("kms")),
            };
            return (vec![arn], None);
        };
        let (before, alias) = named.split_at(at);
        let owner = match before {
            "" => format!("{}:", self.of("kms")),
            arn => arn.to_owned(),
        };
        let aliased = json!({ "ForAnyValue:StringEquals": { "kms:ResourceAliases": alias } });
        (vec![format!("{owner}key/*")], Some(aliased))
    }

    fn of(&self, service: &str) -> String {
        let account = self.account.as_deref().unwrap_or("*");
        format!("arn:{}:{service}:{}:{account}", self.partition, self.region)
    }
}

/// A text that stands for itself in a policy, where `*` and `?` stand for others and `$` begins a variable.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars>
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '?' | '$' => literal.extend(['$', '{', c, '}']),
            c => literal.push(c),
        }
    }
    literal
}

/// Something that is allowed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<&'static str>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
}

impl Statement {
    /// These actions, on nothing yet.
    pub(super) fn new(sid: &'static str, actions: impl IntoIterator<Item = &'static str>) -> Self {
        let mut action: Vec<_> = actions.into_iter().collect();
        action.sort_unstable();
        Self { sid, effect: "Allow", action, resource: Vec::new(), condition: None }
    }

    /// On these.
    pub(super) fn on(self, resources: impl IntoIterator<Item = String>) -> Self {
        let mut resource: Vec<_> = resources.into_iter().collect();
        resource.sort_unstable();
        resource.dedup();
        Self { resource, ..self }
    }

    /// Under this condition alone.
    pub(super) fn where_it_holds(self, condition: Option<Value>) -> Self {
        Self { condition, ..self }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: &'static str,
    statement: Vec<Statement>,
}

/// As IAM takes it. A statement's id is its own: what two parts of a job need alike stands in both.
pub(super) fn rendered(statements: Vec<Statement>) -> String {
    let mut statement: Vec<Statement> = Vec::with_capacity(statements.len());
    for new in statements {
        if statement.iter().all(|known| known.sid != new.sid || *known != new) {
            statement.push(new);
        }
    }
    let document = Document { version: "2012-10-17", statement };
    // Plain data: it cannot fail to be written.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
