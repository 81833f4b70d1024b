//! What a restore loses is told, and brought back on request: by one image, not by two.

use anyhow::{Context as _, Result, ensure};
use causeway::v1;
use e2e::LogCheck;
use e2e::image_world::{ImageWorld, differences, migrate, tags};
use sandbox::{Action, Fault, ImageSpec, Lost, Owner};

const ALIAS: &str = "/golden/web";

async fn forgetful() -> Result<ImageWorld> {
    let world = ImageWorld::new().await?;
    let all = Lost { boot_mode: true, tpm_support: true, imds_support: true, uefi_data: true };
    world.to().change(|options| options.lost_on_restore = all);
    Ok(world)
}

fn repaired(image: &str) -> v1::MigrateSpec {
    let restored = v1::RestoredImage {
        repair: true,
        name: "golden-2".to_owned(),
        alias: ALIAS.to_owned(),
        tags: tags([("by", "causeway")]),
        ..v1::RestoredImage::default()
    };
    v1::MigrateSpec { restored: Some(restored), copy_tags: true, ..migrate(image) }
}

/// The image is there with all that it was before, by itself and on its own snapshots.
async fn is_whole(world: &ImageWorld, image: &str, job: &v1::Job) -> Result<()> {
    let old = world.from().image(image).context("the source")?;
    let new = world.the_only_new_image(&[])?;
    ensure!(new.traits == old.traits && new.name == "golden-2", "{old:?} {new:?}");
    for (old, new) in old.devices.iter().zip(&new.devices) {
        let shapes = [old, new].map(|it| it.volume.as_ref().map(|volume| volume.shape.clone()));
        ensure!(shapes[0] == shapes[1] && old.device_name == new.device_name, "{shapes:?}");
    }
    world.assert_same_volumes(&old, &new, &[]).await?;
    let tags = new.tags();
    for (key, value) in [("team", "images"), ("by", "causeway"), ("causeway:job", &job.id)] {
        ensure!(tags.get(key).is_some_and(|it| it == value), "{tags:?}");
    }
    let alias = world.world.gov.ssm().value(ALIAS).context("the alias")?;
    ensure!(alias == (new.id.clone(), 1), "{alias:?}");
    let progress = job.image.as_ref().context("it tells how far it is")?;
    let restored = progress.restored.as_ref().context("the new image")?;
    ensure!(restored.image_id == new.id, "{restored:?}");
    ensure!(differences(progress).is_empty(), "{progress:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restore_lost_is_told_field_by_field() -> Result<()> {
    let world = forgetful().await?;
    let image = world.add_golden();
    let running = world.start().await?;
    let job = running.done(v1::MigrateSpec { copy_tags: true, ..migrate(&image) }).await?;
    let progress = job.image.context("it tells how far it is")?;
    let lost = [
        ("BootMode", ("uefi", "")),
        ("ImdsSupport", ("v2.0", "")),
        ("TpmSupport", ("v2.0", "")),
        ("UefiData", ("12 bytes", "")),
    ];
    ensure!(differences(&progress) == lost.into(), "{progress:#?}");
    ensure!(world.world.gov.stats().calls("RegisterImage") == 0, "nobody asked for a repair");
    world.the_only_new_image(&[])?;
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_image_has_everything_back_and_is_the_only_one() -> Result<()> {
    let world = forgetful().await?;
    let image = world.add_golden();
    let running = world.start().await?;
    let job = running.done(repaired(&image)).await?;
    is_whole(&world, &image, &job).await?;
    let fidelity = job.image.and_then(|image| image.fidelity).context("the report")?;
    ensure!(fidelity.repaired, "{fidelity:?}");
    let stats = world.world.gov.stats();
    ensure!(stats.calls("RegisterImage") == 1 && stats.calls("CreateRestoreImageTask") == 1);
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_whose_answers_are_lost_leaves_one_image() -> Result<()> {
    let world = forgetful().await?;
    let image = world.add_golden();
    world.world.gov.faults([
        Fault::on("RegisterImage", Action::LoseAnswer).call(1),
        Fault::on("DeregisterImage", Action::LoseAnswer).call(1),
    ]);
    let running = world.start().await?;
    let job = running.done(repaired(&image)).await?;
    is_whole(&world, &image, &job).await?;
    running.daemon.stop(LogCheck::Clean).await
}

/// RegisterImage cannot say what an image is billed as: the restored one, which has it, is not given up.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_billed_is_not_registered_anew() -> Result<()> {
    let world = forgetful().await?;
    let mut spec = ImageSpec::new("windows-1");
    spec.traits.platform = Some("Windows".to_owned());
    spec.traits.boot_mode = Some("uefi".to_owned());
    spec.traits.tpm_support = Some("v2.0".to_owned());
    let image = world.from().add_image(spec);
    let running = world.start().await?;
    let words = ["target gov", "ec2:RegisterImage", "boots by", "billed"];
    running.fails(repaired(&image), &words).await?;
    let new = world.the_only_new_image(&[])?;
    ensure!(new.traits.platform.as_deref() == Some("Windows"), "{new:?}");
    let stats = world.world.gov.stats();
    let calls = ["RegisterImage", "DeregisterImage", "PutParameter"].map(|name| stats.calls(name));
    ensure!(calls == [0, 0, 0], "{calls:?}");
    running.daemon.stop(LogCheck::Expected(&["the job failed"])).await
}

/// The restored image is not given up for one that lacks what the source booted with.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_source_is_gone_is_not_registered_anew() -> Result<()> {
    let world = forgetful().await?;
    world.to().change(|options| options.restore_ms_per_gib = 100);
    let image = world.add_golden();
    let running = world.start().await?;
    let id = running.submit(repaired(&image)).await?;
    running.until(&id, |_| world.to().quotas().restore.admitted == 1).await?;
    world.somebody_else("commercial").await?.deregister(&image, true).await?;
    let words = ["source commercial", "ec2:DescribeImageAttribute", "UEFI variables", "gone"];
    running.has_failed(&id, &words).await?;
    world.the_only_new_image(&[])?;
    let stats = world.world.gov.stats();
    let calls = ["RegisterImage", "DeregisterImage", "PutParameter"].map(|name| stats.calls(name));
    ensure!(calls == [0, 0, 0], "{calls:?}");
    running.daemon.stop(LogCheck::Expected(&["the job failed"])).await
}

/// Killed after the restored image was given up and before that was written down, with the source gone since: an
/// image without the variables is better than none.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_has_given_up_the_restored_image_goes_on_without_its_source() -> Result<()> {
    let world = forgetful().await?;
    let image = world.add_golden();
    world.world.gov.faults([Fault::on("DeregisterImage", Action::StallMs(3_600_000))]);
    let running = world.start().await?;
    let id = running.submit(repaired(&image)).await?;
    let calls = || world.world.gov.stats().calls("DeregisterImage");
    running.until(&id, |_| calls() == 1 && world.to().images().is_empty()).await?;
    running.daemon.kill()?;
    world.world.gov.faults([]);
    world.somebody_else("commercial").await?.deregister(&image, true).await?;
    let running = world.start().await?;
    let job = running.succeeds(&id).await?;
    let new = world.the_only_new_image(&[])?;
    ensure!(new.traits.boot_mode.as_deref() == Some("uefi"), "{new:?}");
    ensure!(new.traits.uefi_data.is_none() && new.name == "golden-2", "{new:?}");
    let warnings = job.warnings.join("\n");
    ensure!(warnings.contains("the UEFI variables were not compared"), "{warnings}");
    running.daemon.stop(LogCheck::Expected(&["took back jobs"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_lost_nothing_is_not_registered_anew() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add_golden();
    let running = world.start().await?;
    let job = running.done(repaired(&image)).await?;
    is_whole(&world, &image, &job).await?;
    ensure!(world.world.gov.stats().calls("RegisterImage") == 0, "for nothing");
    running.daemon.stop(LogCheck::Clean).await
}

/// Whoever does not own an image may store it, and may not read its UEFI variables.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_another_account_shares_directly_is_migrated() -> Result<()> {
    let world = ImageWorld::new().await?;
    let owner = Owner::SharedBy("999988887777".to_owned());
    let image = world.from().add_image(ImageSpec { owner, ..ImageSpec::new("shared") });
    let running = world.start().await?;
    running.done(migrate(&image)).await?;
    world.the_only_new_image(&[])?;
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_that_is_required_is_there_and_told() -> Result<()> {
    let world = ImageWorld::new().await?;
    world.to().change(|options| options.encryption_by_default = true);
    let image = world.add("secret");
    let running = world.start().await?;
    let required = v1::RestoredImage { require_encryption: true, ..v1::RestoredImage::default() };
    let asked = v1::MigrateSpec { restored: Some(required), ..migrate(&image) };
    let job = running.done(asked).await?;
    world.the_only_new_image(&[])?;
    ensure!(world.to().snapshots().values().all(|snapshot| snapshot.encrypted));
    let fidelity = job.image.and_then(|image| image.fidelity).context("the report")?;
    ensure!(fidelity.encrypted && fidelity.differences.is_empty(), "{fidelity:?}");
    running.daemon.stop(LogCheck::Clean).await
}
