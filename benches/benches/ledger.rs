//! What durability costs: a submission, a claim, a part's fact and a small job's whole life, each on disk
//! before it is answered, by one caller and by the many whose flushes are shared.

use std::sync::Arc;
use std::time::Duration;

use causewayd::base::NoObserver;
use causewayd::base::Room;
use causewayd::ledger::Ledger;
use causewayd::model::{
    Change, Job, ObjectDigest, ObjectRef, PartDigest, PartFact, PartNumber, PartPlan, PinnedObject,
    PublishedObject, Receipt, Submission, TransferSpec, UploadId, VerifiedBy,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const CALLERS: [u32; 2] = [1, 64];
const ANY: Room = Room { small: 1, others: 1, large: 1, images: 0 };
const LEASE: Duration = Duration::from_secs(3600);
/// 10,000 parts.
const LARGEST: u64 = 5_000_000_000_000;

fn submission() -> Submission {
    let spec = TransferSpec::new(
        "commercial:images/ami-0abc.bin".parse().expect("legal"),
        "gov:landing/ami-0abc.bin".parse().expect("legal"),
    );
    Submission::new(spec)
}

fn fact(number: u32) -> PartFact {
    let digest = PartDigest { len: LARGEST / 10_000, crc64nvme: 1, subtrees: vec![[7; 32]; 12] };
    let number = PartNumber::new(number).expect("legal");
    PartFact { number, etag: "e".repeat(32), digest, attempts: 1, bytes_sent: LARGEST / 10_000 }
}

fn plan(size: u64) -> Change {
    let source = Box::new(PinnedObject::bare(size, &"e".repeat(32)));
    let plan = PartPlan::new(size, None, 64).expect("legal");
    Change::Plan { source, plan, warnings: vec![] }
}

fn receipt(job: &Job) -> Box<Receipt> {
    let side = |remote: &str| ObjectRef {
        remote: remote.into(),
        partition: "aws".into(),
        account: Some("111122223333".into()),
        region: "us-east-2".into(),
        bucket: "images".into(),
        key: "ami-0abc.bin".into(),
        version_id: None,
        etag: "e".repeat(32),
        size: 256 << 10,
    };
    Box::new(Receipt {
        job_id: job.id,
        kind: job.kind,
        source: Some(side("commercial")),
        target: Some(side("gov")),
        blake3: "0".repeat(64),
        crc64nvme: "AAAAAAAAAAA=".into(),
        verified_by: Some(VerifiedBy::S3Checksum),
        parts: 1,
        part_size: 256 << 10,
        bytes_sent: 256 << 10,
        attempts: 1,
        submitted_at: job.submitted_at,
        started_at: job.submitted_at,
        finished_at: job.submitted_at,
        daemon_version: "0".into(),
    })
}

/// What the worker of a small object writes, and what of it it waits for.
async fn carry(ledger: &Ledger, job: &Job) {
    let token = job.lease.as_ref().expect("claimed").token;
    ledger.note(job.id, token, plan(256 << 10)).expect("ours");
    let digest = ObjectDigest { blake3: [0; 32], crc64nvme: 0 };
    ledger.apply(job.id, token, Change::Seal(digest)).await.expect("ours");
    let target = PublishedObject { etag: "t".repeat(32), version_id: None };
    ledger.note(job.id, token, Change::Publish(target)).expect("ours");
    ledger.apply(job.id, token, Change::Succeed(receipt(job))).await.expect("ours");
}

/// A claimed job of 10,000 parts whose upload has begun.
async fn uploading(ledger: &Ledger) -> (Job, u64) {
    ledger.submit(submission(), "uid:0").await.expect("room");
    let job = ledger.claim(ANY, LEASE).await.expect("readable").expect("just submitted");
    let token = job.lease.as_ref().expect("claimed").token;
    ledger.apply(job.id, token, plan(LARGEST)).await.expect("ours");
    let job = ledger.apply(job.id, token, Change::Upload(UploadId("u".into()))).await;
    (job.expect("ours"), token)
}

fn in_a_ledger(c: &mut Criterion, measure: impl Fn(&mut Criterion, &Runtime, &Ledger)) {
    let runtime = Runtime::new().expect("threads");
    let dir = tempfile::tempdir().expect("room");
    let ledger = runtime.block_on(async { Ledger::open(dir.path(), Arc::new(NoObserver)) });
    let ledger = ledger.expect("a directory of our own");
    measure(c, &runtime, &ledger);
    runtime.block_on(ledger.close()).expect("on disk");
}

fn submit(c: &mut Criterion) {
    in_a_ledger(c, |c, runtime, ledger| {
        let mut group = c.benchmark_group("submit");
        group.measurement_time(Duration::from_secs(4)).sample_size(20);
        for callers in CALLERS {
            group.throughput(Throughput::Elements(callers.into()));
            group.bench_function(BenchmarkId::new("callers", callers), |b| {
                let submit = async || {
                    let one = |_| ledger.submit(submission(), "uid:0");
                    futures::future::join_all((0..callers).map(one)).await
                };
                b.iter(|| runtime.block_on(submit()));
            });
        }
    });
}

fn claim(c: &mut Criterion) {
    in_a_ledger(c, |c, runtime, ledger| {
        let claim = async || {
            ledger.submit(submission(), "uid:0").await.expect("room");
            ledger.claim(ANY, LEASE).await.expect("readable").expect("just submitted")
        };
        c.bench_function("submit and claim", |b| b.iter(|| runtime.block_on(claim())));
    });
}

fn part(c: &mut Criterion) {
    in_a_ledger(c, |c, runtime, ledger| {
        let (job, token) = runtime.block_on(uploading(ledger));
        let mut group = c.benchmark_group("part");
        group.measurement_time(Duration::from_secs(4)).sample_size(20);
        for callers in CALLERS {
            group.throughput(Throughput::Elements(callers.into()));
            group.bench_function(BenchmarkId::new("callers", callers), |b| {
                let record = async || {
                    let one = |number| ledger.record_part(job.id, token, fact(number));
                    futures::future::join_all((1..=callers).map(one)).await
                };
                b.iter(|| runtime.block_on(record()));
            });
        }
    });
}

fn life(c: &mut Criterion) {
    in_a_ledger(c, |c, runtime, ledger| {
        let mut group = c.benchmark_group("a small job's life");
        group.measurement_time(Duration::from_secs(4)).sample_size(20);
        for callers in CALLERS {
            group.throughput(Throughput::Elements(callers.into()));
            group.bench_function(BenchmarkId::new("callers", callers), |b| {
                let live = async || {
                    let one = |_| ledger.submit(submission(), "uid:0");
                    futures::future::join_all((0..callers).map(one)).await;
                    let room = Room { small: callers as usize, ..ANY };
                    let jobs = ledger.claim_many(room, LEASE).await.expect("readable");
                    futures::future::join_all(jobs.iter().map(|job| carry(ledger, job))).await
                };
                b.iter(|| runtime.block_on(live()));
            });
        }
    });
}

criterion_group!(benches, submit, claim, part, life);
criterion_main!(benches);
