//! Answers that are lost, late, or refusals that pass: one object, one image, one alias all the same. EC2's
//! creating requests have no client token.

use anyhow::{Context as _, Result, ensure};
use e2e::LogCheck;
use e2e::image_world::{ImageWorld, aliased};
use sandbox::{Action, Fault};

const ALIAS: &str = "/golden/web";

/// One of everything, whatever was asked how often.
async fn one_of_everything(world: &ImageWorld, image: &str) -> Result<()> {
    let new = world.the_only_new_image(&[])?;
    let old = world.from().image(image).context("the source")?;
    world.assert_same_volumes(&old, &new, &[]).await?;
    let key = format!("{image}.bin");
    ensure!(world.world.commercial.keys("images") == [key.as_str()]);
    ensure!(world.world.gov.keys("landing") == [key.as_str()]);
    let (from, to) = (world.from().quotas(), world.to().quotas());
    ensure!(from.store.admitted == 1 && to.restore.admitted == 1, "{from:?} {to:?}");
    let alias = world.world.gov.ssm().value(ALIAS);
    ensure!(alias == Some((new.id, 1)), "{alias:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_make_nothing_twice() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    let lost = |operation: &str| Fault::on(operation, Action::LoseAnswer).call(1);
    let store = lost("CreateStoreImageTask");
    world.world.commercial.faults([store, lost("DescribeImages"), lost("DescribeStoreImageTasks")]);
    let restore = lost("CreateRestoreImageTask");
    world.world.gov.faults([restore, lost("PutParameter"), lost("GetParameter")]);
    let running = world.start().await?;
    running.done(aliased(&image, ALIAS)).await?;
    one_of_everything(&world, &image).await?;
    ensure!(world.world.commercial.stats().faults_fired == 3, "not all were lost");
    ensure!(world.world.gov.stats().faults_fired == 3, "not all were lost");
    running.daemon.stop(LogCheck::Clean).await
}

/// The restore is still under way when its answer is lost: its image is found by its tag, although nobody was
/// told its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_answer_is_lost_is_found_once_it_is_seen() -> Result<()> {
    let world = ImageWorld::taking(400).await?;
    let image = world.add("golden");
    world.world.gov.faults([Fault::on("CreateRestoreImageTask", Action::LoseAnswer).call(1)]);
    world.to().change(|options| options.visible_after_ms = 2_000);
    let running = world.start().await?;
    running.done(aliased(&image, ALIAS)).await?;
    one_of_everything(&world, &image).await?;
    ensure!(world.world.gov.stats().calls("CreateRestoreImageTask") == 1, "it was asked for twice");
    running.daemon.stop(LogCheck::Clean).await
}

/// Nobody knows that it never arrived: it is asked for again once nothing of it has been seen for half a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_arrived_is_sent_again() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    let lost = |operation: &str| Fault::on(operation, Action::LoseRequest).call(1);
    world.world.commercial.faults([lost("CreateStoreImageTask")]);
    world.world.gov.faults([lost("CreateRestoreImageTask")]);
    let running = world.start().await?;
    running.done(aliased(&image, ALIAS)).await?;
    one_of_everything(&world, &image).await?;
    let (from, to) = (world.world.commercial.stats(), world.world.gov.stats());
    let asked = (from.calls("CreateStoreImageTask"), to.calls("CreateRestoreImageTask"));
    ensure!(asked == (2, 2), "{asked:?}");
    running.daemon.stop(LogCheck::Clean).await
}

/// For seconds, what was made is not to be seen.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_late_is_not_made_twice() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    world.from().change(|options| options.visible_after_ms = 3_000);
    world.to().change(|options| options.visible_after_ms = 3_000);
    let running = world.start().await?;
    running.done(aliased(&image, ALIAS)).await?;
    one_of_everything(&world, &image).await?;
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_and_server_faults_are_waited_out() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    let refused = |operation: &str, code: &str| {
        Fault::on(operation, Action::Status(code.to_owned())).count(2)
    };
    world.world.commercial.faults([
        refused("DescribeImages", "RequestLimitExceeded"),
        refused("DescribeSnapshots", "InternalError"),
        refused("CreateStoreImageTask", "RequestLimitExceeded"),
        refused("DescribeStoreImageTasks", "Unavailable"),
    ]);
    world.world.gov.faults([
        refused("DescribeImages", "InternalError"),
        refused("CreateRestoreImageTask", "RequestLimitExceeded"),
        refused("DescribeSnapshots", "RequestLimitExceeded"),
        refused("PutParameter", "ThrottlingException"),
        refused("GetParameter", "InternalServerError"),
    ]);
    let running = world.start().await?;
    running.done(aliased(&image, ALIAS)).await?;
    one_of_everything(&world, &image).await?;
    running.daemon.stop(LogCheck::Clean).await
}

/// A right that is missing is named, and the job goes on from there once it is given.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_and_nothing_is_done_twice_afterwards() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    world.world.gov.deny(["CreateRestoreImageTask"]);
    let running = world.start().await?;
    let words = ["target gov", "ec2:CreateRestoreImageTask", "allow"];
    let id = running.fails(aliased(&image, ALIAS), &words).await?.id;
    world.world.gov.deny(["PutParameter"]);
    running.act(causeway::client::Action::Retry, &id).await?;
    running.has_failed(&id, &["target gov", "ssm:PutParameter", "allow"]).await?;
    world.world.gov.deny([""; 0]);
    running.act(causeway::client::Action::Retry, &id).await?;
    running.succeeds(&id).await?;
    one_of_everything(&world, &image).await?;
    running.daemon.stop(LogCheck::Expected(&["the job failed"])).await
}
