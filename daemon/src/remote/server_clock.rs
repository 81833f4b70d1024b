//! What time it is at a remote, by the `Date` of its answers: a clock that is wrong here is refused there, in
//! words that do not say by how much.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::HeaderMap;
use http::header::DATE;

use crate::base::clock;
use crate::model::Timestamp;

/// No answer told the time yet.
const UNKNOWN: i64 = i64::MIN;

/// How far this machine's clock is ahead of a remote's, as the newest answer shows. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct ServerClock(Arc<AtomicI64>);

impl Default for ServerClock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl ServerClock {
    /// Takes note of an answer that has just come.
    pub(super) fn see(&self, answer: &HeaderMap) {
        if let Some(skew) = ahead_millis(answer, clock::now()) {
            self.0.store(skew, Ordering::Relaxed);
        }
    }

    /// Milliseconds that this machine is ahead, or behind where negative; to a second, and the answer's way.
    pub(super) fn ahead_millis(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|skew| *skew != UNKNOWN)
    }
}

fn ahead_millis(answer: &HeaderMap, now: Timestamp) -> Option<i64> {
    let date = answer.get(DATE)?.to_str().ok()?;
    let there = DateTime::from_str(date, Format::HttpDate).ok()?.to_millis().ok()?;
    i64::try_from(now.0).ok()?.checked_sub(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(DATE, date.parse().expect("a header's value"))])
    }

    #[test]
    fn an_answer_tells_how_far_the_clock_is_off() {
        let date = answered("Fri, 02 Jan 2026 03:04:05 GMT");
        let there = 1_767_323_045_000;
        assert_eq!(ahead_millis(&date, Timestamp(there + 1_500)), Some(1_500));
        assert_eq!(ahead_millis(&date, Timestamp(there - 400_000)), Some(-400_000));
        for no_date in [answered("soon"), answered(""), HeaderMap::new()] {
            assert_eq!(ahead_millis(&no_date, Timestamp(there)), None);
        }
    }

    #[test]
    fn an_answer_without_a_date_changes_nothing() {
        let clock = ServerClock::default();
        clock.see(&HeaderMap::new());
        assert_eq!(clock.ahead_millis(), None);
        clock.see(&answered("Fri, 02 Jan 2026 03:04:05 GMT"));
        let seen = clock.ahead_millis();
        assert!(seen.is_some());
        clock.see(&HeaderMap::new());
        assert_eq!(clock.ahead_millis(), seen);
    }
}
