//! Pausing and cancelling in every stage. A store and a restore cannot be cancelled at EC2: what may come of
//! them is said.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use causeway::client::Action;
use causeway::v1::{self, JobState, Stage};
use e2e::image_world::{ImageWorld, aliased, is_over};
use e2e::{LogCheck, Running};
use sandbox::Fault;

const ALIAS: &str = "/golden/web";
const ALL: [Stage; 4] = [Stage::Storing, Stage::Transferring, Stage::Restoring, Stage::Aliasing];

/// One in which each stage of its image takes more than a second: two volumes of together 28 GiB, parts that take their
/// time, and an SSM that does.
async fn slow() -> Result<(ImageWorld, Running, String)> {
    let mut world = ImageWorld::taking(50).await?;
    world.world.config.set("transfer.max_parts_in_flight", 1)?;
    world.world.gov.faults([Fault::on("UploadPart", sandbox::Action::DelayMs(600))]);
    world.world.gov.ssm().change(|options| options.validation_ms = 1_500);
    let (running, image) = (world.start().await?, world.add_golden());
    Ok((world, running, image))
}

/// Waits until the stage has really begun.
async fn within(world: &ImageWorld, running: &Running, id: &str, stage: Stage) -> Result<()> {
    running.at(id, stage).await?;
    let (from, gov) = (world.from(), &world.world.gov);
    let has_begun = || match stage {
        Stage::Storing => from.quotas().store.in_progress_gib > 0,
        Stage::Restoring => world.to().quotas().restore.in_progress_gib > 0,
        Stage::Aliasing => gov.stats().calls("PutParameter") > 0,
        _ => !gov.uploads().is_empty(),
    };
    let job = running.until(id, |job| has_begun() || is_over(job)).await?;
    ensure!(job.stage() == stage, "it was over too soon: {job:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paused_and_resumed_in_every_stage_and_does_nothing_twice() -> Result<()> {
    let (world, running, image) = slow().await?;
    let id = running.submit(aliased(&image, ALIAS)).await?;
    for stage in ALL {
        within(&world, &running, &id, stage).await?;
        running.act(Action::Pause, &id).await?;
        let is_paused = |job: &v1::Job| job.state() == JobState::Paused || is_over(job);
        let job = running.until(&id, is_paused).await?;
        ensure!(job.state() == JobState::Paused, "{stage:?}: {job:#?}");
        running.act(Action::Resume, &id).await?;
    }
    let job = running.succeeds(&id).await?;
    let new = super::one_of_each(&world, &[])?;
    let old = world.from().image(&image).context("the source")?;
    world.assert_same_volumes(&old, &new, &[]).await?;
    let alias = world.world.gov.ssm().value(ALIAS);
    ensure!(alias == Some((new.id, 1)), "{alias:?}");
    super::assert_stages(&job.image.context("its stages")?, &ALL)?;
    running.daemon.stop(LogCheck::Clean).await
}

/// Nothing is begun after it was asked to stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_paused_while_it_carries_does_not_begin_to_restore() -> Result<()> {
    let (world, running, _) = slow().await?;
    world.world.gov.faults([Fault::on("PutObject", sandbox::Action::DelayMs(1_000))]);
    let image = world.add("small");
    let id = running.submit(aliased(&image, ALIAS)).await?;
    running.until(&id, |_| world.world.gov.stats().calls("PutObject") == 1).await?;
    running.act(Action::Pause, &id).await?;
    running.until(&id, |job| job.state() == JobState::Paused || is_over(job)).await?;
    ensure!(world.world.gov.stats().calls("CreateRestoreImageTask") == 0, "it was begun");
    running.act(Action::Resume, &id).await?;
    running.succeeds(&id).await?;
    super::one_of_each(&world, &[])?;
    running.daemon.stop(LogCheck::Clean).await
}

/// A job that is in the midst of this stage, and is to deregister its source at the end.
async fn caught(stage: Stage) -> Result<(ImageWorld, Running, String, String)> {
    let (world, running, image) = slow().await?;
    let mut asked = aliased(&image, ALIAS);
    asked.set_retire_source(v1::RetireSource::Deregister);
    let id = running.submit(asked).await?;
    within(&world, &running, &id, stage).await?;
    Ok((world, running, image, id))
}

/// SIGTERM waits for no task of EC2: the next daemon finds what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_in_every_stage_goes_on_where_it_was() -> Result<()> {
    let (world, mut running, image) = slow().await?;
    let id = running.submit(aliased(&image, ALIAS)).await?;
    for stage in ALL {
        within(&world, &running, &id, stage).await?;
        let began = Instant::now();
        running.daemon.stop(LogCheck::Clean).await?;
        ensure!(began.elapsed() < Duration::from_secs(20), "{stage:?}: {:?}", began.elapsed());
        running = world.start().await?;
    }
    running.succeeds(&id).await?;
    let new = super::one_of_each(&world, &[])?;
    let alias = world.world.gov.ssm().value(ALIAS);
    ensure!(alias == Some((new.id, 1)), "{alias:?}");
    running.daemon.stop(LogCheck::Clean).await
}

/// What a cancelled job says that it leaves behind.
async fn cancelled(world: &ImageWorld, running: &Running, id: &str) -> Result<String> {
    running.act(Action::Cancel, id).await?;
    let job = running.end(id).await?;
    ensure!(job.state() == JobState::Cancelled, "{job:#?}");
    ensure!(world.from().images().len() == 1, "the source was retired all the same");
    let warnings = job.warnings.join("\n");
    eprintln!("{warnings}");
    Ok(warnings)
}

fn speaks_of(warnings: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(warnings.contains(word), "nothing of `{word}`: {warnings}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_it_is_stored_says_that_the_object_may_come() -> Result<()> {
    let (world, running, image, id) = caught(Stage::Storing).await?;
    let warnings = cancelled(&world, &running, &id).await?;
    let key = format!("commercial:images/{image}.bin");
    speaks_of(&warnings, &["may still store", &key, "cannot be cancelled"])?;
    // It comes, as was said, and nothing after it.
    for _ in 0..500 {
        if !world.world.commercial.keys("images").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ensure!(world.world.commercial.keys("images") == [format!("{image}.bin")]);
    ensure!(world.world.gov.keys("landing").is_empty(), "it was carried");
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_it_is_carried_leaves_the_stored_object_and_no_upload() -> Result<()> {
    let (world, running, image, id) = caught(Stage::Transferring).await?;
    let warnings = cancelled(&world, &running, &id).await?;
    speaks_of(&warnings, &["the stored object", &format!("images/{image}.bin"), "stays"])?;
    let gov = &world.world.gov;
    ensure!(gov.uploads().is_empty() && gov.keys("landing").is_empty(), "{:?}", gov.uploads());
    ensure!(world.to().images().is_empty(), "an image was made");
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_it_is_restored_names_the_image_that_comes() -> Result<()> {
    let (world, running, image, id) = caught(Stage::Restoring).await?;
    let has_image = |job: &v1::Job| job.image.as_ref().is_some_and(|it| it.restored.is_some());
    running.until(&id, has_image).await?;
    let warnings = cancelled(&world, &running, &id).await?;
    let new = world.to().images().into_keys().next().context("it is in the making")?;
    let stored = format!("the stored object commercial:images/{image}.bin stays");
    let landed = format!("the carried object gov:landing/{image}.bin stays, and EC2 may still be");
    speaks_of(&warnings, &[&stored, &landed, &format!("gov:{new} stays")])?;
    // It is proven, and to delete it would be to take it from under EC2.
    ensure!(!warnings.contains("not proven") && !warnings.contains("delete it"), "{warnings}");
    ensure!(world.world.gov.ssm().value(ALIAS).is_none(), "the alias was written");
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_the_alias_is_written_names_it_and_the_image() -> Result<()> {
    let (world, running, _, id) = caught(Stage::Aliasing).await?;
    let warnings = cancelled(&world, &running, &id).await?;
    let new = world.the_only_new_image(&[])?;
    speaks_of(&warnings, &[&format!("gov:{} stays", new.id), ALIAS])?;
    running.daemon.stop(LogCheck::Clean).await
}
