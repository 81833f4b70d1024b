//! What is true of the jobs that are followed. Pure: events in, ended jobs out.
//!
//! # Invariants
//! - An end of a job is reported once, however often a snapshot is repeated. What happens to a job that had ended
//!   before the watch began is not its end.
//! - The tally has each job by its last end: one that failed and is retried is followed again.
//! - Memory holds jobs that have not ended, and of those that have only the id where they did not succeed.

use std::collections::{BTreeMap, HashMap, HashSet};

use causeway::v1::{Job, JobState, Progress};
use causeway::watch::Event;
use causeway::words::is_ended;

use super::Tally;

/// A job under way, with its latest figures.
#[derive(Debug)]
pub struct Tracked {
    pub job: Job,
    pub progress: Option<Progress>,
    /// Whether the current snapshot has named it.
    seen: bool,
}

/// An end that a retry may take back.
#[derive(Clone, Copy, Debug)]
struct Defeat {
    state: JobState,
    revision: u64,
}

#[derive(Debug)]
pub struct Tracker {
    /// By id, hence in the order of submission.
    jobs: BTreeMap<String, Tracked>,
    /// The jobs that ended without success.
    defeats: HashMap<String, Defeat>,
    tally: Tally,
    /// The ids that were asked for and have not ended; `None` when all jobs are followed.
    awaited: Option<HashSet<String>>,
    in_snapshot: bool,
}

impl Tracker {
    /// Follows these jobs, or all when there are none.
    pub fn new(ids: &[String]) -> Self {
        let awaited = (!ids.is_empty()).then(|| ids.iter().cloned().collect());
        let (jobs, defeats) = (BTreeMap::new(), HashMap::new());
        Self { jobs, defeats, tally: Tally::default(), awaited, in_snapshot: true }
    }

    /// Nothing is left to wait for.
    pub fn is_done(&self) -> bool {
        match &self.awaited {
            Some(awaited) => awaited.is_empty(),
            None => !self.in_snapshot && self.jobs.is_empty(),
        }
    }

    /// How the jobs ended that have.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The jobs under way.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = &Tracked> {
        self.jobs.values()
    }

    pub fn get(&self, id: &str) -> Option<&Tracked> {
        self.jobs.get(id)
    }

    /// Takes an event in; answers the job that ended with it.
    pub fn apply(&mut self, event: &Event) -> Option<Box<Job>> {
        match event {
            Event::Job(job) => return self.apply_job(job),
            Event::Progress(progress) => {
                if let Some(tracked) = self.jobs.get_mut(&progress.job_id) {
                    tracked.progress = Some(progress.as_ref().clone());
                }
            }
            Event::Reset { .. } | Event::Restored { afresh: true } => {
                self.in_snapshot = true;
                self.jobs.values_mut().for_each(|tracked| tracked.seen = false);
            }
            Event::SnapshotEnd => self.in_snapshot = false,
            Event::Lost { .. } | Event::Restored { afresh: false } => {}
        }
        None
    }

    fn apply_job(&mut self, job: &Job) -> Option<Box<Job>> {
        let was_counted = self.defeats.contains_key(&job.id);
        if was_counted && !self.take_back(job) {
            return None;
        }
        if is_ended(job.state()) {
            let was_known = self.jobs.remove(&job.id).is_some() || was_counted;
            let counts = match &mut self.awaited {
                Some(awaited) => awaited.remove(&job.id),
                // A snapshot holds each job that has not ended, and each change follows as it happened: a new job
                // is told of before its end. One that is first told of as ended was so before.
                None => was_known,
            };
            return counts.then(|| self.end(job));
        }
        match self.jobs.get_mut(&job.id) {
            Some(tracked) => {
                tracked.seen = true;
                // A repeated snapshot may be older than what a change told before.
                if job.revision >= tracked.job.revision {
                    // Figures of an earlier stage or attempt would be wrong under the new one.
                    if job.stage != tracked.job.stage || job.state != tracked.job.state {
                        tracked.progress = None;
                    }
                    tracked.job = job.clone();
                }
            }
            None if self.awaited.as_ref().is_none_or(|awaited| awaited.contains(&job.id)) => {
                let tracked = Tracked { job: job.clone(), progress: None, seen: true };
                self.jobs.insert(job.id.clone(), tracked);
            }
            None => {}
        }
        None
    }

    /// Takes the end of a job that did not succeed out of the tally, where more came of it since: then it is
    /// awaited again.
    fn take_back(&mut self, job: &Job) -> bool {
        let Some(defeat) = self.defeats.get_mut(&job.id) else { return false };
        if job.revision <= defeat.revision || job.state() == defeat.state {
            defeat.revision = defeat.revision.max(job.revision);
            return false;
        }
        self.tally.take_back(defeat.state);
        self.defeats.remove(&job.id);
        if let Some(awaited) = &mut self.awaited {
            awaited.insert(job.id.clone());
        }
        true
    }

    fn end(&mut self, job: &Job) -> Box<Job> {
        self.tally.count(job);
        if job.state() != JobState::Succeeded {
            let defeat = Defeat { state: job.state(), revision: job.revision };
            self.defeats.insert(job.id.clone(), defeat);
        }
        Box::new(job.clone())
    }

    /// The jobs that should have been in the snapshot and were not.
    pub fn missing(&self) -> Vec<String> {
        let unseen = self.jobs.values().filter(|tracked| !tracked.seen);
        let mut missing: Vec<String> = unseen.map(|tracked| tracked.job.id.clone()).collect();
        let never = self.awaited.iter().flatten().filter(|id| !self.jobs.contains_key(*id));
        missing.extend(never.cloned());
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, state: JobState, revision: u64) -> Event {
        Event::Job(Box::new(Job {
            id: id.into(),
            state: state.into(),
            revision,
            ..Default::default()
        }))
    }

    fn reset() -> Event {
        Event::Reset { reason: String::new() }
    }

    #[test]
    fn named_jobs_end_one_by_one_and_once() {
        let mut tracker = Tracker::new(&["a".into(), "b".into()]);
        assert!(tracker.apply(&job("a", JobState::Running, 1)).is_none());
        assert!(tracker.apply(&job("b", JobState::Failed, 4)).is_some());
        assert!(tracker.apply(&Event::SnapshotEnd).is_none());
        assert!(!tracker.is_done());
        assert!(tracker.apply(&job("b", JobState::Failed, 4)).is_none(), "told twice");
        assert!(tracker.apply(&job("a", JobState::Succeeded, 2)).is_some());
        assert!(tracker.is_done());
    }

    #[test]
    fn without_names_the_end_comes_only_after_the_snapshot() {
        let mut tracker = Tracker::new(&[]);
        assert!(!tracker.is_done());
        tracker.apply(&job("a", JobState::Queued, 1));
        tracker.apply(&Event::SnapshotEnd);
        assert!(!tracker.is_done());
        tracker.apply(&job("new", JobState::Queued, 1));
        assert!(tracker.apply(&job("a", JobState::Succeeded, 2)).is_some());
        assert!(!tracker.is_done(), "a job that came later is followed too");
        assert!(tracker.apply(&job("new", JobState::Cancelled, 2)).is_some());
        assert!(tracker.is_done());
    }

    /// The alias of an image that was migrated last week was rolled back, and the watch told of a success.
    #[test]
    fn what_happens_to_a_job_that_ended_before_is_not_its_end() {
        let mut tracker = Tracker::new(&[]);
        tracker.apply(&job("a", JobState::Running, 1));
        tracker.apply(&Event::SnapshotEnd);
        assert!(tracker.apply(&job("old", JobState::Succeeded, 9)).is_none());
        assert!(tracker.apply(&job("old", JobState::Succeeded, 10)).is_none());
        assert!(tracker.apply(&job("failed", JobState::Cancelled, 7)).is_none());
        assert!(tracker.apply(&job("a", JobState::Succeeded, 2)).is_some());
        assert!(tracker.apply(&job("a", JobState::Succeeded, 3)).is_none(), "told twice");
        assert_eq!(counts(&tracker), [1, 0, 0]);
        assert!(tracker.is_done());
    }

    #[test]
    fn an_old_job_that_is_retried_is_followed_to_its_end() {
        let mut tracker = Tracker::new(&[]);
        tracker.apply(&job("a", JobState::Running, 1));
        tracker.apply(&Event::SnapshotEnd);
        tracker.apply(&job("old", JobState::Queued, 8));
        assert!(tracker.apply(&job("old", JobState::Failed, 9)).is_some());
        assert_eq!(counts(&tracker), [0, 1, 0]);
    }

    /// It ended while the connection was down, and the cursor was too old to tell.
    #[test]
    fn a_job_that_a_fresh_snapshot_lacks_is_missing() {
        let mut tracker = Tracker::new(&[]);
        tracker.apply(&job("a", JobState::Running, 1));
        tracker.apply(&job("b", JobState::Running, 1));
        tracker.apply(&Event::SnapshotEnd);
        assert!(tracker.missing().is_empty());
        tracker.apply(&reset());
        tracker.apply(&job("b", JobState::Running, 1));
        tracker.apply(&Event::SnapshotEnd);
        assert_eq!(tracker.missing(), ["a"]);
        assert!(tracker.apply(&job("a", JobState::Succeeded, 2)).is_some());
        assert!(tracker.missing().is_empty());
    }

    #[test]
    fn a_named_job_that_no_snapshot_has_is_missing() {
        let mut tracker = Tracker::new(&["a".into()]);
        tracker.apply(&Event::SnapshotEnd);
        assert_eq!(tracker.missing(), ["a"]);
    }

    #[test]
    fn an_older_revision_does_not_undo_a_newer_one() {
        let mut tracker = Tracker::new(&["a".into()]);
        tracker.apply(&job("a", JobState::Running, 5));
        tracker.apply(&reset());
        tracker.apply(&job("a", JobState::Queued, 4));
        let state = tracker.get("a").map(|tracked| tracked.job.state());
        assert_eq!(state, Some(JobState::Running));
        assert_eq!(tracker.missing(), Vec::<String>::new());
    }

    fn counts(tracker: &Tracker) -> [u64; 3] {
        let Tally { succeeded, failed, cancelled } = tracker.tally();
        [succeeded, failed, cancelled]
    }

    /// The watch ended with 1 although every job had succeeded.
    #[test]
    fn a_job_that_is_retried_is_followed_again_and_counts_by_its_last_end() {
        let named = ["a".to_owned(), "b".to_owned()];
        for ids in [&named[..0], &named[..]] {
            let mut tracker = Tracker::new(ids);
            tracker.apply(&job("a", JobState::Running, 1));
            tracker.apply(&job("b", JobState::Running, 1));
            tracker.apply(&Event::SnapshotEnd);
            assert!(tracker.apply(&job("a", JobState::Failed, 5)).is_some());
            assert!(tracker.apply(&job("a", JobState::Failed, 6)).is_none(), "nothing new of it");
            assert!(tracker.apply(&job("a", JobState::Running, 4)).is_none());
            assert_eq!((counts(&tracker), tracker.jobs().len()), ([0, 1, 0], 1), "an old snapshot");
            assert!(tracker.apply(&job("a", JobState::Queued, 7)).is_none());
            assert_eq!((counts(&tracker), tracker.jobs().len()), ([0, 0, 0], 2), "retried");
            assert!(tracker.apply(&job("b", JobState::Succeeded, 2)).is_some());
            assert!(!tracker.is_done(), "the retried one is waited for");
            assert!(tracker.apply(&job("a", JobState::Succeeded, 9)).is_some());
            assert_eq!(counts(&tracker), [2, 0, 0]);
            assert!(tracker.is_done());
        }
    }

    /// The retry and what came of it fell into a gap.
    #[test]
    fn an_end_after_another_takes_its_place() {
        let mut tracker = Tracker::new(&["a".into(), "b".into()]);
        assert!(tracker.apply(&job("a", JobState::Failed, 5)).is_some());
        tracker.apply(&reset());
        assert!(tracker.apply(&job("a", JobState::Succeeded, 9)).is_some());
        assert_eq!(counts(&tracker), [1, 0, 0]);
        assert!(!tracker.is_done(), "the other one is waited for");
    }
}
