//! The daemon as the control service and telemetry see it.

mod asked;
mod scrape;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::limits::LimitBook;
use super::{Error, admission, images};
use crate::base::{
    Direction, InForce, Lane, Limits, LimitsChange, MemoryBudget, Pace, SharedObserver, Slots,
    chain, clock,
};
use crate::config::Config;
use crate::control::{
    Defaults, DryRun, Engine, EngineStatus, ImagesAsked, LimitsRefused, ListedPage, Place,
    RemoteStatus,
};
use crate::egress::Egress;
use crate::ledger::{self, Ledger};
use crate::model::{
    Bandwidth, Check, Failure, FailureClass, Image, Job, JobId, Live, ObjectAddress, Policy,
    RemoteName, Submission, Timestamp, TransferSpec,
};
use crate::notify::Notifier;
use crate::pipeline::{Pipeline, QuotaLimits, Quotas, Remotes};
use crate::remote::{self, Remote};
use crate::scheduler::{Reaper, Scheduler};
use crate::telemetry::Metrics;
use crate::transfer::{Probes, unrecorded};

/// How often a remote whose identity could not be checked is asked again.
const IDENTITY_EVERY: Duration = Duration::from_secs(30);

/// The running daemon.
#[derive(Debug)]
pub(super) struct Daemon {
    started_at: Timestamp,
    data_dir: PathBuf,
    defaults: Defaults,
    /// How long a failed job keeps what it uploaded.
    retention: Duration,
    pipeline: Pipeline,
    scheduler: Arc<Scheduler>,
    limits: Arc<LimitBook>,
    notifier: Arc<Notifier>,
    metrics: Arc<Metrics>,
    /// The runtime of the work.
    work: Handle,
    /// What is wrong with a remote, by its name.
    problems: Mutex<BTreeMap<RemoteName, Problem>>,
}

/// Why a remote's identity could not be checked, or is not the one that is expected.
#[derive(Debug)]
struct Problem {
    told: String,
    class: FailureClass,
}

impl From<remote::Error> for Problem {
    fn from(error: remote::Error) -> Self {
        Self { told: error.to_string(), class: error.class() }
    }
}

impl Daemon {
    /// Called in the runtime of the work.
    pub(super) fn new(
        config: &Config,
        ledger: Ledger,
        remotes: Arc<Remotes>,
        metrics: Arc<Metrics>,
        drain_timeout: Duration,
    ) -> Result<Arc<Self>, Error> {
        let transfer = &config.transfer;
        let observer = Arc::clone(&metrics) as SharedObserver;
        let parts_max = transfer.max_parts_in_flight as usize;
        let limits = Arc::new(LimitBook::new(config, &ledger, &remotes)?);
        let egress = Egress::new(config.allowed_hosts.clone());
        let notifier = Notifier::new(
            config.webhooks.clone(),
            ledger.clone(),
            egress.clone(),
            Arc::clone(&observer),
        )?;
        let pipeline = Pipeline {
            ledger,
            remotes,
            presigned: Pace::new("presigned", Limits::default(), Arc::clone(&observer)),
            slots: Slots::new(parts_max).holding(transfer.held_max().0),
            memory: MemoryBudget::new(transfer.memory_budget.0),
            observer,
            probes: Probes::default(),
            parts_max,
            quotas: quotas(config),
            egress,
        };
        let active_max = transfer.max_active_jobs as usize;
        Ok(Arc::new(Self {
            started_at: clock::now(),
            data_dir: config.data_dir.clone(),
            retention: transfer.failed_upload_retention,
            defaults: Defaults { verify: transfer.verify, if_exists: transfer.if_exists },
            scheduler: Scheduler::new(pipeline.clone(), active_max, drain_timeout),
            pipeline,
            limits,
            notifier,
            metrics,
            work: Handle::current(),
            problems: Mutex::default(),
        }))
    }

    pub(super) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    /// What cleans up after the jobs.
    pub(super) fn reaper(&self) -> Reaper {
        let Pipeline { ledger, remotes, .. } = &self.pipeline;
        let (ledger, remotes) = (ledger.clone(), Arc::clone(remotes));
        let landed_after = unrecorded::LANDED_AFTER;
        Reaper { ledger, remotes, retention: self.retention, landed_after }
    }

    /// What tells webhooks.
    pub(super) fn notifier(&self) -> &Arc<Notifier> {
        &self.notifier
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.pipeline.ledger
    }

    /// What a reload admits other hosts to.
    pub(super) fn egress(&self) -> &Egress {
        &self.pipeline.egress
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(super) fn limit_book(&self) -> &LimitBook {
        &self.limits
    }

    /// Seen to its end: who asked may hang up between what is written and what is in force.
    async fn keep(
        &self,
        remote: &RemoteName,
        change: Option<LimitsChange>,
        actor: &str,
    ) -> Result<(), LimitsRefused> {
        let (limits, ledger) = (Arc::clone(&self.limits), self.ledger().clone());
        let (remote, actor) = (remote.clone(), actor.to_owned());
        let kept = async move { limits.keep(&ledger, &remote, change, &actor).await };
        let ended = |_| Err(LimitsRefused::NotKept(ledger::Error::Closed));
        self.work.spawn(kept).await.unwrap_or_else(ended)
    }

    /// Whether new work is taken, as `/readyz` has it.
    pub(super) async fn ready(&self) -> Result<(), String> {
        if self.scheduler.is_draining() {
            return Err("draining".into());
        }
        self.ledger().writable().await.map_err(|why| chain(&*why))
    }

    /// Asks who each remote is until all have answered; a wrong answer is a problem that is shown.
    pub(super) async fn watch_identities(self: Arc<Self>) {
        loop {
            for (name, remote) in self.pipeline.remotes.iter() {
                let problem = remote.check_identity().await.err().map(Problem::from);
                let mut problems = self.problems();
                match problem {
                    Some(problem) => problems.insert(name.clone(), problem),
                    None => problems.remove(name),
                };
            }
            tokio::time::sleep(IDENTITY_EVERY).await;
        }
    }

    /// Switches limits when their schedules say so. Never ends.
    pub(super) async fn follow_schedules(self: Arc<Self>) {
        self.limits.follow().await;
    }

    /// All that are configured.
    pub(super) fn remote_names(&self) -> impl Iterator<Item = &RemoteName> {
        self.pipeline.remotes.keys()
    }

    // No code path panics while it holds the lock; a poisoned one is still consistent.
    fn problems(&self) -> MutexGuard<'_, BTreeMap<RemoteName, Problem>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remote(&self, name: &RemoteName) -> Option<&Arc<Remote>> {
        self.pipeline.remotes.get(name)
    }

    fn status_of(&self, remote: &Remote, limits: InForce) -> RemoteStatus {
        let identity = remote.identity();
        let lanes = self.pipeline.slots.lanes();
        let lane = |direction| {
            let lane = Lane::new(remote.name().as_str(), direction);
            let found = lanes.iter().find(|(known, ..)| *known == lane);
            let parts = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            found.map_or((0, 0), |(_, limit, in_flight)| (parts(*limit), parts(*in_flight)))
        };
        let (read_concurrency, read_parts_in_flight) = lane(Direction::Read);
        let (write_concurrency, write_parts_in_flight) = lane(Direction::Write);
        let problems = self.problems();
        RemoteStatus {
            name: remote.name().clone(),
            place: place(remote),
            arn: identity.arn,
            endpoint: remote.endpoint(),
            credentials_expire_at: remote.credentials_expire_at(),
            read_rate: Bandwidth(remote.pace().rate(Direction::Read)),
            write_rate: Bandwidth(remote.pace().rate(Direction::Write)),
            limits,
            read_concurrency,
            write_concurrency,
            read_parts_in_flight,
            write_parts_in_flight,
            throttled: self.metrics.throttled(remote.name().as_str()),
            problem: problems.get(remote.name()).map(|problem| problem.told.clone()),
        }
    }
}

fn quotas(config: &Config) -> Quotas {
    let limits = config.remotes.iter().map(|(name, remote)| {
        let limits = QuotaLimits {
            store_in_progress_gb: remote.quotas.store_in_progress_gb.into(),
            restore_in_progress_gb: remote.quotas.restore_in_progress_gb.into(),
            image_size_gb: remote.quotas.image_size_gb.into(),
        };
        (name.clone(), limits)
    });
    Quotas::new(limits.collect())
}

fn place(remote: &Remote) -> Place {
    Place {
        partition: remote.partition().to_owned(),
        region: remote.region().to_owned(),
        account: remote.identity().account,
    }
}

#[async_trait]
impl Engine for Daemon {
    fn defaults(&self) -> Defaults {
        self.defaults
    }

    fn check(&self, submission: &Submission) -> Result<(), String> {
        admission::check(&self.pipeline, &self.notifier, submission)
    }

    fn live(&self, id: JobId) -> Option<Live> {
        self.scheduler.live(id)
    }

    fn place(&self, remote: &RemoteName) -> Option<Place> {
        self.remote(remote).map(|remote| place(remote))
    }

    async fn dry_run(&self, spec: &TransferSpec) -> Result<DryRun, Failure> {
        self.working(self.draft(spec)).await
    }

    async fn preflight(&self, submission: &Submission) -> (Vec<Check>, Vec<Policy>) {
        self.working(self.pipeline.preflight(submission)).await
    }

    async fn roll_back_alias(&self, job: &Job) -> Result<u64, Failure> {
        self.working(images::roll_back_alias(&self.pipeline.remotes, job)).await
    }

    async fn list_images(&self, asked: &ImagesAsked) -> Result<Vec<Image>, Failure> {
        self.working(images::list(&self.pipeline.remotes, asked)).await
    }

    async fn list_prefix(
        &self,
        prefix: &ObjectAddress,
        token: Option<String>,
    ) -> Result<ListedPage, Failure> {
        self.working(self.keys_below(prefix, token)).await
    }

    fn status(&self) -> EngineStatus {
        let in_flight = self.pipeline.slots.in_flight();
        let limits = self.limits.in_force().into_iter();
        EngineStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            data_dir: self.data_dir.clone(),
            parts_in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
            memory_budget: self.pipeline.memory.budget(),
            memory_used: self.pipeline.memory.used(),
            remotes: limits
                .filter_map(|(name, limits)| Some(self.status_of(self.remote(&name)?, limits)))
                .collect(),
            webhooks: self.notifier.status(),
        }
    }

    fn limits(&self) -> Vec<(RemoteName, InForce)> {
        self.limits.in_force()
    }

    async fn set_limits(
        &self,
        remote: &RemoteName,
        change: LimitsChange,
        persist: bool,
        actor: &str,
    ) -> Result<InForce, LimitsRefused> {
        self.limits.of(remote).ok_or(LimitsRefused::NoSuchRemote)?;
        match persist {
            true => self.keep(remote, Some(change), actor).await?,
            false => self.limits.set(remote, change),
        }
        self.limits.of(remote).ok_or(LimitsRefused::NoSuchRemote)
    }

    async fn reset_limits(
        &self,
        remote: &RemoteName,
        actor: &str,
    ) -> Result<InForce, LimitsRefused> {
        self.limits.of(remote).ok_or(LimitsRefused::NoSuchRemote)?;
        self.keep(remote, None, actor).await?;
        self.limits.of(remote).ok_or(LimitsRefused::NoSuchRemote)
    }

    fn drain(&self, on: bool) -> u32 {
        self.scheduler.drain(on);
        u32::try_from(self.scheduler.running().len()).unwrap_or(u32::MAX)
    }

    fn is_draining(&self) -> bool {
        self.scheduler.is_draining()
    }
}
