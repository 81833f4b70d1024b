//! Following jobs to their end: `watch` and `--wait`.
//!
//! A watch gives events, the [`Tracker`] keeps what is true, a [`Display`] shows it. The loop here only
//! connects the three, and ends when the tracker says that nothing is left to wait for.

mod bars;
mod display;
mod figures;
mod lines;
mod rows;
mod stages;
mod tracker;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use causeway::v1::{Job, JobFilter, JobState, WatchRequest};
use causeway::watch::{Event, Options};
use causeway::{Client, Error, Exit};
use tokio::time::Instant;

pub use display::{Display, Events, Progress};
pub use figures::{ending, name};
use tracker::Tracker;

/// How often a display that depends on time may look at the clock.
const TICK: Duration = Duration::from_millis(500);

/// More ids than this are not told again.
const IDS_SHOWN_MAX: usize = 4;

/// Ctrl-C while following.
#[derive(Debug, thiserror::Error)]
#[error("no longer followed; the jobs go on: {again}")]
pub struct Interrupted {
    /// What follows the same jobs again.
    again: String,
}

/// How jobs ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
}

impl Tally {
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled
    }

    pub fn add(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
    }

    pub fn exit(&self) -> Exit {
        match self.failed + self.cancelled {
            0 => Exit::Done,
            _ => Exit::JobFailed,
        }
    }

    pub fn count(&mut self, job: &Job) {
        if let Some(count) = self.of(job.state()) {
            *count += 1;
        }
    }

    /// A job that had ended so has not ended any more.
    fn take_back(&mut self, state: JobState) {
        if let Some(count) = self.of(state) {
            *count = count.saturating_sub(1);
        }
    }

    fn of(&mut self, state: JobState) -> Option<&mut u64> {
        match state {
            JobState::Succeeded => Some(&mut self.succeeded),
            JobState::Failed => Some(&mut self.failed),
            JobState::Cancelled => Some(&mut self.cancelled),
            JobState::Unspecified | JobState::Queued | JobState::Running | JobState::Paused => None,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { succeeded, failed, cancelled } = self;
        write!(f, "{succeeded} succeeded, {failed} failed, {cancelled} cancelled")
    }
}

/// Follows the jobs of the request until none is left. `ended` is called whenever a job ends: again, where it
/// was retried meanwhile, and then only its last end is in the tally.
pub async fn follow(
    client: &Client,
    request: WatchRequest,
    display: &mut dyn Display,
    ended: &mut dyn FnMut(&Job) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let followed = tokio::select! {
        interrupted = interrupted(&request) => Err(interrupted.into()),
        followed = to_the_end(client, &request, display, ended) => followed,
    };
    display.finish();
    followed
}

async fn to_the_end(
    client: &Client,
    request: &WatchRequest,
    display: &mut dyn Display,
    ended: &mut dyn FnMut(&Job) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let mut tracker = Tracker::new(&request.job_ids);
    let mut watch = client.watch(request.clone(), Options::default());
    let mut tick = tokio::time::interval(TICK);
    while !tracker.is_done() && !display.is_closed() {
        tokio::select! {
            _ = tick.tick() => display.tick(&tracker),
            event = watch.next() => {
                let event = event?;
                display.event(&event)?;
                for job in apply(client, &mut tracker, &event, display).await? {
                    display.ended(&job)?;
                    ended(&job)?;
                }
                display.changed(&tracker, &event);
            }
        }
    }
    Ok(tracker.tally())
}

/// The jobs that ended with this event. When a snapshot lacks a job that we waited for, it ended while
/// nobody was connected, or never was: asking for it by its id tells which.
async fn apply(
    client: &Client,
    tracker: &mut Tracker,
    event: &Event,
    display: &mut dyn Display,
) -> anyhow::Result<Vec<Box<Job>>> {
    let mut ended: Vec<Box<Job>> = tracker.apply(event).into_iter().collect();
    if let Event::SnapshotEnd = event {
        for id in tracker.missing() {
            let job = fetch(client, &id, display, Options::default()).await?;
            if job.id != id {
                // Whatever that one does, the job that is waited for would never end.
                return Err(Error::Incomplete { field: "job of the id that was asked for" }.into());
            }
            let job = Event::Job(job);
            // Who reads events learns of this end by no other.
            display.event(&job)?;
            ended.extend(tracker.apply(&job));
        }
    }
    Ok(ended)
}

/// One job by its id. The daemon has only just come back, and may go again: as patient as the watch is.
async fn fetch(
    client: &Client,
    id: &str,
    display: &mut dyn Display,
    patience: Options,
) -> anyhow::Result<Box<Job>> {
    let since = Instant::now();
    let mut retry_in = patience.backoff_min;
    let mut is_lost = false;
    loop {
        let reason = match client.get(id, false).await {
            Ok(answer) => {
                if is_lost {
                    display.event(&Event::Restored { afresh: false })?;
                }
                let job = answer.job.ok_or(Error::Incomplete { field: "job" })?;
                return Ok(Box::new(job));
            }
            Err(reason) => reason,
        };
        let is_given_up = since.elapsed() + retry_in > patience.give_up_after;
        if is_given_up || !reason.is_transient() {
            return Err(reason.into());
        }
        display.event(&Event::Lost { reason, retry_in })?;
        is_lost = true;
        tokio::time::sleep(retry_in).await;
        retry_in = (retry_in * 2).min(patience.backoff_max);
    }
}

/// Waits for Ctrl-C; for ever where no handler can be had, and then the default action ends the process.
pub async fn interrupted(request: &WatchRequest) -> Interrupted {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    Interrupted { again: again(request) }
}

/// The command that follows the same jobs. A few ids are worth copying from the terminal, a thousand are not; but
/// the command without any would follow everybody's.
fn again(request: &WatchRequest) -> String {
    let ids = &request.job_ids;
    if ids.len() > IDS_SHOWN_MAX {
        return "`causeway watch` with the ids above follows them again".to_owned();
    }
    let ids: String = ids.iter().map(|id| format!(" {id}")).collect();
    let labels = request.filter.as_ref().map(labels).unwrap_or_default();
    format!("`causeway watch{ids}{labels}` follows them again")
}

/// The labels of a filter as arguments, each after a space.
pub fn labels(filter: &JobFilter) -> String {
    let sorted: BTreeMap<_, _> = filter.labels.iter().collect();
    let pairs = sorted.into_iter().map(|(key, value)| format!("{key}={value}"));
    pairs.map(|pair| format!(" --label {}", quoted(&pair))).collect()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    match word.chars().all(is_bare) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was suggested followed everybody's jobs.
    #[test]
    fn what_is_suggested_follows_the_same_jobs() {
        let named = |count: usize| WatchRequest {
            job_ids: (0..count).map(|number| format!("J{number}")).collect(),
            ..Default::default()
        };
        let labelled = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into()));
            let filter = JobFilter { labels: labels.collect(), ..Default::default() };
            WatchRequest { filter: Some(filter), ..Default::default() }
        };
        for (request, words) in [
            (named(0), "`causeway watch` follows them again"),
            (named(2), "`causeway watch J0 J1` follows them again"),
            (named(5), "`causeway watch` with the ids above follows them again"),
            (
                labelled(&[("team", "it's us"), ("batch", "7")]),
                r"`causeway watch --label batch=7 --label 'team=it'\''s us'` follows them again",
            ),
        ] {
            assert_eq!(again(&request), words);
        }
    }
}
