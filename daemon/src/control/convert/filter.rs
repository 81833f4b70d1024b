//! Which jobs: ids and filters.

use causeway_proto::v1;

use super::{Invalid, submit, words};
use crate::ledger::Filter;
use crate::model::JobId;

/// Reads a job's id.
///
/// # Errors
/// Where the text is not one.
pub fn job_id(field: &'static str, text: &str) -> Result<JobId, Invalid> {
    text.parse().map_err(|fault| Invalid::new(field, fault))
}

/// Reads a filter. Empty fields do not restrict.
///
/// # Errors
/// The first field that cannot be taken.
pub fn job_filter(filter: v1::JobFilter) -> Result<Filter, Invalid> {
    Ok(Filter {
        states: filter.states.into_iter().map(words::state_asked).collect::<Result<_, _>>()?,
        kinds: filter.kinds.into_iter().map(words::kind_asked).collect::<Result<_, _>>()?,
        labels: submit::labels("filter.labels", filter.labels)?,
    })
}
