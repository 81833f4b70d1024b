//! Progress where there is no terminal: a line when the state or stage of a job changes, and at most one
//! every five seconds in between, so that a log of a five-hour transfer stays readable. An image job has
//! lines of its own: see `stages`.

use std::collections::HashMap;
use std::time::Duration;

use causeway::v1::Job;
use causeway::watch::Event;
use tokio::time::Instant;

use super::figures::{self, Figures};
use super::stages::Stages;
use super::tracker::{Tracked, Tracker};
use crate::ends;
use crate::print::{self, plain};

const INTERVAL: Duration = Duration::from_secs(5);

/// What was said of each job that has not ended.
#[derive(Debug)]
pub struct Lines {
    said: HashMap<String, Said>,
    /// Of image jobs.
    stages: HashMap<String, Stages>,
}

#[derive(Debug)]
struct Said {
    stage: &'static str,
    line: String,
    at: Instant,
}

impl Lines {
    pub fn new() -> Self {
        Self { said: HashMap::new(), stages: HashMap::new() }
    }

    pub fn changed(&mut self, tracker: &Tracker, event: &Event) {
        let id = match event {
            Event::Job(job) => &job.id,
            Event::Progress(progress) => &progress.job_id,
            Event::Reset { .. }
            | Event::SnapshotEnd
            | Event::Lost { .. }
            | Event::Restored { .. } => return,
        };
        if let Some(tracked) = tracker.get(id) {
            self.say(tracked, Instant::now());
        }
    }

    pub fn tick(&mut self, tracker: &Tracker) {
        let now = Instant::now();
        for tracked in tracker.jobs() {
            self.say(tracked, now);
        }
    }

    /// What the last change of a job ended before the job itself did; nothing is kept of it.
    pub fn ended(&mut self, job: &Job) {
        self.said.remove(&job.id);
        let mut stages = self.stages.remove(&job.id).unwrap_or_default();
        stages.ended(job).iter().for_each(print::note);
    }

    fn say(&mut self, tracked: &Tracked, now: Instant) {
        if ends::stages(&tracked.job).is_empty() {
            self.line(tracked, now).iter().for_each(print::note);
        } else {
            let stages = self.stages.entry(tracked.job.id.clone()).or_default();
            stages.news(tracked, now).iter().for_each(print::note);
        }
    }

    /// The line to print now, if one is due and says something new.
    fn line(&mut self, tracked: &Tracked, now: Instant) -> Option<String> {
        let figures = Figures::of(tracked);
        let said = self.said.get(&tracked.job.id);
        let is_due =
            said.is_none_or(|said| said.stage != figures.stage || now - said.at >= INTERVAL);
        if !is_due {
            return None;
        }
        let name = figures::name(&tracked.job);
        let percent = figures.percent();
        let words = [plain(&tracked.job.id), name, figures.amount(), percent, figures.pace()];
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let line = words.join("  ");
        if said.is_some_and(|said| said.line == line) {
            return None;
        }
        let said = Said { stage: figures.stage, line: line.clone(), at: now };
        self.said.insert(tracked.job.id.clone(), said);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use causeway::v1::{Job, JobState, Progress, Stage};

    use super::*;

    fn tracker(stage: Stage, done: u64) -> Tracker {
        let job = Job {
            id: "01J".into(),
            state: JobState::Running.into(),
            stage: stage.into(),
            ..Default::default()
        };
        let progress = Progress {
            job_id: "01J".into(),
            stage: stage.into(),
            bytes_done: done,
            bytes_total: Some(4_096),
            ..Default::default()
        };
        let mut tracker = Tracker::new(&[]);
        tracker.apply(&Event::Job(Box::new(job)));
        tracker.apply(&Event::Progress(Box::new(progress)));
        tracker
    }

    #[test]
    fn an_id_does_not_steer_the_terminal() {
        let mut tracker = Tracker::new(&[]);
        let state = JobState::Queued.into();
        let job = Job { id: "01J\x1b[2J\n".into(), state, ..Default::default() };
        let id = job.id.clone();
        tracker.apply(&Event::Job(Box::new(job)));
        let tracked = tracker.get(&id).expect("tracked");
        let line = Lines::new().line(tracked, Instant::now()).expect("the first");
        assert!(line.starts_with("01J\\u{1b}[2J\\u{a}  "), "{line}");
    }

    #[test]
    fn a_line_at_changes_of_stage_and_else_every_five_seconds() {
        let mut lines = Lines::new();
        let start = Instant::now();
        let mut line = |stage, done, seconds| {
            let tracker = tracker(stage, done);
            let tracked = tracker.get("01J").expect("tracked");
            lines.line(tracked, start + Duration::from_secs(seconds))
        };
        let first = line(Stage::Transferring, 1_024, 0).expect("the first");
        assert_eq!(first, "01J  01J  1.00 KiB of 4.00 KiB  25%  transferring");
        assert_eq!(line(Stage::Transferring, 2_048, 4), None, "too early");
        assert!(line(Stage::Transferring, 2_048, 5).is_some());
        assert!(line(Stage::Sealing, 4_096, 6).is_some(), "a change of stage does not wait");
        assert_eq!(line(Stage::Sealing, 4_096, 60), None, "nothing new");
    }
}
