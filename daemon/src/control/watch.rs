//! Following jobs: a snapshot, then every durable change, with progress in between.
//!
//! The ledger numbers its durable changes. A watch is a position in that row, and each wake-up of
//! the ledger says how far the row has grown; so a client that reads slowly holds back its own
//! position and nothing else, and nothing is queued for it but the few events on their way.
//!
//! # Invariants
//! - The position is read before the snapshot: a change during the snapshot is not missed.
//! - A job is never shown older than it was shown before on the same stream.
//! - What is shown before the end of the snapshot has no cursor: who resumed there would miss the
//!   rest of the snapshot.
//! - The task ends when the client leaves, when the daemon stops, or with an error that it tells. A client
//!   that reads nothing for a minute is cut off, connection and all: it cannot be told.

mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use causeway_proto::v1;
use causeway_proto::v1::watch_event::Event as Shown;
use futures::{StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::access::Admitted;
use super::convert::{self, Invalid};
use super::service::{Answers, Service};
use super::submit::stopping_status;
use crate::ledger::{self, Event, Events, Filter};
use crate::model::{Job, JobId, JobState, Live};

/// Events on their way to one client.
const EVENTS_UNSENT_MAX: usize = 64;
/// Events read from the ledger at a time.
const EVENTS_READ_MAX: usize = 256;
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);
/// At least between two readings. Every change wakes whoever waits for one: 200 watches beside 250
/// submissions a second would be woken 50,000 times, most of them for other people's jobs.
const READ_PERIOD: Duration = Duration::from_millis(20);

/// Jobs that one watch may name: more than a command line of Linux's usual 2 MiB holds.
const IDS_MAX: usize = 65_536;

/// For which a client may read nothing. One that is stopped comes again by its cursor.
const UNREAD: Duration = Duration::from_secs(60);

/// Starts to follow what the request asks for.
///
/// # Errors
/// Where the request is wrong, names an unknown job, or there are too many watches.
pub(super) async fn watch(
    service: &Service,
    request: v1::WatchRequest,
    by: Admitted,
) -> Result<Answers<v1::WatchEvent>, Status> {
    let start = start(&request.cursor)?;
    let permit = |watches: &Arc<Semaphore>, whose: &str| {
        Arc::clone(watches).try_acquire_owned().map_err(|_| {
            let message = format!("too many watches are open{whose}: end one, or come again later");
            Status::resource_exhausted(message)
        })
    };
    let permits =
        [permit(by.caller.watches(), " on this connection")?, permit(&service.watches, "")?];
    // It reads each job that is named: for those alone that there is a place for.
    let watched = Watched::new(service, request).await?;
    let (unsent, events) = mpsc::channel(EVENTS_UNSENT_MAX);
    let watcher = Watcher {
        newest: service.ledger.subscribe(),
        service: service.clone(),
        watched,
        unsent,
        position: 0,
        running: BTreeMap::new(),
        by,
        _permits: permits,
    };
    let task = tokio::spawn(watcher.run(start));
    // The reason of the end follows the last event, however slowly that is read.
    let end = stream::once(async move {
        Err(task.await.unwrap_or_else(|error| Status::internal(format!("the watch: {error}"))))
    });
    Ok(ReceiverStream::new(events).map(Ok).chain(end).boxed())
}

/// The cursor to go on from; `None` for a snapshot.
fn start(cursor: &str) -> Result<Option<u64>, Invalid> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let fault = "it is not a cursor: give the last one that was received, or none for a snapshot";
    cursor.parse().map(Some).map_err(|_| Invalid::new("cursor", fault))
}

/// Which jobs are followed.
struct Watched {
    /// `None`: whichever the filter holds.
    ids: Option<BTreeSet<JobId>>,
    filter: Filter,
}

impl Watched {
    async fn new(service: &Service, request: v1::WatchRequest) -> Result<Self, Status> {
        let named = request.job_ids.len();
        if named > IDS_MAX {
            let remedy = format_args!("name {IDS_MAX} at most, or follow them by a label");
            let fault = format!("{named} jobs are too many for one watch: {remedy}");
            return Err(Invalid::new("job_ids", fault).into());
        }
        let filter = convert::job_filter(request.filter.unwrap_or_default())?;
        let ids = request.job_ids.iter().map(|id| convert::job_id("job_ids", id));
        let ids = ids.collect::<Result<BTreeSet<_>, _>>()?;
        // They may be many, and others wait for this thread.
        for (id, at) in ids.iter().zip(1..) {
            service.ledger.get(*id)?;
            if at % EVENTS_READ_MAX == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(Self { ids: Some(ids).filter(|ids| !ids.is_empty()), filter })
    }

    /// Whether the job, as it is given, is followed.
    fn holds(&self, job: &Job) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&job.id)) && self.filter.matches(job)
    }
}

/// Why a watch ends.
enum End {
    /// The client went away: nobody reads the reason.
    Left,
    Stopping,
    Failed(Status),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

impl From<ledger::Error> for End {
    fn from(error: ledger::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What was seen of a running job at the last look.
#[derive(Default)]
struct Seen {
    /// `None` where the job has changed since.
    live: Option<Live>,
    sent: Option<v1::Progress>,
}

/// What became of reading on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Everything durable has been seen.
    All,
    /// What came next is not kept any more.
    Gap,
}

struct Watcher {
    service: Service,
    watched: Watched,
    unsent: mpsc::Sender<v1::WatchEvent>,
    /// The newest durable cursor.
    newest: watch::Receiver<u64>,
    /// The last cursor that was read.
    position: u64,
    /// The watched jobs that run.
    running: BTreeMap<JobId, Seen>,
    by: Admitted,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Watcher {
    async fn run(mut self, start: Option<u64>) -> Status {
        match self.follow(start).await {
            Ok(never) => match never {},
            Err(End::Left) => Status::cancelled("the client left"),
            Err(End::Stopping) => stopping_status(),
            Err(End::Failed(status)) => status,
        }
    }

    async fn follow(&mut self, start: Option<u64>) -> Result<std::convert::Infallible, End> {
        match start {
            None => self.snapshot().await?,
            Some(cursor) => self.resume(cursor).await?,
        }
        let mut progress = tokio::time::interval(PROGRESS_PERIOD);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (stop, unsent) = (self.service.stop.clone(), self.unsent.clone());
        loop {
            // Also while nothing happens.
            self.by.still()?;
            let next = Instant::now() + READ_PERIOD;
            if self.read(|_| true).await? == Read::Gap {
                self.reset().await?;
            }
            // Dropped between its two waits, it has lost nothing: the next round reads in any case.
            let grown = async {
                let grown = self.newest.changed().await;
                tokio::time::sleep_until(next).await;
                grown
            };
            tokio::select! {
                () = stop.cancelled() => return Err(End::Stopping),
                () = unsent.closed() => return Err(End::Left),
                grown = grown => grown.map_err(|_| End::Stopping)?,
                _ = progress.tick() => self.progress()?,
            }
        }
    }

    /// Goes on from a cursor. Jobs that run already are found once, for their progress.
    async fn resume(&mut self, cursor: u64) -> Result<(), End> {
        self.position = cursor;
        let states = self.states(&[JobState::Running]);
        let mut after = None;
        while let Some(states) = states.clone() {
            let filter = Filter { states, ..self.watched.filter.clone() };
            let page = self.service.page(filter, EVENTS_READ_MAX, after).await?;
            page.jobs.iter().for_each(|job| self.note(job));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The gap is told, and a fresh snapshot fills it.
    async fn reset(&mut self) -> Result<(), End> {
        let reason =
            "the events after the cursor are not kept any more, or it is of another ledger";
        self.send(String::new(), Shown::Reset(v1::Reset { reason: reason.to_owned() })).await?;
        self.snapshot().await
    }

    /// Reads on to the newest durable change, and sends those that are watched and `wanted`.
    async fn read(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Read, End> {
        self.read_with(wanted, |cursor| cursor.to_string()).await
    }

    async fn read_with(
        &mut self,
        wanted: impl Fn(&Event) -> bool,
        cursor: impl Fn(u64) -> String,
    ) -> Result<Read, End> {
        loop {
            self.newest.mark_unchanged();
            let events = match self.service.ledger.events(self.position, EVENTS_READ_MAX)? {
                Events::TooOld { .. } => return Ok(Read::Gap),
                Events::Some(events) if events.is_empty() => return Ok(Read::All),
                Events::Some(events) => events,
            };
            for event in events {
                self.position = event.cursor;
                if wanted(&event) {
                    self.note(&event.job);
                    if self.watched.holds(&event.job) {
                        let job = self.service.show(&event.job);
                        self.send(cursor(event.cursor), Shown::Job(job)).await?;
                    }
                }
            }
        }
    }

    /// Remembers which of the watched jobs run.
    fn note(&mut self, job: &Job) {
        if job.state == JobState::Running && self.watched.holds(job) {
            self.running.entry(job.id).or_default().live = None;
        } else {
            self.running.remove(&job.id);
        }
    }

    /// Sends the figures that have changed. A client that is behind gets none: by the time it reads,
    /// there are newer ones.
    ///
    /// The job is read anew, since its parts are no events, and only where its live figures have moved: no part
    /// is recorded without that, and hundreds of jobs may wait for EC2 beside a thousand watches.
    fn progress(&mut self) -> Result<(), End> {
        for (id, seen) in &mut self.running {
            let Some(live) = self.service.engine.live(*id) else { continue };
            // That time passes is no progress.
            let live = Live { idle: Duration::ZERO, ..live };
            if seen.live.as_ref() == Some(&live) {
                continue;
            }
            let job = self.service.ledger.get(*id)?;
            let progress = convert::progress(&job, &live);
            if job.state == JobState::Running && seen.sent.as_ref() != Some(&progress) {
                let event = Some(Shown::Progress(progress.clone()));
                match self.unsent.try_send(v1::WatchEvent { cursor: String::new(), event }) {
                    Ok(()) => seen.sent = Some(progress),
                    Err(mpsc::error::TrySendError::Full(_)) => return Ok(()),
                    Err(mpsc::error::TrySendError::Closed(_)) => return Err(End::Left),
                }
            }
            seen.live = Some(live);
        }
        Ok(())
    }

    /// Waits for the client, but not beyond the end of the daemon, nor of its role: one that reads an event a
    /// minute has hours of them before it.
    async fn send(&self, cursor: String, event: Shown) -> Result<(), End> {
        self.by.still()?;
        let event = v1::WatchEvent { cursor, event: Some(event) };
        tokio::select! {
            () = self.service.stop.cancelled() => Err(End::Stopping),
            sent = self.unsent.send(event) => sent.map_err(|_| End::Left),
            () = tokio::time::sleep(UNREAD) => {
                tracing::info!("a client that does not read its watch is cut off");
                self.by.caller.cut();
                Err(End::Left)
            }
        }
    }
}
