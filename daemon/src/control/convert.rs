//! Between the words of the API and those of the domain. Pure: neither clock nor ledger.
//!
//! What comes in is checked field by field, and the first fault is told as an [`Invalid`]. What
//! goes out never holds a secret: a presigned source is printed without its query.

mod fault;
mod filter;
mod image;
mod job;
mod prefix;
mod preflight;
mod status;
mod submit;
mod words;

use std::fmt;

pub use fault::{fault, limits_refused, listing_failed, side_failed};
pub use filter::{job_filter, job_id};
pub use image::listed;
pub use job::{job, part_map, plan, progress, receipt, weight};
pub use prefix::Prefix;
pub use preflight::preflight;
pub use status::{
    limits, limits_change, remote_limits, remote_status, state_counts, webhook_status,
};
pub use submit::{priority, submission};
pub use words::state;

use super::engine::Place;
use crate::model::{RemoteName, Timestamp};

/// Tells where a remote is.
pub type Places<'a> = dyn Fn(&RemoteName) -> Option<Place> + 'a;

/// A field of a request that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct Invalid {
    /// As the API names it.
    field: &'static str,
    /// The value, the reason, the remedy.
    fault: String,
}

impl Invalid {
    /// `fault` says the value, the reason and the remedy, in one line.
    pub fn new(field: &'static str, fault: impl fmt::Display) -> Self {
        Self { field, fault: fault.to_string() }
    }
}

impl From<Invalid> for tonic::Status {
    fn from(invalid: Invalid) -> Self {
        Self::invalid_argument(invalid.to_string())
    }
}

/// The longest value that an error repeats. A status travels in an HTTP/2 header, which is small.
const SHOWN_CHARS_MAX: usize = 120;

/// A value as an error shows it: quoted, on one line, cut.
fn quoted(value: &str) -> String {
    let shown: String = value.escape_debug().take(SHOWN_CHARS_MAX).collect();
    format!("'{shown}'")
}

/// A moment as the API writes it.
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0 % 1000).unwrap_or_default() * 1_000_000;
    prost_types::Timestamp { seconds: i64::try_from(at.0 / 1000).unwrap_or(i64::MAX), nanos }
}
