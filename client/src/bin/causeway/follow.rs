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

use std::fmt;
use std::time::Duration;

use causeway::v1::{Job, JobState, WatchRequest};
use causeway::watch::{Event, Options};
use causeway::{Client, Error, Exit};
use tokio::time::Instant;

pub use display::{Display, Events, Progress};
pub use figures::{ending, name};
use tracker::Tracker;

/// How often a display that depends on time may look at the clock.
const TICK: Duration = Duration::from_millis(500);

/// Ctrl-C while following.
#[derive(Debug, thiserror::Error)]
#[error("no longer followed; the jobs go on: `causeway watch{ids}` follows them again")]
pub struct Interrupted {
    /// The ids, each after a space; empty for all jobs.
    ids: String,
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
        interrupted = interrupted(&request.job_ids) => Err(interrupted.into()),
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
pub async fn interrupted(ids: &[String]) -> Interrupted {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    Interrupted { ids: shown_ids(ids) }
}

/// A few ids are worth copying from the terminal; a thousand are not.
fn shown_ids(ids: &[String]) -> String {
    match ids.len() {
        1..=4 => ids.iter().map(|id| format!(" {id}")).collect(),
        _ => String::new(),
    }
}
