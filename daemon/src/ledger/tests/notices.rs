//! What webhooks are to be told: never before it is on disk, never lost by a crash, never without bound.

use std::fs;

use serde_json::Value;

use super::*;
use crate::model::JobEvent;

fn rule(name: &str, all_jobs: bool) -> WebhookRule {
    WebhookRule { name: name.into(), events: JobEvent::ENDS.to_vec(), all_jobs }
}

fn open_telling(dir: &Path, rules: &[WebhookRule]) -> Ledger {
    let ledger = open(dir);
    ledger.serve_webhooks(rules.to_vec()).expect("the disk works");
    ledger
}

/// Submits and cancels: a job that ends without a worker.
async fn end(ledger: &Ledger, submission: Submission) -> Job {
    let id = submit(ledger, submission).await.id;
    ledger.control(id, Change::Cancel, "uid:0").await.expect("queued")
}

fn told(ledger: &Ledger, webhook: &str) -> Vec<Notice> {
    let cursors = ledger.notices(webhook, None);
    let notice = |cursor| ledger.notice(webhook, cursor).expect("whole").expect("it waits");
    cursors.into_iter().map(notice).collect()
}

#[tokio::test]
async fn a_notice_waits_across_restarts_until_it_is_forgotten() {
    let (dir, rules) = (dir(), [rule("ops", true)]);
    let ledger = open_telling(dir.path(), &rules);
    let job = end(&ledger, submission("a")).await;
    let before = told(&ledger, "ops");
    let body: Value = serde_json::from_str(&before[0].body).expect("JSON");
    assert_eq!(body["type"], "job.cancelled");
    assert_eq!(body["data"]["job_id"], job.id.to_string());
    assert_eq!(body["data"]["source"], "com:bucket/key");
    assert_eq!(body["data"]["target"], "gov:bucket/a");
    drop(ledger);
    let ledger = open_telling(dir.path(), &rules);
    assert_eq!(told(&ledger, "ops"), before, "the same id and the same bytes");
    let cursors = ledger.notices("ops", None);
    ledger.forget_notices("ops", &cursors).expect("the disk works");
    ledger.flush().await.expect("the disk works");
    drop(ledger);
    let ledger = open_telling(dir.path(), &rules);
    assert_eq!((told(&ledger, "ops"), ledger.notices_pending("ops")), (vec![], 0));
}

/// Told of an end that a crash then undoes, a receiver would act on what never was.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_before_it_is_on_disk() {
    let dir = dir();
    let (ledger, gate) = gated(dir.path(), Tuning::default());
    ledger.serve_webhooks(vec![rule("ops", true)]).expect("the disk works");
    let id = submit(&ledger, submission("a")).await.id;
    let held = gate.hold(&ledger).await;
    let ending = ledger.clone();
    let ended = tokio::spawn(async move { ending.control(id, Change::Cancel, "uid:0").await });
    while ledger.get(id).expect("there").state != JobState::Cancelled {
        tokio::task::yield_now().await;
    }
    assert_eq!((ledger.notices("ops", None), ledger.notices_pending("ops")), (vec![], 1));
    gate.open();
    ended.await.expect("no panic").expect("cancelled");
    held.await.expect("no panic").expect("flushed");
    assert_eq!(told(&ledger, "ops").len(), 1);
}

#[tokio::test]
async fn a_webhook_is_told_of_all_jobs_or_of_those_that_name_it() {
    let dir = dir();
    let started =
        WebhookRule { name: "starts".into(), events: vec![JobEvent::Queued], all_jobs: true };
    let ledger = open_telling(dir.path(), &[rule("all", true), rule("some", false), started]);
    let named = Submission { notify: vec!["some".into(), "all".into()], ..submission("named") };
    end(&ledger, named).await;
    end(&ledger, submission("unnamed")).await;
    let count = |name| told(&ledger, name).len();
    assert_eq!((count("all"), count("some"), count("starts"), count("none")), (2, 1, 2, 0));
    assert!(told(&ledger, "starts").iter().all(|notice| notice.body.contains("job.queued")));
}

/// A receiver that is gone for good, and a million jobs.
#[tokio::test]
async fn at_most_so_many_wait_and_the_oldest_goes() {
    let dir = dir();
    let tuning = Tuning { notices_max: 3, ..Tuning::default() };
    let observer = Arc::new(NoObserver);
    let ledger = Ledger::open_tuned(dir.path(), observer, tuning).expect("a directory of our own");
    ledger.serve_webhooks(vec![rule("dead", true)]).expect("the disk works");
    let mut ids = Vec::new();
    for name in 0..10 {
        ids.push(end(&ledger, submission(&name.to_string())).await.id);
    }
    let told = told(&ledger, "dead");
    assert_eq!(told.len(), 3);
    for (notice, id) in told.iter().zip(&ids[7..]) {
        assert!(notice.id.starts_with(&id.to_string()), "{notice:?}");
    }
    assert_eq!((ledger.notices_dropped("dead"), ledger.notices_dropped("dead")), (7, 0));
    ledger.flush().await.expect("the disk works");
    assert_eq!(keys(&ledger, Table::Notices).len(), 3, "on disk as well");
}

/// The audit log does not tell what was delivered: sent again is better than lost.
#[tokio::test]
async fn a_ledger_that_was_made_anew_tells_of_the_ends_again_by_the_same_ids() {
    let (dir, rules) = (dir(), [rule("ops", true), rule("some", false)]);
    let ledger = open_telling(dir.path(), &rules);
    for name in ["a", "b"] {
        end(&ledger, Submission { notify: vec!["some".into()], ..submission(name) }).await;
    }
    submit(&ledger, submission("still queued")).await;
    let mut before: Vec<_> = told(&ledger, "ops").into_iter().map(|it| it.id).collect();
    ledger.forget_notices("ops", &ledger.notices("ops", None)).expect("the disk works");
    ledger.close().await.expect("the disk works");
    fs::remove_dir_all(dir.path().join("ledger")).expect("it was there");
    let ledger = open_telling(dir.path(), &rules);
    let mut after: Vec<_> = told(&ledger, "ops").into_iter().map(|it| it.id).collect();
    before.sort();
    after.sort();
    assert_eq!((after, told(&ledger, "some").len()), (before, 2));
    end(&ledger, submission("c")).await;
    assert_eq!(told(&ledger, "ops").len(), 3);
}

/// A receiver would take another id for another end.
#[tokio::test]
async fn an_end_is_told_again_by_its_id_though_the_job_has_changed_since() {
    let (dir, rules) = (dir(), [rule("ops", true)]);
    let ledger = open_telling(dir.path(), &rules);
    let (id, lease) = uploading(&ledger, "a", 100 << 20).await;
    let failed = ledger.apply(id, lease, fail(false)).await.expect("leased");
    let before = told(&ledger, "ops");
    let expired = ledger.control(id, Change::Expire, "daemon").await.expect("it holds an upload");
    assert!(expired.revision > failed.revision);
    assert_eq!(told(&ledger, "ops"), before, "that is no end");
    ledger.close().await.expect("the disk works");
    fs::remove_dir_all(dir.path().join("ledger")).expect("it was there");
    let ledger = open_telling(dir.path(), &rules);
    let after = told(&ledger, "ops");
    assert_eq!((after.len(), &after[0].id), (1, &before[0].id));
    let revision = format!("\"revision\":{},", failed.revision);
    assert!(after[0].body.contains(&revision), "{}", after[0].body);

    ledger.control(id, Change::Retry, "uid:0").await.expect("it failed");
    let lease = token(&claim(&ledger, ANY).await.expect("queued"));
    ledger.apply(id, lease, fail(false)).await.expect("leased");
    let ids: Vec<_> = told(&ledger, "ops").into_iter().map(|notice| notice.id).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "another end: {ids:?}");
}

/// The process that restores is not the one that tells.
#[tokio::test]
async fn a_backup_that_was_restored_tells_of_the_ends_again() {
    let (source, target, to, rules) = (dir(), dir(), dir(), [rule("ops", true)]);
    let ledger = open_telling(source.path(), &rules);
    end(&ledger, submission("a")).await;
    let before = told(&ledger, "ops");
    backup(source.path(), &to.path().join("backup")).expect("copied while it is open");
    drop(ledger);
    restore(target.path(), &to.path().join("backup")).expect("restored");
    let ledger = open_telling(target.path(), &rules);
    let after = told(&ledger, "ops");
    assert_eq!((after.len(), &after[0].id), (1, &before[0].id));
    ledger.forget_notices("ops", &ledger.notices("ops", None)).expect("the disk works");
    ledger.close().await.expect("the disk works");
    let ledger = open_telling(target.path(), &rules);
    assert_eq!(told(&ledger, "ops"), [], "once");
}

/// What sled recovers from a torn page by doing without it.
#[tokio::test]
async fn a_notice_that_vanished_from_the_database_is_told_all_the_same() {
    let (dir, rules) = (dir(), [rule("ops", true)]);
    let ledger = open_telling(dir.path(), &rules);
    end(&ledger, submission("a")).await;
    let before = told(&ledger, "ops");
    let row = keys(&ledger, Table::Notices).remove(0);
    ledger.inner.desk.store.tree(Table::Notices).remove(row).expect("it was there");
    ledger.close().await.expect("the disk works");
    let ledger = open_telling(dir.path(), &rules);
    let after = told(&ledger, "ops");
    assert_eq!((after.len(), &after[0].id), (1, &before[0].id));
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_gone_is_dropped() {
    let dir = dir();
    let ledger = open_telling(dir.path(), &[rule("old", true), rule("gone", true)]);
    end(&ledger, submission("a")).await;
    assert_eq!(ledger.mute_webhook("gone").expect("the disk works"), 1);
    end(&ledger, submission("b")).await;
    assert_eq!((ledger.notices_pending("old"), ledger.notices_pending("gone")), (2, 0));
    ledger.close().await.expect("the disk works");
    let ledger = open_telling(dir.path(), &[rule("new", true)]);
    ledger.flush().await.expect("the disk works");
    assert_eq!((ledger.notices_pending("old"), keys(&ledger, Table::Notices)), (0, vec![]));
}

#[tokio::test]
async fn a_notice_tells_the_failure_and_the_receipt_and_no_signature() {
    let dir = dir();
    let ledger = open_telling(dir.path(), &[rule("ops", true)]);
    let mut presigned = submission("a");
    let source = "https://host/a.bin?X-Amz-Signature=5ec2e7".parse().expect("a URL");
    presigned.spec.as_mut().expect("a transfer").source = source;
    let id = submit(&ledger, presigned).await.id;
    let job = claim(&ledger, ANY).await.expect("just submitted");
    ledger.apply(id, token(&job), fail(false)).await.expect("leased");
    let (other, token) = uploading(&ledger, "b", 100 << 20).await;
    let job = ledger.get(other).expect("there");
    for change in seal_publish_succeed(&job) {
        ledger.apply(other, token, change).await.expect("legal");
    }
    let told: Vec<_> = told(&ledger, "ops").into_iter().map(|notice| notice.body).collect();
    assert!(!told.concat().contains("5ec2e7"), "{told:?}");
    let body = |at: usize| serde_json::from_str::<Value>(&told[at]).expect("JSON");
    let (failed, succeeded) = (body(0), body(1));
    assert_eq!(failed["data"]["source"], "https://host/a.bin?REDACTED");
    assert_eq!(failed["data"]["failure"]["class"], "permanent");
    assert_eq!(failed["data"]["failure"]["message"], "no");
    assert!(failed["data"]["failure"]["operation"].is_null(), "{failed}");
    assert_eq!(succeeded["type"], "job.succeeded");
    let receipt = &succeeded["data"]["receipt"];
    assert_eq!((&receipt["verified_by"], &receipt["blake3"]), (&"readback".into(), &"00".into()));
    assert!(receipt["finished_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{receipt}");
}
