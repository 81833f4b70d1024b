//! Which job runs: priority, then age, within bounds that keep small jobs moving.
//!
//! Parts of running jobs share the machine's slots evenly (see [`crate::base::slots`]), but that helps
//! only a job that runs. So jobs that go in parts run `max_active_jobs` at once, and a quarter of these
//! berths is kept for those of at most 1 GiB; and small ones, which are one PutObject each, have berths
//! of their own, as many as there are slots: hundreds of them move at the pace of the requests. A job
//! whose size is not known yet is planned in a small one's berth; where it turns out to be larger and
//! there is no berth for it (see [`crate::base::berths`]), it goes back into the queue, and waits there
//! among its like.
//!
//! Pause and cancel come as facts through the ledger's events, like everything else: the scheduler
//! sees the intent of a job that runs here, and tells its worker to stop.

mod reaper;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use reaper::Reaper;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::base::{Berths, clock};
use crate::ledger::{self, Events, Filter, Ledger, PAGE_SIZE_MAX};
use crate::model::{Change, Failure, FailureClass, Intent, Job, JobId, JobState, Lease, Live};
use crate::pipeline::{Handle, Pipeline};

/// How long a claim holds without being renewed.
const LEASE: Duration = Duration::from_secs(60);
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// A look at the queue even when nothing was heard.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const TAKE_BACK_EVERY: Duration = Duration::from_secs(30);
const EVENTS_A_LOOK: usize = 1024;
/// What workers get after they were told to stop at once.
const ABANDON_GRACE: Duration = Duration::from_secs(5);

/// The scheduler of one daemon.
#[derive(Debug)]
pub struct Scheduler {
    ledger: Ledger,
    pipeline: Pipeline,
    berths: Berths,
    /// How long a paused or drained job's parts in flight may take to finish.
    drain_timeout: Duration,
    active: Mutex<HashMap<JobId, Active>>,
    draining: watch::Sender<bool>,
}

#[derive(Debug)]
struct Active {
    handle: Handle,
    token: u64,
    /// It was claimed in order to be cancelled: its worker aborts, and is not to be stopped in that.
    cancels: bool,
    /// The worker's task, to know whose it was if it ends by a panic.
    task: Option<task::Id>,
}

impl Scheduler {
    /// A scheduler of at most `active_max` jobs in parts at once.
    pub fn new(pipeline: Pipeline, active_max: usize, drain_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            ledger: pipeline.ledger.clone(),
            berths: Berths::new(pipeline.parts_max, active_max),
            pipeline,
            drain_timeout,
            active: Mutex::default(),
            draining: watch::Sender::new(false),
        })
    }

    /// The live figures of a job that runs here.
    pub fn live(&self, id: JobId) -> Option<Live> {
        let live = self.lock().get(&id).map(|active| Arc::clone(&active.handle.live))?;
        Some(live.snapshot())
    }

    /// The jobs that run here.
    pub fn running(&self) -> Vec<JobId> {
        self.lock().keys().copied().collect()
    }

    /// Takes no new work (or takes it again) and lets what runs finish.
    pub fn drain(&self, on: bool) {
        self.draining.send_replace(on);
    }

    /// Whether no new work is taken.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// How long parts in flight may take to finish once it stops.
    pub fn drain_timeout(&self) -> Duration {
        self.drain_timeout
    }

    /// Runs until `shutdown`; then stops what runs and gives it back to the queue.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let mut workers = JoinSet::new();
        let mut heard = self.ledger.subscribe();
        let mut draining = self.draining.subscribe();
        let mut cursor = *heard.borrow();
        let mut taking_back = std::pin::pin!(self.take_back_the_lost());
        while !shutdown.is_cancelled() {
            self.claim(&mut workers).await;
            tokio::select! {
                _ = heard.changed() => cursor = self.listen(cursor),
                Some(ended) = workers.join_next() => {
                    // What it cannot write down before the end is made up for at the next start.
                    shutdown.run_until_cancelled(self.ended(ended)).await;
                    // All that have ended meanwhile, so that their places are claimed together.
                    while let Some(ended) = workers.try_join_next() {
                        shutdown.run_until_cancelled(self.ended(ended)).await;
                    }
                }
                _ = draining.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => cursor = self.listen(cursor),
                () = &mut taking_back => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.stop_all(workers).await;
    }

    /// Claims jobs while there is room for them: all that there is room for at once, since each claim is
    /// on disk before its job begins.
    async fn claim(self: &Arc<Self>, workers: &mut JoinSet<(JobId, u64)>) {
        while !self.is_draining() {
            match self.ledger.claim_many(self.berths.room(), LEASE).await {
                Ok(jobs) if jobs.is_empty() => return,
                Ok(jobs) => jobs.into_iter().for_each(|job| self.spawn(job, workers)),
                Err(error) => {
                    tracing::error!(%error, "cannot claim a job");
                    return;
                }
            }
        }
    }

    /// Gives jobs back, now and then, that this daemon claimed and that no worker here has: the disk
    /// failed in the middle of their claim, or of their worker's last word. Never ends.
    async fn take_back_the_lost(&self) {
        loop {
            tokio::time::sleep(TAKE_BACK_EVERY).await;
            self.take_back().await;
        }
    }

    async fn take_back(&self) {
        let running = Filter { states: vec![JobState::Running], ..Filter::default() };
        let page = match self.ledger.list(&running, PAGE_SIZE_MAX, None) {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "cannot look for jobs without a worker");
                return;
            }
        };
        for job in page.jobs {
            let Some(lease) = job.lease else { continue };
            if lease.owner != self.ledger.instance() || self.lock().contains_key(&job.id) {
                continue;
            }
            match self.ledger.apply(job.id, lease.token, Change::Release).await {
                Ok(_) => tracing::warn!(job = %job.id, "gave back a job that had no worker"),
                Err(error) => tracing::debug!(job = %job.id, %error, "the job is not given back"),
            }
        }
    }

    fn spawn(self: &Arc<Self>, job: Job, workers: &mut JoinSet<(JobId, u64)>) {
        let Some(lease) = job.lease.clone() else { return };
        let berth = self.berths.take(ledger::berth_of(&job, self.berths.room()));
        let handle = self.pipeline.handle(job.spec.as_ref(), job.priority, berth);
        let cancels = job.intent == Intent::Cancel;
        let active = Active { handle: handle.clone(), token: lease.token, cancels, task: None };
        self.lock().insert(job.id, active);
        let this = Arc::clone(self);
        let (id, token) = (job.id, lease.token);
        let span = tracing::info_span!("job", id = %id);
        let work = async move {
            tokio::select! {
                () = this.pipeline.run(job, &lease, handle.clone()) => {}
                () = this.keep(id, &lease, &handle) => {}
            }
            (id, token)
        };
        let task = workers.spawn(work.instrument(span)).id();
        if let Some(active) = self.lock().get_mut(&id) {
            active.task = Some(task);
        }
    }

    /// Renews the lease for as long as the worker works. Where that fails for good, the worker has
    /// lost the job: it must not act any more, so this returns and the worker is dropped.
    async fn keep(&self, id: JobId, lease: &Lease, handle: &Handle) {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let expires_at = clock::now().plus_millis(LEASE.as_secs() * 1000);
            let renewed = Lease { expires_at, ..lease.clone() };
            match self.ledger.apply(id, lease.token, Change::Renew(renewed)).await {
                Ok(_) => {}
                // One daemon holds the ledger: nobody else can take the job while the disk is full.
                // And of a database that failed its workers tell, until the daemon leaves.
                Err(error) if error.may_pass() || error.is_of_storage() => {
                    tracing::warn!(%error, "cannot renew the lease");
                }
                Err(error) => {
                    // The worker ends by itself right after its last word: this may be its echo.
                    tracing::debug!(%error, "the lease is gone");
                    handle.stop.now();
                    tokio::time::sleep(ABANDON_GRACE).await;
                    return;
                }
            }
        }
    }

    /// Reads what happened since `cursor` and acts on what concerns jobs that run here.
    fn listen(self: &Arc<Self>, mut cursor: u64) -> u64 {
        loop {
            match self.ledger.events(cursor, EVENTS_A_LOOK) {
                Ok(Events::Some(events)) if events.is_empty() => return cursor,
                Ok(Events::Some(events)) => {
                    for event in events {
                        cursor = event.cursor;
                        self.heard(&event.job);
                    }
                }
                Ok(Events::TooOld { .. }) => {
                    // So far behind that events are gone: the jobs themselves say the same. What happens
                    // while they are read is heard after them.
                    cursor = *self.ledger.subscribe().borrow();
                    for id in self.running() {
                        if let Ok(job) = self.ledger.get(id) {
                            self.heard(&job);
                        }
                    }
                    return cursor;
                }
                Err(error) => {
                    tracing::error!(%error, "cannot read the ledger's events");
                    return cursor;
                }
            }
        }
    }

    fn heard(self: &Arc<Self>, job: &Job) {
        let stop = {
            let mut active = self.lock();
            let Some(mine) = active.get_mut(&job.id) else { return };
            // Of an earlier claim, or of its end: it says nothing to this worker.
            if job.lease.as_ref().is_none_or(|lease| lease.token != mine.token) {
                return;
            }
            mine.handle.share.set_priority(job.priority);
            match job.intent {
                Intent::Run => return,
                Intent::Cancel if mine.cancels => return,
                Intent::Cancel => {
                    mine.handle.stop.now();
                    return;
                }
                Intent::Pause => mine.handle.stop.clone(),
            }
        };
        stop.soon();
        let patience = self.drain_timeout;
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            stop.now();
        });
    }

    async fn ended(&self, ended: Result<(JobId, u64), task::JoinError>) {
        let error = match ended {
            Ok((id, token)) => {
                // Given back and claimed again before this was heard, the job has another worker by now.
                let mut active = self.lock();
                if active.get(&id).is_some_and(|active| active.token == token) {
                    active.remove(&id);
                }
                return;
            }
            Err(error) => error,
        };
        let panicked = {
            let mut active = self.lock();
            let id = active.iter().find(|(_, a)| a.task == Some(error.id())).map(|(id, _)| *id);
            id.and_then(|id| active.remove(&id).map(|active| (id, active.token)))
        };
        let Some((id, token)) = panicked else { return };
        tracing::error!(job = %id, %error, "a job's worker ended by a panic");
        let reason = format!("the job's worker ended by a panic: {error}");
        let failure = Failure::new(FailureClass::Permanent, reason, "report this as a bug; retry");
        let fail = Change::Fail { failure, restart: false };
        if let Err(error) = self.ledger.apply(id, token, fail).await {
            tracing::error!(job = %id, %error, "the job's end is not recorded");
        }
    }

    /// Stops every worker: soon, and after the drain timeout at once.
    async fn stop_all(&self, mut workers: JoinSet<(JobId, u64)>) {
        let stops: Vec<_> = self.lock().values().map(|a| a.handle.stop.clone()).collect();
        stops.iter().for_each(crate::transfer::Stop::soon);
        let all_ended = async { while workers.join_next().await.is_some() {} };
        if tokio::time::timeout(self.drain_timeout, all_ended).await.is_err() {
            tracing::warn!("abandoning the parts in flight: the drain timeout is over");
            stops.iter().for_each(crate::transfer::Stop::now);
            let all_ended = async { while workers.join_next().await.is_some() {} };
            if tokio::time::timeout(ABANDON_GRACE, all_ended).await.is_err() {
                workers.abort_all();
            }
        }
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
