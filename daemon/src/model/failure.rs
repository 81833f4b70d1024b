//! Why something failed, told so that a person can act on it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RemoteName;

/// Who acts next, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Try again after a jittered pause.
    Transient,
    /// Try again, slower: the side asked for it.
    Throttled,
    /// Trying again would give the same: a person decides.
    Permanent,
    /// Bytes are not what they should be. Tried again a few times, never trusted.
    Corrupt,
    /// The side's credentials do not work now: wait for them, burn no attempt.
    Credentials,
}

impl FailureClass {
    /// The word used in the API, in metrics and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Permanent => "permanent",
            Self::Corrupt => "corrupt",
            Self::Credentials => "credentials",
        }
    }
}

/// Which end of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Source,
    Target,
}

impl Side {
    /// The word used in the API and in errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// One failure, told whole. It is durable and shown to people: it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub class: FailureClass,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Empty for a presigned source or where no side is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteName>,
    /// The AWS action, e.g. `s3:GetObject`; empty where there is none.
    pub operation: String,
    /// `BUCKET/KEY`; empty where there is none.
    pub resource: String,
    /// What went wrong.
    pub reason: String,
    /// What a person can do; empty where nobody knows.
    pub remedy: String,
}

impl Failure {
    /// A failure of no side in particular.
    pub fn new(class: FailureClass, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            class,
            side: None,
            remote: None,
            operation: String::new(),
            resource: String::new(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// The same, said of one side.
    #[must_use]
    pub fn on(mut self, side: Side, remote: Option<RemoteName>) -> Self {
        self.side = Some(side);
        self.remote = remote;
        self
    }

    /// The same, said of one operation on one resource.
    #[must_use]
    pub fn at(mut self, operation: impl Into<String>, resource: impl Into<String>) -> Self {
        self.operation = operation.into();
        self.resource = resource.into();
        self
    }
}

/// One line: `source commercial: s3:GetObject on bucket/key: access denied; remedy`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(side) = self.side {
            f.write_str(side.as_str())?;
            if let Some(remote) = &self.remote {
                write!(f, " {remote}")?;
            }
            f.write_str(": ")?;
        }
        if !self.operation.is_empty() {
            write!(f, "{} on {}: ", self.operation, self.resource)?;
        }
        f.write_str(&self.reason)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_side_action_resource_and_remedy() {
        let failure = Failure::new(FailureClass::Permanent, "access denied", "allow s3:GetObject")
            .on(Side::Source, "commercial".parse().ok())
            .at("s3:GetObject", "images/a.bin");
        assert_eq!(
            failure.to_string(),
            "source commercial: s3:GetObject on images/a.bin: access denied; allow s3:GetObject"
        );
        assert_eq!(Failure::new(FailureClass::Transient, "stopped", "").to_string(), "stopped");
    }
}
