//! The real daemon, killed again and again under load: nothing is lost, nothing is wrong, and what is
//! sent again is bounded by what was in flight.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{World, images};
use sandbox::{Action, Attributes, Fault};

const KILLS: u64 = 50;
const PARTS_IN_FLIGHT: u64 = 8;
const MIB: usize = 1 << 20;
/// Twenty jobs: empty, by PutObject, of a few parts, and of many.
const SIZES: [usize; 20] = [
    0,
    1,
    1000,
    100_000,
    MIB,
    3 * MIB,
    8 * MIB,
    8 * MIB + 1,
    9 * MIB,
    12 * MIB,
    16 * MIB,
    17 * MIB,
    20 * MIB,
    25 * MIB,
    32 * MIB,
    40 * MIB,
    50 * MIB,
    64 * MIB,
    100 * MIB,
    150 * MIB,
];

/// The daemon of a moment, from its start to its death after so many milliseconds.
async fn live_for(world: &World, millis: u64) -> Result<()> {
    let daemon = world.spawn(&[])?;
    tokio::time::sleep(Duration::from_millis(millis)).await;
    daemon.kill()
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

/// At least [`KILLS`] times; with `CAUSEWAY_SOAK_MINUTES` for as long as that.
#[tokio::test(flavor = "multi_thread")]
async fn killed_fifty_times_it_carries_everything_and_sends_little_again() -> Result<()> {
    let soak = std::env::var("CAUSEWAY_SOAK_MINUTES").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(60 * soak.unwrap_or(0));
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
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", i64::try_from(PARTS_IN_FLIGHT)?)?;
    // Slow enough that there is work left to kill.
    let slow = Fault::on("UploadPart", Action::DelayMs(400));
    world.gov.faults([slow, Fault::on("PutObject", Action::DelayMs(400))]);
    for (number, size) in SIZES.into_iter().enumerate() {
        let key = format!("{number}.bin");
        world.commercial.put("images", &key, images(size), Attributes::default()).await?;
    }
    let daemon = world.start().await?;
    for number in 0..SIZES.len() {
        submit(&world, number).await?;
    }
    daemon.kill()?;
    let mut random = 0x2545_f491_4f6c_dd1d ^ seed;
    let mut kills = 1;
    while kills < KILLS {
        random = u64::wrapping_mul(random ^ (random >> 12), 0x2545_f491_4f6c_dd1d);
        live_for(&world, 30 + (random >> 32) % 370).await?;
        kills += 1;
    }
    let unfinished = kills;
    world.gov.faults([]);
    let daemon = world.start().await?;
    world.causeway(&["watch"]).await?;
    check(&world, unfinished).await?;
    drop(daemon);
    Ok(())
}

async fn check(world: &World, kills: u64) -> Result<()> {
    let jobs = world.causeway(&["--output", "json", "jobs", "--limit", "100"]).await?.lines()?;
    ensure!(jobs.len() == SIZES.len(), "{} jobs of {}", jobs.len(), SIZES.len());
    for job in &jobs {
        ensure!(job["state"] == "succeeded", "{job}");
    }
    let mut parts = 0;
    for (number, size) in SIZES.into_iter().enumerate() {
        let key = format!("{number}.bin");
        let object = world.gov.object("landing", &key).with_context(|| format!("no {key}"))?;
        ensure!(object.bytes().await? == images(size), "other bytes landed at {key}");
        parts += object.parts.len() as u64;
    }
    ensure!(world.gov.keys("landing").len() == SIZES.len(), "something else was written");
    ensure!(world.gov.uploads().is_empty(), "uploads are left: {:?}", world.gov.uploads());
    let stats = world.gov.stats();
    let sent = stats.logged("UploadPart").filter(|call| call.status == Some(200)).count() as u64;
    // The probe sends a part, too, after each death until its answer is remembered.
    let again = sent.saturating_sub(parts);
    println!(
        "{kills} kills; {} jobs; {parts} parts, {again} sent again; 0 jobs lost, 0 objects wrong, 0 \
         uploads left",
        jobs.len()
    );
    ensure!(again <= kills * PARTS_IN_FLIGHT, "{again} parts were sent again in {kills} kills");
    Ok(())
}
