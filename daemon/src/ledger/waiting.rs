//! Since when the jobs of the queue wait: how many of them came into it in each second.
//!
//! The queue's own order is another: by lane, priority and submission. An index by the moment of coming in
//! would be written with every job; this is asked for once a scrape, to the second, so it is counted in
//! memory, and made again at start while every record is read anyway.
//!
//! # Invariants
//! - It grows with the seconds in which somebody came who still waits, not with the jobs.
//! - A job's moment is a function of the job alone, as its index keys are: what knows the job before and
//!   after a change knows what to take out and what to put in.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::key;
use crate::model::{JobState, Timestamp};

const MILLIS: u64 = 1000;
/// How a record's JSON names the moment, which is the last of its fields. Within a text the quotes would
/// be escaped.
const FIELD: &[u8] = b",\"queued_at\":";
/// The longest number, and the brace that closes the record.
const NUMBER_BYTES: usize = 20 + 1;

/// How many there are of each second since 1970. While it is being made, some may be below zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Waiting(BTreeMap<u64, i64>);

/// What of a job's record says since when it waits.
#[derive(Deserialize)]
struct Queued {
    state: JobState,
    submitted_at: Timestamp,
    #[serde(default)]
    queued_at: Option<Timestamp>,
}

impl Waiting {
    /// A job that waited since `before` waits since `after`; `None` where it is not in the queue.
    pub(super) fn change(&mut self, before: Option<Timestamp>, after: Option<Timestamp>) {
        if before == after {
            return;
        }
        for (at, many) in [(before, -1), (after, 1)] {
            if let Some(at) = at {
                self.count(at.0 / MILLIS, many);
            }
        }
    }

    /// Takes a row of the queue, as if its job had been there since it was submitted.
    pub(super) fn take_row(&mut self, key: &[u8]) {
        self.change(None, key::submitted_at(key));
    }

    /// Takes the record of any job, whose row of the queue is taken as well: one that came back has waited
    /// since then.
    pub(super) fn take_record(&mut self, payload: &[u8]) {
        let tail = payload.len().saturating_sub(FIELD.len() + NUMBER_BYTES);
        if !payload[tail..].windows(FIELD.len()).any(|found| found == FIELD) {
            return;
        }
        // One that this version cannot read is told when it is asked for.
        let Ok(job) = serde_json::from_slice::<Queued>(payload) else { return };
        if job.state == JobState::Queued && job.queued_at.is_some() {
            self.change(Some(job.submitted_at), job.queued_at);
        }
    }

    /// Takes what another has counted.
    pub(super) fn add(&mut self, more: &Self) {
        more.0.iter().for_each(|(second, many)| self.count(*second, *many));
    }

    /// The second in which the one came that has waited longest.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let (second, _) = self.0.iter().find(|(_, many)| **many > 0)?;
        Some(Timestamp(second * MILLIS))
    }

    fn count(&mut self, second: u64, many: i64) {
        let counted = self.0.entry(second).or_default();
        *counted += many;
        if *counted == 0 {
            self.0.remove(&second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record;
    use crate::model::Job;

    fn at(second: u64) -> Option<Timestamp> {
        Some(Timestamp(second * MILLIS))
    }

    #[test]
    fn the_oldest_is_the_one_that_came_first_of_those_that_are_still_there() {
        let mut waiting = Waiting::default();
        for second in [7, 3, 3, 5] {
            waiting.change(None, at(second).map(|at| at.plus_millis(second)));
        }
        let mut oldest = Vec::new();
        for (before, after) in [(3, None), (3, at(9)), (5, None), (7, None), (9, None)] {
            waiting.change(at(before), after);
            oldest.push(waiting.oldest());
        }
        assert_eq!(oldest, [at(3), at(5), at(7), at(9), None]);
        assert_eq!(waiting, Waiting::default(), "nothing is left of those that went");
    }

    /// The rows and the records are read by several threads, in any order.
    #[test]
    fn what_threads_counted_apart_is_one() {
        let mut job = crate::ledger::tests::job_of(at(1).expect("a moment"));
        let row = key::queue(&job).expect("queued");
        job.queued_at = Some(Timestamp(u64::MAX));
        let (mut rows, mut records) = (Waiting::default(), Waiting::default());
        rows.take_row(&row);
        records.take_record(&payload(&job));
        for (mut first, then) in [(rows.clone(), &records), (records.clone(), &rows)] {
            first.add(then);
            assert_eq!(first.oldest(), at(u64::MAX / MILLIS));
        }
        assert_eq!((rows.oldest(), records.oldest()), (at(1), at(u64::MAX / MILLIS)));
    }

    fn payload(job: &Job) -> Vec<u8> {
        let record = record::encode(job, String::new).expect("plain data");
        record[record::HEAD_BYTES..].to_vec()
    }

    /// Found by its end: a field after it, or none before it, would hide it.
    #[test]
    fn only_a_record_that_names_the_moment_as_its_own_moves_its_job() {
        let mut job = crate::ledger::tests::job_of(Timestamp(5));
        job.labels.insert("queued_at".into(), ",\"queued_at\":7}".into());
        job.actor = ",\"queued_at\":7}".into();
        let moved = |job: &Job| {
            let mut waiting = Waiting::default();
            waiting.take_record(&payload(job));
            waiting != Waiting::default()
        };
        assert!(!moved(&job));
        for at in [1_000, 1_700_000_000_000, u64::MAX] {
            job.queued_at = Some(Timestamp(at));
            assert!(moved(&job), "{at}");
        }
        job.warnings.push("a".repeat(900));
        assert!(moved(&job));
        job.state = JobState::Paused;
        assert!(!moved(&job), "it is not in the queue");
        for payload in [&b""[..], b"}", FIELD, b"{,\"queued_at\":1}"] {
            let mut waiting = Waiting::default();
            waiting.take_record(payload);
            assert_eq!(waiting, Waiting::default());
        }
    }
}
