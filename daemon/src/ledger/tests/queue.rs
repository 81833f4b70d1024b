//! Who gets which job, and who may write to it.

use super::*;

#[tokio::test]
async fn priority_goes_before_age_and_age_before_nothing() {
    let dir = dir();
    let ledger = open(dir.path());
    let mut ids = Vec::new();
    for (name, priority) in [("a", 0), ("b", -100), ("c", 100), ("d", 0), ("e", i32::MIN), ("f", 1)]
    {
        ids.push(submit(&ledger, Submission { priority, ..submission(name) }).await.id);
    }
    ledger.control(ids[1], Change::Reprioritize(7), "uid:0").await.expect("queued");
    let mut claimed = Vec::new();
    while let Some(job) = claim(&ledger, ANY).await {
        claimed.push(job.id);
    }
    assert_eq!(claimed, [ids[2], ids[1], ids[5], ids[0], ids[3], ids[4]]);
    assert_consistent(&ledger);
}

#[tokio::test]
async fn a_large_job_never_hides_a_small_one() {
    let dir = dir();
    let ledger = open(dir.path());
    let large = submit(&ledger, Submission { priority: 9, ..submission("large") }).await.id;
    let lease = token(&claim(&ledger, SMALL).await.expect("its size is unknown, so it is small"));
    ledger.apply(large, lease, plan(2 << 30)).await.expect("legal");
    ledger.apply(large, lease, Change::Release).await.expect("legal");
    let small = submit(&ledger, submission("small")).await.id;

    assert_eq!(claim(&ledger, Room { small: 0, others: 0, large: 1, images: 0 }).await, None);
    assert_eq!(claim(&ledger, SMALL).await.map(|job| job.id), Some(small));
    assert_eq!(claim(&ledger, SMALL).await, None, "the large one waits for its lane");
    assert_eq!(claim(&ledger, ANY).await.map(|job| job.id), Some(large));
}

#[tokio::test]
async fn between_open_lanes_the_better_head_wins() {
    let dir = dir();
    let ledger = open(dir.path());
    let (large, lease) = uploading(&ledger, "large", 2 << 30).await;
    ledger.apply(large, lease, Change::Release).await.expect("legal");
    let urgent = submit(&ledger, Submission { priority: 1, ..submission("urgent") }).await.id;
    let young = submit(&ledger, submission("young")).await.id;
    for expected in [urgent, large, young] {
        assert_eq!(claim(&ledger, ANY).await.map(|job| job.id), Some(expected));
    }
}

/// Its upload is billed until it is gone.
#[tokio::test]
async fn a_cancel_is_claimed_first_and_through_any_lane() {
    let dir = dir();
    let ledger = open(dir.path());
    let (large, lease) = uploading(&ledger, "large", 2 << 30).await;
    ledger.apply(large, lease, fail(false)).await.expect("legal");
    submit(&ledger, Submission { priority: 100, ..submission("urgent") }).await;
    let asked = ledger.control(large, Change::Cancel, "uid:0").await.expect("legal");
    assert_eq!((asked.state, asked.intent), (JobState::Queued, Intent::Cancel));
    assert_eq!(claim(&ledger, SMALL).await.map(|job| job.id), Some(large));
}

#[tokio::test]
async fn a_retried_job_keeps_its_place_by_age() {
    let dir = dir();
    let ledger = open(dir.path());
    let (old, lease) = uploading(&ledger, "old", 1 << 20).await;
    ledger.apply(old, lease, fail(false)).await.expect("legal");
    submit(&ledger, submission("young")).await;
    ledger.control(old, Change::Retry, "uid:0").await.expect("failed");
    assert_eq!(claim(&ledger, ANY).await.map(|job| job.id), Some(old));
}

/// A worker that was cut off from the ledger for a while must not write over its successor.
#[tokio::test]
async fn a_lost_lease_writes_nothing() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, old) = uploading(&ledger, "a", 100 << 20).await;
    ledger.apply(id, old, Change::Release).await.expect("legal");
    let queued = ledger.get(id).expect("there");
    let refused = ledger.apply(id, old, Change::Warn("late".into())).await.expect_err("no lease");
    assert!(matches!(refused, Error::LeaseLost));

    let new = token(&claim(&ledger, ANY).await.expect("queued"));
    assert!(new > old);
    let before = ledger.get(id).expect("there");
    assert_eq!(before.revision, queued.revision + 1);
    for change in [Change::Warn("late".into()), fail(true), Change::Release, Change::Stop] {
        let refused = ledger.apply(id, old, change).await.expect_err("another's lease");
        assert!(matches!(refused, Error::LeaseLost), "{refused}");
    }
    let refused = ledger.record_part(id, old, fact(1)).await.expect_err("another's lease");
    assert!(matches!(refused, Error::LeaseLost));
    assert_eq!(ledger.get(id).expect("there"), before);
    assert_eq!(ledger.parts(id).expect("readable"), []);
    assert_consistent(&ledger);
}

#[tokio::test]
async fn a_renewed_lease_keeps_its_token_and_makes_no_event() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, token) = uploading(&ledger, "a", 1 << 20).await;
    let cursor = *ledger.subscribe().borrow();
    let lease =
        |token| Lease { owner: ledger.instance().into(), token, expires_at: Timestamp(u64::MAX) };
    let renewed = ledger.apply(id, token, Change::Renew(lease(token))).await.expect("leased");
    assert_eq!(renewed.lease, Some(lease(token)));
    assert_eq!(*ledger.subscribe().borrow(), cursor);
    let error = ledger.apply(id, token, Change::Renew(lease(token + 1))).await.expect_err("forged");
    assert!(matches!(error, Error::LeaseLost));
}

#[tokio::test]
async fn what_another_process_ran_is_put_back_and_what_this_one_runs_is_not() {
    let dir = dir();
    let ledger = open(dir.path());
    let (left, token) = uploading(&ledger, "left", 100 << 20).await;
    ledger.record_part(left, token, fact(1)).await.expect("leased");
    ledger.close().await.expect("on disk");

    let ledger = open(dir.path());
    let own = {
        submit(&ledger, submission("own")).await;
        claim(&ledger, ANY).await.expect("queued").id
    };
    assert_eq!(ledger.reclaim().await.expect("the disk works"), 1);
    assert_eq!(ledger.reclaim().await.expect("the disk works"), 0);
    assert_eq!(ledger.get(own).expect("there").state, JobState::Running);
    let job = ledger.get(left).expect("there");
    assert_eq!((job.state, job.progress.parts), (JobState::Queued, 1));
    assert_eq!(ledger.parts(left).expect("kept"), vec![fact(1)]);
    assert_consistent(&ledger);
}

#[tokio::test]
async fn people_cannot_report_what_only_a_worker_knows() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, _) = uploading(&ledger, "a", 1 << 20).await;
    let before = ledger.get(id).expect("there");
    for change in [fail(false), Change::Stop, Change::Release, plan(1), upload()] {
        let error = ledger.control(id, change, "uid:0").await.expect_err("a worker's");
        assert!(matches!(error, Error::Illegal { .. }), "{error}");
    }
    assert_eq!(ledger.get(id).expect("there"), before);
    let nobody = JobId::from_bytes([0; 16]);
    let error = ledger.control(nobody, Change::Pause, "uid:0").await.expect_err("not there");
    assert!(matches!(error, Error::NoSuchJob(id) if id == nobody));
}

#[tokio::test]
async fn parts_are_counted_once_and_go_with_the_upload() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, lease) = uploading(&ledger, "a", 100 << 20).await;
    let (other, other_lease) = uploading(&ledger, "b", 100 << 20).await;
    ledger.record_part(other, other_lease, fact(1)).await.expect("leased");
    let revision = ledger.get(id).expect("there").revision;
    for number in [2, 1, 2, 3] {
        ledger.record_part(id, lease, fact(number)).await.expect("leased");
    }
    let again = PartFact { etag: "q".into(), attempts: 2, ..fact(3) };
    ledger.record_part(id, lease, again.clone()).await.expect("leased");
    let job = ledger.get(id).expect("there");
    assert_eq!((job.progress.parts, job.progress.bytes), (3, 24 << 20));
    assert_eq!(job.progress.bytes_sent, 32 << 20, "the part that was sent again counts again");
    assert_eq!(job.revision, revision);
    assert_eq!(ledger.parts(id).expect("readable"), [fact(1), fact(2), again]);

    ledger.apply(id, lease, fail(true)).await.expect("legal");
    assert_eq!(ledger.parts(id).expect("readable"), []);
    assert_eq!(ledger.parts(other).expect("readable"), [fact(1)]);
    assert_consistent(&ledger);
}

#[tokio::test]
async fn a_part_without_an_upload_is_refused() {
    let dir = dir();
    let ledger = open(dir.path());
    let id = submit(&ledger, submission("a")).await.id;
    let lease = token(&claim(&ledger, ANY).await.expect("queued"));
    let error = ledger.record_part(id, lease, fact(1)).await.expect_err("no upload");
    assert!(matches!(error, Error::Illegal { .. }), "{error}");
}

#[tokio::test]
async fn a_proven_object_needs_its_parts_no_more() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, lease) = uploading(&ledger, "a", 100 << 20).await;
    ledger.record_part(id, lease, fact(1)).await.expect("leased");
    for change in seal_publish_succeed(&ledger.get(id).expect("there")) {
        ledger.apply(id, lease, change).await.expect("legal");
    }
    assert_eq!(ledger.parts(id).expect("readable"), []);
    assert_eq!(ledger.get(id).expect("there").progress.parts, 1, "what they came to is kept");
    assert_eq!(ledger.counts().of(JobState::Succeeded), 1);
}

#[tokio::test]
async fn places_are_claimed_together_and_no_more_large_ones_than_may_run() {
    let dir = dir();
    let ledger = open(dir.path());
    let mut large = Vec::new();
    for name in ["a", "b"] {
        large.push(uploading(&ledger, name, 2 << 30).await);
    }
    for (id, token) in &large {
        ledger.apply(*id, *token, Change::Release).await.expect("leased");
    }
    let small = [submit(&ledger, submission("c")).await, submit(&ledger, submission("d")).await];
    let claimed = ledger.claim_many(room(8, 8, 1), LEASE).await.expect("the disk works");
    let ids: Vec<JobId> = claimed.iter().map(|job| job.id).collect();
    assert_eq!(ids, [large[0].0, small[0].id, small[1].id]);
    let mut tokens: Vec<u64> = claimed.iter().map(token).collect();
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "each has a token of its own");
    assert_eq!(ledger.claim_many(room(8, 8, 0), LEASE).await.expect("the disk works"), []);
    assert_eq!(ledger.claim_many(room(8, 0, 1), LEASE).await.expect("the disk works"), []);
    let last = ledger.claim_many(room(8, 8, 1), LEASE).await.expect("the disk works");
    assert_eq!(last.iter().map(|job| job.id).collect::<Vec<_>>(), [large[1].0]);
    assert_consistent(&ledger);
}

/// What a worker does not wait for goes to the disk with the next that it waits for, and before it.
#[tokio::test]
async fn what_is_noted_is_seen_at_once_and_on_disk_with_the_next_change() {
    let dir = dir();
    let ledger = open(dir.path());
    let id = submit(&ledger, submission("a")).await.id;
    let token = token(&claim(&ledger, ANY).await.expect("just submitted"));
    let noted = ledger.note(id, token, plan(100 << 20)).expect("leased");
    assert_eq!(ledger.get(id).expect("there"), noted);
    assert!(matches!(ledger.note(id, token + 1, upload()), Err(Error::LeaseLost)));
    let uploading = ledger.apply(id, token, upload()).await.expect("planned");
    assert_eq!(uploading.revision, noted.revision + 1);
    drop(ledger);
    assert_eq!(open(dir.path()).get(id).expect("there"), uploading);
}

fn room(small: usize, others: usize, large: usize) -> Room {
    Room { small, others, large, images: 0 }
}

#[tokio::test]
async fn small_jobs_and_others_have_room_of_their_own() {
    let dir = dir();
    let ledger = open(dir.path());
    let (medium, token) = uploading(&ledger, "medium", 100 << 20).await;
    ledger.apply(medium, token, Change::Release).await.expect("leased");
    let small = [submit(&ledger, submission("a")).await, submit(&ledger, submission("b")).await];
    let ids = async |room| -> Vec<JobId> {
        let claimed = ledger.claim_many(room, LEASE).await.expect("the disk works");
        claimed.iter().map(|job| job.id).collect()
    };
    assert_eq!(ids(room(1, 0, 0)).await, [small[0].id], "the oldest is none of these");
    assert_eq!(ids(room(0, 9, 0)).await, [medium]);
    assert_eq!(ids(room(9, 9, 9)).await, [small[1].id]);
}

/// Cancels take whatever room there is, and no more than that.
#[tokio::test]
async fn many_cancels_are_claimed_a_roomful_at_a_time() {
    let dir = dir();
    let ledger = open(dir.path());
    let mut large = Vec::new();
    for name in ["a", "b", "c", "d"] {
        large.push(uploading(&ledger, name, 2 << 30).await);
    }
    for (id, token) in large {
        ledger.apply(id, token, fail(false)).await.expect("legal");
        ledger.control(id, Change::Cancel, "uid:0").await.expect("legal");
    }
    let claimed = async |room| ledger.claim_many(room, LEASE).await.expect("the disk works").len();
    assert_eq!(claimed(room(2, 1, 0)).await, 3);
    assert_eq!(claimed(room(0, 1, 0)).await, 1);
}

/// The job would run under a lease that nobody has, until somebody noticed.
#[tokio::test]
async fn a_claim_stands_though_the_log_takes_no_line_of_its_cycle() {
    let dir = dir();
    let ledger = open(dir.path());
    let ids =
        [submit(&ledger, submission("a")).await.id, submit(&ledger, submission("b")).await.id];
    drop(ledger);
    // The next line begins a new segment, which has no room.
    let tuning = Tuning { segment_bytes: 1, ..Tuning::default() };
    let full = dir.path().join("audit/audit-00000000000000000003.jsonl");
    std::os::unix::fs::symlink("/dev/full", &full).expect("room for a test");
    let (ledger, gate) = gated(dir.path(), tuning);
    let held = gate.hold(&ledger).await;
    let (refused, many, one, ()) = futures::join!(
        ledger.submit(submission("c"), "uid:0"),
        ledger.claim_many(room(1, 0, 0), LEASE),
        ledger.claim(ANY, LEASE),
        async { gate.open() },
    );
    assert!(matches!(refused, Err(Error::Audit(_))), "it is not in the log: {refused:?}");
    let mut claimed = many.expect("on disk");
    claimed.extend(one.expect("on disk"));
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), ids);
    let refused = ledger.claim(ANY, LEASE).await.expect_err("nothing is taken now");
    assert!(matches!(refused, Error::Audit(_)), "{refused}");
    held.await.expect("no panic").expect("on disk");
    drop(ledger);

    std::fs::remove_file(&full).expect("the link");
    let ledger = open(dir.path());
    for job in claimed {
        assert_eq!(ledger.get(job.id).expect("there"), job);
    }
    assert_eq!(ledger.counts().of(JobState::Queued), 1, "what the log owed is made up for");
}
