//! Whether new work can be written, asked of the disk at most once a second.
//!
//! The ledger's own check syncs a file: too much for every one of ten thousand submissions, and the
//! answer does not change that fast.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::convert;
use crate::ledger::Ledger;

const GOOD_FOR: Duration = Duration::from_secs(1);

/// The last answer: when, and why not.
#[derive(Debug, Default)]
pub(super) struct Writable(Mutex<Option<(Instant, Option<String>)>>);

impl Writable {
    /// Why nothing can be written now; `None` where it can.
    pub(super) async fn why_not(&self, ledger: &Ledger) -> Option<String> {
        if let Some(known) = self.known() {
            return known;
        }
        let ledger = ledger.clone();
        let checked = tokio::task::spawn_blocking(move || {
            ledger.check_writable().err().map(|error| convert::chain(&error))
        });
        let answer = checked.await.unwrap_or_else(|error| Some(error.to_string()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), answer.clone()));
        answer
    }

    fn known(&self) -> Option<Option<String>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR).map(|(_, answer)| answer.clone())
    }
}
