//! One job from its claim to its end: the stages in order, each resumable.
//!
//! A transfer job has one stage of its own, the transfer; image jobs put theirs around it, see [`road`]. What
//! the worker learns is written down here as the job's end: this is the only place that decides
//! between succeeded, failed, paused, cancelled and given back.

mod preflight;
mod quota;
#[cfg(feature = "image")]
mod road;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{
    Berth, CrashPoint, Lane, Measure, MemoryBudget, Pace, Share, SharedObserver, Slots, crash_point,
};
use crate::blob::{self, PresignedObject, S3Object, S3Target, Source};
use crate::egress::Egress;
use crate::ledger::{self, Ledger};
use crate::model::{
    Address, Change, Failure, FailureClass, Intent, Job, JobKind, JobState, Lease, PresignedUrl,
    Receipt, RemoteName, Side, TransferSpec,
};
use crate::remote::Remote;
use crate::transfer::{Fault, LiveTransfer, Probes, Record, Stop, Transfer};

pub use quota::{Kind as QuotaKind, Limits as QuotaLimits, Quotas};
#[cfg(feature = "image")]
pub use road::roll_back as roll_back_alias;

/// Times that a job whose upload was lost begins anew within one claim.
const BEGINNINGS_MAX: u32 = 5;

/// The remotes, by name.
pub type Remotes = BTreeMap<RemoteName, Arc<Remote>>;

/// What every job works with.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub ledger: Ledger,
    pub remotes: Arc<Remotes>,
    /// The limits, and the meter, of presigned sources.
    pub presigned: Arc<Pace>,
    pub slots: Slots,
    pub memory: MemoryBudget,
    pub observer: SharedObserver,
    pub probes: Probes,
    /// Parts that one job may have in flight at the most.
    pub parts_max: usize,
    /// What EC2 admits of each remote.
    pub quotas: Quotas,
    /// The way to presigned sources.
    pub egress: Egress,
}

/// How a worker is reached while it works.
#[derive(Debug, Clone)]
pub struct Handle {
    pub stop: Stop,
    pub live: Arc<LiveTransfer>,
    /// Its claim on the limits of both sides.
    pub share: Arc<Share>,
    /// Its berth among the active jobs.
    pub berth: Arc<Berth>,
}

impl Pipeline {
    /// How the worker of this job, at this priority and in this berth, will be reached.
    pub fn handle(&self, spec: Option<&TransferSpec>, priority: i32, berth: Berth) -> Handle {
        let source = spec.and_then(|spec| match &spec.source {
            Address::Object(object) => self.remotes.get(&object.remote).map(|r| r.pace()),
            Address::Presigned(_) => Some(&self.presigned),
        });
        let target = spec.and_then(|spec| self.remotes.get(&spec.target.remote));
        let target = target.map(|remote| remote.pace());
        let share = Share::new(priority);
        let paces = source.into_iter().chain(target).map(|pace| pace.of(&share)).collect();
        let live = LiveTransfer::new(paces);
        Handle { stop: Stop::default(), live, share, berth: Arc::new(berth) }
    }

    /// Works on a claimed job until it ends, or the worker is told to stop.
    pub async fn run(&self, job: Job, lease: &Lease, handle: Handle) {
        let record = Record {
            ledger: self.ledger.clone(),
            job: job.id,
            token: lease.token,
            live: Arc::clone(&handle.live),
            stop: handle.stop.clone(),
        };
        match self.work(job, &record, &handle).await {
            Ok(()) => {}
            // Another worker has the job, or a person ended it: nothing here is to be written.
            Err(Fault::Ledger(ledger::Error::LeaseLost)) => {
                tracing::warn!(job = %record.job, "the lease was lost; leaving the job");
            }
            Err(fault) => {
                tracing::error!(job = %record.job, %fault, "the job's end is not recorded");
            }
        }
    }

    async fn work(&self, mut job: Job, record: &Record, handle: &Handle) -> Result<(), Fault> {
        for beginning in 1.. {
            if job.intent == Intent::Cancel {
                return self.cancel(record, handle).await;
            }
            let kind = job.kind;
            let fault = match Box::pin(self.attempt(job, record, handle)).await {
                Ok(receipt) => {
                    crash_point(&self.observer, CrashPoint::Proven).await;
                    record.apply(Change::Succeed(Box::new(receipt))).await?;
                    self.finished(kind, JobState::Succeeded);
                    return Ok(());
                }
                Err(fault) => fault,
            };
            let now = self.ledger.get(record.job)?;
            match fault {
                // A cancel that was acknowledged is not forgotten over a failure.
                Fault::Failed { .. } | Fault::BeginAnew { .. } if now.intent == Intent::Cancel => {
                    return self.stopped(&now, record, handle).await;
                }
                Fault::Stopped => return self.stopped(&now, record, handle).await,
                Fault::Failed { failure, restart } => {
                    if restart {
                        self.let_go(&now, record, handle).await;
                    }
                    return self.fail(record, *failure, restart).await;
                }
                Fault::BeginAnew { failure } if beginning < BEGINNINGS_MAX => {
                    tracing::warn!(job = %record.job, %failure, "beginning anew");
                    self.let_go(&now, record, handle).await;
                    crash_point(&self.observer, CrashPoint::UploadLetGo).await;
                    record.apply(Change::Warn(format!("began anew: {failure}"))).await?;
                    job = record.apply(Change::Restart).await?;
                }
                Fault::BeginAnew { failure } => {
                    self.let_go(&now, record, handle).await;
                    return self.fail(record, *failure, true).await;
                }
                Fault::Ledger(ledger::Error::LeaseLost) => return Err(fault),
                // Not the job's fault: it is taken back, and claimed again.
                Fault::Ledger(error) if error.may_pass() || error.is_of_storage() => {
                    return Err(error.into());
                }
                Fault::Ledger(error) => {
                    let failure = Failure::new(
                        FailureClass::Permanent,
                        format!("the ledger refused what the worker did: {error}"),
                        "retry; if it stays, restore the ledger",
                    );
                    return self.fail(record, failure, false).await;
                }
            }
        }
        Ok(())
    }

    /// The worker was told to stop: the job's intent says why.
    async fn stopped(&self, job: &Job, record: &Record, handle: &Handle) -> Result<(), Fault> {
        match job.intent {
            // One change for both: a person may resume the job this moment, and then it is queued.
            Intent::Run | Intent::Pause => record.apply(Change::Release).await.map(drop),
            Intent::Cancel => self.cancel(record, handle).await,
        }
    }

    /// Carries the object, or the image on its road.
    async fn attempt(&self, job: Job, record: &Record, handle: &Handle) -> Result<Receipt, Fault> {
        if job.image.is_none() {
            return self.transfer(&job, record, handle)?.run(job).await;
        }
        #[cfg(feature = "image")]
        return Box::pin(road::run(self, job, record, handle)).await;
        #[cfg(not(feature = "image"))]
        Err(Fault::failed(Failure::new(
            FailureClass::Permanent,
            "this daemon is built without image jobs",
            "run one that is built with the feature `image`, and retry",
        )))
    }

    /// Aborts what exists at the target, and cancels the job. What the target does not let go of is said: the
    /// cancel stands, and the reaper tries again until the upload is gone.
    async fn cancel(&self, record: &Record, handle: &Handle) -> Result<(), Fault> {
        let job = self.ledger.get(record.job)?;
        match Box::pin(self.clean_up(&job, record, handle)).await {
            Ok(warnings) => {
                for warning in warnings {
                    record.apply(Change::Warn(warning)).await?;
                }
                record.apply(Change::Stop).await?;
                self.finished(job.kind, JobState::Cancelled);
                Ok(())
            }
            // Stopped in between: the intent stays, and the next claim goes on here.
            Err(Fault::Stopped) => record.apply(Change::Release).await.map(drop),
            Err(fault) => Err(fault),
        }
    }

    /// Aborts what a cancelled job began; gives what it leaves behind, a line each.
    async fn clean_up(
        &self,
        job: &Job,
        record: &Record,
        handle: &Handle,
    ) -> Result<Vec<String>, Fault> {
        let mut left = job.image.as_ref().map(|image| image.leftovers()).unwrap_or_default();
        if job.spec.is_none() {
            return Ok(left);
        }
        let transfer = match self.transfer(job, record, handle) {
            Ok(transfer) => transfer,
            Err(fault) => {
                left.push(not_aborted(job, fault)?);
                return Ok(left);
            }
        };
        crash_point(&self.observer, CrashPoint::BeforeAborting).await;
        match transfer.abort(job).await {
            Ok(()) => crash_point(&self.observer, CrashPoint::UploadAborted).await,
            Err(fault) => left.push(not_aborted(job, fault)?),
        }
        // What an image job has carried is proven, and told as what it leaves behind.
        if job.image.as_ref().is_none_or(|image| image.progress.carried.is_none()) {
            left.extend(transfer.warning_of_cancel(job).await?);
        }
        Ok(left)
    }

    /// Aborts an upload that is of no use any more. What cannot be aborted is said, not waited for.
    async fn let_go(&self, job: &Job, record: &Record, handle: &Handle) {
        let Some(upload) = job.transfer.upload() else { return };
        let Ok(transfer) = self.transfer(job, record, handle) else { return };
        if let Err(error) = transfer.target.abort(upload).await {
            tracing::warn!(job = %job.id, upload = %upload.0, %error, "an upload was left behind");
        }
    }

    async fn fail(&self, record: &Record, failure: Failure, restart: bool) -> Result<(), Fault> {
        tracing::error!(job = %record.job, %failure, "the job failed");
        let job = record.apply(Change::Fail { failure, restart }).await?;
        self.finished(job.kind, job.state);
        Ok(())
    }

    fn finished(&self, kind: JobKind, outcome: JobState) {
        let (kind, outcome) = (kind.as_str(), outcome.as_str());
        self.observer.record(Measure::JobFinished { kind, outcome });
    }

    /// The transfer of a job that carries an object.
    fn transfer(&self, job: &Job, record: &Record, handle: &Handle) -> Result<Transfer, Fault> {
        let spec = job.spec.as_ref().ok_or_else(|| {
            let reason = "the job carries no object, and none was expected";
            Fault::failed(Failure::new(FailureClass::Permanent, reason, "report this as a bug"))
        })?;
        let built = match &spec.source {
            Address::Object(_) => self.build(spec, record.clone(), handle),
            // Whoever may read it needs no signature.
            Address::Presigned(url) if url.expose().query().is_none() => {
                self.build(spec, record.clone(), handle)
            }
            Address::Presigned(url) => {
                let source = Address::Presigned(self.signed(job, url)?);
                self.build(&TransferSpec { source, ..spec.clone() }, record.clone(), handle)
            }
        };
        built.map_err(|failure| Fault::failed(*failure))
    }

    /// The URL with its query, which only the ledger's own file holds.
    fn signed(&self, job: &Job, url: &PresignedUrl) -> Result<PresignedUrl, Fault> {
        match self.ledger.secret(job.id)? {
            Some(secret) => Ok(url.with_secret(&secret)),
            None => {
                let reason = "the signature of its presigned source is not kept any more";
                let remedy = "submit it anew with a fresh URL";
                Err(Fault::failed(Failure::new(FailureClass::Permanent, reason, remedy)))
            }
        }
    }

    /// A transfer of this specification.
    ///
    /// # Errors
    /// Where a remote that it names is not configured (any more).
    pub fn build(
        &self,
        spec: &TransferSpec,
        record: Record,
        handle: &Handle,
    ) -> Result<Transfer, Box<Failure>> {
        let source: Arc<dyn Source> = match &spec.source {
            Address::Object(address) => {
                let remote = self.remote(&address.remote, Side::Source)?.of(&handle.share);
                Arc::new(S3Object::new(remote, address.clone()))
            }
            Address::Presigned(url) => Arc::new(self.presigned(url, handle)?),
        };
        let remote = self.remote(&spec.target.remote, Side::Target)?.of(&handle.share);
        let seat = self.slots.join(
            Lane::new(source.name(), crate::base::Direction::Read),
            Lane::new(spec.target.remote.as_str(), crate::base::Direction::Write),
        );
        Ok(Transfer {
            source,
            target: S3Target::new(remote, spec.target.clone()),
            spec: spec.clone(),
            record,
            seat,
            memory: self.memory.clone(),
            observer: Arc::clone(&self.observer),
            live: Arc::clone(&handle.live),
            stop: handle.stop.clone(),
            berth: Arc::clone(&handle.berth),
            probes: self.probes.clone(),
            parts_max: self.parts_max,
        })
    }

    fn presigned(
        &self,
        url: &PresignedUrl,
        handle: &Handle,
    ) -> Result<PresignedObject, Box<Failure>> {
        let (pace, observer) = (self.presigned.of(&handle.share), Arc::clone(&self.observer));
        PresignedObject::new(url.clone(), pace, observer, &self.egress, None)
            .map_err(|error: blob::Error| Box::new(error.to_failure(Side::Source)))
    }

    fn remote(&self, name: &RemoteName, side: Side) -> Result<&Arc<Remote>, Box<Failure>> {
        self.remotes.get(name).ok_or_else(|| {
            let known: Vec<_> = self.remotes.keys().map(RemoteName::as_str).collect();
            let failure = Failure::new(
                FailureClass::Permanent,
                format!("there is no remote '{name}' in the configuration"),
                format!("name one of: {}", known.join(", ")),
            );
            Box::new(failure.on(side, Some(name.clone())))
        })
    }
}

/// What to say of an upload that the target did not let go of. The ledger keeps it until it is gone.
///
/// # Errors
/// Where it was not the target that stood in the way.
fn not_aborted(job: &Job, fault: Fault) -> Result<String, Fault> {
    match fault {
        Fault::Failed { failure, .. } | Fault::BeginAnew { failure } => {
            let what = match job.transfer.upload() {
                Some(_) => "its upload",
                None => "an upload that it may have begun",
            };
            tracing::warn!(job = %job.id, %failure, "{what} is not aborted yet");
            Ok(format!("{what} could not be aborted yet: it is tried again; {failure}"))
        }
        fault => Err(fault),
    }
}

#[cfg(test)]
mod tests;
