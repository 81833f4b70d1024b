//! The wall clock, behind a function, so that time is asked for in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Now. A clock before 1970 reads as 0.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
