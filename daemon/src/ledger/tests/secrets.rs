//! What becomes of a presigned source's query when several act on its job at once, or the disk fails.

use std::pin::pin;

use futures::poll;

use super::*;

/// A job with a presigned source, and where its secret is kept.
async fn submitted(ledger: &Ledger, dir: &Path) -> (JobId, PathBuf) {
    let id = submit(ledger, presigned("a")).await.id;
    (id, dir.join(secret::DIR).join(id.to_string()))
}

/// The next process finds the job as it was, and needs the secret to make it anew from the log.
#[tokio::test]
async fn a_change_that_the_disk_did_not_take_takes_no_secret_away() {
    let dir = dir();
    let (ledger, gate) = gated(dir.path(), Tuning::default());
    let (id, secret) = submitted(&ledger, dir.path()).await;
    let held = gate.hold(&ledger).await;
    let (outcome, ()) = futures::join!(ledger.control(id, Change::Cancel, "uid:0"), async {
        ledger.inner.desk.flusher.refuse_all(&Error::broken("for the test"));
        gate.open();
    });
    assert!(matches!(outcome, Err(Error::Storage(_))), "{outcome:?}");
    assert!(secret.exists());
    held.await.expect("no panic").expect("before the disk failed");
    drop(ledger);
    assert_eq!(open(dir.path()).get(id).expect("there").state, JobState::Queued);
    assert!(secret.exists());
}

/// Its worker has said its last word, and somebody retries it before that has come back to the worker.
#[tokio::test]
async fn a_job_that_is_retried_as_it_fails_keeps_its_secret() {
    let dir = dir();
    let (ledger, gate) = gated(dir.path(), Tuning::default());
    let (id, secret) = submitted(&ledger, dir.path()).await;
    let token = token(&claim(&ledger, ANY).await.expect("just submitted"));
    let held = gate.hold(&ledger).await;
    let mut failing = pin!(ledger.apply(id, token, fail(true)));
    assert!(poll!(failing.as_mut()).is_pending(), "it is entered, and not on disk");
    let mut retrying = pin!(ledger.control(id, Change::Retry, "uid:0"));
    while ledger.get(id).expect("there").state != JobState::Queued {
        assert!(poll!(retrying.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    gate.open();
    failing.await.expect("leased");
    retrying.await.expect("failed");
    held.await.expect("no panic").expect("on disk");
    assert_eq!(std::fs::read_to_string(&secret).expect("kept"), "X-Amz-Signature=deadbeef");
}

#[tokio::test]
async fn a_secret_goes_with_success_unless_a_change_on_its_way_needs_it() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, secret) = submitted(&ledger, dir.path()).await;
    let other = submitted(&ledger, dir.path()).await;
    // As a retry does, and another one that is given up.
    let kept = ledger.inner.secrets.entering(id);
    drop(ledger.inner.secrets.entering(id));
    let settle = || ledger.inner.secrets.settle(id, || false);
    settle();
    assert!(secret.exists(), "a change on its way needs it");
    drop(kept);
    settle();
    assert!(!secret.exists(), "nobody needs it");
    assert!(other.1.exists(), "another job's");
}

/// What reads the database, or a copy of it, must not be able to fetch the object.
#[tokio::test]
async fn the_database_holds_no_query_and_an_older_one_is_rid_of_it() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, secret) = submitted(&ledger, dir.path()).await;
    let stored = |ledger: &Ledger| {
        let tree = ledger.inner.desk.store.tree(Table::Jobs);
        tree.get(id.to_bytes()).expect("readable").expect("there").to_vec()
    };
    let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("deadbeef");
    assert!(!holds(&stored(&ledger)));
    assert_eq!(ledger.secret(id).expect("readable").as_deref(), Some("X-Amz-Signature=deadbeef"));

    // As schema 5 had it: the record whole.
    let job = ledger.get(id).expect("there");
    let json = serde_json::to_string(&job).expect("JSON");
    let whole = json.replace("?REDACTED", "?X-Amz-Signature=deadbeef");
    let whole: serde_json::Value = serde_json::from_str(&whole).expect("JSON");
    let mut writes = store::Writes::default();
    store::put(&mut writes, Table::Jobs, &id.to_bytes(), &whole, String::new).expect("plain data");
    store::put(&mut writes, Table::Meta, b"schema", &5_u32, String::new).expect("plain data");
    ledger.inner.desk.store.stage(writes);
    ledger.inner.desk.store.commit().expect("the disk works");
    assert!(holds(&stored(&ledger)));
    ledger.close().await.expect("on disk");

    let ledger = open(dir.path());
    assert!(!holds(&stored(&ledger)));
    assert_eq!(ledger.get(id).expect("there"), job);
    assert!(secret.exists(), "its work is not done");
}

/// Whoever may read it needs no signature: there is none that could be gone.
#[tokio::test]
async fn a_job_of_a_url_without_a_query_is_retried() {
    let dir = dir();
    let ledger = open(dir.path());
    let mut one = submission("a");
    one.spec.as_mut().expect("a transfer").source =
        "https://h.example/a.bin".parse().expect("legal");
    let id = submit(&ledger, one).await.id;
    ledger.control(id, Change::Cancel, "uid:0").await.expect("queued");
    let job = ledger.control(id, Change::Retry, "uid:0").await.expect("cancelled");
    assert_eq!(job.state, JobState::Queued);
}

/// Before schema 6 the query of a job that failed or was cancelled stood in its record alone.
#[tokio::test]
async fn a_signature_that_is_good_outlives_an_upgrade() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, secret) = submitted(&ledger, dir.path()).await;
    let job = ledger.control(id, Change::Cancel, "uid:0").await.expect("queued");
    let record = serde_json::to_string(&job).expect("plain data");
    let record = record.replace("?REDACTED", "?X-Amz-Signature=deadbeef");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let (store, mut writes) = (&ledger.inner.desk.store, store::Writes::default());
    store::put(&mut writes, Table::Jobs, &id.to_bytes(), &record, String::new).expect("data");
    store::put(&mut writes, Table::Meta, b"schema", &5, String::new).expect("data");
    store.stage(writes);
    store.commit().expect("the disk works");
    std::fs::remove_file(&secret).expect("it was kept");
    ledger.close().await.expect("the disk works");

    let ledger = open(dir.path());
    assert_eq!(ledger.secret(id).expect("readable").as_deref(), Some("X-Amz-Signature=deadbeef"));
    ledger.control(id, Change::Retry, "uid:0").await.expect("its signature is there");
}
