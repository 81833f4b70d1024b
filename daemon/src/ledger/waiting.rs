//! Since when the jobs of the queue wait: how many of them came into it in each second.
//!
//! The queue's own order is another: by lane, priority and submission. An index by the moment of coming in
//! would be written with every job; this is asked for once a scrape, to the second, so it is counted in
//! memory, and made again at start while every row is read anyway.
//!
//! # Invariants
//! - It grows with the seconds in which somebody came who still waits, not with the jobs.
//! - A job's moment is a function of the job alone, as its index keys are: what knows the job before and
//!   after a change knows what to take out and what to put in.
//! - Nothing is left once the queue is empty: an older version, after a rollback, writes a job anew without its
//!   moment and may leave the row that has it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{key, record};
use crate::model::{Job, Timestamp};

const MILLIS: u64 = 1000;

/// How many there are of each second since 1970 that has any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Waiting(BTreeMap<u64, u64>);

/// What a job's row of the queue says besides its key: when it came back into it. Nothing where it has been
/// there since its submission, which is in the key.
pub(super) fn row(job: &Job) -> Vec<u8> {
    const { assert!(size_of::<u64>() <= record::HEAD_BYTES, "a row is hashed no further") };
    job.queued_at.map(|at| at.0.to_be_bytes().to_vec()).unwrap_or_default()
}

impl Waiting {
    /// A job that waited since `before` waits since `after`, `None` where it is not in the queue, which now has
    /// so many.
    pub(super) fn change(
        &mut self,
        before: Option<Timestamp>,
        after: Option<Timestamp>,
        queued: u64,
    ) {
        if before == after {
            return;
        }
        if queued == 0 {
            self.0.clear();
            return;
        }
        if let Some(Timestamp(before)) = before
            && let Entry::Occupied(mut counted) = self.0.entry(before / MILLIS)
        {
            *counted.get_mut() -= 1;
            if *counted.get() == 0 {
                counted.remove();
            }
        }
        if let Some(after) = after {
            self.begin(after);
        }
    }

    fn begin(&mut self, Timestamp(at): Timestamp) {
        *self.0.entry(at / MILLIS).or_default() += 1;
    }

    /// Takes a row of the queue.
    pub(super) fn take_row(&mut self, key: &[u8], value: &[u8]) {
        let since = key::number(value).map(Timestamp);
        if let Some(since) = since.or_else(|| key::submitted_at(key)) {
            self.begin(since);
        }
    }

    /// Takes what another has counted.
    pub(super) fn add(&mut self, more: &Self) {
        more.0.iter().for_each(|(second, many)| *self.0.entry(*second).or_default() += many);
    }

    /// The second in which the one came that has waited longest.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.0.keys().next().map(|second| Timestamp(second * MILLIS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Option<Timestamp> {
        Some(Timestamp(second * MILLIS))
    }

    #[test]
    fn the_oldest_is_the_one_that_came_first_of_those_that_are_still_there() {
        let mut waiting = Waiting::default();
        for second in [7, 3, 3, 5] {
            waiting.change(None, at(second).map(|at| at.plus_millis(second)), 4);
        }
        let mut oldest = Vec::new();
        for (before, after, queued) in
            [(3, None, 3), (3, at(9), 3), (5, None, 2), (7, None, 1), (9, None, 0)]
        {
            waiting.change(at(before), after, queued);
            oldest.push(waiting.oldest());
        }
        assert_eq!(oldest, [at(3), at(5), at(7), at(9), None]);
        assert_eq!(waiting, Waiting::default(), "nothing is left of those that went");
    }

    /// Threads read the rows, each some of them.
    #[test]
    fn a_row_waits_since_its_submission_or_since_it_came_back() {
        let mut job = crate::ledger::tests::job_of(at(1).expect("a moment"));
        let key = key::queue(&job).expect("queued");
        let mut all = Waiting::default();
        for (came_back, since) in [(at(7), at(7)), (None, at(1))] {
            job.queued_at = came_back;
            let mut waiting = Waiting::default();
            waiting.take_row(&key, &row(&job));
            assert_eq!((waiting.oldest(), job.queued_since()), (since, since));
            all.add(&waiting);
            assert_eq!(all.oldest(), since);
        }
        all.take_row(b"no key", b"");
        assert_eq!(all.0.len(), 2);
    }
}
