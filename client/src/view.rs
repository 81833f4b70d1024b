//! The JSON of the command line: plain structs with the field names that scripts rely on.
//!
//! # Invariants
//! - Every field is always present; what is not known is `null`, never an empty string or an absent key.
//!   The one exception is a receipt, which leaves out what its job did not do.
//! - Enums are the words of the contract, times are RFC 3339 in UTC with milliseconds, sizes are bytes.
//! - The names in [`Receipt`] are those of the contract, section 5.

mod daemon;
mod event;
mod image;
mod job;
mod object;
mod preflight;
mod receipt;
mod spec;

pub use daemon::{Drain, RemoteLimits, RemoteStatus, Status};
pub use event::{Event, Progress};
pub use image::{Alias, AliasState, Difference, Fidelity, Image, ImageProgress, Stage, StageSpan};
pub use job::{Failure, Job, Part};
pub use object::{ActionResult, Fault, Line, Object, Plan, Submitted};
pub use preflight::{Check, Policy};
pub use receipt::{ImageReceipt, Receipt};
pub use spec::{Migrate, Restore, RestoredImage, Store, Transfer};

use std::collections::{BTreeMap, HashMap};

use prost_types::Timestamp;

use crate::words::Word;

/// RFC 3339 in UTC with milliseconds; `None` for a time that does not exist.
pub fn time(at: Option<&Timestamp>) -> Option<String> {
    let at = jiff_time(at?)?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The time as a type to count with.
pub fn jiff_time(at: &Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(at.seconds, at.nanos).ok()
}

/// The word of an enum field; `None` for `Unspecified` and for values of a newer daemon.
fn word<T: Word + TryFrom<i32>>(value: i32) -> Option<&'static str> {
    T::try_from(value).ok().and_then(T::word)
}

/// `None` for what the API writes as an empty string.
fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The order of a map's keys must not change from one answer to the next.
fn sorted(map: &HashMap<String, String>) -> BTreeMap<String, String> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A field that must not be `null`: an enum whose value this client does not know reads `unknown`.
fn must<T: Word + TryFrom<i32>>(value: i32) -> &'static str {
    word::<T>(value).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_exactly_three_decimals() {
        let at = |seconds, nanos| time(Some(&Timestamp { seconds, nanos }));
        assert_eq!(at(0, 0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
        assert_eq!(at(1_760_000_000, 123_999_999).as_deref(), Some("2025-10-09T08:53:20.123Z"));
        assert_eq!(at(i64::MAX, 0), None);
        assert_eq!(time(None), None);
    }
}
