//! The ledger's disk on its worst days: nothing is acknowledged that is not on it, running transfers
//! stand still and say why, and go on from where they were.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Broken, FailingDisk, LogCheck, SmallDisk, World, images};
use nix::sys::signal::Signal;
use sandbox::{Action, Fault};

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";
const SIZE: usize = 100 << 20;
const PARTS_IN_FLIGHT: usize = 2;
const PARTS: usize = SIZE / (5 << 20);

/// A world with one source object, and parts that take a moment.
async fn world() -> Result<(World, Vec<u8>)> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", i64::try_from(PARTS_IN_FLIGHT)?)?;
    let bytes = images(SIZE);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(500))]);
    Ok((world, bytes))
}

/// Submits the job and waits until it is well under way.
async fn under_way(world: &World) -> Result<String> {
    let id = world.submit(&[SOURCE, TARGET, "--part-size", "5MiB"]).await?;
    world.until(&id, |job| job["parts_done"].as_u64() >= Some(3)).await?;
    Ok(id)
}

fn assert_few_sent_again(world: &World, at_most: usize) -> Result<()> {
    let again = world.parts_acknowledged().len() - PARTS;
    eprintln!("{PARTS} parts, {again} sent again");
    ensure!(again <= at_most, "{again} parts were sent again");
    Ok(())
}

/// A full disk stops the transfer where it is: no attempt is burnt, and no part is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_pauses_what_runs_until_there_is_room() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tried: to mount a small disk takes root");
        return Ok(());
    }
    let (world, bytes) = world().await?;
    let disk = SmallDisk::mount(world.path("data"), 200)?;
    let daemon = world.start().await?;
    let id = under_way(&world).await?;

    disk.fill(8 << 20)?;
    world.told(&id, &["the ledger cannot write", "free", "make room"]).await?;
    daemon.is_not_ready("make room").await?;
    let refused = world.causeway(&["submit", SOURCE, "gov:landing/other.bin"]).await?;
    ensure!(refused.code != 0 && refused.stderr.contains("make room"), "{refused:?}");
    ensure!(world.gov.object("landing", "ami-0abc.bin").is_none(), "it went on");

    disk.clear()?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    assert_few_sent_again(&world, 0)?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["attempts"] == 1, "room that is made again is no new attempt: {job}");
    ensure!(daemon.get("/readyz").await?.starts_with("HTTP/1.1 200"), "ready again");
    daemon.stop(LogCheck::Expected(&["the ledger cannot write", "cannot renew the lease"])).await
}

/// Nothing can be written down, so there is nothing to wait for longer than the drain timeout.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_on_a_full_disk_can_be_stopped_and_goes_on_later() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not tried: to mount a small disk takes root");
        return Ok(());
    }
    let (world, bytes) = world().await?;
    let disk = SmallDisk::mount(world.path("data"), 200)?;
    let mut daemon = world.start().await?;
    let id = under_way(&world).await?;
    disk.fill(8 << 20)?;
    world.told(&id, &["the ledger cannot write"]).await?;
    daemon.signal(Signal::SIGTERM)?;
    let status = daemon.wait().await?;
    ensure!(status.success(), "{status}\n{}", daemon.log());
    disk.clear()?;
    let daemon = world.start().await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    assert_few_sent_again(&world, PARTS_IN_FLIGHT)?;
    drop(daemon);
    Ok(())
}

async fn a_broken_disk_is_survived(broken: Broken) -> Result<()> {
    let (world, bytes) = world().await?;
    let data = world.path("data");
    let disk = FailingDisk::new(&world.path(""), &data)?;
    let mut daemon = world.spawn(&disk.env())?.ready().await?;
    let id = under_way(&world).await?;

    disk.breaks(broken)?;
    world.told(&id, &["the ledger cannot write"]).await?;
    daemon.is_not_ready("database failed").await?;
    let refused = world.causeway(&["submit", SOURCE, "gov:landing/other.bin"]).await?;
    ensure!(refused.code != 0 && refused.stderr.contains("database failed"), "{refused:?}");
    if let Broken::Syncs = broken {
        // Longer than a lease goes without being renewed.
        tokio::time::sleep(Duration::from_secs(25)).await;
        world.told(&id, &["the ledger cannot write", "check the disk"]).await?;
    }
    ensure!(world.gov.object("landing", "ami-0abc.bin").is_none(), "it went on");

    // What the kernel took before it failed is not known: only another process can open the database.
    disk.mends()?;
    let ended = daemon.wait().await?;
    ensure!(ended.code() == Some(1), "systemd starts it again: {ended}");
    daemon.says("to be started anew").await?;
    let daemon = world.start().await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    assert_few_sent_again(&world, PARTS_IN_FLIGHT)?;
    let jobs = world.causeway(&["--output", "json", "jobs"]).await?.lines()?;
    ensure!(jobs.len() == 1, "what was refused is not there: {jobs:?}");
    drop(daemon);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_acknowledges_nothing_and_the_next_process_goes_on() -> Result<()> {
    a_broken_disk_is_survived(Broken::Syncs).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_is_survived_like_one_that_fails() -> Result<()> {
    a_broken_disk_is_survived(Broken::Writes).await
}
