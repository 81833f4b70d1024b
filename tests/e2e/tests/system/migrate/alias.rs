//! The alias: what it held before is known, put back on request, and never over somebody else's value.

use anyhow::{Context as _, Result, ensure};
use e2e::LogCheck;
use e2e::image_world::{ImageWorld, aliased, migrate};
use sandbox::{Action, Fault, ImageSpec};

const ALIAS: &str = "/golden/web";

/// An image that waits to be migrated, and an older one that the alias names.
async fn named_before() -> Result<(ImageWorld, String, String)> {
    let world = ImageWorld::new().await?;
    let before = world.to().add_image(ImageSpec::new("golden-0"));
    world.set_alias(ALIAS, &before).await?;
    let image = world.add("golden-1");
    Ok((world, image, before))
}

fn value(world: &ImageWorld) -> Option<(String, u64)> {
    world.world.gov.ssm().value(ALIAS)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_puts_back_what_the_alias_held_and_does_so_once() -> Result<()> {
    let (world, image, before) = Box::pin(named_before()).await?;
    let running = world.start().await?;
    let id = running.submit(aliased(&image, ALIAS)).await?;
    let early = running.client.rollback_alias(&id).await;
    ensure!(early.is_err(), "nothing was written yet: {early:?}");
    let job = running.succeeds(&id).await?;
    let new = world.the_only_new_image(&[&before])?.id;
    ensure!(value(&world) == Some((new.clone(), 2)), "{:?}", value(&world));

    let alias = running.client.rollback_alias(&job.id).await?;
    ensure!(value(&world) == Some((before.clone(), 3)), "{:?}", value(&world));
    ensure!((alias.version, alias.rolled_back) == (3, true), "{alias:?}");
    ensure!(alias.previous.as_ref() == Some(&before), "{alias:?}");
    let alias = running.progress(&job.id).await?.alias.context("the alias")?;
    ensure!(alias.rolled_back, "{alias:?}");
    let twice = running.client.rollback_alias(&job.id).await;
    let told = twice.err().context("it was put back twice")?.to_string();
    ensure!(told.contains("rolled back already"), "{told}");
    ensure!(value(&world) == Some((before, 3)), "{:?}", value(&world));
    running.daemon.stop(LogCheck::Clean).await
}

/// Each with its reason, and the alias as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_refused_where_there_is_nothing_to_put_back() -> Result<()> {
    let world = ImageWorld::new().await?;
    let (first, second) = (world.add("first"), world.add("second"));
    let running = world.start().await?;
    let refusal = async |id: &str, words: &[&str]| {
        let held = value(&world);
        let refused = running.client.rollback_alias(id).await;
        let told = refused.err().context("it was not refused")?.to_string();
        for word in words {
            ensure!(told.contains(word), "nothing of `{word}`: {told}");
        }
        ensure!(value(&world) == held, "it was changed: {:?}", value(&world));
        anyhow::Ok(())
    };
    let plain = running.done(migrate(&first)).await?;
    refusal(&plain.id, &["has written no alias"]).await?;
    let new = world.the_only_new_image(&[])?.id;

    let job = running.done(aliased(&second, ALIAS)).await?;
    refusal(&job.id, &[ALIAS, "there was no"]).await?;
    world.set_alias(ALIAS, &new).await?;
    let third = world.add("third");
    let job = running.done(aliased(&third, ALIAS)).await?;
    // Neither the job's image nor what was there before it.
    let other = world.to().add_image(ImageSpec::new("golden-0"));
    world.set_alias(ALIAS, &other).await?;
    refusal(&job.id, &["names", &other]).await?;
    running.daemon.stop(LogCheck::Clean).await
}

/// Its request was performed all the same: the second try finds that, and the job is said to be rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_whose_answer_is_lost_is_finished_by_the_next() -> Result<()> {
    let (world, image, before) = Box::pin(named_before()).await?;
    let running = world.start().await?;
    let job = running.done(aliased(&image, ALIAS)).await?;
    world.world.gov.faults([Fault::on("PutParameter", Action::LoseAnswer).call(1)]);
    let lost = running.client.rollback_alias(&job.id).await;
    ensure!(lost.is_err(), "its answer was lost: {lost:?}");
    let put_back = || value(&world) == Some((before.clone(), 3));
    running.until(&job.id, |_| put_back()).await?;
    let alias = running.progress(&job.id).await?.alias.context("the alias")?;
    ensure!(!alias.rolled_back, "it was not known to be: {alias:?}");

    let alias = running.client.rollback_alias(&job.id).await?;
    ensure!((alias.version, alias.rolled_back) == (3, true), "{alias:?}");
    let alias = running.progress(&job.id).await?.alias.context("the alias")?;
    ensure!(alias.rolled_back && put_back(), "{alias:?}, {:?}", value(&world));
    running.daemon.stop(LogCheck::Clean).await
}

/// The look before the request is the first call.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_on_where_a_look_at_the_alias_is_refused_for_now() -> Result<()> {
    let (world, image, before) = Box::pin(named_before()).await?;
    let running = world.start().await?;
    let job = running.done(aliased(&image, ALIAS)).await?;
    let gov = &world.world.gov;
    gov.faults([Fault::on("GetParameter", Action::Status("ThrottlingException".into())).call(2)]);
    let alias = running.client.rollback_alias(&job.id).await?;
    ensure!((alias.version, alias.rolled_back) == (3, true), "{alias:?}");
    ensure!(value(&world) == Some((before, 3)), "{:?}", value(&world));
    running.daemon.stop(LogCheck::Clean).await
}

/// The answer that is lost is that of a request that was performed.
#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_written_once_where_the_answer_is_lost() -> Result<()> {
    let (world, image, before) = Box::pin(named_before()).await?;
    world.world.gov.faults([Fault::on("PutParameter", Action::LoseAnswer).call(1)]);
    let running = world.start().await?;
    let job = running.done(aliased(&image, ALIAS)).await?;
    let new = world.the_only_new_image(&[&before])?.id;
    ensure!(value(&world) == Some((new, 2)), "{:?}", value(&world));
    let alias = job.image.and_then(|image| image.alias).context("the alias")?;
    ensure!((alias.version, alias.previous) == (2, Some(before)), "not what it held before");
    running.daemon.stop(LogCheck::Clean).await
}

/// SSM validates after it has answered: what it finds no image in never comes to hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_somebody_sets_meanwhile_fails_the_job_and_stays() -> Result<()> {
    let world = ImageWorld::new().await?;
    let other = world.to().add_image(ImageSpec::new("golden-0"));
    let image = world.add("golden-1");
    world.world.gov.ssm().change(|options| options.validation_ms = 2_000);
    let running = world.start().await?;
    let id = running.submit(aliased(&image, ALIAS)).await?;
    running.until(&id, |_| world.world.gov.stats().calls("PutParameter") == 1).await?;
    world.world.gov.ssm().change(|options| options.validation_ms = 0);
    world.set_alias(ALIAS, &other).await?;
    running.has_failed(&id, &["ssm:PutParameter", ALIAS, "somebody else", &other]).await?;
    let held = value(&world).context("it is there")?;
    ensure!(held == (other.clone(), 2), "{held:?}");
    world.the_only_new_image(&[&other])?;
    running.daemon.stop(LogCheck::Expected(&["the job failed"])).await
}
