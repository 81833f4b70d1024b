//! The newest changes, in memory: who follows the jobs reads them without the disk.
//!
//! A restart forgets them. Whoever has seen everything goes on after it, and whoever has not is told that
//! it came too late, which it has to be ready for in any case: kept on disk, every change would be written
//! twice.
//!
//! # Invariants
//! - Cursors are contiguous from the oldest that is kept to the newest.
//! - A change enters before it is durable; nobody is shown more than is published.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::Job;

/// The changes that are kept.
#[derive(Debug, Default)]
pub(super) struct Ring(Mutex<VecDeque<(u64, Arc<Job>)>>);

impl Ring {
    /// Takes the next change, and forgets the oldest beyond `kept`.
    pub(super) fn push(&self, cursor: u64, job: Arc<Job>, kept: usize) {
        let mut ring = self.lock();
        ring.push_back((cursor, job));
        if ring.len() > kept {
            ring.pop_front();
        }
    }

    /// The oldest that is kept; `None` where there is none.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.lock().front().map(|(cursor, _)| *cursor)
    }

    /// From `first` to `last`, at most `max` of them; empty where `first` is not kept any more.
    pub(super) fn range(&self, first: u64, last: u64, max: usize) -> Vec<(u64, Arc<Job>)> {
        let ring = self.lock();
        let at = ring.front().and_then(|(oldest, _)| first.checked_sub(*oldest));
        let Some(Ok(at)) = at.map(usize::try_from) else { return Vec::new() };
        let from = ring.iter().skip(at).take(max);
        from.take_while(|(cursor, _)| *cursor <= last).cloned().collect()
    }

    /// Plain data that every holder leaves whole.
    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<Job>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
