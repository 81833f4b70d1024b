//! What the ledger owes to those it gave an answer: whatever comes, a crash above all, the job is no
//! older than the answer, and what was asked for is not forgotten.

use anyhow::{Context as _, Result, ensure};
use causewayd::ledger::Ledger;
use causewayd::model::{Change, Intent, Job, JobState};

use super::Case;

/// Holds every acknowledged job against the ledger, at any moment.
pub fn check_kept(cases: &[Case], ledger: &Ledger) -> Result<()> {
    for case in cases {
        let Some(told) = &case.told else { continue };
        let job = ledger.get(told.id).context("an acknowledged job is lost")?;
        case.check_kept(told, &job).with_context(|| {
            let unanswered = &case.unanswered;
            format!("acknowledged: {told:#?}\nunanswered: {unanswered:?}\nfound: {job:#?}")
        })?;
    }
    Ok(())
}

impl Case {
    fn check_kept(&self, told: &Job, job: &Job) -> Result<()> {
        ensure!(job.revision >= told.revision, "it is older than what was acknowledged");
        ensure!(job.spec == told.spec && job.actor == told.actor, "it is another job");
        self.check_priority(told, job)?;
        if job.revision == told.revision {
            let same = job.state == told.state && job.intent == told.intent;
            ensure!(same && job.attempts == told.attempts, "another change has its revision");
        }
        if job.state == JobState::Failed {
            self.explain(job.failure.as_ref().context("it failed of nothing")?)?;
        }
        let moved = |change: &Change| !matches!(change, Change::Reprioritize(_));
        if !self.unanswered.iter().any(moved) {
            ensure!(may_follow(told, job), "nobody asked for that");
        }
        Ok(())
    }

    fn check_priority(&self, told: &Job, job: &Job) -> Result<()> {
        let asked = |change: &Change| *change == Change::Reprioritize(job.priority);
        let kept = job.priority == told.priority || self.unanswered.iter().any(asked);
        ensure!(kept, "its priority is {}, {} was acknowledged", job.priority, told.priority);
        Ok(())
    }
}

/// Whether workers alone can have brought the acknowledged job to where it is, by the rules in
/// `model/transition.rs`: only people pause, resume, cancel and retry.
fn may_follow(told: &Job, job: &Job) -> bool {
    use JobState::{Cancelled, Failed, Paused, Queued, Running, Succeeded};
    match (told.state, told.intent) {
        (Paused | Succeeded | Failed | Cancelled, _) => job.state == told.state,
        (Queued | Running, Intent::Run) => match job.state {
            Queued | Running => job.intent == Intent::Run,
            Succeeded | Failed => true,
            Paused | Cancelled => false,
        },
        // A job that was past its last part may end before it hears of the pause.
        (Queued | Running, Intent::Pause) => match job.state {
            Running => job.intent == Intent::Pause,
            Paused | Succeeded | Failed => true,
            Queued | Cancelled => false,
        },
        // The same, and it may be back in the queue, to be cancelled by the next worker.
        (Queued | Running, Intent::Cancel) => match job.state {
            Queued | Running => job.intent == Intent::Cancel,
            Cancelled | Succeeded | Failed => true,
            Paused => false,
        },
    }
}
