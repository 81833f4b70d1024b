//! The daemon ends in the middle, one way or another, and is started again.

use anyhow::{Context as _, Result, ensure};
use e2e::{LogCheck, World, images};
use nix::sys::signal::Signal;
use sandbox::{Action, Attributes, Fault, Side};
use serde_json::Value;

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";

/// The parts that the ledger has, as `show` tells them.
fn parts_in_the_ledger(job: &Value) -> Result<Vec<u32>> {
    let parts = job["parts"].as_array().context("show tells of parts")?;
    let done = parts.iter().filter(|part| part["state"] == "done");
    done.map(|part| Ok(u32::try_from(part["number"].as_u64().context("numbered")?)?)).collect()
}

fn some_parts_are_done(job: &Value) -> bool {
    job["parts_done"].as_u64().is_some_and(|parts| parts >= 8)
}

/// SIGKILL in the middle of 1 GiB: no part that the ledger knew is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_it_goes_on_from_its_parts() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", 4)?;
    // Slow enough to be caught in the middle, whatever this machine can do.
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(40))]);
    let bytes = images(1 << 30);
    world.commercial.put("images", "ami-0abc.bin", bytes.clone(), Attributes::default()).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    let before = world.until(&id, some_parts_are_done).await?;
    daemon.kill()?;
    world.let_it_land().await?;
    let in_ledger = parts_in_the_ledger(&before)?;
    let sent_before = world.parts_acknowledged().len();

    let daemon = world.start().await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let receipt = world.json(&["receipt", &id]).await?;
    ensure!(receipt["attempts"] == 2, "{receipt}");
    let parts = receipt["parts"].as_u64().unwrap_or_default();
    let sent = world.parts_acknowledged();
    let again = sent.len() as u64 - parts;
    eprintln!(
        "{parts} parts; {} in the ledger when last seen; {sent_before} acknowledged before the kill; {again} sent again",
        in_ledger.len()
    );
    let sent_later = &sent[sent_before..];
    for number in in_ledger {
        ensure!(!sent_later.contains(&number), "part {number} was in the ledger and is sent again");
    }
    // Only what was on its way between S3's yes and the ledger may be sent again.
    ensure!(again <= 4, "{again} parts were sent twice: {sent:?}");
    daemon.stop(LogCheck::Expected(&["took back jobs"])).await
}

/// SIGTERM finishes the parts in flight, and the next start sends none of them again.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_politely_it_sends_no_part_twice() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", 4)?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(40))]);
    let bytes = images(256 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, some_parts_are_done).await?;
    daemon.stop(LogCheck::Clean).await?;
    let daemon = world.start().await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let mut parts = world.parts_acknowledged();
    let sent = parts.len();
    parts.sort_unstable();
    parts.dedup();
    ensure!(parts.len() == sent, "{} of {sent} parts were sent again", sent - parts.len());
    daemon.stop(LogCheck::Clean).await
}

/// A second signal does not wait, and loses nothing that was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() -> Result<()> {
    let world = World::new().await?;
    world.commercial.faults([Fault::on("GetObject", Action::StallMs(600_000))]);
    world.put("ami-0abc.bin", images(64 << 20)).await?;
    let mut daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, |job| job["stage"] == "transferring").await?;
    daemon.signal(Signal::SIGTERM)?;
    daemon.says("stopping: finishing the parts in flight").await?;
    daemon.signal(Signal::SIGTERM)?;
    let began = std::time::Instant::now();
    daemon.wait().await?;
    ensure!(began.elapsed().as_secs() < 10, "it took {:?}", began.elapsed());
    world.commercial.faults([]);
    let again = world.start().await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    drop(again);
    Ok(())
}

/// Complete is done and its answer lost: the object is asked for, not made again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_complete_is_found_out() -> Result<()> {
    for action in
        [Action::LoseAnswer, Action::LoseRequest, Action::ErrorIn200("InternalError".into())]
    {
        let world = World::new().await?;
        world.gov.faults([Fault::on("CompleteMultipartUpload", action.clone()).call(1)]);
        let bytes = images(20 << 20);
        world.put("ami-0abc.bin", bytes.clone()).await?;
        let daemon = world.start().await?;
        world.carry(&[SOURCE, TARGET]).await?;
        world.assert_landed("ami-0abc.bin", &bytes).await?;
        daemon.stop(LogCheck::Clean).await?;
    }
    Ok(())
}

/// A broken read is resumed at its byte: nothing is sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn broken_reads_are_resumed_where_they_broke() -> Result<()> {
    let world = World::new().await?;
    world.commercial.faults([
        Fault::on("GetObject", Action::Reset).call(2).at_byte(3_000_000),
        Fault::on("GetObject", Action::Truncate).call(4).at_byte(1_234_567),
        Fault::on("GetObject", Action::Status("SlowDown".into())).call(5),
        Fault::on("GetObject", Action::Status("InternalError".into())).call(6),
    ]);
    let bytes = images(64 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    let receipt = world.carry(&[SOURCE, TARGET]).await?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    ensure!(world.commercial.stats().faults_fired == 4, "the faults did not all fire");
    ensure!(receipt["bytes_sent"] == 64 << 20, "{receipt}");
    daemon.stop(LogCheck::Clean).await
}

/// A broken write starts its part again, and a bit that flips on the way is noticed.
#[tokio::test(flavor = "multi_thread")]
async fn broken_writes_start_their_part_again() -> Result<()> {
    let world = World::new().await?;
    world.gov.faults([
        Fault::on("UploadPart", Action::Reset)
            .part(2)
            .call(1)
            .at_byte(2_000_000)
            .side(Side::Request),
        Fault::on("UploadPart", Action::Status("SlowDown".into())).part(3).call(1),
        Fault::on("UploadPart", Action::FlipBit).part(4).call(1).at_byte(99).side(Side::Request),
        Fault::on("UploadPart", Action::LoseAnswer).part(5).call(1),
    ]);
    let bytes = images(64 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    world.carry(&[SOURCE, TARGET]).await?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    ensure!(world.gov.stats().faults_fired == 4, "the faults did not all fire");
    daemon.stop(LogCheck::Clean).await
}

/// The upload disappears in mid-transfer: a lifecycle rule, or somebody's clean-up.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_vanishes_is_begun_anew() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", 2)?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(50))]);
    let bytes = images(128 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, |job| job["parts_done"].as_u64() >= Some(3)).await?;
    for upload in world.gov.uploads() {
        world.gov.abort_upload(&upload.upload_id);
    }
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["warnings"].to_string().contains("began anew"), "{job}");
    daemon.stop(LogCheck::Expected(&["beginning anew", "began anew"])).await
}

/// One connection that stands still does not hold up the object: its part is given a fresh one.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_much_slower_than_its_peers_is_sent_again_on_a_fresh_connection() -> Result<()> {
    let world = World::new().await?;
    let stall = Fault::on("UploadPart", Action::StallMs(600_000)).part(3).call(1);
    world.gov.faults([stall.at_byte(1_000_000).side(Side::Request)]);
    let bytes = images(128 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    let receipt = world.carry(&[SOURCE, TARGET]).await?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    ensure!(daemon.log().contains("much slower than the job's other parts"), "{}", daemon.log());
    let excess = receipt["bytes_sent"].as_u64().unwrap_or_default() - (128 << 20);
    ensure!(excess > 0 && excess <= 16 << 20, "{excess} bytes were sent again: one part at most");
    daemon.stop(LogCheck::Clean).await
}
