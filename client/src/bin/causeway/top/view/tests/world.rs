//! A daemon as it may be on a busy afternoon.

use causeway::v1::{
    Failure, Job, JobKind, JobState, Part, PartState, RemoteLimits, RemoteStatus, Stage,
    StateCount, StatusResponse, TransferSpec, WaitReason,
};
use crossterm::event::KeyCode;
use jiff::Timestamp;
use prost_types::Timestamp as ProtoTime;
use ratatui::layout::Rect;

use super::super::super::feed::{Parts, Picture};
use super::super::super::model::{Effect, Model};

/// The clock, in seconds, and the usual screen.
pub const NOW: (i64, Rect) = (1_795_000_000, Rect::new(0, 0, 80, 24));

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

pub fn press(model: &mut Model, code: KeyCode) -> Option<Effect> {
    model.key(super::key(code))
}

/// Eight jobs in every condition, the first of them with 120 parts.
pub fn model() -> Model {
    let mut model = Model::new(Timestamp::from_second(NOW.0).expect("legal"), "");
    let jobs = jobs();
    let parts = Parts { job: jobs[0].clone(), parts: parts() };
    let picture = Picture { status: status(), jobs, parts: Some(parts), ..Picture::default() };
    model.see(picture.clone());
    // The second look sees a remote that was asked to slow down since the first.
    let mut next = picture;
    next.status.remotes[1].throttled += 1;
    model.see(next);
    model.chosen = Some(model.jobs[0].id.clone());
    model
}

fn job(number: u32, state: JobState, name: &str) -> Job {
    let spec = TransferSpec {
        source: format!("commercial:images/golden/{name}"),
        target: "gov:landing/golden/".into(),
        ..Default::default()
    };
    Job {
        id: format!("01K7Z3M8Q4T5V6W7X8Y9Z0A1B{}", number),
        kind: JobKind::Transfer.into(),
        state: state.into(),
        transfer: Some(spec),
        attempts: 1,
        actor: "uid:1000".into(),
        bytes_total: Some(48 * GIB),
        ..Default::default()
    }
}

fn running(number: u32, name: &str, stage: Stage, done: u64, rate: u64) -> Job {
    Job {
        stage: stage.into(),
        bytes_done: done,
        bytes_per_second: rate,
        part_size: 64 * MIB,
        parts_total: 120,
        ..job(number, JobState::Running, name)
    }
}

fn jobs() -> Vec<Job> {
    let carried = Job {
        priority: 50,
        labels: [("batch".to_owned(), "7".to_owned())].into(),
        bytes_sent: 19 * GIB,
        ..running(8, "ami-0abc.bin", Stage::Transferring, 18 * GIB, 612 * MIB)
    };
    let waits = Job {
        wait_reason: WaitReason::Credentials.into(),
        wait_detail: "the session token of gov has expired".into(),
        ..running(7, "ami-0def.bin", Stage::Transferring, 3 * GIB, 0)
    };
    let pausing = Job {
        pause_requested: true,
        ..running(6, "a-rather-long-name-of-an-image-2026-11-21.bin", Stage::Verifying, 48 * GIB, 0)
    };
    let failure = Failure {
        class: "permanent".into(),
        message: "s3:GetObject on images/golden/ami-0bad.bin: the source changed".into(),
        remedy: "submit it again".into(),
        ..Default::default()
    };
    let failed = Job { failure: Some(failure), ..job(2, JobState::Failed, "ami-0bad.bin") };
    let done = Job { bytes_done: 48 * GIB, ..job(1, JobState::Succeeded, "ami-0old.bin") };
    vec![
        carried,
        waits,
        pausing,
        Job { bytes_done: 7 * GIB, ..job(5, JobState::Paused, "ami-0ccc.bin") },
        Job { bytes_total: None, ..job(4, JobState::Queued, "ami-0ddd.bin") },
        Job { priority: -20, ..job(3, JobState::Queued, "ключ/鍵.bin") },
        failed,
        done,
        job(0, JobState::Cancelled, "ami-0eee.bin"),
    ]
}

fn parts() -> Vec<Part> {
    let part = |number: u32| {
        let (state, attempts) = match number {
            1..=40 | 44 | 46 => (PartState::Done, 1),
            41..=50 => (PartState::Active, 1),
            51 => (PartState::Pending, 1),
            _ => (PartState::Pending, 0),
        };
        Part { number, state: state.into(), attempts, ..Default::default() }
    };
    (1..=120).map(part).collect()
}

fn status() -> StatusResponse {
    let count = |state: JobState, count| StateCount { state: state.into(), count };
    let commercial = RemoteStatus {
        remote: "commercial".into(),
        partition: "aws".into(),
        region: "us-east-2".into(),
        account: "111122223333".into(),
        read_rate: 612 * MIB,
        read_concurrency: 16,
        read_parts_in_flight: 10,
        credentials_expire_at: Some(ProtoTime { seconds: NOW.0 + 3_130, nanos: 0 }),
        limits: Some(RemoteLimits { read_bandwidth: Some(625_000_000), ..Default::default() }),
        ..Default::default()
    };
    let gov = RemoteStatus {
        remote: "gov".into(),
        partition: "aws-us-gov".into(),
        region: "us-gov-west-1".into(),
        account: "444455556666".into(),
        write_rate: 610 * MIB,
        write_concurrency: 24,
        write_parts_in_flight: 10,
        throttled: 3,
        ..Default::default()
    };
    let china = RemoteStatus {
        remote: "china".into(),
        partition: "aws-cn".into(),
        region: "cn-north-1".into(),
        problem: "STS names account 9, and 8 is expected".into(),
        ..Default::default()
    };
    StatusResponse {
        version: "0.1.0".into(),
        uptime_seconds: 273_600,
        ready: true,
        queue_depth: 2,
        queue_oldest_seconds: 340,
        jobs: vec![
            count(JobState::Queued, 1_000_000),
            count(JobState::Running, 3),
            count(JobState::Paused, 1),
            count(JobState::Succeeded, 5_120),
            count(JobState::Failed, 1),
            count(JobState::Cancelled, 1),
        ],
        parts_in_flight: 10,
        memory_budget: 256 * MIB,
        memory_used: 126 * MIB,
        remotes: vec![commercial, gov, china],
        ..Default::default()
    }
}
