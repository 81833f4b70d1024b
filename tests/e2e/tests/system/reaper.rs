//! Nothing stays at a target that nobody pays for knowingly, and nothing of others is touched.

use anyhow::{Result, ensure};
use e2e::{LogCheck, World, images};
use sandbox::{Action, Fault, Side};

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";
/// The log is one file for all daemons of a world.
const FAILED: LogCheck<'_> = LogCheck::Expected(&["the job failed", "an upload was left behind"]);
const REAPED: &str = "aborted an upload that no job holds";

/// A job that failed keeps its upload for a retry, another daemon does not touch it, and past the
/// retention it is aborted; a retry then begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_jobs_upload_expires_and_nobody_elses() -> Result<()> {
    let mut world = World::new().await?;
    let bytes = images(40 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let flip = Fault::on("UploadPart", Action::FlipBit).key("0abc").side(Side::Request);
    world.gov.faults([flip.part(2)]);
    let daemon = world.start().await?;
    let job = world.fail(&[SOURCE, TARGET]).await?;
    let id = job["job_id"].as_str().unwrap_or_default().to_owned();
    daemon.stop(FAILED).await?;
    ensure!(world.gov.uploads().len() == 1, "a retry would go on from it");

    let own = world.path("data").display().to_string();
    let other = world.path("other").display().to_string();
    world.config.set("data_dir", other)?;
    world.config.set("transfer.failed_upload_retention", "1ms")?;
    world.put("b.bin", images(100)).await?;
    let daemon = world.start().await?;
    world.carry(&["commercial:images/b.bin", "gov:landing/"]).await?;
    daemon.stop(FAILED).await?;
    ensure!(world.gov.uploads().len() == 1, "this daemon did not begin it");

    world.config.set("data_dir", own)?;
    world.gov.faults([]);
    let daemon = world.start().await?;
    daemon.says(REAPED).await?;
    ensure!(world.gov.uploads().is_empty(), "it is aborted");
    let job = world.json(&["show", &id]).await?;
    ensure!(job["state"] == "failed" && job["warnings"].to_string().contains("expired"), "{job}");
    world.causeway(&["retry", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    daemon.stop(FAILED).await
}

/// An upload of no use whose abort fails is not forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn an_abort_that_failed_is_made_up_for() -> Result<()> {
    let world = World::new().await?;
    let bytes = images(40 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    world.commercial.faults([Fault::on("GetObject", Action::FlipBit).call(2).at_byte(12_345)]);
    let daemon = world.start().await?;
    // The first abort is the probe's.
    world.gov.faults([
        Fault::on("AbortMultipartUpload", Action::Status("InternalError".into())).call(2)
    ]);
    world.fail(&[SOURCE, TARGET]).await?;
    daemon.stop(FAILED).await?;
    ensure!(world.gov.uploads().len() == 1, "its abort failed");
    let daemon = world.start().await?;
    daemon.says(REAPED).await?;
    ensure!(world.gov.uploads().is_empty(), "it is aborted");
    daemon.stop(FAILED).await
}

/// A target that says no does not undo a person's word: what is cancelled is no failed job, which a bulk retry
/// would take up.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_whose_abort_is_refused_stands_and_the_upload_is_aborted_later() -> Result<()> {
    const EXPECTED: LogCheck<'_> = LogCheck::Expected(&["its upload is not aborted yet"]);
    let (world, daemon, _) = World::slow().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, |job| job["parts_done"].as_u64() >= Some(2)).await?;
    world.gov.faults([
        Fault::on("UploadPart", Action::DelayMs(150)),
        Fault::on("AbortMultipartUpload", Action::Status("AccessDenied".into())),
    ]);
    world.causeway(&["cancel", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    let job = world.json(&["show", &id]).await?;
    let warnings = job["warnings"].to_string();
    ensure!(job["state"] == "cancelled" && job["failure"].is_null(), "{job}");
    for word in ["could not be aborted yet", "s3:AbortMultipartUpload"] {
        ensure!(warnings.contains(word), "nothing of `{word}`: {warnings}");
    }
    ensure!(world.gov.uploads().len() == 1, "its abort was refused");
    world.causeway(&["retry", "--state", "failed"]).await?.expect_code(0)?;
    daemon.stop(EXPECTED).await?;

    world.gov.faults([]);
    let daemon = world.start().await?;
    daemon.says(REAPED).await?;
    ensure!(world.gov.uploads().is_empty(), "it is aborted");
    let job = world.json(&["show", &id]).await?;
    ensure!(job["state"] == "cancelled", "{job}");
    ensure!(world.gov.keys("landing").is_empty(), "it was published all the same");
    daemon.stop(EXPECTED).await
}

/// A token that expired may never come back: cancels that waited for it would keep their berths from everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_does_not_wait_for_credentials_and_the_upload_is_aborted_later() -> Result<()> {
    const EXPECTED: LogCheck<'_> = LogCheck::Expected(&["its upload is not aborted yet"]);
    let (world, daemon, _) = World::slow().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, |job| job["parts_done"].as_u64() >= Some(2)).await?;
    let expired = |operation: &str| Fault::on(operation, Action::Status("ExpiredToken".into()));
    world.gov.faults(["UploadPart", "AbortMultipartUpload"].map(expired));
    world.told(&id, &["credentials", "ExpiredToken"]).await?;
    world.causeway(&["cancel", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    let job = world.json(&["show", &id]).await?;
    let warnings = job["warnings"].to_string();
    ensure!(job["state"] == "cancelled" && job["failure"].is_null(), "{job}");
    for word in ["could not be aborted yet", "s3:AbortMultipartUpload", "ExpiredToken"] {
        ensure!(warnings.contains(word), "nothing of `{word}`: {warnings}");
    }
    ensure!(world.gov.stats().calls("AbortMultipartUpload") == 2, "the probe's, and this one");
    ensure!(world.gov.uploads().len() == 1, "its abort was refused");
    daemon.stop(EXPECTED).await?;

    world.gov.faults([]);
    let daemon = world.start().await?;
    daemon.says(REAPED).await?;
    ensure!(world.gov.uploads().is_empty(), "it is aborted");
    daemon.stop(EXPECTED).await
}
