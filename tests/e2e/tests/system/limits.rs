//! Limits by the clock: what a job does while a side's schedule lets nothing pass, and who ends that.

use anyhow::{Result, ensure};
use e2e::{Daemon, LogCheck, World, images};
use nix::sys::signal::Signal;
use serde_json::Value;

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";
const SCHEDULE: &str = "remotes.gov.limits.schedule";

/// A list of one entry, which pauses all days and nights.
fn always_paused() -> toml::Value {
    let keys = [("from", "00:00".into()), ("to", "24:00".into()), ("paused", true.into())];
    let entry: toml::Table = keys.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
    toml::Value::Array(vec![entry.into()])
}

/// Writes the configuration again and has it read.
async fn reload(world: &mut World, daemon: &Daemon, schedule: toml::Value) -> Result<()> {
    world.config.set(SCHEDULE, schedule)?;
    world.config.write()?;
    daemon.signal(Signal::SIGHUP)
}

fn waits_for_its_hour(job: &Value) -> bool {
    job["wait_reason"] == "schedule"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_side_is_asked_for_nothing_until_its_hour_comes() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set(SCHEDULE, always_paused())?;
    let bytes = images(20 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    let limits = world.causeway(&["limits"]).await?.expect_code(0)?;
    ensure!(limits.stdout.contains("paused by schedule entry 1"), "{limits:?}");
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.told(&id, &["schedule", "gov is paused by its schedule"]).await?;
    ensure!(world.gov.stats().log.is_empty(), "the target was asked");
    reload(&mut world, &daemon, toml::Value::Array(vec![])).await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let receipt = world.json(&["receipt", &id]).await?;
    ensure!(receipt["attempts"] == 1, "waiting is no attempt: {receipt}");
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gives_back_its_parts_when_its_hour_ends_and_a_person_may_prolong_it() -> Result<()> {
    let (mut world, daemon, bytes) = World::slow().await?;
    let id = world.submit(&[SOURCE, TARGET, "--part-size", "8MiB"]).await?;
    world.until(&id, |job| job["parts_done"].as_u64() >= Some(2)).await?;
    reload(&mut world, &daemon, always_paused()).await?;
    let waiting = world.until(&id, waits_for_its_hour).await?;
    ensure!(waiting["state"] == "running", "{waiting}");
    let before = world.parts_acknowledged().len();
    ensure!(before < 12, "all parts had passed");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    ensure!(world.parts_acknowledged().len() == before, "parts pass all the same");
    let status = daemon.get("/metrics").await?;
    let none = "causeway_parts_in_flight{direction=\"write\",remote=\"gov\"} 0";
    ensure!(status.contains(none), "parts are in flight");

    world
        .causeway(&["limits", "set", "gov", "--write-bandwidth", "1GiB/s"])
        .await?
        .expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    ensure!(world.parts_acknowledged().len() == 12, "a part was sent twice");
    ensure!(world.json(&["receipt", &id]).await?["attempts"] == 1, "an attempt was burnt");
    daemon.stop(LogCheck::Clean).await
}

/// Who asks for it to end does not wait for the morning.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_its_hour_can_be_cancelled() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set(SCHEDULE, always_paused())?;
    world.put("ami-0abc.bin", images(20 << 20)).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, waits_for_its_hour).await?;
    world.causeway(&["cancel", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    daemon.stop(LogCheck::Clean).await
}
