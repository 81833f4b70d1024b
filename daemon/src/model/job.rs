//! One job, as the ledger keeps it.
//!
//! ```text
//!              ┌──────────────── retry ────────────────┐
//!              ▼                                       │
//! submit ─▶ queued ──claim──▶ running ──▶ failed ──────┤
//!            │  ▲ ▲             │ │ │ └──▶ cancelled ──┘
//!      pause │  │ └── release ──┘ │ └────▶ succeeded
//!            ▼  │ resume          │
//!          paused ◀───────────────┘
//! ```
//!
//! Pause and cancel of a running job are written down as its [`Intent`] and done by its worker, so
//! they survive a crash. A job that holds an upload at the target is cancelled by a worker too: it
//! goes back into the queue with the intent, ahead of all others. A cancel is never a failure: an upload
//! that cannot be aborted then is told, and left to the reaper.

use serde::{Deserialize, Serialize};

use super::{
    Failure, ImageWork, JobId, Labels, ObjectDigest, PartPlan, PinnedObject, PublishedObject,
    Receipt, Step, Submission, Timestamp, TransferSpec, UploadId,
};

/// A job that carries more than this is a large one.
const LARGE_BYTES: u64 = 1 << 30;

/// How much a job is to carry: jobs that carry more must not hold up those that carry less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// One PutObject, or not known yet.
    Small,
    /// Up to 1 GiB, in parts.
    Medium,
    Large,
    /// None for now: EC2 works, or something else than bytes is moved.
    Image,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    Transfer,
    /// An image becomes an object.
    Store,
    /// An object becomes an image.
    Restore,
    /// Store, transfer, restore, alias.
    Migrate,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Transfer, Self::Store, Self::Restore, Self::Migrate];

    /// The word used in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Store => "store",
            Self::Restore => "restore",
            Self::Migrate => "migrate",
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    Paused,
    Succeeded,
    Failed,
    Cancelled,
}

impl JobState {
    /// Every state, in the order of the contract.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Paused, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Whether nothing more happens without a person.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The word used in the API and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a running job is doing; derived from how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// EC2 writes the image's object.
    Storing,
    Planning,
    Transferring,
    Sealing,
    Verifying,
    /// EC2 makes an image of the object.
    Restoring,
    /// The alias, and what is asked for after it.
    Aliasing,
}

impl Stage {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Storing => "storing",
            Self::Planning => "planning",
            Self::Transferring => "transferring",
            Self::Sealing => "sealing",
            Self::Verifying => "verifying",
            Self::Restoring => "restoring",
            Self::Aliasing => "aliasing",
        }
    }
}

/// What a person asked of a job and its worker has yet to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    #[default]
    Run,
    Pause,
    Cancel,
}

/// Who works on a job. The token grows with every claim: a worker that lost its lease can write
/// nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The daemon's instance id.
    pub owner: String,
    pub token: u64,
    pub expires_at: Timestamp,
}

/// How far the object has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum TransferState {
    /// Nothing is known of the source.
    #[default]
    Unplanned,
    /// Nothing exists at the target.
    Planned { source: PinnedObject, plan: PartPlan },
    /// The upload id is durable: a restart resumes it, a cancel aborts it.
    Uploading { source: PinnedObject, plan: PartPlan, upload: UploadId },
    /// The digest is known and the act that publishes may have reached S3 already: ask before
    /// repeating. Without an upload the act is a PutObject.
    Sealing { source: PinnedObject, plan: PartPlan, upload: Option<UploadId>, digest: ObjectDigest },
    /// S3 said yes; the proof is outstanding.
    Sealed { source: PinnedObject, plan: PartPlan, digest: ObjectDigest, target: PublishedObject },
}

impl TransferState {
    /// The stage a worker is in while the transfer stands here.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Unplanned => Stage::Planning,
            Self::Planned { .. } | Self::Uploading { .. } => Stage::Transferring,
            Self::Sealing { .. } => Stage::Sealing,
            Self::Sealed { .. } => Stage::Verifying,
        }
    }

    /// The pinned source and the plan, once there are any.
    pub fn planned(&self) -> Option<(&PinnedObject, PartPlan)> {
        match self {
            Self::Unplanned => None,
            Self::Planned { source, plan }
            | Self::Uploading { source, plan, .. }
            | Self::Sealing { source, plan, .. }
            | Self::Sealed { source, plan, .. } => Some((source, *plan)),
        }
    }

    /// The upload at the target that a cancel has to abort.
    pub fn upload(&self) -> Option<&UploadId> {
        match self {
            Self::Uploading { upload, .. } => Some(upload),
            Self::Sealing { upload, .. } => upload.as_ref(),
            Self::Unplanned | Self::Planned { .. } | Self::Sealed { .. } => None,
        }
    }
}

/// Sums over the parts that the target acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub parts: u32,
    pub bytes: u64,
    /// Bytes sent to the target, repeats included.
    pub bytes_sent: u64,
}

/// One durable unit of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub kind: JobKind,
    /// Counts the durable changes of this job, from 1. Parts do not count.
    pub revision: u64,
    pub state: JobState,
    #[serde(default, skip_serializing_if = "is_default")]
    pub intent: Intent,
    /// The object that it carries; `None` for an image job that carries none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<TransferSpec>,
    /// Of an image job alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Box<ImageWork>>,
    pub priority: i32,
    #[serde(default, skip_serializing_if = "is_default")]
    pub labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Webhooks that are told of it, besides those that are told of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<String>,
    /// Who submitted it.
    pub actor: String,
    pub submitted_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Times a worker took it up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub transfer: TransferState,
    #[serde(default, skip_serializing_if = "is_default")]
    pub progress: Progress,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// The revision that it ended with; `None` where it has not ended, or nothing was done to it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_revision: Option<u64>,
    /// When it came back into the queue; `None` where it is not there, or has been since its submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
}

/// What a record leaves out: a million of them are read at every start.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Job {
    /// A job as it is first written.
    pub fn submitted(id: JobId, submission: Submission, actor: String, now: Timestamp) -> Self {
        Self {
            id,
            kind: submission.kind(),
            revision: 1,
            state: JobState::Queued,
            intent: Intent::Run,
            spec: submission.spec,
            image: submission.image.map(|spec| Box::new(ImageWork::new(spec))),
            priority: submission.priority,
            labels: submission.labels,
            idempotency_key: submission.idempotency_key,
            notify: submission.notify,
            actor,
            submitted_at: now,
            started_at: None,
            finished_at: None,
            attempts: 0,
            lease: None,
            transfer: TransferState::Unplanned,
            progress: Progress::default(),
            failure: None,
            warnings: Vec::new(),
            receipt: None,
            ended_revision: None,
            queued_at: None,
        }
    }

    /// The object's size in bytes, once planned.
    pub fn size(&self) -> Option<u64> {
        self.transfer.planned().map(|(source, _)| source.size)
    }

    /// What an image job is to do next; `None` for a transfer.
    pub fn step(&self) -> Option<Step> {
        self.image.as_ref().map(|image| image.step(self.spec.is_some()))
    }

    /// What a worker does while the job stands where it stands.
    pub fn stage(&self) -> Stage {
        match self.step() {
            None | Some(Step::Carry) => self.transfer.stage(),
            Some(Step::Describe | Step::Store) => Stage::Storing,
            Some(Step::Restore) => Stage::Restoring,
            Some(Step::Alias | Step::Chore(_) | Step::Done) => Stage::Aliasing,
        }
    }

    /// How much it is to carry now, as far as that is known.
    pub fn weight(&self) -> Weight {
        if self.step().is_some_and(|step| step != Step::Carry) {
            return Weight::Image;
        }
        match self.transfer.planned() {
            Some((_, plan)) if plan.is_single_put() => Weight::Small,
            Some((source, _)) if source.size > LARGE_BYTES => Weight::Large,
            Some(_) => Weight::Medium,
            None => Weight::Small,
        }
    }

    /// Whether the job is in the scheduler's queue.
    pub fn is_claimable(&self) -> bool {
        self.state == JobState::Queued
    }

    /// Whether it is about an image whose object is at the target, and proven.
    pub fn is_carried(&self) -> bool {
        self.image.as_ref().is_some_and(|image| image.progress.carried.is_some())
    }

    /// Since when it has been in the queue; `None` where it is not there.
    pub fn queued_since(&self) -> Option<Timestamp> {
        self.is_claimable().then(|| self.queued_at.unwrap_or(self.submitted_at))
    }
}
