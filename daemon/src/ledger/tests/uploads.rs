//! Uploads are remembered until they are gone, and nobody else's are.

use super::*;

fn names(orphans: &[BegunUpload]) -> Vec<&str> {
    orphans.iter().map(|orphan| orphan.upload.0.as_str()).collect()
}

#[tokio::test]
async fn an_upload_is_an_orphan_once_its_job_lets_go_of_it_and_until_it_is_gone() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, token) = uploading(&ledger, "a", 100 << 20).await;
    assert!(ledger.orphans(9, None).expect("readable").is_empty(), "its job holds it");
    ledger.apply(id, token, Change::Restart).await.expect("legal");
    let orphans = ledger.orphans(9, None).expect("readable");
    assert_eq!(names(&orphans), ["u"]);
    for change in [plan(100 << 20), Change::Upload(UploadId("second".into()))] {
        ledger.apply(id, token, change).await.expect("legal");
    }
    ledger.close().await.expect("on disk");

    let ledger = open(dir.path());
    assert_eq!(ledger.orphans(9, None).expect("readable"), orphans, "the second one is held");
    ledger.forget_upload(&orphans[0], "causewayd").await.expect("written");
    assert!(ledger.orphans(9, None).expect("readable").is_empty());
}

#[tokio::test]
async fn what_is_published_leaves_no_orphan_and_what_is_cancelled_until_it_is_seen_to_be_gone() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, token) = uploading(&ledger, "a", 100 << 20).await;
    let job = ledger.get(id).expect("there");
    for change in seal_publish_succeed(&job) {
        ledger.apply(id, token, change).await.expect("legal");
    }
    let (id, token) = uploading(&ledger, "b", 100 << 20).await;
    ledger.control(id, Change::Cancel, "uid:0").await.expect("running");
    ledger.apply(id, token, Change::Stop).await.expect("its upload was aborted");
    // A part that was on its way may have survived the abort.
    let orphans = ledger.orphans(9, None).expect("readable");
    assert_eq!(orphans.iter().map(|orphan| orphan.job).collect::<Vec<_>>(), [id]);
    assert!(ledger.orphans(9, orphans.last()).expect("readable").is_empty(), "after the last");
    ledger.forget_upload(&orphans[0], "causewayd").await.expect("written");
    assert_eq!(keys(&ledger, Table::Uploads).len(), 0);
}

/// A request may land after its sender was killed: that it was sent is known.
#[tokio::test]
async fn that_an_upload_is_asked_for_is_on_disk_before_and_forgotten_once_it_is_settled() {
    let dir = dir();
    let ledger = open(dir.path());
    submit(&ledger, submission("a")).await;
    let job = claim(&ledger, ANY).await.expect("queued");
    let token = job.lease.as_ref().expect("a lease").token;
    ledger.ask_upload(job.id, token + 1).await.expect_err("another worker's");
    let first = ledger.ask_upload(job.id, token).await.expect("leased").expect("the first");
    assert_eq!(ledger.ask_upload(job.id, token).await.expect("leased"), None, "one is open");
    tokio::time::sleep(Duration::from_millis(2)).await;
    ledger.ask_upload(job.id, token).await.expect("leased");
    ledger.forget_asked(&first).expect("readable");
    assert_eq!(ledger.asked_uploads().expect("readable").len(), 1, "it was asked again");
    ledger.close().await.expect("on disk");

    let ledger = open(dir.path());
    let asked = ledger.asked_uploads().expect("readable");
    assert_eq!(asked.iter().map(|asked| asked.job).collect::<Vec<_>>(), [job.id]);
    let target = &job.spec.as_ref().expect("a transfer").target;
    let other = submit(&ledger, submission("a")).await.id;
    let of = |id| ledger.others_ask(id, target).expect("readable");
    assert!(!of(job.id) && of(other), "what lands at this key now may be that job's");
    ledger.forget_asked(&asked[0]).expect("written");
    assert!(!of(other) && ledger.asked_uploads().expect("readable").is_empty());
}

#[tokio::test]
async fn a_failed_job_keeps_its_upload_until_it_expires() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, token) = uploading(&ledger, "a", 100 << 20).await;
    ledger.record_part(id, token, fact(1)).await.expect("leased");
    ledger.apply(id, token, fail(false)).await.expect("legal");
    assert!(ledger.orphans(9, None).expect("readable").is_empty());
    let job = ledger.control(id, Change::Expire, "causewayd").await.expect("failed");
    assert!(job.warnings.iter().any(|warning| warning.contains("begins anew")), "{job:?}");
    assert_eq!(names(&ledger.orphans(9, None).expect("readable")), ["u"]);
    assert_consistent(&ledger);
    ledger.control(id, Change::Expire, "causewayd").await.expect_err("it holds nothing");
    ledger.control(id, Change::Retry, "uid:0").await.expect("failed");
}
