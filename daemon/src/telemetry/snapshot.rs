//! The states that are asked for at every scrape.

mod series;

use std::time::Duration;

use crate::base::{Direction, Limits};
use crate::model::{JobId, JobState, Timestamp, WaitReason};
pub(super) use series::families;

/// How the daemon stands, this moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub started_at: Timestamp,
    /// No new work is taken, because somebody asked for that.
    pub draining: bool,
    /// States that are not listed have no job.
    pub jobs: Vec<(JobState, u64)>,
    /// Running jobs that wait, by what for. Reasons that are not listed hold nobody back.
    pub jobs_waiting: Vec<(WaitReason, u64)>,
    pub queue_depth: u64,
    /// The longest that a job has waited in the queue since it last came into it; zero with an empty queue.
    pub queue_oldest: Duration,
    /// Bytes.
    pub memory_budget: u64,
    /// Bytes.
    pub memory_used: u64,
    pub data_dir: DataDir,
    /// Jobs that run now, and no others. The caller bounds how many.
    pub active_jobs: Vec<JobProgress>,
    pub remotes: Vec<RemoteState>,
    pub concurrency_limits: Vec<ConcurrencyLimit>,
    pub image_quotas: Vec<QuotaUsed>,
    /// By remote, where the credentials in use expire.
    pub credentials_expiry: Vec<(String, Timestamp)>,
    /// Notices that wait, by webhook.
    pub webhooks_pending: Vec<(String, u64)>,
}

/// The file system that the ledger is on.
#[derive(Debug, Clone, Copy, Default)]
pub struct DataDir {
    /// Free and all bytes; `None` where the system does not say.
    pub space: Option<(u64, u64)>,
    /// The ledger has not failed, and there is room for new work.
    pub writable: bool,
}

/// How far one running job is.
#[derive(Debug, Clone)]
pub struct JobProgress {
    pub job: JobId,
    pub done: u64,
    /// `None` until the source's size is known.
    pub total: Option<u64>,
    /// How long nothing has moved without a reason.
    pub idle: Duration,
}

/// What is known of one configured remote.
#[derive(Debug, Clone)]
pub struct RemoteState {
    pub name: String,
    /// Its credentials work, and its identity is as configured, as far as anybody was asked.
    pub up: bool,
    /// Its schedule lets nothing pass now.
    pub paused: bool,
    /// In force now.
    pub limits: Limits,
}

/// How many parts one side may have in flight now.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    pub remote: String,
    pub direction: Direction,
    pub parts: u64,
}

/// What is in progress of one kind of image task.
#[derive(Debug, Clone)]
pub struct QuotaUsed {
    pub remote: String,
    /// `store` or `restore`.
    pub kind: &'static str,
    pub gb: u64,
    /// From which on nothing new is asked for.
    pub limit_gb: u64,
}
