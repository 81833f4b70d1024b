//! Ledgers that earlier versions wrote, and SIGKILL left: `daemon/tests/ledgers`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::model::Address;

const SCHEMAS: [u32; 3] = [4, 5, 6];

/// What is opened is kept, and what an operator reads before an upgrade is so.
#[test]
fn each_schema_that_is_opened_is_kept_and_the_documents_say_which() {
    let (first, last) = (schema::SCHEMA_READ_MIN, schema::SCHEMA);
    assert!((first..=last).eq(SCHEMAS), "{first} to {last}");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/OPERATIONS.md");
    let document = fs::read_to_string(document).expect("in the tree");
    let row = format!("| {} | schema {last} | {first} to {last} |", env!("CARGO_PKG_VERSION"));
    assert!(document.contains(&row), "{row}");
}

/// A copy of the ledger of a schema, with the modes that it had.
fn kept(schema: u32) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/ledgers/schema-{schema}"));
    let to = dir();
    for part in [rebuild::LEDGER, rebuild::AUDIT, secret::DIR] {
        fs::create_dir(to.path().join(part)).expect("a fresh directory");
        for entry in fs::read_dir(from.join(part)).expect("kept in the tree") {
            let entry = entry.expect("readable");
            let copy = to.path().join(part).join(entry.file_name());
            fs::copy(entry.path(), &copy).expect("room");
            fs::set_permissions(copy, fs::Permissions::from_mode(0o600)).expect("its owner");
        }
    }
    to
}

/// What a job is known by: the target's key, or that it is about an image.
fn name(job: &Job) -> String {
    let target = job.spec.as_ref().map(|spec| spec.target.key.clone());
    target.unwrap_or_else(|| job.kind.as_str().to_owned())
}

fn standing(ledger: &Ledger) -> BTreeMap<String, (JobState, i32)> {
    jobs(ledger).iter().map(|job| (name(job), (job.state, job.priority))).collect()
}

/// With work under way given back, as at every start.
async fn opened(dir: &Path) -> Ledger {
    let ledger = open(dir);
    ledger.reclaim().await.expect("writable");
    ledger
}

fn expected(schema: u32) -> BTreeMap<String, (JobState, i32)> {
    let mut all = vec![
        ("succeeded.bin", JobState::Succeeded, 0),
        ("failed.bin", JobState::Failed, 0),
        ("running.bin", JobState::Queued, 7),
        ("paused.bin", JobState::Paused, -5),
        ("cancelled.bin", JobState::Cancelled, 0),
        ("presigned.bin", JobState::Queued, -50),
    ];
    if schema >= 5 {
        all.push(("restore", JobState::Queued, 0));
    }
    all.into_iter().map(|(name, state, at)| (name.to_owned(), (state, at))).collect()
}

#[tokio::test]
async fn a_ledger_of_each_schema_is_opened_with_all_that_it_held() {
    for schema in SCHEMAS {
        let dir = kept(schema);
        let ledger = opened(dir.path()).await;
        assert_eq!(standing(&ledger), expected(schema), "schema {schema}");
        let of = |wanted: &str| jobs(&ledger).into_iter().find(|job| name(job) == wanted);
        let succeeded = of("succeeded.bin").expect("there");
        let receipt = succeeded.receipt.as_ref().expect("it succeeded");
        assert_eq!(receipt.blake3.len(), 64);
        assert_eq!(succeeded.labels.get("kept").map(String::as_str), Some("yes"));
        let failure = of("failed.bin").and_then(|job| job.failure).expect("it failed");
        assert!(failure.to_string().contains("NoSuchKey"), "{failure}");
        let limits = ledger.setting("limits/gov").expect("readable").expect("persisted");
        assert!(limits.contains("1048576"), "{limits}");

        // Its signature is where it belongs, and the worker finds it.
        let presigned = of("presigned.bin").expect("there");
        let secret = ledger.secret(presigned.id).expect("readable").expect("kept");
        assert!(secret.contains("deadbeefdeadbeef"), "{secret}");
        let record = ledger.inner.desk.store.tree(Table::Jobs).get(presigned.id.to_bytes());
        let record = record.expect("readable").expect("there");
        assert!(!String::from_utf8_lossy(&record).contains("deadbeef"), "schema {schema}");

        assert_eq!(ledger.notices_pending("ops"), usize::from(schema >= 6), "schema {schema}");

        // Who submits again what was submitted then gets the job of then.
        let again = Submission {
            spec: succeeded.spec.clone(),
            priority: 0,
            idempotency_key: Some("key-1".to_owned()),
            ..submission("x")
        };
        let again = ledger.submit(again, "uid:0").await.expect("the key is known");
        assert_eq!((again.existed, again.job.id), (true, succeeded.id));
        ledger.close().await.expect("on disk");
        assert_eq!(standing(&opened(dir.path()).await), expected(schema), "schema {schema}");
    }
}

/// The log of an earlier version makes the same jobs.
#[tokio::test]
async fn a_ledger_of_each_schema_is_made_anew_from_its_log() {
    for schema in SCHEMAS {
        let dir = kept(schema);
        fs::remove_dir_all(dir.path().join(rebuild::LEDGER)).expect("kept");
        let ledger = opened(dir.path()).await;
        assert_eq!(standing(&ledger), expected(schema), "schema {schema}");
        let presigned = jobs(&ledger).into_iter().find(|job| name(job) == "presigned.bin");
        let source = presigned.and_then(|job| job.spec).expect("a transfer").source;
        assert!(matches!(source, Address::Presigned(url) if url.secret().is_none()));
        assert_consistent(&ledger);
    }
}
