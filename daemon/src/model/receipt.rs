//! The signed-off record of a finished job.

use serde::{Deserialize, Serialize};

use super::{Job, JobId, JobKind, Timestamp};

/// Which proof was possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifiedBy {
    /// The target's full-object checksum, as S3 computed it, equals ours.
    S3Checksum,
    /// The target was read again and its BLAKE3 equals ours.
    Readback,
}

impl VerifiedBy {
    /// The word on the receipt.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3Checksum => "s3-checksum",
            Self::Readback => "readback",
        }
    }
}

/// One object on one side, as the receipt names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// `presigned` for a presigned source.
    pub remote: String,
    pub partition: String,
    #[serde(default)]
    pub account: Option<String>,
    pub region: String,
    pub bucket: String,
    pub key: String,
    #[serde(default)]
    pub version_id: Option<String>,
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// What moved, from where, to where, and the proof that it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub job_id: JobId,
    pub kind: JobKind,
    /// What was read; `None` for a store that carried nothing on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ObjectRef>,
    /// What was written, by us or by EC2; `None` for a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ObjectRef>,
    /// What `b3sum` prints. Empty where `skip` found the same object by its checksum and read nothing, and
    /// where nothing was carried.
    pub blake3: String,
    /// Base64 of the big-endian value, as S3 writes it. Empty where nothing was carried.
    pub crc64nvme: String,
    /// `None` where nothing was carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<VerifiedBy>,
    /// 0 with a single PutObject.
    pub parts: u16,
    /// Bytes.
    pub part_size: u64,
    /// Bytes sent to the target, repeats included.
    pub bytes_sent: u64,
    pub attempts: u32,
    pub submitted_at: Timestamp,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub daemon_version: String,
}

impl Receipt {
    /// What is known of the job whatever it did, at its end.
    pub fn blank(job: &Job, now: Timestamp, daemon_version: &str) -> Self {
        Self {
            job_id: job.id,
            kind: job.kind,
            source: None,
            target: None,
            blake3: String::new(),
            crc64nvme: String::new(),
            verified_by: None,
            parts: 0,
            part_size: 0,
            bytes_sent: 0,
            attempts: job.attempts,
            submitted_at: job.submitted_at,
            started_at: job.started_at.unwrap_or(now),
            finished_at: now,
            daemon_version: daemon_version.to_owned(),
        }
    }
}
