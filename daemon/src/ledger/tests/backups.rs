//! Backups, and the log that can be checked without its ledger: by hand, beside the daemon or after it.

use std::fs;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use super::rebuilt::{asides, assert_same, restored_all, walk};
use super::*;

#[tokio::test]
async fn a_backup_of_a_running_ledger_is_restored_elsewhere() {
    let (source, to, target) = (dir(), dir(), dir());
    let tuning = Tuning { segment_bytes: 10_000, ..Tuning::default() };
    let ledger = Ledger::open_tuned(source.path(), Arc::new(NoObserver), tuning).expect("fresh");
    walk(&ledger, &mut SmallRng::seed_from_u64(5), 300).await;
    let done = backup(source.path(), to.path()).expect("copied while it is open");
    assert!(done.segments > 1 && done.secrets > 0, "{done:?}");
    let before = restored_all(&ledger);
    submit(&ledger, submission("later")).await;

    // What a daemon's first start leaves is no ledger to protect.
    drop(open(target.path()));
    let put_back = restore(target.path(), to.path()).expect("restored");
    assert_eq!(put_back.jobs, Some(before.len() as u64));
    let again = open(target.path());
    assert_same(&before, &restored_all(&again));
    assert_consistent(&again);
    assert_eq!(asides(target.path()), 0, "it was whole");
    assert!(matches!(restore(target.path(), to.path()), Err(Error::AlreadyOpen { .. })));
    again.close().await.expect("on disk");
    let error = restore(target.path(), to.path()).expect_err("there are jobs");
    assert!(error.to_string().contains("holds a ledger already"), "{error}");
    let error = backup(source.path(), to.path()).expect_err("it holds a backup");
    assert!(error.to_string().contains("not empty"), "{error}");
}

#[tokio::test]
async fn a_backup_that_is_not_what_was_written_is_refused() {
    let (source, to, target) = (dir(), dir(), dir());
    submit(&open(source.path()), submission("a")).await;
    backup(source.path(), to.path()).expect("copied");
    let log = audit::segment::Segment::new(&to.path().join("audit"), 1).path;
    let mut bytes = fs::read(&log).expect("there");
    bytes[20] ^= 1;
    fs::write(&log, bytes).expect("room for a test");
    let error = restore(target.path(), to.path()).expect_err("a flipped bit");
    assert!(error.to_string().contains("not what the manifest says"), "{error}");
    assert!(fs::read_dir(target.path()).expect("there").next().is_none(), "nothing was written");
}

/// Root may open everything, and leaves a lock and files of the database that the daemon's user may not.
#[tokio::test]
async fn in_another_users_data_directory_nothing_is_left() {
    let (source, to, target) = (dir(), dir(), dir());
    let ledger = open(source.path());
    submit(&ledger, submission("a")).await;
    ledger.close().await.expect("on disk");
    let (one, two) = (to.path().join("one"), to.path().join("two"));
    backup(source.path(), &one).expect("copied");
    let nobody = Some(65_534);
    for theirs in [&source, &target] {
        if let Err(error) = std::os::unix::fs::chown(theirs.path(), nobody, nobody) {
            eprintln!("not tried: to give a directory to another user takes root: {error}");
            return;
        }
    }
    let lock = source.path().join(".lock");
    fs::remove_file(&lock).expect("nobody holds it");
    let within = source.path().join("backup");
    for (refused, told) in [
        (restore(target.path(), &one).map(drop), target.path()),
        (verify(source.path()).map(drop), source.path()),
        (backup(source.path(), &within).map(drop), source.path()),
    ] {
        match refused.expect_err("another user's") {
            Error::NotOwner { dir, .. } => assert_eq!(dir, told),
            other => panic!("{other}"),
        }
    }
    backup(source.path(), &two).expect("it only reads there");
    assert!(!lock.exists() && !within.exists());
    assert!(fs::read_dir(target.path()).expect("there").next().is_none(), "nothing was written");
}

#[tokio::test]
async fn a_log_cut_off_at_its_end_is_told_once_the_ledger_can_be_asked() {
    let dir = dir();
    let ledger = open(dir.path());
    for one in 0..200 {
        submit(&ledger, submission(&one.to_string())).await;
    }
    let running = verify(dir.path()).expect("whole");
    assert_eq!((running.lines, running.segments), (200, 1));
    assert!(matches!(running.tail, Tail::Unknown(_)), "the daemon holds the ledger");
    ledger.close().await.expect("on disk");
    assert_eq!(verify(dir.path()).expect("whole").tail, Tail::Whole);
    let log = audit::segment::Segment::new(&dir.path().join("audit"), 1).path;
    let text = fs::read_to_string(&log).expect("there");
    let head = |lines| text.lines().take(lines).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(&log, head(199)).expect("room for a test");
    assert_eq!(verify(dir.path()).expect("the outbox has it").tail, Tail::Owed(1));
    fs::write(&log, head(10)).expect("room for a test");
    let error = verify(dir.path()).expect_err("cut off");
    assert!(
        matches!(&error, Error::Chain { line: 11, what, .. } if what.contains("cut off")),
        "{error}"
    );
}
