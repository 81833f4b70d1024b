//! What the ledger promises, claim by claim. Here is what the claims share.

mod audited;
mod backups;
mod crash;
mod durable;
mod images;
mod kept;
mod notices;
mod queue;
mod reading;
mod rebuilt;
mod secrets;
mod uploads;
mod waiting;

use std::path::PathBuf;
use std::sync::Condvar;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::store::Table;
use super::waiting::Waiting;
use super::*;
use crate::base::{Measure, NoObserver, Observe, Room};
use crate::model::{
    Failure, FailureClass, Intent, JobState, Labels, Lease, ObjectDigest, PartDigest, PartFact,
    PartNumber, PartPlan, PinnedObject, PublishedObject, Receipt, Submission, Timestamp,
    TransferSpec, TransferState, UploadId,
};

const LEASE: Duration = Duration::from_secs(60);
const ANY: Room = Room { small: 1, others: 1, large: 1, images: 0 };
const SMALL: Room = Room { small: 1, others: 0, large: 0, images: 0 };

/// Counts the cycles of the group commit.
#[derive(Debug, Default)]
struct Flushes(AtomicUsize);

impl Observe for Flushes {
    fn record(&self, measure: Measure<'_>) {
        if let Measure::LedgerFlush { .. } = measure {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Holds the group commit at the end of a cycle, so that a test decides what the next one finds.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<AtGate>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct AtGate {
    closed: bool,
    reached: bool,
}

impl Gate {
    /// Returns once the group commit is held. The answer ends after [`Gate::open`].
    async fn hold(&self, ledger: &Ledger) -> tokio::task::JoinHandle<Result<(), Error>> {
        *self.lock() = AtGate { closed: true, reached: false };
        let ledger = ledger.clone();
        let held = tokio::spawn(async move { ledger.flush().await });
        while !self.lock().reached {
            tokio::task::yield_now().await;
        }
        held
    }

    fn open(&self) {
        self.lock().closed = false;
        self.opened.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, AtGate> {
        self.state.lock().expect("not poisoned")
    }
}

impl Observe for Gate {
    fn record(&self, _: Measure<'_>) {
        let mut state = self.lock();
        state.reached = true;
        while state.closed {
            state = self.opened.wait(state).expect("not poisoned");
        }
    }
}

/// A ledger in `dir` whose group commit can be held.
fn gated(dir: &Path, tuning: Tuning) -> (Ledger, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let ledger = Ledger::open_tuned(dir, gate.clone(), tuning).expect("a directory of our own");
    (ledger, gate)
}

fn open(dir: &Path) -> Ledger {
    Ledger::open(dir, Arc::new(NoObserver)).expect("a directory of our own")
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("room for a test")
}

pub(super) fn submission(key: &str) -> Submission {
    let spec = TransferSpec::new(
        "com:bucket/key".parse().expect("legal"),
        format!("gov:bucket/{key}").parse().expect("legal"),
    );
    Submission::new(spec)
}

/// One whose source is a presigned URL.
fn presigned(key: &str) -> Submission {
    let mut presigned = submission(key);
    presigned.spec.as_mut().expect("a transfer").source =
        "https://h.example/a.bin?X-Amz-Signature=deadbeef".parse().expect("legal");
    presigned
}

/// A job that was submitted at this moment, outside of any ledger.
pub(super) fn job_of(at: Timestamp) -> Job {
    Job::submitted(JobId::from_parts(at, 1), submission("a"), "uid:0".into(), at)
}

/// As far as it is counted.
fn second_of(at: Timestamp) -> Timestamp {
    Timestamp(at.0 / 1000 * 1000)
}

async fn submit(ledger: &Ledger, submission: Submission) -> Job {
    ledger.submit(submission, "uid:0").await.expect("accepted").job
}

async fn claim(ledger: &Ledger, room: Room) -> Option<Job> {
    ledger.claim(room, LEASE).await.expect("the disk works")
}

fn token(job: &Job) -> u64 {
    job.lease.as_ref().expect("claimed").token
}

fn plan(size: u64) -> Change {
    let source = Box::new(PinnedObject::bare(size, "e"));
    let plan = PartPlan::new(size, None, 64).expect("legal");
    Change::Plan { source, plan, warnings: vec![] }
}

fn upload() -> Change {
    Change::Upload(UploadId("u".into()))
}

fn fail(restart: bool) -> Change {
    Change::Fail { failure: Failure::new(FailureClass::Permanent, "no", ""), restart }
}

fn fact(number: u32) -> PartFact {
    let digest = PartDigest { len: 8 << 20, crc64nvme: 1, subtrees: vec![[7; 32]] };
    let number = PartNumber::new(number).expect("legal");
    PartFact { number, etag: "p".into(), digest, attempts: 1, bytes_sent: 8 << 20 }
}

/// A job with an upload at the target, and its lease's token.
async fn uploading(ledger: &Ledger, name: &str, size: u64) -> (JobId, u64) {
    let id = submit(ledger, submission(name)).await.id;
    let token = token(&claim(ledger, ANY).await.expect("just submitted"));
    for change in [plan(size), upload()] {
        ledger.apply(id, token, change).await.expect("legal");
    }
    (id, token)
}

fn receipt(job: &Job) -> Receipt {
    let side = || crate::model::ObjectRef {
        remote: "com".into(),
        partition: "aws".into(),
        account: None,
        region: "us-east-2".into(),
        bucket: "bucket".into(),
        key: "key".into(),
        version_id: None,
        etag: "e".into(),
        size: 1,
    };
    Receipt {
        job_id: job.id,
        kind: job.kind,
        source: Some(side()),
        target: Some(side()),
        blake3: "00".into(),
        crc64nvme: "AA".into(),
        verified_by: Some(crate::model::VerifiedBy::Readback),
        parts: 1,
        part_size: 1,
        bytes_sent: 1,
        attempts: 1,
        submitted_at: job.submitted_at,
        started_at: job.submitted_at,
        finished_at: job.submitted_at,
        daemon_version: "0".into(),
    }
}

/// The changes that end an upload well.
fn seal_publish_succeed(job: &Job) -> [Change; 3] {
    [
        Change::Seal(ObjectDigest { blake3: [0; 32], crc64nvme: 0 }),
        Change::Publish(PublishedObject { etag: "t".into(), version_id: None }),
        Change::Succeed(Box::new(receipt(job))),
    ]
}

fn keys(ledger: &Ledger, table: Table) -> Vec<Vec<u8>> {
    let tree = ledger.inner.desk.store.tree(table);
    tree.iter().keys().map(|key| key.expect("the disk works").to_vec()).collect()
}

fn jobs(ledger: &Ledger) -> Vec<Job> {
    let ids = keys(ledger, Table::Jobs);
    let job = |id: &Vec<u8>| ledger.get(key::id(id).expect("an id")).expect("a whole record");
    ids.iter().map(job).collect()
}

/// Every job and every index, against each other.
fn assert_consistent(ledger: &Ledger) {
    let ids = keys(ledger, Table::Jobs);
    let jobs: Vec<Job> = ids
        .iter()
        .map(|id| ledger.get(key::id(id).expect("an id")).expect("a whole record"))
        .collect();
    let sorted = |mut keys: Vec<Vec<u8>>| {
        keys.sort();
        keys
    };
    let queue = jobs.iter().filter_map(key::queue).map(|key| key.to_vec()).collect();
    assert_eq!(keys(ledger, Table::Queue), sorted(queue));
    let states = jobs.iter().map(|job| key::state(job.state, job.id).to_vec()).collect();
    assert_eq!(keys(ledger, Table::States), sorted(states));
    for (state, count) in ledger.counts().states {
        assert_eq!(count, jobs.iter().filter(|job| job.state == state).count() as u64, "{state:?}");
    }
    let mut waiting = Waiting::default();
    jobs.iter().for_each(|job| waiting.change(None, job.queued_since(), 1));
    assert_eq!(*ledger.inner.desk.waiting(), waiting);
    for job in &jobs {
        let parts = ledger.parts(job.id).expect("whole records");
        assert_eq!(parts.len(), job.progress.parts as usize);
        assert_eq!(parts.iter().map(|part| part.digest.len).sum::<u64>(), job.progress.bytes);
        assert!(parts.is_empty() || job.transfer != TransferState::Unplanned);
    }
    let (published, ring) = (*ledger.subscribe().borrow(), &ledger.inner.desk.events);
    let oldest = ring.oldest().unwrap_or(published + 1);
    let kept = ring.range(oldest, published, usize::MAX);
    assert!(kept.iter().zip(oldest..).all(|((cursor, _), due)| *cursor == due), "no gap");
    assert_eq!(oldest + kept.len() as u64, published + 1);
}
