//! Both bounds of every limit under a paused clock, over every ten seconds; and who gets how much.

use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::base::NoObserver;
use crate::model::Bandwidth;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const WINDOW: Duration = Duration::from_secs(10);
/// 100 Gbit/s.
const FASTEST: u64 = 12_500_000_000;

fn pace(limits: Limits) -> Arc<Pace> {
    Pace::new("gov", limits, Arc::new(NoObserver))
}

fn read(rate: u64) -> Limits {
    Limits { read_bandwidth: Some(Bandwidth(rate)), ..Limits::default() }
}

fn requests(rate: u32) -> Limits {
    Limits { requests_per_second: Some(rate), ..Limits::default() }
}

/// What passed, and when.
type Passes = Arc<Mutex<Vec<(Instant, u64)>>>;

/// Somebody who has always more to read, in frames that are handed on as the reader does.
async fn reads(pace: Arc<Pace>, frame: u64, passes: Passes) {
    loop {
        let mut left = frame;
        while left > 0 {
            let piece = left.min(pace.piece(Direction::Read).unwrap_or(u64::MAX));
            pace.bytes(Direction::Read, piece).await;
            passes.lock().expect("no panic").push((Instant::now(), piece));
            left -= piece;
        }
        tokio::task::yield_now().await;
    }
}

async fn asks(pace: Arc<Pace>, passes: Passes) {
    loop {
        pace.request().await;
        passes.lock().expect("no panic").push((Instant::now(), 1));
        tokio::task::yield_now().await;
    }
}

/// The least and the most that passed in any ten seconds which begin or end with a pass.
fn extremes(passes: &[(Instant, u64)], until: Instant) -> (u64, u64) {
    let (mut least, mut most, mut sum, mut end) = (u64::MAX, 0, 0, 0);
    for (start, (from, first)) in passes.iter().enumerate() {
        while passes.get(end).is_some_and(|(at, _)| *at < *from + WINDOW) {
            sum += passes[end].1;
            end += 1;
        }
        most = most.max(sum);
        sum -= first;
        // The window right after this pass, the moment ten seconds later included.
        if *from + WINDOW < until {
            let at_its_end: u64 = passes[end.max(start + 1)..]
                .iter()
                .take_while(|(at, _)| *at == *from + WINDOW)
                .map(|(_, n)| n)
                .sum();
            least = least.min(sum + at_its_end);
        }
    }
    (least, most)
}

/// Runs the waiters for 25 s of the paused clock.
async fn record(waiters: JoinSet<()>, passes: Passes) -> (u64, u64) {
    sleep(Duration::from_secs(25)).await;
    drop(waiters);
    let passes = passes.lock().expect("no panic");
    extremes(&passes, Instant::now())
}

fn assert_within(rate: u64, (least, most): (u64, u64), whole: u64, case: &str) {
    let wanted = u128::from(rate) * 10;
    let (least, most) = (u128::from(least), u128::from(most));
    assert!(most * 100 <= wanted * 101 + u128::from(whole) * 100, "{case}: {most} of {wanted}");
    assert!(least * 100 >= wanted * 97 - u128::from(whole) * 100, "{case}: {least} of {wanted}");
}

#[tokio::test(start_paused = true)]
async fn every_ten_seconds_of_bytes_are_within_their_bounds() {
    for (rate, frame) in [
        (MIB, 4 * KIB),
        (MIB, 400 * KIB),
        // What a cell of 64 bytes would have charged twice.
        (3_000_001, 65),
        (16 * MIB, 16 * KIB),
        (100 * MIB, 400 * KIB),
        // 5 Gbit/s: an interval of 102.4 ns, had its cells 64 bytes.
        (625_000_000, 400 * KIB),
        (GIB, 400 * KIB),
        (FASTEST, 8 * MIB),
    ] {
        for count in [1, 8, 64] {
            let (pace, passes) = (pace(read(rate)), Passes::default());
            let mut waiters = JoinSet::new();
            for _ in 0..count {
                waiters.spawn(reads(Arc::clone(&pace), frame, Arc::clone(&passes)));
            }
            let found = record(waiters, passes).await;
            assert_within(rate, found, 0, &format!("{count} of {frame} bytes at {rate}/s"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_ten_seconds_of_requests_are_within_their_bounds() {
    for rate in [1, 7, 100, 1_000, 5_000] {
        for count in [1, 8, 64] {
            let (pace, passes) = (pace(requests(rate)), Passes::default());
            let mut waiters = JoinSet::new();
            for _ in 0..count {
                waiters.spawn(asks(Arc::clone(&pace), Arc::clone(&passes)));
            }
            let found = record(waiters, passes).await;
            let whole = u64::from(rate < 1_000);
            assert_within(rate.into(), found, whole, &format!("{count} at {rate} requests/s"));
        }
    }
}

/// What was not used is not made up for, but for a burst; what comes and goes changes no sum.
#[tokio::test(start_paused = true)]
async fn rests_and_changes_and_quitters_make_no_room() {
    let (pace, passes) = (pace(read(MIB)), Passes::default());
    for round in 0_u64..200 {
        let mut waiters = JoinSet::new();
        for _ in 0..20 {
            waiters.spawn(reads(Arc::clone(&pace), 100 * KIB, Arc::clone(&passes)));
        }
        sleep(Duration::from_millis(37 * (round % 7))).await;
        waiters.shutdown().await;
        pace.set(read(MIB));
        sleep(Duration::from_millis(400 * u64::from(round % 19 == 0))).await;
    }
    let passes = passes.lock().expect("no panic");
    let (_, most) = extremes(&passes, Instant::now());
    assert!(most * 100 <= 10 * MIB * 101, "{most}");
}

#[tokio::test(start_paused = true)]
async fn an_absent_limit_never_waits() {
    let pace = pace(Limits::default());
    let began = Instant::now();
    pace.bytes(Direction::Read, u64::MAX / 2).await;
    pace.bytes(Direction::Write, u64::MAX / 2).await;
    pace.request().await;
    assert!(!pace.is_waiting());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// Both directions and requests, for those who stand at the gate and those far behind.
#[tokio::test(start_paused = true)]
async fn a_change_reaches_everybody_within_a_second() {
    let slow = Limits {
        read_bandwidth: Some(Bandwidth(1)),
        write_bandwidth: Some(Bandwidth(1)),
        requests_per_second: Some(1),
    };
    let fast = Limits {
        read_bandwidth: Some(Bandwidth(GIB)),
        write_bandwidth: Some(Bandwidth(GIB)),
        requests_per_second: Some(5_000),
    };
    for changed in [fast, Limits::default()] {
        let pace = pace(slow);
        let mut waiters = JoinSet::new();
        for _ in 0..64 {
            for direction in [Direction::Read, Direction::Write] {
                let pace = Arc::clone(&pace);
                waiters.spawn(async move { pace.bytes(direction, MIB).await });
            }
            let pace = Arc::clone(&pace);
            waiters.spawn(async move { pace.request().await });
        }
        sleep(Duration::from_millis(500)).await;
        assert!(pace.is_waiting());
        pace.set(changed);
        let done = timeout(Duration::from_secs(1), waiters.join_all()).await;
        assert!(done.is_ok(), "{changed:?}");
    }
    let pace = pace(fast);
    pace.bytes(Direction::Read, 10 * GIB).await;
    pace.set(slow);
    let held = timeout(Duration::from_secs(10), pace.bytes(Direction::Read, MIB)).await;
    assert!(held.is_err(), "the lower limit holds");
}

/// How much each of some jobs gets, by priority and waiters, over 20 s at 10 MiB/s.
async fn shares<const N: usize>(jobs: [(i32, usize); N]) -> [f64; N] {
    let pace = pace(read(10 * MIB));
    let mut waiters = JoinSet::new();
    let passes = jobs.map(|(priority, count)| {
        let (job, passes) = (pace.of(&Share::new(priority)), Passes::default());
        for _ in 0..count {
            waiters.spawn(reads(Arc::clone(&job), 64 * KIB, Arc::clone(&passes)));
        }
        passes
    });
    sleep(Duration::from_secs(20)).await;
    drop(waiters);
    let sum = |passes: Passes| -> u64 { passes.lock().expect("fine").iter().map(|p| p.1).sum() };
    #[allow(clippy::cast_precision_loss, reason = "a share")]
    let sums = passes.map(|passes| sum(passes) as f64);
    let all: f64 = sums.iter().sum();
    sums.map(|sum| sum / all)
}

#[tokio::test(start_paused = true)]
async fn jobs_share_a_limit_by_priority_and_not_by_parts() {
    let [many, one] = shares([(0, 60), (0, 1)]).await;
    assert!((many - 0.5).abs() < 0.02 && (one - 0.5).abs() < 0.02, "{many} {one}");
    for (counts, case) in [((60, 1), "many first"), ((1, 60), "one first"), ((1, 1), "one each")] {
        let [high, low] = shares([(50, counts.0), (0, counts.1)]).await;
        assert!((high - 0.8).abs() < 0.02, "{case}: {high} {low}");
    }
    let [highest, lowest] = shares([(100, 60), (-100, 1)]).await;
    assert!((highest - 256.0 / 257.0).abs() < 0.002 && lowest > 0.0, "{highest} {lowest}");
    let [a, b, c] = shares([(7, 3), (7, 30), (7, 1)]).await;
    assert!([a, b, c].iter().all(|share| (share - 1.0 / 3.0).abs() < 0.02), "{a} {b} {c}");
}

#[tokio::test(start_paused = true)]
async fn another_priority_counts_within_a_second() {
    let pace = pace(read(10 * MIB));
    let shares = [Share::new(0), Share::new(0)];
    let mut waiters = JoinSet::new();
    let passes = shares.each_ref().map(|share| {
        let (job, passes) = (pace.of(share), Passes::default());
        for _ in 0..10 {
            waiters.spawn(reads(Arc::clone(&job), 64 * KIB, Arc::clone(&passes)));
        }
        passes
    });
    sleep(Duration::from_secs(5)).await;
    shares[0].set_priority(50);
    sleep(Duration::from_secs(1)).await;
    passes.iter().for_each(|passes| passes.lock().expect("no panic").clear());
    sleep(Duration::from_secs(5)).await;
    let [high, low] = passes.map(|passes| passes.lock().expect("no panic").len());
    assert!((76..=84).contains(&(high * 100 / (high + low))), "{high} to {low}");
}

/// A job that comes late, or again, is served as the others are: neither first for long, nor last.
#[tokio::test(start_paused = true)]
async fn who_comes_late_neither_makes_up_for_it_nor_pays() {
    let pace = pace(read(10 * MIB));
    let (old, new) = (pace.of(&Share::new(0)), pace.of(&Share::new(0)));
    let (of_old, of_new) = (Passes::default(), Passes::default());
    let mut waiters = JoinSet::new();
    waiters.spawn(reads(old, 64 * KIB, Arc::clone(&of_old)));
    sleep(Duration::from_secs(60)).await;
    of_old.lock().expect("no panic").clear();
    waiters.spawn(reads(new, 64 * KIB, Arc::clone(&of_new)));
    sleep(Duration::from_secs(2)).await;
    let [old, new] = [of_old, of_new].map(|passes| passes.lock().expect("no panic").len());
    assert!(old.abs_diff(new) <= 2, "{old} to {new}");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_nothing_behind() {
    let pace = pace(read(MIB));
    let quitters = pace.of(&Share::new(100));
    let mut waiters = JoinSet::new();
    for _ in 0..1_000 {
        let quitters = Arc::clone(&quitters);
        waiters.spawn(async move { quitters.bytes(Direction::Read, GIB).await });
    }
    sleep(Duration::from_secs(1)).await;
    waiters.shutdown().await;
    let began = Instant::now();
    pace.bytes(Direction::Read, MIB).await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(1_100), "what they asked for is not charged: {took:?}");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(pace.shared.read.lanes(), 0);
    assert!(!quitters.is_waiting() && !pace.is_waiting());
}
