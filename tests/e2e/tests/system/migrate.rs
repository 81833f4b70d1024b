//! Images from one partition to the other: by the real daemon, with EC2, SSM and S3 of the sandbox on both
//! sides. What came of it is asked of the sandbox, not of the daemon.

mod alias;
mod answers;
mod early;
mod failures;
mod fidelity;
mod halves;
mod stages;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use causeway::v1::{self, JobKind, RetireSource, Stage};
use e2e::image_world::{ImageWorld, differences, migrate, tags};
use e2e::{LogCheck, Running};
use sandbox::{Image, ImageSpec, ImageState};

const DAY: u64 = 24 * 3600;

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds from now on until the image is deprecated.
fn deprecated_in(image: &Image) -> Result<u64> {
    let at = image.deprecated_at.context("it is not deprecated")?.as_second();
    Ok(u64::try_from(at)?.saturating_sub(seconds(SystemTime::now())))
}

/// Each stage is told, with times that follow upon each other.
fn assert_stages(progress: &v1::ImageProgress, expected: &[Stage]) -> Result<()> {
    let stages: Vec<_> = progress.stages.iter().map(v1::StageProgress::stage).collect();
    ensure!(stages == expected, "{stages:?}");
    let mut last = None;
    for stage in &progress.stages {
        let times = stage.started_at.zip(stage.finished_at).context("begun and ended")?;
        let [from, to] = [times.0, times.1].map(|at| (at.seconds, at.nanos));
        ensure!(from <= to && last <= Some(from), "{:#?}", progress.stages);
        ensure!(stage.percent == 100, "{stage:?}");
        last = Some(to);
    }
    Ok(())
}

/// One store, one restore, and one image of it that can be launched.
fn one_of_each(world: &ImageWorld, beside: &[&str]) -> Result<Image> {
    let (from, to) = (world.world.commercial.stats(), world.world.gov.stats());
    let calls = (from.calls("CreateStoreImageTask"), to.calls("CreateRestoreImageTask"));
    ensure!(calls == (1, 1), "{calls:?}");
    world.the_only_new_image(beside)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_migrates_with_everything_that_was_asked_for() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add_golden();
    let before = world.to().add_image(ImageSpec::new("golden-0"));
    world.set_alias("/golden/web", &before).await?;
    let running = world.start().await?;
    let mut asked = migrate(&image);
    asked.restored = Some(v1::RestoredImage {
        name: "golden-2".to_owned(),
        tags: tags([("stage", "gov"), ("by", "causeway")]),
        alias: "/golden/web".to_owned(),
        deprecate_after: Some(90 * DAY),
        ..v1::RestoredImage::default()
    });
    (asked.copy_tags, asked.clean_up_stored, asked.clean_up_landed) = (true, true, true);
    asked.set_retire_source(RetireSource::Deprecate);
    let job = running.done(asked).await?;

    let new = one_of_each(&world, &[&before])?;
    ensure!(new.name == "golden-2" && new.id != image, "{new:?}");
    let (tags, own) = (new.tags(), ("causeway:job".to_owned(), job.id.clone()));
    for (key, value) in [("team", "images"), ("stage", "gov"), ("by", "causeway")] {
        ensure!(tags.get(key).is_some_and(|it| it == value), "{tags:?}");
    }
    ensure!(tags.get(&own.0) == Some(&own.1), "{tags:?}");
    let old = world.from().image(&image).context("the source stays")?;
    ensure!(old.state == ImageState::Available && new.traits == old.traits, "{old:?} {new:?}");
    world.assert_same_volumes(&old, &new, &[&before]).await?;
    let soon = deprecated_in(&new)?.abs_diff(90 * DAY);
    ensure!(soon < 300 && deprecated_in(&old)? < 300, "{new:?} {old:?}");
    let alias = world.world.gov.ssm().value("/golden/web");
    ensure!(alias == Some((new.id.clone(), 2)), "{alias:?}");
    let (gov, commercial) = (&world.world.gov, &world.world.commercial);
    ensure!(commercial.keys("images").is_empty() && gov.keys("landing").is_empty(), "left over");
    ensure!(gov.uploads().is_empty(), "an upload is left over");

    tells_of_it(&running, &job, &image, &new, &before).await?;
    running.daemon.stop(LogCheck::Clean).await
}

/// `show` and the receipt.
async fn tells_of_it(
    running: &Running,
    job: &v1::Job,
    image: &str,
    new: &Image,
    before: &str,
) -> Result<()> {
    let receipt = running.client.receipt(&job.id).await?;
    let progress = job.image.as_ref().context("it tells how far it is")?;
    ensure!(receipt.image.as_ref() == Some(progress), "{receipt:#?} {progress:#?}");
    let all = [Stage::Storing, Stage::Transferring, Stage::Restoring, Stage::Aliasing];
    assert_stages(progress, &all)?;
    let source = progress.source.as_ref().context("the source")?;
    let place = |image: &v1::ImageRef| (image.partition.clone(), image.account.clone());
    ensure!(source.image_id == image && source.name == "golden-1", "{source:?}");
    ensure!(source.size_gib == 28 && source.created_at.is_some(), "{source:?}");
    ensure!(place(source) == ("aws".into(), "111122223333".into()), "{source:?}");
    let restored = progress.restored.as_ref().context("the new image")?;
    ensure!(restored.image_id == new.id && restored.name == "golden-2", "{restored:?}");
    ensure!(place(restored) == ("aws-us-gov".into(), "444455556666".into()), "{restored:?}");
    let stored = progress.stored.as_ref().context("the stored object")?;
    ensure!(stored.bucket == "images" && stored.key == format!("{image}.bin"), "{stored:?}");

    let changed = differences(progress);
    ensure!(changed == [("Tag stage", ("prod", "gov"))].into(), "{changed:?}");
    let fidelity = progress.fidelity.as_ref().context("the report")?;
    ensure!(!fidelity.repaired && !fidelity.encrypted, "{fidelity:?}");
    ensure!(fidelity.lost_by_design.iter().any(|line| line.contains("shared")), "{fidelity:?}");
    let alias = progress.alias.as_ref().context("the alias")?;
    ensure!((alias.parameter.as_str(), alias.version) == ("/golden/web", 2), "{alias:?}");
    ensure!(alias.previous.as_deref() == Some(before) && !alias.rolled_back, "{alias:?}");
    let told = progress.aftermath.join("\n");
    for word in [
        format!("gov:{} is deprecated from ", new.id),
        format!("commercial:images/{image}.bin is deleted"),
        format!("gov:landing/{image}.bin is deleted"),
        format!("commercial:{image} is deprecated from "),
    ] {
        ensure!(told.contains(&word), "nothing of `{word}`: {told}");
    }

    ensure!(receipt.kind() == JobKind::Migrate && receipt.blake3.len() == 64, "{receipt:?}");
    ensure!(receipt.verified_by == "s3-checksum" && receipt.attempts == 1, "{receipt:?}");
    let (read, written) = (receipt.source.context("read")?, receipt.target.context("written")?);
    ensure!(read.bucket == "images" && written.bucket == "landing", "{read:?} {written:?}");
    ensure!(read.size == written.size && read.size > 10 << 20, "{read:?} {written:?}");
    Ok(())
}

/// Without a name it has the source's, and nothing is done that was not asked for.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_asked_for_is_not_done() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("plain");
    let running = world.start().await?;
    let job = running.done(migrate(&image)).await?;
    let new = one_of_each(&world, &[])?;
    let old = world.from().image(&image).context("the source stays")?;
    ensure!(new.name == "plain" && new.deprecated_at.is_none(), "{new:?}");
    ensure!(old.state == ImageState::Available && old.deprecated_at.is_none(), "{old:?}");
    let key = format!("{image}.bin");
    ensure!(world.world.commercial.keys("images") == [key.as_str()], "the stored object is gone");
    ensure!(world.world.gov.keys("landing") == [key.as_str()], "the landed object is gone");
    ensure!(world.world.gov.stats().calls("PutParameter") == 0, "an alias was written");
    let progress = job.image.context("it tells how far it is")?;
    assert_stages(&progress, &[Stage::Storing, Stage::Transferring, Stage::Restoring])?;
    ensure!(progress.alias.is_none() && progress.aftermath.is_empty(), "{progress:?}");
    ensure!(differences(&progress).is_empty(), "{progress:?}");
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_source_is_disabled_or_deregistered_with_its_snapshots() -> Result<()> {
    let world = ImageWorld::new().await?;
    let (first, second) = (world.add("first"), world.add("second"));
    let running = world.start().await?;
    let mut asked = migrate(&first);
    asked.set_retire_source(RetireSource::Disable);
    let job = running.done(asked).await?;
    let old = world.from().image(&first).context("it is there, and disabled")?;
    ensure!(old.state == ImageState::Disabled, "{old:?}");
    ensure!(job.image.context("told")?.aftermath == [format!("commercial:{first} is disabled")]);

    let old = world.from().image(&second).context("it is there")?;
    let snapshot = old.snapshot_ids().next().context("it has one")?.to_owned();
    let mut asked = migrate(&second);
    asked.set_retire_source(RetireSource::Deregister);
    let job = running.done(asked).await?;
    ensure!(world.from().image(&second).is_none(), "it is there still");
    ensure!(!world.from().snapshots().contains_key(&snapshot), "its snapshot is left over");
    let told = job.image.context("told")?.aftermath.join("\n");
    let line = format!("commercial:{second} is deregistered; {snapshot} is deleted");
    ensure!(told == line, "{told}");
    ensure!(world.to().images().len() == 2, "{:?}", world.to().images());
    running.daemon.stop(LogCheck::Clean).await
}

/// The new image is there, and the job says that the last thing it was to do is not done.
#[tokio::test(flavor = "multi_thread")]
async fn a_protected_source_fails_the_job_until_its_protection_is_lifted() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.from().add_image(ImageSpec { protected: true, ..ImageSpec::new("kept") });
    let running = world.start().await?;
    let mut asked = migrate(&image);
    asked.clean_up_stored = true;
    asked.set_retire_source(RetireSource::Deregister);
    let job = running.fails(asked, &["ec2:DeregisterImage", &image, "protection"]).await?;
    let new = one_of_each(&world, &[])?;
    world.from().protect(&image, false);
    running.act(causeway::client::Action::Retry, &job.id).await?;
    let job = running.succeeds(&job.id).await?;
    ensure!(world.from().image(&image).is_none(), "it is there still");
    ensure!(one_of_each(&world, &[])?.id == new.id, "another image was made");
    ensure!(job.image.context("told")?.aftermath.len() == 2, "a chore is told twice");
    running.daemon.stop(LogCheck::Expected(&["the job failed"])).await
}
