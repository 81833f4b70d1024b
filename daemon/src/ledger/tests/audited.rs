//! The audit log tells everything that was acknowledged, in order, and no secret.

use serde_json::Value;

use super::*;
use crate::base::chain;

fn path(dir: &Path) -> PathBuf {
    dir.join("audit/audit-00000000000000000001.jsonl")
}

/// The lines, with their chain and their numbers checked, here and by the log's own reader.
pub(super) fn lines(dir: &Path) -> Vec<Value> {
    audit::chain::walk(&dir.join("audit"), |_| Ok(())).expect("a chain that holds");
    let text = std::fs::read_to_string(path(dir)).expect("it was written");
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut prev = blake3::hash(b"");
    let mut values = Vec::new();
    for (line, seq) in text.lines().zip(1..) {
        let value: Value = serde_json::from_str(line).expect("a whole line");
        assert_eq!(value["prev"], prev.to_hex().as_str(), "line {seq}");
        assert_eq!(value["seq"], seq);
        prev = blake3::hash(line.as_bytes());
        values.push(value);
    }
    values
}

#[tokio::test]
async fn the_log_tells_who_did_what_and_how_it_ended() {
    let dir = dir();
    let ledger = open(dir.path());
    let (won, lease) = uploading(&ledger, "won", 100 << 20).await;
    for change in seal_publish_succeed(&ledger.get(won).expect("there")) {
        ledger.apply(won, lease, change).await.expect("legal");
    }
    let (lost, lease) = uploading(&ledger, "lost", 100 << 20).await;
    ledger.apply(lost, lease, fail(true)).await.expect("legal");
    let unwanted = submit(&ledger, submission("unwanted")).await.id;
    ledger.control(unwanted, Change::Cancel, "uid:1000").await.expect("legal");
    ledger.put_setting("limits/com", None, "uid:0").await.expect("written");

    let lines = lines(dir.path());
    let told: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap_or("")).collect();
    let expected = [
        "submitted",
        "upload",
        "seal",
        "succeeded",
        "submitted",
        "upload",
        "failed",
        "submitted",
        "control",
        "cancelled",
        "setting",
    ];
    assert_eq!(told, expected);
    assert_eq!(lines[0]["submission"]["spec"]["target"]["key"], "won");
    assert_eq!(lines[0]["job"], won.to_string());
    assert_eq!(lines[1]["transfer"]["upload"], "u");
    assert_eq!(lines[1]["transfer"]["source"]["etag"], "e");
    assert_eq!(lines[2]["transfer"]["at"], "sealing");
    assert_eq!(lines[3]["receipt"]["job_id"], won.to_string());
    assert_eq!(lines[3]["actor"], "causewayd");
    assert_eq!(lines[6]["failure"]["reason"], "no");
    assert_eq!(lines[6]["transfer"]["at"], "unplanned", "what was uploaded is of no use");
    assert_eq!((&lines[8]["change"], &lines[8]["actor"]), (&"cancel".into(), &"uid:1000".into()));
    assert_eq!(lines[9]["after"]["state"], "cancelled");
    assert!(lines[0]["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{}", lines[0]["at"]);
}

/// Whoever reads the log must not be able to fetch the object; whoever rebuilds from it must.
#[tokio::test]
async fn a_presigned_source_stands_there_without_its_signature_which_is_kept_apart() {
    let dir = dir();
    let ledger = open(dir.path());
    let id = submit(&ledger, presigned("a")).await.id;
    let text = std::fs::read_to_string(path(dir.path())).expect("it was written");
    assert!(!text.contains("deadbeef"), "{text}");
    assert!(text.contains("https://h.example/a.bin?REDACTED"), "{text}");
    let lines = lines(dir.path());
    let secret = dir.path().join(lines[0]["secret"].as_str().expect("it refers to the secret"));
    assert_eq!(std::fs::read_to_string(&secret).expect("kept"), "X-Amz-Signature=deadbeef");
    for file in [&path(dir.path()), &secret] {
        let mode = std::os::unix::fs::MetadataExt::mode(&file.metadata().expect("there"));
        assert_eq!(mode & 0o777, 0o600);
    }
    ledger.control(id, Change::Cancel, "uid:0").await.expect("legal");
    assert!(secret.exists(), "it may be retried");
    ledger.control(id, Change::Retry, "uid:0").await.expect("legal");
    ledger.control(id, Change::Retry, "uid:0").await.expect_err("it is queued");
    assert!(secret.exists(), "a refusal takes nothing away");
    let token = token(&claim(&ledger, ANY).await.expect("queued"));
    ledger.apply(id, token, fail(true)).await.expect("leased");
    assert!(secret.exists(), "it may be retried");
    let over = "X-Amz-Signature=deadbeef&X-Amz-Date=20200101T000000Z&X-Amz-Expires=60";
    std::fs::write(&secret, over).expect("room for a test");
    drop(ledger);
    let ledger = open(dir.path());
    assert!(!secret.exists(), "swept at start: nobody can use it any more");
    let refused = ledger.control(id, Change::Retry, "uid:0").await.expect_err("no signature");
    assert!(chain(&refused).contains("submit it anew"), "{refused}");
}

#[tokio::test]
async fn a_submission_that_made_no_job_leaves_no_secret() {
    let dir = dir();
    let ledger = open(dir.path());
    let presigned = |signature: &str| {
        let mut one = submission("a");
        let url = format!("https://h.example/a.bin?X-Amz-Signature={signature}");
        one.spec.as_mut().expect("a transfer").source = url.parse().expect("legal");
        Submission { idempotency_key: Some("k".into()), ..one }
    };
    submit(&ledger, presigned("a")).await;
    let again = ledger.submit(presigned("a"), "uid:0").await.expect("known");
    assert!(again.existed);
    ledger.submit(presigned("b"), "uid:0").await.expect_err("another spec");
    let kept = secret::list(&dir.path().join(secret::DIR)).expect("readable");
    assert_eq!(kept, [again.job.id]);
}

#[tokio::test]
async fn the_chain_goes_on_after_a_restart_and_a_torn_line_is_cut() {
    let dir = dir();
    let ledger = open(dir.path());
    submit(&ledger, submission("a")).await;
    ledger.close().await.expect("on disk");
    let whole = std::fs::read(path(dir.path())).expect("it was written");
    let torn = [whole.as_slice(), br#"{"at":"2026-01-01T00:00:00Z","seq":2,"ev"#].concat();
    std::fs::write(path(dir.path()), torn).expect("room for a test");

    let ledger = open(dir.path());
    assert_eq!(std::fs::read(path(dir.path())).expect("there"), whole);
    submit(&ledger, submission("b")).await;
    assert_eq!(lines(dir.path()).len(), 2);
}

/// A crash after the database was flushed and before the log was: the outbox has the lines.
#[tokio::test]
async fn lines_that_a_crash_kept_from_the_log_are_written_at_open() {
    let dir = dir();
    let ledger = open(dir.path());
    for one in 0..5 {
        submit(&ledger, submission(&one.to_string())).await;
    }
    ledger.close().await.expect("on disk");
    let text = std::fs::read_to_string(path(dir.path())).expect("it was written");
    let three: String = text.lines().take(3).map(|line| format!("{line}\n")).collect();
    std::fs::write(path(dir.path()), three).expect("room for a test");
    let ledger = open(dir.path());
    assert_eq!(std::fs::read_to_string(path(dir.path())).expect("there"), text);
    submit(&ledger, submission("more")).await;
    assert_eq!(lines(dir.path()).len(), 6);
}

/// A full disk: what is not in the audit log was not accepted, whatever the database says.
#[tokio::test]
async fn nothing_is_acknowledged_or_taken_while_the_log_cannot_be_written() {
    let dir = dir();
    std::fs::create_dir(dir.path().join("audit")).expect("room for a test");
    std::os::unix::fs::symlink("/dev/full", path(dir.path())).expect("room for a test");
    let ledger = open(dir.path());
    for name in ["a", "b"] {
        let error = ledger.submit(submission(name), "uid:0").await.expect_err("a full disk");
        assert!(matches!(error, Error::Audit(_)), "{error}");
    }
    assert!(matches!(ledger.check_writable(), Err(Error::Audit(_))));
    assert_eq!(*ledger.subscribe().borrow(), 0, "nobody is told");
    drop(ledger);

    std::fs::remove_file(path(dir.path())).expect("the link");
    let ledger = open(dir.path());
    assert_eq!(ledger.counts().of(JobState::Queued), 1, "the second was refused at once");
    assert_eq!(lines(dir.path()).len(), 1, "what the log owed is made up for");
}

/// A worker that was told of the error would do again what is done, and be refused.
#[tokio::test]
async fn a_worker_waits_for_a_log_that_cannot_be_written_and_is_told_nothing() {
    let dir = dir();
    let ledger = open(dir.path());
    submit(&ledger, submission("a")).await;
    ledger.close().await.expect("on disk");
    // The next line begins a new segment, which has no room.
    let tuning = Tuning { segment_bytes: 1, ..Tuning::default() };
    let full = dir.path().join("audit/audit-00000000000000000002.jsonl");
    let ledger = Ledger::open_tuned(dir.path(), Arc::new(NoObserver), tuning).expect("ours");
    let job = claim(&ledger, ANY).await.expect("one is queued");
    std::os::unix::fs::symlink("/dev/full", &full).expect("room for a test");
    let token = job.lease.as_ref().expect("a lease").token;
    let failure = Failure::new(FailureClass::Permanent, "for the test", "");
    let fail = Change::Fail { failure, restart: false };
    let told = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.apply(job.id, token, fail).await }
    });
    while ledger.check_writable().is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!told.is_finished(), "it is not on disk");
    std::fs::remove_file(&full).expect("the link");
    let failed = told.await.expect("no panic").expect("on disk");
    assert_eq!(failed.state, JobState::Failed);
    let last = std::fs::read_to_string(&full).expect("a segment");
    assert!(last.contains("\"failed\""), "{last}");
}

/// The database must not meet the end of its disk: it would have to be opened anew.
#[tokio::test]
async fn a_change_is_refused_before_the_disk_is_full_and_goes_in_once_there_is_room() {
    let dir = dir();
    drop(open(dir.path()));
    let tuning = Tuning { reserve_bytes: u64::MAX, ..Tuning::default() };
    let ledger = Ledger::open_tuned(dir.path(), Arc::new(NoObserver), tuning).expect("ours");
    let error = ledger.submit(submission("a"), "uid:0").await.expect_err("no room");
    assert!(matches!(error, Error::NoSpace { .. }) && error.may_pass(), "{error}");
    assert_eq!(ledger.counts().of(JobState::Queued), 0, "nothing is there in part");
    ledger.flush().await.expect("what is there is on disk");
    drop(ledger);
    submit(&open(dir.path()), submission("a")).await;
}

#[tokio::test]
async fn the_outbox_is_emptied_as_the_log_takes_its_lines() {
    let dir = dir();
    let ledger = open(dir.path());
    for one in 0..300 {
        submit(&ledger, submission(&one.to_string())).await;
    }
    assert!(keys(&ledger, Table::Outbox).len() < 140);
    ledger.close().await.expect("on disk");
    drop(open(dir.path()));
    assert_eq!(lines(dir.path()).len(), 300, "none is written twice");
}

/// A log that grew a last line which is no line is not ours to go on from.
#[tokio::test]
async fn a_last_line_that_is_none_is_refused_with_what_to_do() {
    let dir = dir();
    drop(open(dir.path()));
    std::fs::write(path(dir.path()), "garbage\n").expect("room for a test");
    let error = Ledger::open(dir.path(), Arc::new(NoObserver)).expect_err("garbage");
    assert!(error.to_string().contains("causewayd restore"), "{error}");
}
