//! What is said of an image job where there is no terminal: a line when a stage begins or ends, when the
//! job's state changes, and when it waits for something else. EC2 takes hours: no line tells how far it is.

use std::collections::HashSet;
use std::time::Duration;

use causeway::v1::{Job, Stage, WaitReason};
use tokio::time::Instant;

use super::figures::{self, Figures};
use super::rows::{took, word};
use super::tracker::Tracked;
use crate::ends;
use crate::print::plain;

/// A wait that comes and goes is told at most so often.
const INTERVAL: Duration = Duration::from_secs(5);

/// What was said of one image job.
#[derive(Debug, Default)]
pub struct Stages {
    begun: HashSet<Stage>,
    ended: HashSet<Stage>,
    /// What it last waited for.
    wait: Option<WaitReason>,
    waited_at: Option<Instant>,
    /// Its state, where it does not run.
    state: Option<&'static str>,
}

impl Stages {
    /// The lines that are due.
    pub fn news(&mut self, tracked: &Tracked, now: Instant) -> Vec<String> {
        let figures = Figures::of(tracked);
        let job = &tracked.job;
        let mut news = self.stages(job);
        let newest = tracked.progress.as_ref().map_or(Stage::Unspecified, |p| p.stage());
        let is_staged = figures::under_way(job, newest) != Stage::Unspecified;
        let state = (!is_staged).then_some(figures.stage);
        if self.state != state {
            self.state = state;
            news.extend(state.map(str::to_owned));
        }
        news.extend(self.wait(&figures, now));
        news.into_iter().map(|news| line(job, &news)).collect()
    }

    /// The lines that are due of a job that has ended: how it ended, others say.
    pub fn ended(&mut self, job: &Job) -> Vec<String> {
        self.stages(job).into_iter().map(|news| line(job, &news)).collect()
    }

    fn stages(&mut self, job: &Job) -> Vec<String> {
        let mut news = Vec::new();
        for stage in ends::stages(job) {
            let (key, word) = (stage.stage(), word(stage));
            let begins = stage.started_at.is_some() && self.begun.insert(key);
            let ends = stage.finished_at.is_some() && self.ended.insert(key);
            match (begins, ends) {
                (_, true) => news.push(match took(stage) {
                    Some(took) => format!("{word} done in {took}"),
                    None => format!("{word} done"),
                }),
                (true, false) => news.push(format!("{word} begins")),
                (false, false) => {}
            }
        }
        news
    }

    /// A rate limit is no wait to tell: the job goes on, at that rate.
    fn wait(&mut self, figures: &Figures, now: Instant) -> Option<String> {
        let wait = figures.wait.as_ref().filter(|wait| wait.reason != WaitReason::Rate);
        let reason = wait.map(|wait| wait.reason);
        let is_early = self.waited_at.is_some_and(|at| now - at < INTERVAL);
        if reason == self.wait || is_early {
            return None;
        }
        self.wait = reason;
        self.waited_at = Some(now);
        Some(match wait {
            Some(wait) => format!("waits: {}", wait.words),
            None => "waits no longer".to_owned(),
        })
    }
}

fn line(job: &Job, news: &str) -> String {
    format!("{}  {}  {news}", plain(&job.id), figures::name(job))
}

#[cfg(test)]
mod tests {
    use causeway::v1::{ImageProgress, JobState, MigrateSpec, Progress, StageProgress};
    use causeway::watch::Event;
    use prost_types::Timestamp;

    use super::*;
    use crate::follow::tracker::Tracker;

    const NAMES: [Stage; 3] = [Stage::Storing, Stage::Transferring, Stage::Restoring];

    /// Stages before `current` took a minute each.
    fn job(state: JobState, current: usize) -> Job {
        let at = |minute: usize| {
            Some(Timestamp { seconds: i64::try_from(minute).expect("few") * 60, nanos: 0 })
        };
        let stage = |(number, stage): (usize, &Stage)| StageProgress {
            stage: (*stage).into(),
            started_at: at(number).filter(|_| number <= current),
            finished_at: at(number + 1).filter(|_| number < current),
            percent: 0,
        };
        let stages = NAMES.iter().enumerate().map(stage).collect();
        let spec = MigrateSpec { image: "com:ami-1".into(), ..Default::default() };
        let stage = NAMES.get(current).filter(|_| state == JobState::Running);
        Job {
            id: "01J".into(),
            state: state.into(),
            stage: stage.copied().unwrap_or_default().into(),
            migrate: Some(spec),
            image: Some(ImageProgress { stages, ..Default::default() }),
            ..Default::default()
        }
    }

    /// What is new, without what each line begins with.
    fn told(stages: &mut Stages, job: Job, wait: WaitReason, seconds: u64) -> Vec<String> {
        let progress = Progress {
            job_id: "01J".into(),
            stage: job.stage,
            wait_reason: wait.into(),
            wait_detail: format!("{seconds} GB"),
            ..Default::default()
        };
        let mut tracker = Tracker::new(&[]);
        tracker.apply(&Event::Job(Box::new(job)));
        tracker.apply(&Event::Progress(Box::new(progress)));
        let tracked = tracker.get("01J").expect("tracked");
        let now = start() + Duration::from_secs(seconds);
        stages.news(tracked, now).iter().map(|line| bare(line)).collect()
    }

    fn bare(line: &str) -> String {
        line.strip_prefix("01J  com:ami-1  ").expect(line).to_owned()
    }

    fn start() -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    #[test]
    fn a_line_when_a_stage_begins_and_when_it_ends() {
        let mut stages = Stages::default();
        let none = WaitReason::Unspecified;
        let queued = Job { state: JobState::Queued.into(), ..job(JobState::Running, 0) };
        assert_eq!(told(&mut stages, queued, none, 0), ["storing begins", "queued"]);
        let running = job(JobState::Running, 0);
        assert!(told(&mut stages, running.clone(), none, 1).is_empty());
        assert!(told(&mut stages, running, none, 3_600).is_empty(), "an hour later, too");
        let expected = ["storing done in 1m 00s", "transferring begins"];
        assert_eq!(told(&mut stages, job(JobState::Running, 1), none, 3_601), expected);
        let lines = stages.ended(&job(JobState::Succeeded, 3));
        let lines: Vec<String> = lines.iter().map(|line| bare(line)).collect();
        assert_eq!(lines, ["transferring done in 1m 00s", "restoring done in 1m 00s"]);
    }

    #[test]
    fn an_id_does_not_steer_the_terminal() {
        let job = Job { id: "01J\x1b[2J\n".into(), ..job(JobState::Running, 0) };
        assert_eq!(line(&job, "storing begins"), "01J\\u{1b}[2J\\u{a}  com:ami-1  storing begins");
    }

    #[test]
    fn a_line_when_it_waits_for_something_else_and_not_when_the_detail_changes() {
        let mut stages = Stages::default();
        let mut told = |wait, seconds| told(&mut stages, job(JobState::Running, 0), wait, seconds);
        assert_eq!(told(WaitReason::Unspecified, 0), ["storing begins"]);
        assert_eq!(told(WaitReason::Quota, 1), ["waits: quota, 1 GB"]);
        assert!(told(WaitReason::Quota, 60).is_empty(), "only the detail changed");
        assert_eq!(told(WaitReason::Credentials, 61), ["waits: credentials, 61 GB"]);
        assert!(told(WaitReason::Unspecified, 62).is_empty(), "it may come back at once");
        assert_eq!(told(WaitReason::Unspecified, 66), ["waits no longer"]);
        assert!(told(WaitReason::Rate, 90).is_empty(), "it goes on, at that rate");
    }
}
