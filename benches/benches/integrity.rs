//! What proof costs: hashing a part as its frames pass, the CRC alone, and merging a large object.

use std::hint::black_box;
use std::time::Duration;

use causewayd::integrity::{self, PartHasher};
use causewayd::model::{ByteRange, PartDigest, PartPlan};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const KIB: usize = 1 << 10;
const MIB: u64 = 1 << 20;
/// A TLS record, a default read buffer, and what arrives when nothing splits it.
const FRAMES: [usize; 3] = [16 * KIB, 64 * KIB, 400 * KIB];
const PART: u64 = 64 * MIB;

fn part(c: &mut Criterion) {
    let object_size = 100 * PART;
    let range = ByteRange { start: 3 * PART, len: PART };
    let bytes = vec![0xa5; 64 << 20];
    let mut group = c.benchmark_group("part");
    group.throughput(Throughput::Bytes(PART)).measurement_time(Duration::from_secs(4));
    group.sample_size(20);
    for frame in FRAMES {
        group.bench_function(BenchmarkId::new("frames", frame / KIB), |b| {
            b.iter(|| {
                let mut hasher = PartHasher::new(object_size, range);
                bytes.chunks(frame).for_each(|frame| hasher.update(black_box(frame)));
                hasher.finish()
            });
        });
    }
    group.finish();
}

fn crc(c: &mut Criterion) {
    let mut group = c.benchmark_group("crc64nvme");
    for frame in FRAMES {
        let bytes = vec![0xa5; frame];
        group.throughput(Throughput::Bytes(frame as u64));
        group.bench_function(BenchmarkId::new("frame", frame / KIB), |b| {
            b.iter(|| integrity::crc64nvme(black_box(&bytes)));
        });
    }
    group.finish();
}

/// 10,000 parts of 512 MiB: what sealing a 5 TB image takes before Complete.
fn merge(c: &mut Criterion) {
    let part_size = 512 * MIB;
    let plan = PartPlan::new(10_000 * part_size, Some(part_size), 64).expect("legal");
    // The merge does not look into the values: any part of one subtree will do, and the first, which
    // has its own shape, is like the others.
    let digest = PartDigest { len: part_size, crc64nvme: 7, subtrees: vec![[1; 32]] };
    let parts = vec![digest; 10_000];
    integrity::merge(plan, &parts).expect("the digests fit the plan");
    c.bench_function("merge/10000", |b| b.iter(|| integrity::merge(plan, black_box(&parts))));
}

criterion_group!(benches, part, crc, merge);
criterion_main!(benches);
