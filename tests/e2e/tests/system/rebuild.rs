//! The ledger breaks in mid-transfer: the daemon makes it anew and sends nothing twice.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::{LogCheck, World, images};
use sandbox::{Action, Fault};
use serde_json::Value;

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";
const TOLD: LogCheck<'_> = LogCheck::Expected(&["made anew from the audit log", "took back jobs"]);

fn some_parts_are_done(job: &Value) -> bool {
    job["parts_done"].as_u64().is_some_and(|parts| parts >= 8)
}

/// Overwrites 64 bytes at each quarter of what is used of the database.
fn overwrite(ledger: &Path) -> Result<()> {
    let path = ledger.join("db");
    let mut bytes = std::fs::read(&path)?;
    let used = bytes.iter().rposition(|byte| *byte != 0).context("it is empty")?;
    for quarter in 1..4 {
        bytes[used / 4 * quarter..].iter_mut().take(64).for_each(|byte| *byte ^= 0xa5);
    }
    Ok(std::fs::write(path, bytes)?)
}

fn delete(ledger: &Path) -> Result<()> {
    Ok(std::fs::remove_dir_all(ledger)?)
}

/// Killed in the middle of 512 MiB, with its database broken while it is down.
async fn survives(breaks: fn(&Path) -> Result<()>) -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", 4)?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(40))]);
    let bytes = images(512 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET, "--priority", "7"]).await?;
    world.until(&id, some_parts_are_done).await?;
    daemon.kill()?;
    world.let_it_land().await?;
    let before = world.parts_acknowledged();
    breaks(&world.path("data/ledger"))?;

    let daemon = world.start().await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let receipt = world.json(&["receipt", &id]).await?;
    ensure!(receipt["blake3"] == blake3::hash(&bytes).to_hex().as_str(), "{receipt}");
    ensure!(world.json(&["show", &id]).await?["priority"] == 7, "the priority is lost");
    let sent = world.parts_acknowledged();
    let again: Vec<_> = sent[before.len()..].iter().filter(|part| before.contains(part)).collect();
    ensure!(again.is_empty(), "{again:?} were at the target and were sent again");
    ensure!(receipt["parts"].as_u64() == Some(sent.len() as u64), "{receipt}: {sent:?}");
    let log = daemon.log();
    let told = log.lines().find(|line| line.contains("made anew from the audit log"));
    ensure!(told.is_some_and(|line| line.contains("ERROR")), "{log}");
    daemon.stop(TOLD).await?;
    let verified = world.causewayd(&["audit", "verify"]).await?.expect_code(0)?;
    ensure!(verified.stdout.contains("the audit log is whole"), "{verified:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_wrong_bytes_is_made_anew_and_the_transfer_goes_on() -> Result<()> {
    survives(overwrite).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_made_anew_and_the_transfer_goes_on() -> Result<()> {
    survives(delete).await
}

/// Complete was done and its answer lost, and then the ledger: the object is found, not carried again.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_published_before_the_ledger_broke_is_found() -> Result<()> {
    let world = World::new().await?;
    world.gov.faults([Fault::on("CompleteMultipartUpload", Action::StallMs(600_000)).call(1)]);
    let bytes = images(64 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, |job| job["stage"] == "sealing").await?;
    daemon.kill()?;
    world.gov.faults([]);
    delete(&world.path("data/ledger"))?;
    let daemon = world.start().await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let mut sent = world.parts_acknowledged();
    let count = sent.len();
    sent.sort_unstable();
    sent.dedup();
    ensure!(sent.len() == count, "parts were sent again");
    daemon.stop(TOLD).await
}

/// Taken elsewhere while it runs, and put back where there was nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_and_the_daemon_goes_on_from_it() -> Result<()> {
    let world = World::new().await?;
    world.put("ami-0abc.bin", images(20 << 20)).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET, "--idempotency-key", "one"]).await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    let to = world.path("backup").display().to_string();
    world.causewayd(&["backup", "--to", &to]).await?.expect_code(0)?;
    let refused = world.causewayd(&["restore", "--from", &to]).await?;
    ensure!(refused.code != 0, "the daemon runs: {refused:?}");
    daemon.stop(LogCheck::Clean).await?;
    std::fs::rename(world.path("data"), world.path("data.lost"))?;
    let restored = world.causewayd(&["restore", "--from", &to]).await?.expect_code(0)?;
    ensure!(restored.stdout.contains("restored 1 jobs"), "{restored:?}");
    let daemon = world.start().await?;
    let receipt = world.json(&["receipt", &id]).await?;
    ensure!(receipt["job_id"] == id.as_str(), "{receipt}");
    let again = world.submit(&[SOURCE, TARGET, "--idempotency-key", "one"]).await?;
    ensure!(again == id, "the key is forgotten");
    daemon.stop(LogCheck::Clean).await?;
    let log = world.audit_log();
    let text = std::fs::read_to_string(&log)?;
    std::fs::write(&log, text.replacen("ami-0abc", "ami-0abd", 1))?;
    let broken = world.causewayd(&["audit", "verify"]).await?.expect_code(1)?;
    ensure!(broken.stderr.contains("audit-00000000000000000001.jsonl, line 1"), "{broken:?}");
    Ok(())
}
