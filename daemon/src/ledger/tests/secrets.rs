//! What becomes of a presigned source's query when several act on its job at once, or the disk fails.

use std::pin::pin;

use futures::poll;

use super::*;

/// A job with a presigned source, and where its secret is kept.
async fn presigned(ledger: &Ledger, dir: &Path) -> (JobId, PathBuf) {
    let mut one = submission("a");
    one.spec.as_mut().expect("a transfer").source =
        "https://h.example/a.bin?X-Amz-Signature=deadbeef".parse().expect("legal");
    let id = submit(ledger, one).await.id;
    (id, dir.join(secret::DIR).join(id.to_string()))
}

/// The next process finds the job as it was, and needs the secret to make it anew from the log.
#[tokio::test]
async fn a_change_that_the_disk_did_not_take_takes_no_secret_away() {
    let dir = dir();
    let (ledger, gate) = gated(dir.path(), Tuning::default());
    let (id, secret) = presigned(&ledger, dir.path()).await;
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
    let (id, secret) = presigned(&ledger, dir.path()).await;
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
async fn a_secret_that_is_kept_for_a_change_on_its_way_is_not_removed() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, secret) = presigned(&ledger, dir.path()).await;
    ledger.control(id, Change::Cancel, "uid:0").await.expect("queued");
    assert!(!secret.exists(), "the job is over");
    // As a retry does, and another one that is given up.
    let kept = ledger.keep_secret(id, "X-Amz-Signature=deadbeef".into()).await.expect("room");
    drop(ledger.keep_secret(id, "X-Amz-Signature=deadbeef".into()).await.expect("room"));
    ledger.control(id, Change::Pause, "uid:0").await.expect_err("it is over");
    assert!(secret.exists(), "a retry is about to need it");
    drop(kept);
    ledger.control(id, Change::Pause, "uid:0").await.expect_err("it is over");
    assert!(!secret.exists(), "nobody needs it");
}
