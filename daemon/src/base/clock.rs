//! The wall clock, behind a function, so that time is asked for in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Now. A clock before 1970 reads as 0.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// `2026-01-02T03:04:05.678Z`. A moment past the year 9999 prints as its milliseconds.
pub fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(moment) => format!("{moment:.3}"),
        Err(_) => at.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(Timestamp(1_767_326_645_678)), "2026-01-02T04:04:05.678Z");
        assert_eq!(rfc3339(Timestamp(u64::MAX)), u64::MAX.to_string());
    }
}
