//! The real daemon, killed again and again under load: nothing is lost, nothing is wrong, and what is
//! sent again is bounded by what was in flight.
//!
//! Every kill finds work: the target takes its time for each part, so that some are under way, and in
//! between the daemon lives long enough to have some acknowledged. Both are counted, and asserted.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{Daemon, World};
use sandbox::{Action, Attributes, Endpoint, EndpointOptions, Fault, Synthetic};
use tempfile::TempDir;

/// Of one round, each with work left.
const KILLS: u64 = 50;
const PARTS_IN_FLIGHT: u64 = 4;
const MIB: u64 = 1 << 20;
const PART: u64 = 5 * MIB;
/// What the target takes for a part, beside the bytes.
const PART_MS: u64 = 200;
/// Lives of so many milliseconds: most of them once the daemon takes work, however long that takes on a
/// busy host, and some from their very start.
const LIFE_MS: u64 = 800;
const START_MS: u64 = 200;
/// Empty, by PutObject, of a few parts, and of many.
const SIZES: [u64; 20] = [
    0,
    1,
    100_000,
    3 * MIB,
    8 * MIB,
    8 * MIB + 1,
    12 * MIB,
    17 * MIB,
    25 * MIB,
    32 * MIB,
    40 * MIB,
    64 * MIB,
    200 * MIB,
    250 * MIB,
    300 * MIB,
    300 * MIB + 1,
    400 * MIB,
    400 * MIB + 1,
    450 * MIB,
    450 * MIB + 1,
];

/// What the kills of one round met.
#[derive(Debug, Default)]
struct Kills {
    count: u64,
    /// With parts on their way.
    in_flight: u64,
    /// After at least one part more was acknowledged.
    after_progress: u64,
}

fn object(number: usize) -> Synthetic {
    Synthetic::new(number as u64, SIZES[number])
}

fn acknowledged(gov: &Endpoint) -> u64 {
    gov.stats().logged("UploadPart").filter(|call| call.status == Some(200)).count() as u64
}

/// Submits one job; returns once it is acknowledged.
async fn submit(world: &World, number: usize) -> Result<()> {
    let (source, key) = (format!("commercial:images/{number}.bin"), format!("key-{number}"));
    let target = format!("gov:landing/{number}.bin");
    let args =
        ["submit", &source, &target, "--part-size", "5MiB", "--idempotency-key", key.as_str()];
    let submitted = world.causeway(&args).await?;
    submitted.expect_code(0)?;
    Ok(())
}

/// At least [`KILLS`] times; with `CAUSEWAY_SOAK_SECONDS` for as long as that.
#[tokio::test(flavor = "multi_thread")]
async fn killed_fifty_times_it_carries_everything_and_sends_little_again() -> Result<()> {
    let soak = std::env::var("CAUSEWAY_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(soak.unwrap_or(0));
    let mut rounds = 0;
    loop {
        round(rounds).await?;
        rounds += 1;
        if Instant::now() >= until {
            return Ok(());
        }
    }
}

async fn round(seed: u64) -> Result<()> {
    let landed = TempDir::with_prefix("causeway-landed-")?;
    let gov = EndpointOptions::gov().bucket("landing");
    let gov = EndpointOptions { directory: Some(landed.path().to_owned()), ..gov };
    let mut world = World::of(EndpointOptions::commercial().bucket("images"), gov).await?;
    world.config.set("transfer.max_parts_in_flight", i64::try_from(PARTS_IN_FLIGHT)?)?;
    for number in 0..SIZES.len() {
        let key = format!("{number}.bin");
        world.commercial.put("images", &key, object(number), Attributes::default()).await?;
    }
    let daemon = world.start().await?;
    // Slow enough that there is work left to kill.
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(PART_MS))]);
    for number in 0..SIZES.len() {
        submit(&world, number).await?;
    }
    daemon.kill()?;
    let kills = kill_again_and_again(&world, seed).await?;
    world.gov.faults([]);
    let daemon = world.start().await?;
    world.causeway(&["watch"]).await?;
    check(&world, &kills).await?;
    drop(daemon);
    Ok(())
}

async fn live_for(daemon: Daemon, millis: u64) -> Daemon {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    daemon
}

async fn kill_again_and_again(world: &World, seed: u64) -> Result<Kills> {
    let mut random = 0x2545_f491_4f6c_dd1d ^ seed;
    let mut kills = Kills { count: 1, ..Kills::default() };
    let mut before = acknowledged(&world.gov);
    while kills.count < KILLS + 1 {
        random = u64::wrapping_mul(random ^ (random >> 12), 0x2545_f491_4f6c_dd1d);
        let daemon = match random >> 61 {
            0 => live_for(world.spawn(&[])?, (random >> 32) % START_MS).await,
            _ => live_for(world.start().await?, (random >> 32) % LIFE_MS).await,
        };
        let parts = world.gov.stats().operations.get("UploadPart").map_or(0, |s| s.in_flight);
        daemon.kill()?;
        // What is not there has no job that ended.
        let there = world.gov.keys("landing").len();
        ensure!(there < SIZES.len(), "kill {} found nothing to do", kills.count);
        let after = acknowledged(&world.gov);
        kills.count += 1;
        kills.in_flight += u64::from(parts > 0);
        kills.after_progress += u64::from(after > before);
        before = after;
    }
    Ok(kills)
}

async fn check(world: &World, kills: &Kills) -> Result<()> {
    let jobs = world.causeway(&["--output", "json", "jobs", "--limit", "100"]).await?.lines()?;
    ensure!(jobs.len() == SIZES.len(), "{} jobs of {}", jobs.len(), SIZES.len());
    for job in &jobs {
        ensure!(job["state"] == "succeeded", "{job}");
    }
    let mut parts = 0;
    for (number, size) in SIZES.into_iter().enumerate() {
        let key = format!("{number}.bin");
        let landed = world.gov.object("landing", &key).with_context(|| format!("no {key}"))?;
        let whole = landed.size() == size;
        let same = whole && object(number).matches(0, &landed.bytes().await?);
        ensure!(same, "other bytes landed at {key}");
        parts += landed.parts.len() as u64;
    }
    ensure!(world.gov.keys("landing").len() == SIZES.len(), "something else was written");
    ensure!(world.gov.uploads().is_empty(), "uploads are left: {:?}", world.gov.uploads());
    // The probe sends a part, too, after each death until its answer is remembered.
    let again = acknowledged(&world.gov).saturating_sub(parts);
    let stats = world.gov.stats();
    let sent = |operation: &str| stats.operations.get(operation).map_or(0, |s| s.bytes_in);
    let moved = sent("UploadPart") + sent("PutObject");
    let moved_again = moved.saturating_sub(SIZES.iter().sum());
    let Kills { count, in_flight, after_progress } = kills;
    println!(
        "{count} kills, each with work left, {in_flight} with parts in flight, {after_progress} after \
         progress; {} jobs; {parts} parts, {again} sent again; {} MiB moved, {} MiB again; 0 jobs \
         lost, 0 objects wrong, 0 uploads left",
        jobs.len(),
        moved / MIB,
        moved_again / MIB
    );
    let bound = count * PARTS_IN_FLIGHT;
    ensure!(again <= bound, "{again} parts were sent again in {count} kills");
    ensure!(moved_again <= bound * PART, "{moved_again} bytes were sent again in {count} kills");
    ensure!(*in_flight >= KILLS / 2, "only {in_flight} kills met parts in flight");
    ensure!(*after_progress >= KILLS / 2, "only {after_progress} kills came after progress");
    Ok(())
}
