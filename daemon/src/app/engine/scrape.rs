//! The states that a scrape asks for.
//!
//! # Invariants
//! - Nothing here waits for the disk or the network.
//! - Of jobs that are over in a moment nothing is said by their ids: a million of them, ever others at each
//!   scrape, would be a million series to Prometheus. And there is a bound on the rest.

use std::time::Duration;

use super::{Daemon, Problem};
use crate::base::{Direction, Lane, clock};
use crate::model::{
    FailureClass, Job, JobId, JobState, Live, PUT_OBJECT_MAX, Timestamp, WaitReason,
};
use crate::pipeline::QuotaKind;
use crate::telemetry::{ConcurrencyLimit, DataDir, JobProgress, QuotaUsed, RemoteState, Snapshot};

/// The most jobs that have series of their own, at a scrape. Those that carry bytes come first: the images
/// that EC2 works at may be more, and change once a minute.
const JOB_SERIES_MAX: usize = 128;
/// A job of at most [`PUT_OBJECT_MAX`] bytes, or of a size that is not known, has series once it runs for
/// longer than it should take.
const JOB_SERIES_AFTER: Duration = Duration::from_secs(10);

impl Daemon {
    /// How it stands.
    pub(in crate::app) fn snapshot(&self) -> Snapshot {
        let counts = self.ledger().counts();
        let now = clock::now();
        let oldest = counts.oldest_queued.map_or(0, |at| now.millis_since(at));
        let (space, writable) = self.ledger().room();
        let running = self.running();
        let remotes = self.pipeline.remotes.values();
        Snapshot {
            started_at: self.started_at,
            draining: self.scheduler.is_draining(),
            jobs: counts.states.to_vec(),
            jobs_waiting: waiting(&running),
            queue_depth: counts.of(JobState::Queued),
            queue_oldest: Duration::from_millis(oldest),
            memory_budget: self.pipeline.memory.budget(),
            memory_used: self.pipeline.memory.used(),
            data_dir: DataDir { space: space.map(|space| (space.free, space.size)), writable },
            active_jobs: self.progress(running, now),
            remotes: self.remote_states(),
            concurrency_limits: self.concurrency().collect(),
            image_quotas: self.quotas_used(),
            credentials_expiry: remotes
                .filter_map(|r| Some((r.name().to_string(), r.credentials_expire_at()?)))
                .collect(),
            webhooks_pending: self
                .notifier
                .status()
                .into_iter()
                .map(|webhook| (webhook.name, webhook.pending))
                .collect(),
        }
    }

    fn running(&self) -> Vec<(JobId, Live)> {
        let ids = self.scheduler.running().into_iter();
        ids.filter_map(|id| Some((id, self.scheduler.live(id)?))).collect()
    }

    fn progress(&self, running: Vec<(JobId, Live)>, now: Timestamp) -> Vec<JobProgress> {
        let told = running.into_iter().filter_map(|(id, live)| {
            let job = self.ledger().get(id).ok().filter(|job| has_series(job, now))?;
            let moves = !live.parts_active.is_empty();
            let (done, total) = (live.bytes_done, job.size());
            Some((moves, JobProgress { job: id, done, total, idle: live.idle }))
        });
        bounded(told.collect())
    }

    fn remote_states(&self) -> Vec<RemoteState> {
        let problems = self.problems();
        let in_force = self.limits.in_force().into_iter();
        let states = in_force.filter_map(|(name, in_force)| {
            let remote = self.remote(&name)?;
            Some(RemoteState {
                up: remote.barred().is_none() && !problems.get(&name).is_some_and(is_down),
                name: name.to_string(),
                paused: in_force.paused,
                limits: in_force.limits,
            })
        });
        states.collect()
    }

    fn concurrency(&self) -> impl Iterator<Item = ConcurrencyLimit> {
        let direction = |lane: &Lane| if lane.write { Direction::Write } else { Direction::Read };
        self.pipeline.slots.lanes().into_iter().map(move |(lane, limit, _)| ConcurrencyLimit {
            direction: direction(&lane),
            remote: lane.remote,
            parts: limit as u64,
        })
    }

    /// Of both kinds at every remote, so that an unused quota is seen to be unused.
    fn quotas_used(&self) -> Vec<QuotaUsed> {
        let used = self.pipeline.quotas.used();
        let mut all = Vec::new();
        for name in self.pipeline.remotes.keys() {
            let Some(limits) = self.pipeline.quotas.limits(name) else { continue };
            for kind in [QuotaKind::Store, QuotaKind::Restore] {
                let mine = used.iter().find(|(remote, of, _)| remote == name && *of == kind);
                all.push(QuotaUsed {
                    remote: name.to_string(),
                    kind: kind.as_str(),
                    gb: mine.map_or(0, |(_, _, gb)| *gb),
                    limit_gb: limits.in_progress(kind),
                });
            }
        }
        all
    }
}

/// That STS alone is out of reach keeps nothing from being carried: where it does, the remote is barred.
fn is_down(problem: &Problem) -> bool {
    match problem.class {
        FailureClass::Credentials | FailureClass::Permanent | FailureClass::Corrupt => true,
        FailureClass::Transient | FailureClass::Throttled => false,
    }
}

fn waiting(running: &[(JobId, Live)]) -> Vec<(WaitReason, u64)> {
    let waits = |reason| {
        let held = |(_, live): &&(JobId, Live)| {
            live.wait.as_ref().is_some_and(|wait| wait.reason == reason)
        };
        running.iter().filter(held).count() as u64
    };
    WaitReason::ALL.map(|reason| (reason, waits(reason))).to_vec()
}

/// At most [`JOB_SERIES_MAX`]: first those that move bytes, then by age, so that they stay the same.
fn bounded(mut jobs: Vec<(bool, JobProgress)>) -> Vec<JobProgress> {
    jobs.sort_unstable_by_key(|(moves, progress)| (!moves, progress.job));
    jobs.into_iter().map(|(_, progress)| progress).take(JOB_SERIES_MAX).collect()
}

fn has_series(job: &Job, now: Timestamp) -> bool {
    let long = job
        .started_at
        .is_some_and(|at| Duration::from_millis(now.millis_since(at)) > JOB_SERIES_AFTER);
    long || job.size().is_some_and(|size| size > PUT_OBJECT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RemoteName, Wait, WaitReason};
    use crate::remote;

    fn running(wait: Option<WaitReason>) -> (JobId, Live) {
        let wait = wait.map(|reason| Wait { reason, detail: "told".into() });
        (JobId::from_parts(Timestamp(1), 7), Live { wait, ..Live::default() })
    }

    /// It would wake somebody for a remote that carries everything.
    #[test]
    fn a_remote_whose_sts_is_out_of_reach_is_up() {
        let remote = || -> RemoteName { "gov".parse().expect("a name") };
        let cause = "why".to_owned();
        let unreached = remote::Error::Unreached { remote: remote(), cause: cause.clone() };
        assert!(!is_down(&unreached.into()));
        let untaken = remote::Error::Credentials { remote: remote(), cause };
        assert!(is_down(&untaken.into()));
        let (expected, found) = ("111122223333".to_owned(), "444455556666".to_owned());
        let another = remote::Error::WrongAccount { remote: remote(), expected, found };
        assert!(is_down(&another.into()));
    }

    /// EC2 may work at 256 images for hours; what is carried meanwhile has to be seen all the same.
    #[test]
    fn of_too_many_jobs_those_that_move_bytes_are_told() {
        let job = |n: u64| {
            let job = JobId::from_parts(Timestamp(n), 7);
            JobProgress { job, done: n, total: None, idle: Duration::ZERO }
        };
        let waiting = (0..300).map(|n| (false, job(n)));
        let moving = (1000..1008).map(|n| (true, job(n)));
        let told = bounded(waiting.chain(moving).collect());
        assert_eq!(told.len(), JOB_SERIES_MAX);
        let told: Vec<u64> = told.iter().map(|progress| progress.done).collect();
        assert_eq!(told[..9], [1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 0]);
    }

    #[test]
    fn waiting_jobs_are_counted_by_their_reason_and_moving_ones_not_at_all() {
        let quota = Some(WaitReason::Quota);
        let counted = waiting(&[running(quota), running(None), running(quota)]);
        for (reason, count) in counted {
            assert_eq!(count, if reason == WaitReason::Quota { 2 } else { 0 }, "{reason:?}");
        }
    }
}
