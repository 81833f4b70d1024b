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

pub use display::{Display, Events, Progress};
pub use figures::name;
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

    fn count(&mut self, job: &Job) {
        match job.state() {
            JobState::Succeeded => self.succeeded += 1,
            JobState::Failed => self.failed += 1,
            JobState::Cancelled => self.cancelled += 1,
            JobState::Unspecified | JobState::Queued | JobState::Running | JobState::Paused => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { succeeded, failed, cancelled } = self;
        write!(f, "{succeeded} succeeded, {failed} failed, {cancelled} cancelled")
    }
}

/// Follows the jobs of the request until none is left. `ended` is called once for each job that ends.
pub async fn follow(
    client: &Client,
    request: WatchRequest,
    display: &mut dyn Display,
    ended: &mut dyn FnMut(&Job) -> anyhow::Result<()>,
) -> anyhow::Result<Tally> {
    let mut tracker = Tracker::new(&request.job_ids);
    let interrupted = Interrupted { ids: shown_ids(&request.job_ids) };
    let mut watch = client.watch(request, Options::default());
    let mut tally = Tally::default();
    let mut tick = tokio::time::interval(TICK);
    let interrupt = interrupt();
    tokio::pin!(interrupt);
    while !tracker.is_done() && !display.is_closed() {
        tokio::select! {
            () = &mut interrupt => {
                display.finish();
                return Err(interrupted.into());
            }
            _ = tick.tick() => display.tick(&tracker),
            event = watch.next() => {
                let event = event.inspect_err(|_| display.finish())?;
                display.event(&event)?;
                for job in apply(client, &mut tracker, &event).await? {
                    tally.count(&job);
                    display.ended(&job)?;
                    ended(&job)?;
                }
                display.changed(&tracker, &event);
            }
        }
    }
    display.finish();
    drop(watch);
    Ok(tally)
}

/// The jobs that ended with this event. When a snapshot lacks a job that we waited for, it ended while
/// nobody was connected, or never was: asking for it by its id tells which.
async fn apply(
    client: &Client,
    tracker: &mut Tracker,
    event: &Event,
) -> Result<Vec<Box<Job>>, Error> {
    let mut ended: Vec<Box<Job>> = tracker.apply(event).into_iter().collect();
    if let Event::SnapshotEnd = event {
        for id in tracker.missing() {
            let job = client.get(&id, false).await?.job;
            let job = job.ok_or(Error::Incomplete { field: "job" })?;
            ended.extend(tracker.apply(&Event::Job(Box::new(job))));
        }
    }
    Ok(ended)
}

/// Waits for Ctrl-C; for ever where no handler can be had, and then the default action ends the process.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A few ids are worth copying from the terminal; a thousand are not.
fn shown_ids(ids: &[String]) -> String {
    match ids.len() {
        1..=4 => ids.iter().map(|id| format!(" {id}")).collect(),
        _ => String::new(),
    }
}
