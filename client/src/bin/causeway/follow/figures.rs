//! One job's live figures in words, the same for bars and for lines.

use std::time::Duration;

use causeway::units::{format_duration, format_rate, format_size};
use causeway::v1::{Job, JobState, Progress, Stage, WaitReason};
use causeway::words::Word;

use super::tracker::Tracked;
use crate::ends;
use crate::print::plain;
use crate::table;

/// What is known now: the progress where there is one, else the job.
#[derive(Debug, PartialEq, Eq)]
pub struct Figures {
    done: u64,
    total: Option<u64>,
    /// While EC2 stores or restores: what it says itself, and no bytes.
    percent_of_ec2: Option<u32>,
    rate: u64,
    eta_seconds: Option<u64>,
    /// The stage of a running job, else the state.
    pub stage: &'static str,
    pub wait: Option<Wait>,
}

/// Why a running job stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub reason: WaitReason,
    /// The reason's word, and its detail.
    pub words: String,
}

/// How far something is, for a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    pub done: u64,
    pub total: u64,
}

impl Figures {
    pub fn of(tracked: &Tracked) -> Self {
        match &tracked.progress {
            Some(progress) => Self::of_progress(&tracked.job, progress),
            None => Self::of_job(&tracked.job),
        }
    }

    fn of_job(job: &Job) -> Self {
        Self {
            done: job.bytes_done,
            total: job.bytes_total,
            percent_of_ec2: ends::percent_of_ec2(job, job.stage()),
            rate: job.bytes_per_second,
            eta_seconds: None,
            stage: stage(job, job.stage()),
            wait: wait(job, job.wait_reason(), &job.wait_detail),
        }
    }

    fn of_progress(job: &Job, progress: &Progress) -> Self {
        let told = ends::percent_of_ec2(job, under_way(job, progress.stage()));
        Self {
            done: progress.bytes_done,
            total: progress.bytes_total.or(job.bytes_total),
            percent_of_ec2: progress.stage_percent.or(told).map(|percent| percent.min(100)),
            rate: progress.bytes_per_second,
            eta_seconds: progress.eta_seconds,
            stage: stage(job, progress.stage()),
            wait: wait(job, progress.wait_reason(), &progress.wait_detail),
        }
    }

    /// How far it is; `None` while that is not known.
    pub fn fill(&self) -> Option<Fill> {
        match (self.percent_of_ec2, self.total) {
            (Some(percent), _) => Some(Fill { done: percent.into(), total: 100 }),
            // An empty object is done.
            (None, Some(0)) => Some(Fill { done: 1, total: 1 }),
            (None, Some(total)) => Some(Fill { done: self.done.min(total), total }),
            (None, None) => None,
        }
    }

    /// `37%`; empty while that is not known.
    pub fn percent(&self) -> String {
        match self.percent_of_ec2 {
            Some(percent) => format!("{percent}%"),
            None => table::percent(self.done, self.total),
        }
    }

    /// `3.00 GiB of 8.00 GiB`
    pub fn amount(&self) -> String {
        match (self.percent_of_ec2, self.total) {
            (None, Some(total)) => format!("{} of {}", format_size(self.done), format_size(total)),
            (Some(_), _) | (None, None) => String::new(),
        }
    }

    /// `612 MiB/s  ETA 8s  transferring  (waits: rate, …)`; what is not known is left out.
    pub fn pace(&self) -> String {
        self.pace_beside("")
    }

    /// The same beside a label, which need not be said twice.
    pub fn pace_beside(&self, label: &str) -> String {
        let mut words = Vec::new();
        if self.rate > 0 {
            words.push(format_rate(self.rate));
        }
        if let Some(seconds) = self.eta_seconds {
            words.push(format!("ETA {}", format_duration(Duration::from_secs(seconds))));
        }
        if self.stage != label {
            words.push(self.stage.to_owned());
        }
        if let Some(wait) = &self.wait {
            words.push(format!("(waits: {})", wait.words));
        }
        words.join("  ")
    }
}

/// What ended a job, in one line; an error line when it did not succeed.
pub fn ending(job: &Job) -> String {
    let state = job.state().word().unwrap_or("unknown");
    let image = match ends::restored(job) {
        Some(_) => format!(" -> {}", ends::target(job)),
        None => String::new(),
    };
    let reason = match &job.failure {
        Some(failure) => format!(": {}", failure.message),
        None => String::new(),
    };
    plain(&format!("{state} {} {}{image}{reason}", job.id, name(job)))
}

/// The base name of the source: what people know the job by. A presigned URL's query is no name.
pub fn name(job: &Job) -> String {
    let source = ends::source(job);
    let path = match source.starts_with("https://") {
        true => source.split(['?', '#']).next().unwrap_or_default(),
        false => source,
    };
    let base = path.rsplit('/').next().unwrap_or_default();
    plain(if base.is_empty() { &job.id } else { base })
}

/// The stage that a running job is in, by what is newest; none of a job that does not run.
pub fn under_way(job: &Job, newest: Stage) -> Stage {
    match (job.state(), newest) {
        (JobState::Running, Stage::Unspecified) => job.stage(),
        (JobState::Running, newest) => newest,
        _ => Stage::Unspecified,
    }
}

fn stage(job: &Job, stage: Stage) -> &'static str {
    match (table::stopping(job), job.state(), stage.word().or(job.stage().word())) {
        (Some(stop), _, _) => stop,
        (None, JobState::Running, Some(stage)) => stage,
        (None, state, _) => state.word().unwrap_or("unknown"),
    }
}

fn wait(job: &Job, reason: WaitReason, detail: &str) -> Option<Wait> {
    let word = reason.word().filter(|_| job.state() == JobState::Running)?;
    let words = match detail {
        "" => word.to_owned(),
        detail => plain(&format!("{word}, {detail}")),
    };
    Some(Wait { reason, words })
}

#[cfg(test)]
mod tests {
    use causeway::v1::{ImageProgress, MigrateSpec, StageProgress, TransferSpec};

    use super::*;

    #[test]
    fn the_name_is_the_sources_base_name_without_secrets() {
        let job = |source: &str| Job {
            id: "01J".into(),
            transfer: Some(TransferSpec { source: source.into(), ..Default::default() }),
            ..Default::default()
        };
        assert_eq!(name(&job("c:b/a/ami.bin")), "ami.bin");
        assert_eq!(name(&job("c:b/what?.bin")), "what?.bin");
        assert_eq!(name(&job("https://h/b/ami.bin?X-Amz-Signature=secret/x")), "ami.bin");
        assert_eq!(name(&job("")), "01J");
        let spec = MigrateSpec { image: "com:ami-1".into(), ..Default::default() };
        assert_eq!(name(&Job { migrate: Some(spec), ..job("com:b/on-the-way.bin") }), "com:ami-1");
    }

    /// While EC2 restores, all bytes have long been carried: their 100 % would be a lie.
    #[test]
    fn ec2s_percent_goes_before_the_bytes() {
        let stage =
            StageProgress { stage: Stage::Restoring.into(), percent: 4, ..Default::default() };
        let job = Job {
            state: JobState::Running.into(),
            stage: Stage::Restoring.into(),
            bytes_done: 8,
            bytes_total: Some(8),
            image: Some(ImageProgress { stages: vec![stage], ..Default::default() }),
            ..Default::default()
        };
        let figures = Figures::of_job(&job);
        assert_eq!((figures.percent(), figures.amount()), ("4%".into(), String::new()));
        let progress = Progress {
            stage: Stage::Restoring.into(),
            stage_percent: Some(61),
            bytes_done: 8,
            ..Default::default()
        };
        let figures = Figures::of_progress(&job, &progress);
        assert_eq!(figures.fill(), Some(Fill { done: 61, total: 100 }));
    }

    #[test]
    fn the_pace_says_what_it_waits_for() {
        let job = Job { state: JobState::Running.into(), ..Default::default() };
        let progress = Progress {
            stage: Stage::Transferring.into(),
            wait_reason: WaitReason::Rate.into(),
            bytes_per_second: 1 << 20,
            eta_seconds: Some(61),
            ..Default::default()
        };
        let figures = Figures::of_progress(&job, &progress);
        assert_eq!(figures.pace(), "1.00 MiB/s  ETA 1m 01s  transferring  (waits: rate)");
        let beside = figures.pace_beside("transferring");
        assert_eq!(beside, "1.00 MiB/s  ETA 1m 01s  (waits: rate)");
    }
}
