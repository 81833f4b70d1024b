//! What is answered is on disk, and is found again.

use std::time::Instant;

use super::*;

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, token) = uploading(&ledger, "a", 100 << 20).await;
    ledger.record_part(id, token, fact(3)).await.expect("leased");
    ledger.put_setting("limits/com", Some("x".into()), "uid:0").await.expect("written");
    let before = ledger.get(id).expect("there");
    ledger.close().await.expect("on disk");

    let again = open(dir.path());
    assert_eq!(again.get(id).expect("still there"), before);
    assert_eq!(again.parts(id).expect("still there"), vec![fact(3)]);
    assert_eq!(again.setting("limits/com").expect("readable").as_deref(), Some("x"));
    assert_consistent(&again);
    let next = submit(&again, submission("b")).await;
    assert!(next.id > id);
    let claimed = claim(&again, ANY).await.expect("just submitted");
    assert!(super::token(&claimed) > token, "tokens grow across restarts");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_few_flushes() {
    const CALLERS: usize = 64;
    const EACH: usize = 20;
    let dir = dir();
    let flushes = Arc::new(Flushes::default());
    let ledger = Ledger::open(dir.path(), flushes.clone()).expect("a directory of our own");
    let begin = Instant::now();
    let callers = (0..CALLERS).map(|caller| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for one in 0..EACH {
                submit(&ledger, submission(&format!("{caller}-{one}"))).await;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("no panic");
    }
    let (jobs, flushes) = (CALLERS * EACH, flushes.0.load(Ordering::Relaxed));
    println!(
        "{jobs} durable submits by {CALLERS} callers: {flushes} flushes, {:?}",
        begin.elapsed()
    );
    assert!(flushes * 4 < jobs, "{flushes} flushes for {jobs} jobs");
    assert_consistent(&ledger);
}

#[tokio::test]
async fn a_known_key_gives_the_job_it_made_and_never_another() {
    let dir = dir();
    let ledger = open(dir.path());
    let keyed = |name: &str| Submission { idempotency_key: Some("k".into()), ..submission(name) };
    let first = ledger.submit(keyed("a"), "uid:0").await.expect("accepted");
    assert!(!first.existed);
    drop(ledger);
    let ledger = open(dir.path());
    let again = ledger.submit(keyed("a"), "uid:1").await.expect("accepted");
    assert_eq!((again.existed, &again.job), (true, &first.job));
    let error = ledger.submit(keyed("b"), "uid:0").await.expect_err("another spec");
    assert!(matches!(&error, Error::KeyReused { job, .. } if *job == first.job.id), "{error}");
    assert_eq!(ledger.counts().of(JobState::Queued), 1);
}

/// Two requests under one key at the same moment are the usual case: a client that timed out.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_at_the_same_moment_makes_one_job() {
    let dir = dir();
    let ledger = open(dir.path());
    let tasks = (0..16).map(|_| {
        let ledger = ledger.clone();
        let one = Submission { idempotency_key: Some("k".into()), ..submission("a") };
        tokio::spawn(async move { submit(&ledger, one).await.id })
    });
    let mut ids = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        ids.push(task.await.expect("no panic"));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_second_open_of_the_same_directory_is_refused_with_what_to_do() {
    let dir = dir();
    let _held = open(dir.path());
    let error = Ledger::open(dir.path(), Arc::new(NoObserver)).expect_err("held");
    assert!(matches!(error, Error::AlreadyOpen { .. }));
    let text = error.to_string();
    assert!(text.contains("stop the other causewayd"), "{text}");
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
}

/// A ledger that says that it has this schema.
async fn of_schema(dir: &Path, schema: u32) {
    let ledger = open(dir);
    let mut writes = store::Writes::default();
    store::put(&mut writes, Table::Meta, b"schema", &schema, String::new).expect("plain data");
    ledger.inner.desk.store.stage(writes);
    ledger.inner.desk.store.commit().expect("the disk works");
    ledger.close().await.expect("on disk");
}

#[tokio::test]
async fn another_schema_is_refused() {
    for schema in [3, 7] {
        let dir = dir();
        of_schema(dir.path(), schema).await;
        let error = Ledger::open(dir.path(), Arc::new(NoObserver)).expect_err("not ours");
        let told = matches!(error, Error::Schema { found, known: 6 } if found == schema);
        assert!(told, "{error}");
    }
}

/// Once it may hold what the version before could not read, that version must not open it.
#[tokio::test]
async fn the_schema_before_is_read_and_becomes_this_one() {
    let dir = dir();
    for before in [4, 5] {
        of_schema(dir.path(), before).await;
        let ledger = open(dir.path());
        let schema = ledger.inner.desk.store.read::<u32>(Table::Meta, b"schema", String::new);
        assert_eq!(schema.expect("readable"), Some(6));
        ledger.close().await.expect("on disk");
    }
}

#[tokio::test]
async fn a_directory_that_takes_no_write_is_refused() {
    let dir = dir();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory").expect("room for a test");
    let error = Ledger::open(&file, Arc::new(NoObserver)).expect_err("a file");
    assert!(matches!(error, Error::NotWritable { .. }), "{error:?}");

    let tuning = Tuning { free_bytes_min: u64::MAX, ..Tuning::default() };
    let full = Ledger::open_tuned(dir.path(), Arc::new(NoObserver), tuning).expect_err("no room");
    assert!(matches!(full, Error::NoSpace { .. }), "{full:?}");

    let ledger = open(dir.path());
    ledger.check_writable().expect("room");
    std::fs::remove_file(dir.path().join(".writable")).expect("it was written");
    std::fs::create_dir(dir.path().join(".writable")).expect("in its way");
    let error = ledger.check_writable().expect_err("a directory in its way");
    assert!(matches!(error, Error::NotWritable { .. }), "{error:?}");
}

/// A disk that is slow is not made slower by everybody who asks for it.
#[tokio::test]
async fn who_asks_while_the_disk_is_tried_shares_the_answer() {
    let dir = dir();
    let ledger = open(dir.path());
    std::fs::remove_file(dir.path().join(".writable")).expect("it was written");
    std::fs::create_dir(dir.path().join(".writable")).expect("in its way");
    let answers = futures::future::join_all((0..8).map(|_| ledger.writable())).await;
    let answers = answers.into_iter().map(|answer| answer.expect_err("a directory in its way"));
    let answers: Vec<_> = answers.collect();
    assert!(answers.iter().all(|answer| Arc::ptr_eq(answer, &answers[0])), "it was tried once");
}

#[tokio::test]
async fn a_garbled_database_is_an_error_and_not_a_panic() {
    let dir = dir();
    let ledger = open(dir.path());
    for one in 0..50 {
        submit(&ledger, submission(&one.to_string())).await;
    }
    ledger.close().await.expect("on disk");
    for name in ["db", "conf"] {
        let path = dir.path().join("ledger").join(name);
        let mut bytes = std::fs::read(&path).expect("it was written");
        bytes.iter_mut().step_by(3).for_each(|byte| *byte ^= 0x5a);
        std::fs::write(&path, bytes).expect("room for a test");
    }
    // What sled makes of it is sled's affair: the claim is that the process lives.
    if let Err(error) = Ledger::open(dir.path(), Arc::new(NoObserver)) {
        println!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
    }
}

#[tokio::test]
async fn a_corrupt_record_is_an_error_that_names_it_and_hides_no_other() {
    let dir = dir();
    let ledger = open(dir.path());
    let bad = submit(&ledger, submission("a")).await.id;
    let good = submit(&ledger, submission("b")).await.id;
    let tree = ledger.inner.desk.store.tree(Table::Jobs);
    let mut record = tree.get(bad.to_bytes()).expect("readable").expect("there").to_vec();
    record[40] ^= 1;
    tree.insert(bad.to_bytes(), record).expect("the disk works");

    let error = ledger.get(bad).expect_err("corrupt");
    assert!(
        matches!(&error, Error::Corrupt { what } if what.contains(&bad.to_string())),
        "{error}"
    );
    let page = ledger.list(&Filter::default(), 10, None).expect("the others stand");
    assert_eq!(page.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [good]);
    // The bad one is older, so it stands first.
    assert_eq!(claim(&ledger, ANY).await.map(|job| job.id), Some(good));
    assert_eq!(claim(&ledger, ANY).await, None);
}

#[tokio::test]
async fn a_closed_ledger_takes_nothing_and_still_answers() {
    let dir = dir();
    let ledger = open(dir.path());
    let job = submit(&ledger, submission("a")).await;
    ledger.clone().close().await.expect("on disk");
    let error = ledger.submit(submission("b"), "uid:0").await.expect_err("closed");
    assert!(matches!(error, Error::Closed), "{error}");
    assert!(matches!(ledger.check_writable(), Err(Error::Closed)));
    assert_eq!(ledger.get(job.id).expect("there"), job);
}

/// Half a transaction may be in memory: whatever followed would be built on it.
#[tokio::test]
async fn nothing_follows_a_commit_that_failed() {
    let dir = dir();
    let ledger = open(dir.path());
    ledger.inner.desk.flusher.refuse_all(&Error::broken("for the test"));
    let error = ledger.submit(submission("a"), "uid:0").await.expect_err("refused");
    assert!(matches!(error, Error::Storage(_)), "{error}");
    assert!(matches!(ledger.check_writable(), Err(Error::Storage(_))));
    assert!(matches!(ledger.flush().await, Err(Error::Storage(_))));
    // Its disk is well, so another process can open it.
    assert!(matches!(ledger.is_to_be_reopened().await, Error::Storage(_)));
}
