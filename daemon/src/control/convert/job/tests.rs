//! What a job looks like from outside, at each step of its way.

use super::*;
use crate::control::engine::Place;
use crate::model::{
    IfExists, JobId, JobKind, Labels, Lease, PartDigest, PartPlan, Receipt, Submission, Timestamp,
    TransferState, UploadId, VerifiedBy, Verify, Wait, WaitReason,
};

const MIB: u64 = 1 << 20;

fn submitted(source: &str) -> Job {
    let spec = TransferSpec {
        source: source.parse().expect("legal"),
        target: "gov:vault/ami-1.bin".parse().expect("legal"),
        verify: Verify::Auto,
        if_exists: IfExists::Fail,
        part_size: Some(10 * MIB),
        storage_class: None,
        encryption: None,
        tags: [("team".to_owned(), "images".to_owned())].into(),
        expect_blake3: Some([0xab; 32]),
    };
    let labels = Labels::from([("batch".to_owned(), "7".to_owned())]);
    let idempotency_key = Some("once".to_owned());
    let submission = Submission { priority: 3, labels, idempotency_key, ..Submission::new(spec) };
    Job::submitted(JobId::from_parts(Timestamp(5), 6), submission, "uid:0".into(), Timestamp(1_500))
}

/// A job with 25 MiB in three parts, of which the first is done.
fn running() -> Job {
    let mut job = submitted("com:images/golden/ami-1.bin");
    let source =
        PinnedObject { version_id: Some("v1".to_owned()), ..PinnedObject::bare(25 * MIB, "abc-3") };
    let plan = PartPlan::new(source.size, Some(10 * MIB), 8).expect("legal");
    job.transfer = TransferState::Uploading { source, plan, upload: UploadId("u".to_owned()) };
    job.state = JobState::Running;
    job.started_at = Some(Timestamp(2_000));
    job.lease = Some(Lease { owner: "me".to_owned(), token: 1, expires_at: Timestamp(9_000) });
    job.progress.parts = 1;
    job.progress.bytes = 10 * MIB;
    job.progress.bytes_sent = 12 * MIB;
    job
}

fn number(number: u32) -> PartNumber {
    PartNumber::new(number).expect("legal")
}

fn live() -> Live {
    Live {
        wait: Some(Wait { reason: WaitReason::Rate, detail: "600 MiB/s is reached".to_owned() }),
        bytes_done: 13 * MIB,
        bytes_per_second: 2 * MIB,
        parts_active: vec![(number(2), 4)],
        ..Live::default()
    }
}

fn place() -> Place {
    Place { partition: "aws".into(), region: "us-east-2".into(), account: Some("1".repeat(12)) }
}

fn object(remote: &str) -> ObjectRef {
    ObjectRef {
        remote: remote.to_owned(),
        partition: "aws".to_owned(),
        account: None,
        region: "us-east-2".to_owned(),
        bucket: "images".to_owned(),
        key: "golden/ami-1.bin".to_owned(),
        version_id: None,
        etag: "abc-3".to_owned(),
        size: 25 * MIB,
    }
}

fn succeeded() -> Job {
    let mut job = running();
    job.state = JobState::Succeeded;
    job.lease = None;
    job.receipt = Some(Receipt {
        job_id: job.id,
        kind: JobKind::Transfer,
        source: Some(object("com")),
        target: Some(object("gov")),
        blake3: "ab".repeat(32),
        crc64nvme: "rosUhgp5mIg=".to_owned(),
        verified_by: Some(VerifiedBy::S3Checksum),
        parts: 3,
        part_size: 10 * MIB,
        bytes_sent: 27 * MIB,
        attempts: 1,
        submitted_at: Timestamp(1_500),
        started_at: Timestamp(2_000),
        finished_at: Timestamp(3_000),
        daemon_version: "0.1.0".to_owned(),
    });
    job
}

#[test]
fn a_queued_job_shows_what_was_asked_for_and_no_figures() {
    let shown = job(&submitted("com:images/golden/ami-1.bin"), Some(&live()), &|_| Some(place()));
    assert_eq!(shown.state(), v1::JobState::Queued);
    assert_eq!(shown.stage(), v1::Stage::Unspecified);
    assert_eq!(shown.wait_reason(), v1::WaitReason::Unspecified);
    assert_eq!((shown.bytes_total, shown.bytes_done, shown.bytes_per_second), (None, 0, 0));
    assert_eq!((shown.parts_total, shown.part_size, shown.source), (0, 0, None));
    let submitted_at = prost_types::Timestamp { seconds: 1, nanos: 500_000_000 };
    assert_eq!(shown.submitted_at, Some(submitted_at));
    assert_eq!((shown.priority, shown.actor.as_str(), shown.revision), (3, "uid:0", 1));
    let spec = shown.transfer.expect("always there");
    assert_eq!(spec.source, "com:images/golden/ami-1.bin");
    assert_eq!(spec.expect_blake3, Some("ab".repeat(32)));
    assert_eq!(spec.tags["team"], "images");
}

#[test]
fn a_running_job_shows_its_live_figures() {
    let shown = job(&running(), Some(&live()), &|_| Some(place()));
    assert_eq!(shown.stage(), v1::Stage::Transferring);
    assert_eq!(shown.wait_reason(), v1::WaitReason::Rate);
    assert_eq!(shown.wait_detail, "600 MiB/s is reached");
    assert_eq!((shown.bytes_total, shown.bytes_done), (Some(25 * MIB), 13 * MIB));
    assert_eq!((shown.bytes_sent, shown.bytes_per_second), (12 * MIB, 2 * MIB));
    assert_eq!((shown.parts_total, shown.parts_done, shown.part_size), (3, 1, 10 * MIB));
    let source = shown.source.expect("planned");
    assert_eq!((source.partition.as_str(), source.region.as_str()), ("aws", "us-east-2"));
    assert_eq!((source.etag.as_str(), source.size), ("abc-3", 25 * MIB));
}

/// The worker may not have come round to its figures yet: what is on disk counts at the least.
#[test]
fn progress_never_goes_below_what_is_durable() {
    let shown = job(&running(), Some(&Live::default()), &|_| None);
    assert_eq!(shown.bytes_done, 10 * MIB);
    assert_eq!(job(&running(), None, &|_| None).bytes_done, 10 * MIB);
}

#[test]
fn a_job_that_succeeded_is_done_whole() {
    let shown = job(&succeeded(), Some(&live()), &|_| Some(place()));
    assert_eq!(shown.stage(), v1::Stage::Unspecified);
    assert_eq!((shown.bytes_done, shown.bytes_sent), (25 * MIB, 27 * MIB));
    assert_eq!(shown.bytes_per_second, 0);
    let receipt = shown.receipt.expect("succeeded");
    assert_eq!(receipt.verified_by, "s3-checksum");
    assert_eq!(receipt.target.expect("always there").remote, "gov");
}

#[test]
fn a_presigned_source_is_shown_without_its_query() {
    let url = "https://images.s3.amazonaws.com/golden/ami-1.bin?X-Amz-Signature=s3cret";
    let mut presigned = submitted(url);
    presigned.transfer = running().transfer;
    let shown = job(&presigned, None, &|_| None);
    assert!(!format!("{shown:?}").contains("s3cret"));
    let spec = shown.transfer.expect("always there");
    assert_eq!(spec.source, "https://images.s3.amazonaws.com/golden/ami-1.bin?REDACTED");
    let source = shown.source.expect("planned");
    assert_eq!((source.remote.as_str(), source.key.as_str()), ("presigned", "golden/ami-1.bin"));
}

#[test]
fn the_part_map_tells_done_from_active_from_pending() {
    let digest = PartDigest { len: 10 * MIB, crc64nvme: 0, subtrees: Vec::new() };
    let fact = PartFact { number: number(1), etag: "e".into(), digest, attempts: 2, bytes_sent: 1 };
    let shown = part_map(&running(), &[fact], Some(&live()));
    let rows: Vec<_> = shown
        .iter()
        .map(|part| (part.number, part.offset, part.size, part.state(), part.attempts))
        .collect();
    let expected = [
        (1, 0, 10 * MIB, v1::PartState::Done, 2),
        (2, 10 * MIB, 10 * MIB, v1::PartState::Active, 4),
        (3, 20 * MIB, 5 * MIB, v1::PartState::Pending, 0),
    ];
    assert_eq!(rows, expected);
    assert!(part_map(&submitted("com:images/a"), &[], None).is_empty());
    let done = part_map(&succeeded(), &[], None);
    assert!(done.iter().all(|part| part.state() == v1::PartState::Done));
}

#[test]
fn an_eta_needs_a_rate() {
    let shown = progress(&running(), &live());
    assert_eq!((shown.bytes_done, shown.bytes_total), (13 * MIB, Some(25 * MIB)));
    assert_eq!((shown.parts_done, shown.parts_active, shown.parts_total), (1, 1, 3));
    assert_eq!(shown.eta_seconds, Some(6));
    let still = Live { bytes_per_second: 0, ..live() };
    assert_eq!(progress(&running(), &still).eta_seconds, None);
}

/// The estimate keeps a page within a message: it may be too high, but not by half too low.
#[test]
fn a_job_s_weight_is_about_its_size_on_the_wire() {
    let mut heavy = succeeded();
    heavy.labels = (0..16).map(|n| (format!("{n:0>63}"), "v".repeat(255))).collect();
    heavy.warnings = vec!["w".repeat(200); 32];
    for job in [submitted("com:images/a"), running(), heavy] {
        let shown = super::job(&job, None, &|_| Some(place()));
        let debug = format!("{shown:?}").len();
        assert!(weight(&shown) * 4 > debug, "{} for {debug}", weight(&shown));
    }
}
