//! One job's live figures in words, the same for bars and for lines.

use std::time::Duration;

use causeway::units::{format_duration, format_rate, format_size};
use causeway::v1::{Job, JobState, Progress, Stage, WaitReason};
use causeway::words::Word;

use super::tracker::Tracked;
use crate::print::plain;

/// What is known now: the progress where there is one, else the job.
#[derive(Debug, PartialEq, Eq)]
pub struct Figures {
    pub done: u64,
    pub total: Option<u64>,
    rate: u64,
    eta_seconds: Option<u64>,
    /// The stage of a running job, else the state.
    pub stage: &'static str,
    wait: Option<String>,
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
            rate: job.bytes_per_second,
            eta_seconds: None,
            stage: stage(job, job.stage()),
            wait: wait(job, job.wait_reason(), &job.wait_detail),
        }
    }

    fn of_progress(job: &Job, progress: &Progress) -> Self {
        Self {
            done: progress.bytes_done,
            total: progress.bytes_total.or(job.bytes_total),
            rate: progress.bytes_per_second,
            eta_seconds: progress.eta_seconds,
            stage: stage(job, progress.stage()),
            wait: wait(job, progress.wait_reason(), &progress.wait_detail),
        }
    }

    /// `3.00 GiB of 8.00 GiB`
    pub fn amount(&self) -> String {
        match self.total {
            Some(total) => format!("{} of {}", format_size(self.done), format_size(total)),
            None => String::new(),
        }
    }

    /// `612 MiB/s  ETA 8s  transferring  (waits: rate, …)`; what is not known is left out.
    pub fn pace(&self) -> String {
        let mut words = Vec::new();
        if self.rate > 0 {
            words.push(format_rate(self.rate));
        }
        if let Some(seconds) = self.eta_seconds {
            words.push(format!("ETA {}", format_duration(Duration::from_secs(seconds))));
        }
        words.push(self.stage.to_owned());
        if let Some(wait) = &self.wait {
            words.push(format!("(waits: {wait})"));
        }
        words.join("  ")
    }
}

/// What ended a job, in one line; an error line when it did not succeed.
pub fn ending(job: &Job) -> String {
    let state = job.state().word().unwrap_or("unknown");
    let reason = match &job.failure {
        Some(failure) => format!(": {}", failure.message),
        None => String::new(),
    };
    plain(&format!("{state} {} {}{reason}", job.id, name(job)))
}

/// The base name of the source: what people know the job by. A presigned URL's query is no name.
pub fn name(job: &Job) -> String {
    let source = job.transfer.as_ref().map(|transfer| transfer.source.as_str()).unwrap_or_default();
    let path = match source.starts_with("https://") {
        true => source.split(['?', '#']).next().unwrap_or_default(),
        false => source,
    };
    let base = path.rsplit('/').next().unwrap_or_default();
    plain(if base.is_empty() { &job.id } else { base })
}

fn stage(job: &Job, stage: Stage) -> &'static str {
    match (job.state(), stage.word().or(job.stage().word())) {
        (JobState::Running, _) if job.cancel_requested => "cancelling",
        (JobState::Running, _) if job.pause_requested => "pausing",
        (JobState::Running, Some(stage)) => stage,
        (state, _) => state.word().unwrap_or("unknown"),
    }
}

fn wait(job: &Job, reason: WaitReason, detail: &str) -> Option<String> {
    let reason = reason.word().filter(|_| job.state() == JobState::Running)?;
    Some(match detail {
        "" => reason.to_owned(),
        detail => plain(&format!("{reason}, {detail}")),
    })
}

#[cfg(test)]
mod tests {
    use causeway::v1::TransferSpec;

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
    }
}
