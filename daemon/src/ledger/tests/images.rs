//! Image jobs: what of theirs has a line in the audit log, and what a rebuild makes of it.

use std::fs;

use super::*;
use crate::model::{ImageFact, ImageSpec, RestoreSpec, StoreSpec, Tags};

/// A migrate, claimed, with its lease's token.
async fn migrating(ledger: &Ledger) -> (JobId, u64) {
    let store = StoreSpec {
        image: "com:ami-0123456789abcdef0".parse().expect("legal"),
        bucket: "via".to_owned(),
        reuse_stored: false,
        allow_decrypted: false,
        tags: Tags::new(),
    };
    let restore = RestoreSpec {
        object: "gov:bucket/a".parse().expect("legal"),
        name: None,
        tags: Tags::new(),
        copy_tags: true,
        alias: None,
        deprecate_after: None,
        require_encryption: false,
        repair: false,
    };
    let spec = ImageSpec {
        store: Some(store),
        restore: Some(restore),
        clean_up_stored: false,
        clean_up_landed: false,
        retire_source: None,
    };
    let id = submit(ledger, Submission::image(spec, submission("a").spec)).await.id;
    let token = token(&claim(ledger, Room { images: 1, ..ANY }).await.expect("just submitted"));
    (id, token)
}

async fn apply(ledger: &Ledger, (id, token): (JobId, u64), change: Change) -> Job {
    ledger.apply(id, token, change).await.expect("legal")
}

fn lines_of(dir: &Path, event: &str) -> usize {
    let log = fs::read_dir(dir.join("audit")).expect("there");
    let log = log.map(|file| fs::read_to_string(file.expect("readable").path()).expect("UTF-8"));
    let event = format!("\"event\":\"{event}\"");
    log.map(|text| text.lines().filter(|line| line.contains(&event)).count()).sum()
}

/// While EC2 says that its quota is used up it is asked every 15 s, and the log is kept for ever.
#[tokio::test]
async fn that_ec2_is_asked_once_more_has_no_line_of_its_own() {
    let dir = dir();
    let ledger = open(dir.path());
    let job = migrating(&ledger).await;
    let asked = |newest| Change::Image(ImageFact::StoreAsked { newest });
    let moment = |job: &Job| job.image.as_ref()?.progress.store_asked.map(|asked| asked.at);
    let first = apply(&ledger, job, asked(None)).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let again = apply(&ledger, job, asked(None)).await;
    assert!(moment(&again) > moment(&first), "the record has it");
    assert_eq!(lines_of(dir.path(), "store asked"), 1);
    let newest = Some(Timestamp(7));
    apply(&ledger, job, asked(newest)).await;
    assert_eq!(lines_of(dir.path(), "store asked"), 2, "it says another thing");
    ledger.close().await.expect("on disk");
    fs::remove_dir_all(dir.path().join(rebuild::LEDGER)).expect("it was there");
    let ledger = open(dir.path());
    let found =
        ledger.get(job.0).expect("there").image.and_then(|image| image.progress.store_asked);
    let found = found.expect("it was asked");
    assert_eq!(found.newest, newest);
    assert!(Some(found.at) > moment(&again), "it may have been asked for again since");
}

/// Whatever becomes of it: a crash between SSM and the ledger leaves at least who asked.
#[tokio::test]
async fn an_intent_has_a_line_and_changes_nothing() {
    let dir = dir();
    let ledger = open(dir.path());
    let (id, _) = migrating(&ledger).await;
    let before = ledger.get(id).expect("there");
    ledger.intend(id, "alias rollback asked", "uid:1000").await.expect("on disk");
    assert_eq!(lines_of(dir.path(), "alias rollback asked"), 1);
    assert_eq!(ledger.get(id).expect("there"), before);
    ledger.close().await.expect("on disk");
    fs::remove_dir_all(dir.path().join(rebuild::LEDGER)).expect("it was there");
    assert_eq!(open(dir.path()).get(id).expect("there").kind, before.kind);
}

/// Its upload became the object, which has no line: nothing is left to expire.
#[tokio::test]
async fn a_carried_job_that_failed_holds_no_upload_after_a_rebuild() {
    let dir = dir();
    let ledger = open(dir.path());
    let job = migrating(&ledger).await;
    for change in [plan(100 << 20), upload()] {
        apply(&ledger, job, change).await;
    }
    let [seal, publish, _] = seal_publish_succeed(&ledger.get(job.0).expect("there"));
    apply(&ledger, job, seal).await;
    let sealed = apply(&ledger, job, publish).await;
    apply(&ledger, job, Change::Image(ImageFact::Carried(Box::new(receipt(&sealed))))).await;
    apply(&ledger, job, fail(false)).await;
    ledger.close().await.expect("on disk");
    fs::remove_dir_all(dir.path().join(rebuild::LEDGER)).expect("it was there");
    let ledger = open(dir.path());
    let found = ledger.get(job.0).expect("there");
    assert!(found.is_carried() && found.state == JobState::Failed, "{found:?}");
    assert_eq!(found.transfer.upload(), None);
    assert_eq!(keys(&ledger, Table::Uploads), Vec::<Vec<u8>>::new());
    ledger.control(job.0, Change::Expire, "daemon").await.expect_err("nothing to let go of");
}
