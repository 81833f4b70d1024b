//! Since when the queue waits: for each job since it came into it last.

use std::fs;

use super::*;

const DAY: u64 = 24 * 3600 * 1000;

/// A job that was submitted so many days ago.
fn submitted_days_ago(ledger: &Ledger, days: u64) -> Job {
    let at = Timestamp(clock::now().0 - days * DAY);
    let job = job_of(at);
    let entry = Entry::at(at, "submitted", "uid:0", Some(job.id));
    let mut draft = Draft::default();
    draft.audit(entry.with_submission(&submission("a")).expect("plain data"));
    draft.job(None, &job).expect("plain data");
    let mut book = ledger.book().expect("whole");
    drop(ledger.inner.desk.enter(&mut book, draft).expect("the disk works"));
    job
}

/// How many days the queue has waited; `None` where nobody is in it.
fn days(ledger: &Ledger) -> Option<u64> {
    let oldest = ledger.counts().oldest_queued?;
    Some(clock::now().millis_since(oldest) / DAY)
}

async fn control(ledger: &Ledger, id: JobId, change: Change) {
    ledger.control(id, change, "uid:0").await.expect("legal");
}

/// The days of its work are no wait: an alert would fire at every retry of a large object.
#[tokio::test]
async fn a_job_that_comes_back_waits_since_then_also_after_a_restart() {
    for way in ["retried", "resumed", "given back", "found at start"] {
        let dir = dir();
        let mut ledger = open(dir.path());
        let id = submitted_days_ago(&ledger, 3).id;
        assert_eq!(days(&ledger), Some(3), "{way}");
        if way == "resumed" {
            control(&ledger, id, Change::Pause).await;
        } else {
            let token = token(&claim(&ledger, ANY).await.expect("queued"));
            let change = match way {
                "retried" => Some(fail(false)),
                "given back" => Some(Change::Release),
                _ => None,
            };
            if let Some(change) = change {
                ledger.apply(id, token, change).await.expect("leased");
            }
        }
        let left = (way == "given back").then_some(0);
        assert_eq!(days(&ledger), left, "{way}");
        match way {
            "retried" => control(&ledger, id, Change::Retry).await,
            "resumed" => control(&ledger, id, Change::Resume).await,
            "found at start" => {
                ledger.close().await.expect("on disk");
                ledger = open(dir.path());
                assert_eq!(ledger.reclaim().await.expect("the disk works"), 1);
            }
            _ => {}
        }
        let since = ledger.get(id).expect("there").queued_at.map(second_of);
        assert!(since.is_some(), "{way}");
        assert_eq!((ledger.counts().oldest_queued, days(&ledger)), (since, Some(0)), "{way}");
        assert_consistent(&ledger);
        ledger.close().await.expect("on disk");
        let ledger = open(dir.path());
        assert_eq!(ledger.counts().oldest_queued, since, "{way}");
        assert_consistent(&ledger);
    }
}

#[tokio::test]
async fn who_stays_in_the_queue_goes_on_waiting() {
    let dir = dir();
    let ledger = open(dir.path());
    let longest = submitted_days_ago(&ledger, 3).id;
    submitted_days_ago(&ledger, 2);
    submit(&ledger, submission("new")).await;
    let mut waited = Vec::new();
    for change in [Change::Reprioritize(5), Change::Pause, Change::Resume, Change::Cancel] {
        control(&ledger, longest, change).await;
        waited.push(days(&ledger));
    }
    assert_eq!(waited, [Some(3), Some(2), Some(2), Some(2)]);
    assert_consistent(&ledger);
}

/// The log says since when; what ran when it was lost is given back now.
#[tokio::test]
async fn a_ledger_that_was_made_anew_waits_since_the_same_moment() {
    let dir = dir();
    let anew = async |ledger: Ledger| {
        ledger.close().await.expect("on disk");
        fs::remove_dir_all(dir.path().join(rebuild::LEDGER)).expect("it was there");
        open(dir.path())
    };
    let ledger = open(dir.path());
    let id = submitted_days_ago(&ledger, 3).id;
    let ledger = anew(ledger).await;
    assert_eq!(days(&ledger), Some(3));
    for change in [Change::Pause, Change::Resume, Change::Reprioritize(5)] {
        control(&ledger, id, change).await;
    }
    let since = ledger.counts().oldest_queued;
    let ledger = anew(ledger).await;
    assert_eq!((ledger.counts().oldest_queued, days(&ledger)), (since, Some(0)));
    assert_consistent(&ledger);

    control(&ledger, id, Change::Pause).await;
    // The second stays in the lane that it was submitted to: its row has the same key.
    let seal = Change::Seal(ObjectDigest { blake3: [0; 32], crc64nvme: 0 });
    let mut ledger = ledger;
    for came in [vec![plan(100 << 20), upload()], vec![plan(1 << 20), seal]] {
        let running = submitted_days_ago(&ledger, 2).id;
        let token = token(&claim(&ledger, ANY).await.expect("queued"));
        for change in came {
            ledger.apply(running, token, change).await.expect("leased");
        }
        ledger = anew(ledger).await;
        assert_eq!(ledger.get(running).expect("there").state, JobState::Queued);
        assert_eq!(days(&ledger), Some(0));
        assert_consistent(&ledger);
        control(&ledger, running, Change::Pause).await;
        assert_eq!(days(&ledger), None);
    }
}

/// It drops the fields that it does not know, and leaves a row whose key is as it was.
#[tokio::test]
async fn what_an_older_version_left_of_a_wait_ends_with_the_queue() {
    let dir = dir();
    let ledger = open(dir.path());
    let id = submitted_days_ago(&ledger, 3).id;
    for change in [Change::Pause, Change::Resume] {
        control(&ledger, id, change).await;
    }
    let job = Job { queued_at: None, ..ledger.get(id).expect("there") };
    let mut draft = Draft::default();
    let written = record::encode(&job, || "job".into()).expect("plain data");
    draft.writes.put(Table::Jobs, &id.to_bytes(), written);
    let written = ledger.inner.desk.enter(&mut ledger.book().expect("whole"), draft);
    drop(written.expect("the disk works"));
    ledger.close().await.expect("on disk");

    let ledger = open(dir.path());
    assert_eq!(days(&ledger), Some(0), "the row has the moment yet");
    claim(&ledger, ANY).await.expect("queued");
    assert_eq!(ledger.counts().oldest_queued, None);
}
