//! The newest changes, in memory: who follows the jobs reads them without the disk.
//!
//! A restart forgets them. Whoever has seen everything goes on after it, and whoever has not is told that
//! it came too late, which it has to be ready for in any case: kept on disk, every change would be written
//! twice.
//!
//! # Invariants
//! - Cursors are contiguous from the oldest that is kept to the newest.
//! - A change enters before it is durable; nobody is shown more than is published.
//! - They are bounded by their number and by the bytes of their records, which is about what they take
//!   in memory: 10 KB of tags, labels and warnings a job must not cost more than small jobs do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::Job;

/// The changes that are kept.
#[derive(Debug)]
pub(super) struct Ring {
    kept_max: usize,
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each with the length of its record.
    events: VecDeque<(u64, Arc<Job>, usize)>,
    /// The sum of those lengths.
    bytes: usize,
}

impl Ring {
    /// An empty one, for so many changes, and so many bytes of their records.
    pub(super) fn new(kept_max: usize, bytes_max: usize) -> Self {
        Self { kept_max, bytes_max, kept: Mutex::default() }
    }

    /// Takes the next change, whose record has `bytes`, and forgets the oldest beyond either bound. The
    /// newest is kept, however large it is.
    pub(super) fn push(&self, cursor: u64, job: Arc<Job>, bytes: usize) {
        let mut kept = self.lock();
        kept.events.push_back((cursor, job, bytes));
        kept.bytes += bytes;
        while kept.events.len() > 1
            && (kept.events.len() > self.kept_max || kept.bytes > self.bytes_max)
        {
            let oldest = kept.events.pop_front();
            kept.bytes -= oldest.map_or(0, |(_, _, bytes)| bytes);
        }
    }

    /// The oldest that is kept; `None` where there is none.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.lock().events.front().map(|(cursor, ..)| *cursor)
    }

    /// From `first` to `last`, at most `max` of them; empty where `first` is not kept any more.
    pub(super) fn range(&self, first: u64, last: u64, max: usize) -> Vec<(u64, Arc<Job>)> {
        let kept = self.lock();
        let at = kept.events.front().and_then(|(oldest, ..)| first.checked_sub(*oldest));
        let Some(Ok(at)) = at.map(usize::try_from) else { return Vec::new() };
        let from = kept.events.iter().skip(at).take(max);
        let from = from.take_while(|(cursor, ..)| *cursor <= last);
        from.map(|(cursor, job, _)| (*cursor, Arc::clone(job))).collect()
    }

    /// Plain data that every holder leaves whole.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
