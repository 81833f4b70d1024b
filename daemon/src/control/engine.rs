//! What the service needs of the rest of the daemon, beside the ledger. `app` implements it.
//!
//! A port, so that `control` knows neither the scheduler nor a remote's SDK, and so that its tests
//! run against a real ledger and nothing else.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::base::{InForce, LimitsChange};
use crate::ledger;
use crate::model::{
    Bandwidth, Check, Failure, IfExists, Image, Job, JobId, Live, ObjectAddress, ObjectRef, Policy,
    RemoteName, Submission, Tags, Timestamp, TransferSpec, Verify,
};
use crate::notify;

/// The rest of the daemon, as the service sees it.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// What the configuration decides where a request does not.
    fn defaults(&self) -> Defaults;

    /// Whether the daemon could run this job at all: its remotes exist, and the like. Cheap: it asks
    /// nobody.
    ///
    /// # Errors
    /// One line for a person: the thing, the reason, the remedy.
    fn check(&self, submission: &Submission) -> Result<(), String>;

    /// The live figures of a job that runs in this daemon.
    fn live(&self, id: JobId) -> Option<Live>;

    /// Where a remote is; `None` where the configuration has no such remote. Cheap: it is asked for
    /// every job that is shown.
    fn place(&self, remote: &RemoteName) -> Option<Place>;

    /// What the transfer would do; nothing at either side is changed.
    ///
    /// # Errors
    /// What would end the job at once.
    async fn dry_run(&self, spec: &TransferSpec) -> Result<DryRun, Failure>;

    /// Puts the value back that the alias of this job had before; gives its new version.
    ///
    /// # Errors
    /// Where it does not name the job's image any more, had no value before, or cannot be written.
    async fn roll_back_alias(&self, job: &Job) -> Result<u64, Failure>;

    /// Tries what the job would need on both sides, and tells the least that it has to be allowed. Nothing
    /// that lasts is changed.
    async fn preflight(&self, submission: &Submission) -> (Vec<Check>, Vec<Policy>);

    /// The account's own images of a remote that are asked for, newest first.
    ///
    /// # Errors
    /// Where they cannot be had.
    async fn list_images(&self, asked: &ImagesAsked) -> Result<Vec<Image>, Failure>;

    /// One page of the keys below a prefix, in the listing's order.
    ///
    /// # Errors
    /// Where the listing is refused or cannot be had.
    async fn list_prefix(
        &self,
        prefix: &ObjectAddress,
        token: Option<String>,
    ) -> Result<ListedPage, Failure>;

    /// The daemon as it stands now.
    fn status(&self) -> EngineStatus;

    /// The limits in force, by remote, in the order of their names.
    fn limits(&self) -> Vec<(RemoteName, InForce)>;

    /// Puts other limits in force, at once, and answers all that are then in force on the remote.
    ///
    /// # Errors
    /// As [`LimitsRefused`] says; nothing has changed then.
    async fn set_limits(
        &self,
        remote: &RemoteName,
        change: LimitsChange,
        persist: bool,
        actor: &str,
    ) -> Result<InForce, LimitsRefused>;

    /// Puts the configuration's limits back in force, with its schedule: what was set at the remote is over,
    /// also what was persisted.
    ///
    /// # Errors
    /// As [`LimitsRefused`] says; nothing has changed then.
    async fn reset_limits(
        &self,
        remote: &RemoteName,
        actor: &str,
    ) -> Result<InForce, LimitsRefused>;

    /// Takes no new work (`true`), or takes it again, and answers how many jobs run.
    fn drain(&self, on: bool) -> u32;

    /// Whether new work is refused.
    fn is_draining(&self) -> bool;
}

/// What the configuration decides where a request does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    pub verify: Verify,
    pub if_exists: IfExists,
}

/// Where a remote is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub partition: String,
    pub region: String,
    /// `None` where STS was not asked.
    pub account: Option<String>,
}

/// What a transfer would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    pub source: ObjectRef,
    /// Its `size` is the source's; its `etag` is empty.
    pub target: ObjectRef,
    /// Bytes.
    pub part_size: u64,
    /// 0 with a single PutObject.
    pub parts: u16,
    pub verify: Verify,
    pub if_exists: IfExists,
    /// 0 when `skip` applies.
    pub bytes_to_send: u64,
    pub warnings: Vec<String>,
}

/// Which images are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagesAsked {
    pub remote: RemoteName,
    /// EC2's globs; all of them have to match.
    pub name: Option<String>,
    pub tags: Tags,
    /// So many at most.
    pub latest: usize,
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedPage {
    /// Whole keys.
    pub keys: Vec<String>,
    /// What to ask the next page with; `None` on the last.
    pub next: Option<String>,
}

/// The daemon as it stands, the ledger aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineStatus {
    pub version: String,
    pub started_at: Timestamp,
    pub data_dir: PathBuf,
    pub parts_in_flight: u32,
    /// Bytes.
    pub memory_budget: u64,
    /// Bytes.
    pub memory_used: u64,
    pub remotes: Vec<RemoteStatus>,
    pub webhooks: Vec<notify::Status>,
}

/// One remote as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteStatus {
    pub name: RemoteName,
    pub place: Place,
    /// The identity's ARN; `None` where STS was not asked.
    pub arn: Option<String>,
    pub endpoint: String,
    /// `None` where the credentials do not expire, or were not asked for yet.
    pub credentials_expire_at: Option<Timestamp>,
    /// Over the last seconds.
    pub read_rate: Bandwidth,
    /// Over the last seconds.
    pub write_rate: Bandwidth,
    pub limits: InForce,
    /// Parts at once that the adaptive limit admits.
    pub read_concurrency: u32,
    pub write_concurrency: u32,
    /// Of those.
    pub read_parts_in_flight: u32,
    pub write_parts_in_flight: u32,
    /// Answers that asked to slow down, since the start.
    pub throttled: u64,
    /// What is wrong with it now.
    pub problem: Option<String>,
}

/// Why limits were not changed.
#[derive(Debug, thiserror::Error)]
pub enum LimitsRefused {
    #[error("there is no such remote")]
    NoSuchRemote,
    /// One line: the limit, the reason, the remedy.
    #[error("{0}")]
    Illegal(String),
    /// They were to be kept across restarts and cannot be written down.
    #[error("the limits cannot be kept")]
    NotKept(#[from] ledger::Error),
}
