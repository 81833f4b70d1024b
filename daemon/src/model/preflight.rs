//! What a job would need, tried beforehand.

use super::{RemoteName, Side};

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub side: Side,
    pub remote: RemoteName,
    /// A few words, e.g. `bucket Region`.
    pub name: &'static str,
    pub outcome: CheckOutcome,
    /// What was found, in a line.
    pub detail: String,
    /// What to do; empty where there is nothing to do.
    pub remedy: String,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    Passed,
    /// The job would run; what it says deserves a look.
    Warning,
    /// The job would fail, or wait until somebody acts.
    Failed,
    /// It could not be tried, or does not apply.
    Skipped,
}

/// The least that one identity has to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub side: Side,
    pub remote: RemoteName,
    /// An IAM policy document.
    pub json: String,
}
