//! The events of `watch --output json`, one a line.

use serde::Serialize;

use super::{Job, known, word};
use crate::v1;
use crate::watch;

/// One event; `event` names its kind.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// After a durable change, or as part of a snapshot.
    Job { job: Box<Job> },
    /// Live figures.
    Progress(Progress),
    /// What follows is a fresh snapshot; changes may have been missed.
    Reset { reason: String },
    /// The snapshot is complete.
    SnapshotEnd,
    /// The connection is lost and is tried again.
    Lost { reason: String, retry_in_seconds: f64 },
    /// The connection is back; with `afresh` a new snapshot follows.
    Restored { afresh: bool },
}

/// Live figures of a running job.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    pub job_id: String,
    pub stage: Option<&'static str>,
    pub wait_reason: Option<&'static str>,
    pub wait_detail: Option<String>,
    pub bytes_done: u64,
    pub bytes_total: Option<u64>,
    pub bytes_per_second: u64,
    pub parts_done: u32,
    pub parts_total: u32,
    pub parts_active: u32,
    pub eta_seconds: Option<u64>,
    /// Only while EC2 stores or restores.
    pub stage_percent: Option<u32>,
}

impl From<&v1::Progress> for Progress {
    fn from(progress: &v1::Progress) -> Self {
        Self {
            job_id: progress.job_id.clone(),
            stage: word::<v1::Stage>(progress.stage),
            wait_reason: word::<v1::WaitReason>(progress.wait_reason),
            wait_detail: known(&progress.wait_detail),
            bytes_done: progress.bytes_done,
            bytes_total: progress.bytes_total,
            bytes_per_second: progress.bytes_per_second,
            parts_done: progress.parts_done,
            parts_total: progress.parts_total,
            parts_active: progress.parts_active,
            eta_seconds: progress.eta_seconds,
            stage_percent: progress.stage_percent,
        }
    }
}

impl From<&watch::Event> for Event {
    fn from(event: &watch::Event) -> Self {
        match event {
            watch::Event::Job(job) => Self::Job { job: Box::new(Job::from(job.as_ref())) },
            watch::Event::Progress(progress) => Self::Progress(Progress::from(progress.as_ref())),
            watch::Event::Reset { reason } => Self::Reset { reason: reason.clone() },
            watch::Event::SnapshotEnd => Self::SnapshotEnd,
            watch::Event::Lost { reason, retry_in } => {
                Self::Lost { reason: reason.to_string(), retry_in_seconds: retry_in.as_secs_f64() }
            }
            watch::Event::Restored { afresh } => Self::Restored { afresh: *afresh },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_tagged_by_kind() {
        let progress = v1::Progress {
            job_id: "01J".into(),
            stage: v1::Stage::Sealing.into(),
            bytes_done: 5,
            eta_seconds: Some(9),
            stage_percent: Some(40),
            ..Default::default()
        };
        let event = Event::from(&watch::Event::Progress(Box::new(progress)));
        let expected = json!({
            "event": "progress", "job_id": "01J", "stage": "sealing", "wait_reason": null,
            "wait_detail": null, "bytes_done": 5, "bytes_total": null, "bytes_per_second": 0,
            "parts_done": 0, "parts_total": 0, "parts_active": 0, "eta_seconds": 9,
            "stage_percent": 40,
        });
        assert_eq!(serde_json::to_value(event).expect("json"), expected);
        let end = Event::from(&watch::Event::SnapshotEnd);
        assert_eq!(serde_json::to_value(end).expect("json"), json!({ "event": "snapshot_end" }));
    }
}
