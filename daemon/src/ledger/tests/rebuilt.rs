//! The ledger is never the only copy: whatever becomes of the database, the jobs are there.

use std::fs;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::model::{Address, LeftOpen};

fn ledger_dir(dir: &Path) -> PathBuf {
    dir.join("ledger")
}

pub(super) fn asides(dir: &Path) -> usize {
    let names = fs::read_dir(dir).expect("readable").map(|found| found.expect("readable"));
    names.filter(|found| found.file_name().to_string_lossy().starts_with("ledger.broken-")).count()
}

/// What a rebuild restores of a job; all else is asked for at the target, or made again.
fn restored(mut job: Job) -> Job {
    (job.state, job.intent) = match (job.state, job.intent) {
        (JobState::Running, Intent::Pause) => (JobState::Paused, Intent::Run),
        (JobState::Running, intent) => (JobState::Queued, intent),
        stands => stands,
    };
    job.transfer = match job.transfer {
        TransferState::Planned { .. } => TransferState::Unplanned,
        // It is found at the target by its digest.
        TransferState::Sealed { source, plan, digest, .. } => {
            TransferState::Sealing { source, plan, upload: None, digest }
        }
        TransferState::Sealing { source, plan, digest, .. } => {
            TransferState::Sealing { source, plan, upload: None, digest }
        }
        other => other,
    };
    let seen = job.state.is_terminal();
    Job {
        revision: if seen { job.revision } else { 0 },
        attempts: if seen { job.attempts } else { 0 },
        started_at: if seen { job.started_at } else { None },
        // That a worker gave it back has no line.
        queued_at: None,
        lease: None,
        progress: Default::default(),
        warnings: vec![],
        ..job
    }
}

pub(super) fn restored_all(ledger: &Ledger) -> Vec<Job> {
    jobs(ledger).into_iter().map(restored).collect()
}

fn settings(ledger: &Ledger) -> Vec<Option<String>> {
    (0..3).map(|n| ledger.setting(&format!("limits/{n}")).expect("readable")).collect()
}

/// Anything in any order, by persons and by workers.
pub(super) async fn walk(ledger: &Ledger, random: &mut SmallRng, steps: usize) {
    let mut ids = Vec::new();
    for step in 0..steps {
        let roll = random.random_range(0..17);
        if ids.is_empty() || roll < 2 {
            let mut one = submission(&step.to_string());
            one.priority = random.random_range(-9..=9);
            one.labels.insert("step".into(), step.to_string());
            one.idempotency_key =
                (roll == 0).then(|| format!("key-{step}-{}", random.random::<u32>()));
            if random.random_range(0..4) == 0 {
                let url = format!("https://h.example:8443/a%20b.bin?X-Amz-Signature=s{step}");
                one.spec.as_mut().expect("a transfer").source = url.parse().expect("legal");
            }
            ids.push(submit(ledger, one).await.id);
            continue;
        }
        let id = ids[random.random_range(0..ids.len())];
        let job = ledger.get(id).expect("there");
        let token = job.lease.as_ref().map_or(0, |lease| lease.token);
        let worker = match roll {
            2 => Some(plan([20 << 20, 2 << 30][random.random_range(0..2)])),
            3 => Some(upload()),
            4 => Some(fail(random.random())),
            5 => Some(Change::Stop),
            6 => Some(Change::Release),
            7 => Some(Change::Restart),
            8 => {
                let [seal, publish, succeed] = seal_publish_succeed(&job);
                Some(match job.transfer.stage() {
                    crate::model::Stage::Sealing => publish,
                    crate::model::Stage::Verifying => succeed,
                    _ => seal,
                })
            }
            _ => None,
        };
        let person = match roll {
            9 => Some(Change::Pause),
            10 => Some(Change::Resume),
            11 => Some(Change::Cancel),
            12 => Some(Change::Retry),
            13 => Some(Change::Reprioritize(random.random_range(-100..=100))),
            _ => None,
        };
        // Most of these are refused: a refusal must leave no trace either.
        if let Some(change) = worker {
            let _ = ledger.apply(id, token, change).await;
        } else if let Some(change) = person {
            let _ = ledger.control(id, change, "uid:0").await;
        } else if roll == 14 {
            let value = random.random::<bool>().then(|| step.to_string());
            let name = format!("limits/{}", step % 3);
            ledger.put_setting(&name, value, "uid:0").await.expect("written");
        } else {
            claim(ledger, ANY).await;
        }
    }
}

pub(super) fn assert_same(before: &[Job], after: &[Job]) {
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before, after);
    }
}

/// Whatever was done to a ledger, its audit log gives the same jobs, settings and keys.
#[tokio::test]
async fn a_ledger_made_from_its_log_has_the_same_jobs() {
    for seed in 0..12 {
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let dir = dir();
        let tuning = Tuning { segment_bytes: 20_000, ..Tuning::default() };
        let reopen = || Ledger::open_tuned(dir.path(), Arc::new(NoObserver), tuning);
        let ledger = reopen().expect("a directory of our own");
        walk(&ledger, &mut random, 250).await;
        let (before, set) = (restored_all(&ledger), settings(&ledger));
        let revisions: Vec<_> = jobs(&ledger).iter().map(|job| job.revision).collect();
        let keyed = jobs(&ledger).into_iter().find(|job| job.idempotency_key.is_some());
        let token = ledger.book().expect("whole").last_token;
        let cursor = *ledger.subscribe().borrow();
        ledger.close().await.expect("on disk");

        fs::remove_dir_all(ledger_dir(dir.path())).expect("it was there");
        let ledger = reopen().expect("made from its log");
        assert_same(&before, &restored_all(&ledger));
        assert_eq!(settings(&ledger), set);
        assert_consistent(&ledger);
        assert!(ledger.book().expect("whole").last_token >= token, "tokens only grow");
        let now = jobs(&ledger);
        assert!(now.iter().zip(&revisions).all(|(job, seen)| job.revision >= *seen));
        let missed = ledger.events(cursor, 10).expect("readable");
        assert!(matches!(missed, Events::TooOld { .. }), "a watcher begins anew: {missed:?}");
        if let Some(job) = keyed {
            let mut spec = job.spec;
            if let Some(Address::Presigned(url)) = spec.as_mut().map(|spec| &mut spec.source)
                && let Some(secret) = ledger.secret(job.id).expect("readable")
            {
                *url = url.with_secret(&secret);
            }
            let one = Submission {
                spec,
                image: None,
                priority: 0,
                labels: Labels::new(),
                idempotency_key: job.idempotency_key,
                notify: Vec::new(),
                left_open: LeftOpen::default(),
            };
            let again = ledger.submit(one, "uid:0").await.expect("the key is known");
            assert_eq!((again.existed, again.job.id), (true, job.id));
        }
        // And the new one is as good as the old: it goes on, and is found again.
        walk(&ledger, &mut random, 60).await;
        let before = jobs(&ledger);
        ledger.close().await.expect("on disk");
        let ledger = reopen().expect("whole");
        assert_eq!(jobs(&ledger), before);
        assert_eq!(asides(dir.path()), 0, "nothing was broken");
    }
}

/// The outbox is no part of the sum, and what the start goes on from.
#[tokio::test]
async fn a_broken_row_of_the_outbox_is_made_anew_too() {
    let dir = dir();
    let ledger = open(dir.path());
    for step in 0..100 {
        submit(&ledger, submission(&step.to_string())).await;
    }
    let before = restored_all(&ledger);
    ledger.flush().await.expect("the disk works");
    let rows = keys(&ledger, Table::Outbox);
    let outbox = ledger.inner.desk.store.tree(Table::Outbox);
    outbox.insert(&rows[rows.len() / 2], b"x").expect("the disk works");
    ledger.close().await.expect("on disk");
    let ledger = open(dir.path());
    assert_eq!(asides(dir.path()), 1);
    assert_same(&before, &restored_all(&ledger));
}

/// Nobody has to sign for it that an upload is let go of.
#[tokio::test]
async fn a_cancelled_job_whose_secret_is_lost_is_cancelled_all_the_same() {
    let dir = dir();
    let ledger = open(dir.path());
    let id = submit(&ledger, presigned("a")).await.id;
    let lease = token(&claim(&ledger, ANY).await.expect("queued"));
    for change in [plan(100 << 20), upload()] {
        ledger.apply(id, lease, change).await.expect("leased");
    }
    ledger.control(id, Change::Cancel, "uid:0").await.expect("it runs");
    ledger.close().await.expect("on disk");
    for lost in [rebuild::LEDGER, "secrets"] {
        fs::remove_dir_all(dir.path().join(lost)).expect("it was there");
    }
    let job = open(dir.path()).get(id).expect("there");
    assert_eq!((job.state, job.intent), (JobState::Queued, Intent::Cancel));
}

/// A disk that lies: 64 bytes anywhere in the database are not what was written.
#[tokio::test]
async fn bytes_overwritten_anywhere_lose_no_job() {
    let origin = dir();
    let ledger = open(origin.path());
    let (id, lease) = uploading(&ledger, "large", 100 << 20).await;
    ledger.record_part(id, lease, fact(1)).await.expect("leased");
    walk(&ledger, &mut SmallRng::seed_from_u64(99), 400).await;
    let before = restored_all(&ledger);
    ledger.close().await.expect("on disk");
    let (mut whole, mut rebuilt) = (0, 0);
    for seed in 0..150 {
        let mut random = SmallRng::seed_from_u64(seed);
        let dir = dir();
        copy(origin.path(), dir.path());
        let name = overwrite(&ledger_dir(dir.path()), &mut random);
        let ledger = match Ledger::open(dir.path(), Arc::new(NoObserver)) {
            Ok(ledger) => ledger,
            Err(error) => panic!("seed {seed}, {name}: {error:?}"),
        };
        assert_same(&before, &restored_all(&ledger));
        assert_consistent(&ledger);
        submit(&ledger, submission("after")).await;
        if asides(dir.path()) == 0 { whole += 1 } else { rebuilt += 1 }
    }
    println!("{whole} opened as they were, {rebuilt} were made anew");
    assert!(rebuilt > 10, "the bytes hit something");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room for a test");
    for found in fs::read_dir(from).expect("readable") {
        let found = found.expect("readable");
        let target = to.join(found.file_name());
        if found.file_type().expect("readable").is_dir() {
            copy(&found.path(), &target);
        } else {
            fs::copy(found.path(), target).expect("room for a test");
        }
    }
}

/// Overwrites 64 bytes of one of the files, by size; gives its name.
fn overwrite(dir: &Path, random: &mut SmallRng) -> String {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for found in fs::read_dir(dir).expect("readable") {
            let path = found.expect("readable").path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.retain(|path| path.metadata().expect("there").len() > 0);
    files.sort();
    let path = &files[random.random_range(0..files.len())];
    let mut bytes = fs::read(path).expect("readable");
    // Most of the database's file is room that was never used.
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
    let at = random.random_range(0..used);
    bytes.iter_mut().skip(at).take(64).for_each(|byte| *byte = random.random());
    fs::write(path, bytes).expect("room for a test");
    format!("{} at {at}", path.display())
}

/// It was put back as it stood yesterday: sled finds nothing wrong with it.
#[tokio::test]
async fn a_database_that_is_older_than_its_log_is_made_anew() {
    let (dir, old) = (dir(), dir());
    let ledger = open(dir.path());
    submit(&ledger, submission("a")).await;
    ledger.close().await.expect("on disk");
    copy(&ledger_dir(dir.path()), old.path());
    let ledger = open(dir.path());
    submit(&ledger, submission("b")).await;
    let before = restored_all(&ledger);
    ledger.close().await.expect("on disk");
    fs::remove_dir_all(ledger_dir(dir.path())).expect("it was there");
    copy(old.path(), &ledger_dir(dir.path()));
    let ledger = open(dir.path());
    assert_same(&before, &restored_all(&ledger));
    assert_eq!(asides(dir.path()), 1, "nothing is deleted");
    ledger.flush().await.expect("on disk");
    let told = audited::lines(dir.path());
    let last = told.last().expect("there");
    assert_eq!(last["event"], "rebuilt");
    assert_eq!(last["jobs"], 2);
    assert!(
        last["why"].as_str().is_some_and(|why| why.contains("it ends with change 1")),
        "{last}"
    );
}

/// A crash in the middle of a rebuild leaves half a database, which is not taken for one.
#[tokio::test]
async fn what_a_rebuild_left_unfinished_is_begun_anew() {
    let dir = dir();
    let ledger = open(dir.path());
    submit(&ledger, submission("a")).await;
    let before = restored_all(&ledger);
    ledger.close().await.expect("on disk");
    fs::rename(ledger_dir(dir.path()), dir.path().join("ledger.new")).expect("a rename");
    assert_same(&before, &restored_all(&open(dir.path())));
}

/// To go on with a log that lacks lines would lose jobs in silence.
#[tokio::test]
async fn a_broken_ledger_with_a_broken_log_is_left_as_it_is_and_told() {
    let dir = dir();
    let ledger = open(dir.path());
    for name in ["a", "b", "c"] {
        submit(&ledger, submission(name)).await;
    }
    ledger.close().await.expect("on disk");
    fs::remove_dir_all(ledger_dir(dir.path())).expect("it was there");
    let log = audit::segment::Segment::new(&dir.path().join("audit"), 1).path;
    let text = fs::read_to_string(&log).expect("there");
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&log, format!("{}\n{}\n", lines[0], lines[2])).expect("room for a test");
    let error = Ledger::open(dir.path(), Arc::new(NoObserver)).expect_err("lines are missing");
    assert!(
        matches!(&error, Error::Lost { source, .. } if matches!(**source, Error::Chain { line: 2, .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("causewayd restore"), "{error}");
    assert!(!ledger_dir(dir.path()).exists());
}

#[tokio::test]
async fn a_presigned_job_is_resumed_with_its_secret_and_failed_without() {
    let dir = dir();
    let ledger = open(dir.path());
    let job = submit(&ledger, presigned("a")).await;
    ledger.close().await.expect("on disk");
    fs::remove_dir_all(ledger_dir(dir.path())).expect("it was there");
    let ledger = open(dir.path());
    assert_eq!(ledger.get(job.id).expect("restored").spec, job.spec);
    ledger.close().await.expect("on disk");
    fs::remove_dir_all(ledger_dir(dir.path())).expect("it was there");
    fs::remove_dir_all(dir.path().join(secret::DIR)).expect("it was there");
    let ledger = open(dir.path());
    let job = ledger.get(job.id).expect("restored");
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.expect("told why");
    assert!(failure.remedy.contains("submit it anew"), "{failure}");
    assert_consistent(&ledger);
}
