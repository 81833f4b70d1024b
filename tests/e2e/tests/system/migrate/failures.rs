//! Tasks of EC2 that fail: the job says why, what they left is removed, and a retry goes on from there.

use anyhow::{Context as _, Result, ensure};
use causeway::client::Action;
use causeway::v1::{self, RetireSource};
use e2e::LogCheck;
use e2e::image_world::{ImageWorld, migrate};
use sandbox::ImageState;

const FAILED: LogCheck<'_> = LogCheck::Expected(&["the job failed"]);

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_says_why_and_is_begun_anew_by_a_retry() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    world.from().change(|options| options.store_failure = Some("the disk is full".to_owned()));
    let running = world.start().await?;
    let words = ["source commercial", "ec2:CreateStoreImageTask", &image, "the disk is full"];
    let job = running.fails(migrate(&image), &words).await?;
    ensure!(world.world.commercial.keys("images").is_empty(), "an object was left");
    // The task that failed is shown for a month: it is not the next one's end.
    running.act(Action::Retry, &job.id).await?;
    running.has_failed(&job.id, &words).await?;
    world.from().change(|options| options.store_failure = None);
    running.act(Action::Retry, &job.id).await?;
    running.succeeds(&job.id).await?;
    world.the_only_new_image(&[])?;
    let admitted = world.from().quotas().store;
    ensure!((admitted.admitted, admitted.in_progress_gib) == (3, 0), "{admitted:?}");
    running.daemon.stop(FAILED).await
}

/// An image that failed would keep the name, and its snapshots would cost their owner money.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_leaves_nothing_and_is_begun_anew_by_a_retry() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    world.to().change(|options| options.restore_failure = Some("no room".to_owned()));
    let running = world.start().await?;
    let mut asked = v1::MigrateSpec { clean_up_stored: true, ..migrate(&image) };
    asked.clean_up_landed = true;
    asked.set_retire_source(RetireSource::Deregister);
    let words = ["target gov", "ec2:CreateRestoreImageTask", "no room"];
    let job = running.fails(asked, &words).await?;
    ensure!(world.to().images().is_empty(), "{:?}", world.to().images());
    ensure!(world.to().snapshots().is_empty(), "{:?}", world.to().snapshots());
    let old = world.from().image(&image).context("the source is not touched")?;
    ensure!(old.state == ImageState::Available && old.deprecated_at.is_none(), "{old:?}");
    ensure!(world.world.commercial.keys("images").len() == 1, "what it has is not kept");
    ensure!(world.world.gov.keys("landing").len() == 1, "what it has is not kept");

    world.to().change(|options| options.restore_failure = None);
    running.act(Action::Retry, &job.id).await?;
    running.succeeds(&job.id).await?;
    world.the_only_new_image(&[])?;
    let (commercial, gov) = (world.world.commercial.stats(), world.world.gov.stats());
    ensure!(commercial.calls("CreateStoreImageTask") == 1, "it was stored again");
    ensure!(gov.calls("CreateRestoreImageTask") == 2, "{gov:?}");
    let sent = gov.calls("PutObject") + gov.calls("CompleteMultipartUpload");
    ensure!(sent == 1, "it was carried again: {sent}");
    ensure!(world.from().image(&image).is_none(), "it is retired at the end");
    running.daemon.stop(FAILED).await
}

/// Somebody deletes the snapshot that EC2 reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_deleted_while_it_is_stored_fails_the_job_with_its_name() -> Result<()> {
    let world = ImageWorld::taking(150).await?;
    let image = world.add("golden");
    let snapshot = world.from().snapshots().into_keys().next().context("it has one")?;
    let running = world.start().await?;
    let id = running.submit(migrate(&image)).await?;
    running.until(&id, |_| world.from().quotas().store.admitted == 1).await?;
    world.from().remove_snapshot(&snapshot);
    running.has_failed(&id, &["the store task failed", &snapshot]).await?;
    ensure!(world.world.gov.keys("landing").is_empty(), "something was carried");
    running.daemon.stop(FAILED).await
}

/// The image is made, and somebody deregisters it before it is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_image_that_somebody_deregisters_is_restored_anew_by_a_retry() -> Result<()> {
    let world = ImageWorld::taking(400).await?;
    let image = world.add("golden");
    let running = world.start().await?;
    let id = running.submit(migrate(&image)).await?;
    let has_image = |job: &v1::Job| job.image.as_ref().is_some_and(|it| it.restored.is_some());
    let job = running.until(&id, has_image).await?;
    let new = job.image.and_then(|image| image.restored).context("named")?.image_id;
    world.somebody_else("gov").await?.deregister(&new, true).await?;
    running.has_failed(&id, &["target gov", &new, "is gone"]).await?;
    running.act(Action::Retry, &id).await?;
    running.succeeds(&id).await?;
    ensure!(world.the_only_new_image(&[])?.id != new, "it is the one that was gone");
    running.daemon.stop(FAILED).await
}

/// What was stored is all that a migration needs: the variables alone can be asked of nobody any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_somebody_deregisters_after_its_store_is_migrated_with_a_warning()
-> Result<()> {
    let world = ImageWorld::taking(100).await?;
    let image = world.add_golden();
    let running = world.start().await?;
    let mut asked = migrate(&image);
    asked.set_retire_source(RetireSource::Deregister);
    let id = running.submit(asked).await?;
    running.until(&id, |_| world.to().quotas().restore.admitted == 1).await?;
    world.somebody_else("commercial").await?.deregister(&image, true).await?;
    let job = running.succeeds(&id).await?;
    world.the_only_new_image(&[])?;
    let warnings = job.warnings.join("\n");
    ensure!(warnings.contains("the UEFI variables were not compared"), "{warnings}");
    let told = job.image.context("told")?.aftermath;
    ensure!(told == [format!("commercial:{image} is gone")], "{told:?}");
    running.daemon.stop(LogCheck::Clean).await
}

/// EC2 has two words for an image that is gone, and neither means that the migration failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_needs_neither_to_be_deprecated_nor_disabled() -> Result<()> {
    let world = ImageWorld::taking(100).await?;
    let running = world.start().await?;
    let not_found = sandbox::Action::Status("InvalidAMIID.NotFound".to_owned());
    world.world.commercial.faults([sandbox::Fault::on("EnableImageDeprecation", not_found)]);
    for (n, how) in [(1, RetireSource::Deprecate), (2, RetireSource::Disable)] {
        let image = world.add(&format!("golden-{n}"));
        let mut asked = migrate(&image);
        asked.set_retire_source(how);
        let id = running.submit(asked).await?;
        running.until(&id, |_| world.to().quotas().restore.admitted == n).await?;
        world.somebody_else("commercial").await?.deregister(&image, true).await?;
        let job = running.succeeds(&id).await?;
        let told = job.image.context("told")?.aftermath;
        ensure!(told == [format!("commercial:{image} is gone")], "{how:?}: {told:?}");
    }
    running.daemon.stop(LogCheck::Clean).await
}
