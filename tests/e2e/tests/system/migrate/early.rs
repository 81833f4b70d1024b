//! What cannot become of an image is said at once, with a reason and what to do, and nothing is begun.

use anyhow::{Context as _, Result, ensure};
use causeway::v1;
use e2e::image_world::{ImageWorld, migrate, store};
use e2e::{LogCheck, Running};
use sandbox::{BucketOptions, DeviceSpec, ImageSpec, Owner};

const FAILED: LogCheck<'_> = LogCheck::Expected(&["the job failed"]);

/// It is refused in these words, and nothing was begun.
async fn refused(
    world: &ImageWorld,
    running: &Running,
    asked: v1::MigrateSpec,
    words: &[&str],
) -> Result<()> {
    let job = running.fails(asked, words).await?;
    world.assert_untouched()?;
    let progress = job.image.context("it tells how far it is")?;
    ensure!(progress.stored.is_none() && progress.restored.is_none(), "{progress:?}");
    ensure!(world.world.gov.stats().calls("PutObject") == 0, "something was written");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_ec2_does_not_store_is_refused_at_once() -> Result<()> {
    let world = ImageWorld::new().await?;
    let mut instance_store = ImageSpec::new("instance store");
    instance_store.devices =
        vec![DeviceSpec { volume: None, ..DeviceSpec::volume("/dev/xvda", 1) }];
    let mut paravirtual = ImageSpec::new("paravirtual");
    paravirtual.traits.virtualization = "paravirtual".to_owned();
    let huge = ImageSpec::new("huge").gib(5_001);
    let owner = Owner::Public("999988887777".to_owned());
    let public = ImageSpec { owner, ..ImageSpec::new("public") };
    let mut encrypted = ImageSpec::new("encrypted");
    encrypted.devices[0].encrypted = true;
    let running = world.start().await?;
    for (image, words) in [
        (instance_store, ["instance store", "EBS-backed"]),
        (paravirtual, ["paravirtual", "HVM"]),
        (huge, ["5001 GB", "image_size_gb"]),
        (public, ["999988887777", "copy it into the account"]),
        (encrypted, ["decrypted", "--allow-decrypted"]),
    ] {
        let image = world.from().add_image(image);
        let words = [words.as_slice(), &["source commercial", &image]].concat();
        refused(&world, &running, migrate(&image), &words).await?;
    }
    let unknown = migrate("ami-0123456789abcdef0");
    refused(&world, &running, unknown, &["ami-0123456789abcdef0", "no such image"]).await?;
    running.daemon.stop(FAILED).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_snapshot_is_gone_is_refused_at_once() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("hollow");
    let snapshot = world.from().snapshots().into_keys().next().context("it has one")?;
    world.from().remove_snapshot(&snapshot);
    let running = world.start().await?;
    refused(&world, &running, migrate(&image), &["source commercial", &snapshot]).await?;
    running.daemon.stop(FAILED).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_another_region_or_of_nobody_is_refused_at_once() -> Result<()> {
    let world = ImageWorld::new().await?;
    let far = BucketOptions { region: Some("eu-west-1".to_owned()), ..BucketOptions::default() };
    world.world.commercial.create_bucket("far", far.clone())?;
    world.world.gov.create_bucket("gov-far", far)?;
    let image = world.add("golden");
    let running = world.start().await?;
    let via = |bucket: &str| v1::MigrateSpec { via: bucket.to_owned(), ..migrate(&image) };
    let landing = |bucket: &str| v1::MigrateSpec { landing: bucket.to_owned(), ..migrate(&image) };
    let there = ["eu-west-1", "name a bucket in"];
    for (asked, words) in [
        (via("far"), ["source commercial", "far", there[0], there[1], "us-east-2"].as_slice()),
        (landing("gov-far"), &["target gov", "gov-far", there[0], there[1], "us-gov-west-1"]),
        (via("none"), &["source commercial", "none"]),
        (landing("none"), &["target gov", "none"]),
    ] {
        refused(&world, &running, asked, words).await?;
    }
    running.daemon.stop(FAILED).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_refused_at_once() -> Result<()> {
    let world = ImageWorld::new().await?;
    let holder = world.to().add_image(ImageSpec::new("golden"));
    let image = world.add("golden");
    let running = world.start().await?;
    let words = ["target gov", "golden", &holder, "--name"];
    refused(&world, &running, migrate(&image), &words).await?;
    let name = "golden-2".to_owned();
    let restored = Some(v1::RestoredImage { name, ..v1::RestoredImage::default() });
    running.done(v1::MigrateSpec { restored, ..migrate(&image) }).await?;
    ensure!(world.the_only_new_image(&[&holder])?.name == "golden-2");
    running.daemon.stop(FAILED).await
}

#[tokio::test(flavor = "multi_thread")]
async fn required_encryption_that_the_account_does_not_give_is_refused_at_once() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    let running = world.start().await?;
    let required = v1::RestoredImage { require_encryption: true, ..v1::RestoredImage::default() };
    let asked = v1::MigrateSpec { restored: Some(required), ..migrate(&image) };
    let words = ["target gov", "encryption", "by default"];
    refused(&world, &running, asked, &words).await?;
    running.daemon.stop(FAILED).await
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_snapshots_are_stored_where_that_was_said_to_be_meant() -> Result<()> {
    let world = ImageWorld::new().await?;
    let mut encrypted = ImageSpec::new("encrypted");
    encrypted.devices[0].encrypted = true;
    let image = world.from().add_image(encrypted);
    let running = world.start().await?;
    running.done(v1::MigrateSpec { allow_decrypted: true, ..migrate(&image) }).await?;
    world.the_only_new_image(&[])?;
    running.daemon.stop(LogCheck::Clean).await
}

/// Whose copy it is, and of which day, nobody knows: it is taken only where that was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_the_bucket_is_taken_only_on_request() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    let running = world.start().await?;
    running.done(store(&image, "images/")).await?;
    let words = ["source commercial", "already", "--reuse-stored"];
    running.fails(migrate(&image), &words).await?;
    let job = running.done(v1::MigrateSpec { reuse_stored: true, ..migrate(&image) }).await?;
    let stored = job.image.and_then(|image| image.stored).context("the stored object")?;
    ensure!(stored.key == format!("{image}.bin"), "{stored:?}");
    ensure!(world.world.commercial.stats().calls("CreateStoreImageTask") == 1, "stored twice");
    world.the_only_new_image(&[])?;
    running.daemon.stop(FAILED).await
}

/// The same of a store that somebody else has begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_progress_is_waited_for_only_on_request() -> Result<()> {
    let world = ImageWorld::taking(300).await?;
    let image = world.add("golden");
    let running = world.start().await?;
    let other = world.somebody_else("commercial").await?;
    other.store(&image, "images", &Default::default()).await?;
    running.fails(migrate(&image), &["is being stored", "--reuse-stored"]).await?;
    running.done(v1::MigrateSpec { reuse_stored: true, ..migrate(&image) }).await?;
    ensure!(world.world.commercial.stats().calls("CreateStoreImageTask") == 1, "stored twice");
    world.the_only_new_image(&[])?;
    running.daemon.stop(FAILED).await
}
