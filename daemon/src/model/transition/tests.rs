//! The transitions, by table and by random walk.

use proptest::prelude::*;

use super::*;
use crate::model::{FailureClass, JobId, Submission, TransferSpec};

const NOW: Timestamp = Timestamp(1_000);

fn job() -> Job {
    let spec = TransferSpec::new(
        "com:bucket/key".parse().expect("legal"),
        "gov:bucket/key".parse().expect("legal"),
    );
    Job::submitted(JobId::from_parts(NOW, 1), Submission::new(spec), "uid:0".into(), NOW)
}

fn lease(token: u64) -> Lease {
    Lease { owner: "here".into(), token, expires_at: NOW }
}

fn pinned() -> Box<PinnedObject> {
    Box::new(PinnedObject::bare(100 << 20, "e"))
}

fn plan() -> Change {
    let plan = PartPlan::new(100 << 20, None, 64).expect("legal");
    Change::Plan { source: pinned(), plan, warnings: vec![] }
}

fn after(changes: impl IntoIterator<Item = Change>) -> Job {
    changes.into_iter().fold(job(), |job, change| job.apply(change, NOW).expect("legal"))
}

fn uploading() -> Job {
    after([Change::Claim(lease(1)), plan(), Change::Upload(UploadId("u".into()))])
}

fn failed() -> Change {
    let failure = Failure::new(FailureClass::Permanent, "no", "");
    Change::Fail { failure, restart: false }
}

#[test]
fn pause_of_a_running_job_is_an_intent_until_its_worker_stops() {
    let asked = uploading().apply(Change::Pause, NOW).expect("legal");
    assert_eq!((asked.state, asked.intent), (JobState::Running, Intent::Pause));
    let paused = asked.apply(Change::Stop, NOW).expect("legal");
    assert_eq!((paused.state, paused.intent), (JobState::Paused, Intent::Run));
    assert!(paused.lease.is_none());
    assert!(paused.transfer.upload().is_some(), "what is done is kept");
}

/// A cancel that forgot the upload would leave its parts at the target, billed for ever.
#[test]
fn cancel_of_a_job_that_holds_an_upload_goes_through_a_worker() {
    let paused = [Change::Pause, Change::Stop]
        .into_iter()
        .fold(uploading(), |job, change| job.apply(change, NOW).expect("legal"));
    let failed = uploading().apply(failed(), NOW).expect("legal");
    for job in [paused, failed] {
        let asked = job.apply(Change::Cancel, NOW).expect("legal");
        assert_eq!((asked.state, asked.intent), (JobState::Queued, Intent::Cancel));
        let claimed = asked.apply(Change::Claim(lease(2)), NOW).expect("legal");
        let gone = claimed.apply(Change::Stop, NOW).expect("legal");
        assert_eq!(gone.state, JobState::Cancelled);
        assert_eq!(gone.transfer, TransferState::Unplanned);
    }
}

/// What stands at the target then has to be told: only a worker can look.
#[test]
fn cancel_of_a_job_that_may_have_published_goes_through_a_worker() {
    let digest = ObjectDigest { blake3: [0; 32], crc64nvme: 0 };
    let sealing = [Change::Claim(lease(1)), plan(), Change::Seal(digest), Change::Release];
    let sealing = after(sealing);
    assert!(sealing.transfer.upload().is_none(), "by PutObject");
    let asked = sealing.apply(Change::Cancel, NOW).expect("legal");
    assert_eq!((asked.state, asked.intent), (JobState::Queued, Intent::Cancel));
}

#[test]
fn a_queued_job_is_cancelled_at_once() {
    let gone = after([Change::Cancel]);
    assert_eq!((gone.state, gone.finished_at), (JobState::Cancelled, Some(NOW)));
}

#[test]
fn retry_continues_a_failed_job_from_its_parts_and_restarts_a_cancelled_one() {
    let again = uploading().apply(failed(), NOW).and_then(|job| job.apply(Change::Retry, NOW));
    let again = again.expect("legal");
    assert_eq!(again.state, JobState::Queued);
    assert!(again.failure.is_none());
    assert!(again.transfer.upload().is_some());
    let fresh = after([Change::Cancel, Change::Retry]);
    assert_eq!(fresh.transfer, TransferState::Unplanned);
}

/// It may be acknowledged while the worker writes the failure down.
#[test]
fn a_cancel_is_not_forgotten_over_a_failure() {
    let job = uploading().apply(Change::Cancel, NOW).expect("legal").apply(failed(), NOW);
    let job = job.expect("legal");
    assert_eq!((job.state, &job.failure), (JobState::Cancelled, &None));
    assert_eq!(job.warnings.len(), 1, "what failed is told: {:?}", job.warnings);
}

/// What it did before is no wait.
#[test]
fn a_job_waits_since_it_came_into_the_queue_last() {
    let later = NOW.plus_millis(1);
    let waits = |job: &Job, change| job.apply(change, later).expect("legal").queued_since();
    assert_eq!(job().queued_since(), Some(NOW));
    assert_eq!(waits(&job(), Change::Reprioritize(9)), Some(NOW), "it never left");
    let failed = uploading().apply(failed(), NOW).expect("legal");
    for (job, change) in [
        (after([Change::Pause]), Change::Resume),
        (failed.clone(), Change::Retry),
        (failed, Change::Cancel),
        (uploading(), Change::Release),
    ] {
        assert_eq!(job.queued_since(), None);
        assert_eq!(waits(&job, change), Some(later));
    }
}

/// What is told of an end goes by it.
#[test]
fn what_is_done_to_a_job_after_its_end_keeps_the_revision_of_the_end() {
    let failed = uploading().apply(failed(), NOW).expect("legal");
    assert_eq!(failed.ended_revision, None, "it is the job's own");
    let expired = failed.apply(Change::Expire, NOW).expect("legal");
    let revisions = (expired.revision, expired.ended_revision);
    assert_eq!(revisions, (failed.revision + 1, Some(failed.revision)));
    let again = expired.apply(Change::Retry, NOW).expect("legal");
    assert_eq!(again.ended_revision, None);
}

#[test]
fn what_has_ended_stays_ended() {
    let receiptless = after([Change::Cancel]);
    for change in [Change::Pause, Change::Resume, Change::Cancel, Change::Stop, Change::Release] {
        let error = receiptless.apply(change.clone(), NOW).expect_err("ended");
        assert_eq!(error.change, change.as_str());
    }
}

#[test]
fn a_sealed_transfer_never_uploads_again() {
    let digest = ObjectDigest { blake3: [0; 32], crc64nvme: 0 };
    let sealed = [
        Change::Seal(digest),
        Change::Publish(PublishedObject { etag: "t".into(), version_id: None }),
    ]
    .into_iter()
    .fold(uploading(), |job, change| job.apply(change, NOW).expect("legal"));
    assert!(sealed.apply(Change::Upload(UploadId("v".into())), NOW).is_err());
    assert!(sealed.apply(plan(), NOW).is_err());
}

#[test]
fn a_renewed_lease_is_not_a_revision() {
    let before = uploading();
    let renewed = before.apply(Change::Renew(lease(1)), NOW).expect("legal");
    assert_eq!(renewed.revision, before.revision);
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Pause),
        Just(Change::Resume),
        Just(Change::Cancel),
        Just(Change::Retry),
        Just(Change::Expire),
        Just(Change::Claim(lease(1))),
        Just(plan()),
        Just(Change::Upload(UploadId("u".into()))),
        Just(Change::Seal(ObjectDigest { blake3: [0; 32], crc64nvme: 0 })),
        Just(Change::Publish(PublishedObject { etag: "t".into(), version_id: None })),
        Just(failed()),
        Just(Change::Restart),
        Just(Change::Stop),
        Just(Change::Release),
    ]
}

proptest! {
    /// Whatever is asked in whatever order, a job is leased exactly while it runs, and has an end
    /// exactly when it has ended.
    #[test]
    fn no_walk_leaves_a_job_in_between(changes in prop::collection::vec(any_change(), 0..60)) {
        let mut job = job();
        for change in changes {
            let before = job.clone();
            match job.apply(change, NOW) {
                Ok(next) => {
                    prop_assert_eq!(next.revision, before.revision + 1);
                    job = next;
                }
                Err(_) => prop_assert_eq!(&job, &before),
            }
            prop_assert_eq!(job.lease.is_some(), job.state == JobState::Running);
            prop_assert_eq!(job.finished_at.is_some(), job.state.is_terminal());
            prop_assert!(job.queued_at.is_none() || job.state == JobState::Queued);
            if job.intent != Intent::Run {
                prop_assert!(matches!(job.state, JobState::Running | JobState::Queued));
            }
        }
    }
}
