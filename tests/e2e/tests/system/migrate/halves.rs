//! One half of the road: an image that becomes an archive copy, and an object that becomes an image.

use anyhow::{Context as _, Result, ensure};
use causeway::v1::{self, JobKind, Stage};
use e2e::LogCheck;
use e2e::image_world::{ImageWorld, store, tags};
use sandbox::BucketOptions;

use super::assert_stages;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_stored_where_ec2_writes_it() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    let running = world.start().await?;
    let asked = v1::StoreSpec { tags: tags([("kind", "image")]), ..store(&image, "images/") };
    let job = running.done(asked).await?;
    let commercial = &world.world.commercial;
    let key = format!("{image}.bin");
    ensure!(commercial.keys("images") == [key.as_str()], "{:?}", commercial.keys("images"));
    let object = commercial.object("images", &key).context("the object")?;
    ensure!(object.attributes.tags == [("kind".into(), "image".into())].into(), "{object:?}");
    ensure!(object.attributes.metadata.get("ami-name").is_some_and(|name| name == "golden"));
    let receipt = running.client.receipt(&job.id).await?;
    ensure!(receipt.kind() == JobKind::Store && receipt.source.is_none(), "{receipt:?}");
    ensure!(receipt.blake3.is_empty() && receipt.bytes_sent == 0, "{receipt:?}");
    let target = receipt.target.context("what EC2 wrote")?;
    ensure!((target.key, target.size) == (key, object.size()), "not the object");
    ensure!(target.partition == "aws" && target.etag == object.etag);
    assert_stages(&receipt.image.context("its stages")?, &[Stage::Storing])?;
    running.daemon.stop(LogCheck::Clean).await
}

/// EC2 chooses key and class: whoever wants others has the object carried on, and the first is gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_copy_has_its_prefix_and_storage_class_and_is_the_only_one() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add_golden();
    let running = world.start().await?;
    let asked = v1::StoreSpec {
        storage_class: Some("GLACIER_IR".to_owned()),
        tags: tags([("kind", "image")]),
        ..store(&image, "images/archive/2026/")
    };
    let job = running.done(asked).await?;
    let commercial = &world.world.commercial;
    let key = format!("archive/2026/{image}.bin");
    ensure!(commercial.keys("images") == [key.as_str()], "{:?}", commercial.keys("images"));
    let object = commercial.object("images", &key).context("the object")?;
    ensure!(object.attributes.storage_class == "GLACIER_IR", "{:?}", object.attributes);
    ensure!(object.attributes.tags.get("kind").is_some_and(|kind| kind == "image"));
    let receipt = running.client.receipt(&job.id).await?;
    let digest = blake3::hash(&object.bytes().await?).to_hex();
    ensure!(receipt.blake3 == digest.as_str(), "{receipt:?}");
    let progress = receipt.image.context("its stages")?;
    assert_stages(&progress, &[Stage::Storing, Stage::Transferring, Stage::Aliasing])?;
    let line = format!("commercial:images/{image}.bin is deleted");
    ensure!(progress.aftermath == [line], "{:?}", progress.aftermath);
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_copy_goes_by_another_bucket_where_that_is_said() -> Result<()> {
    let world = ImageWorld::new().await?;
    world.world.commercial.create_bucket("archive", BucketOptions::default())?;
    let image = world.add("golden");
    let running = world.start().await?;
    let asked = v1::StoreSpec { via: "images".to_owned(), ..store(&image, "archive/") };
    running.done(asked).await?;
    let commercial = &world.world.commercial;
    ensure!(commercial.keys("images").is_empty(), "{:?}", commercial.keys("images"));
    ensure!(commercial.keys("archive") == [format!("{image}.bin")]);
    running.daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_object_becomes_an_image_with_name_tags_and_alias() -> Result<()> {
    let world = ImageWorld::new().await?;
    let image = world.add("golden");
    let running = world.start().await?;
    running.done(store(&image, "images/")).await?;
    let source = format!("commercial:images/{image}.bin");
    let taken = v1::RestoreSpec { source: source.clone(), restored: None };
    // The image that was stored has the name still.
    running.fails(taken, &["commercial", "golden"]).await?;
    let restored = v1::RestoredImage {
        name: "golden again".to_owned(),
        tags: tags([("by", "causeway")]),
        alias: "/golden/web".to_owned(),
        deprecate_after: Some(24 * 3600),
        ..v1::RestoredImage::default()
    };
    let job = running.done(v1::RestoreSpec { source, restored: Some(restored) }).await?;
    let progress = job.image.context("it tells how far it is")?;
    assert_stages(&progress, &[Stage::Restoring, Stage::Aliasing])?;
    let new = progress.restored.context("the new image")?.image_id;
    let new = world.from().image(&new).context("it is there")?;
    ensure!(new.name == "golden again" && new.deprecated_at.is_some(), "{new:?}");
    ensure!(new.tags().get("by").is_some_and(|by| by == "causeway"), "{new:?}");
    ensure!(world.from().images().len() == 2, "{:?}", world.from().images());
    let alias = world.world.commercial.ssm().value("/golden/web");
    ensure!(alias == Some((new.id, 1)), "{alias:?}");
    let receipt = running.client.receipt(&job.id).await?;
    ensure!(receipt.kind() == JobKind::Restore && receipt.target.is_none(), "{receipt:?}");
    let read = receipt.source.context("the object that was read")?;
    ensure!(read.key == format!("{image}.bin") && read.size > 1 << 20, "{read:?}");
    running.daemon.stop(LogCheck::Expected(&["the job failed"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_no_stored_image_is_refused_with_ec2s_reason() -> Result<()> {
    let world = ImageWorld::new().await?;
    world.world.put("notes.bin", vec![7; 100_000]).await?;
    let running = world.start().await?;
    for (key, words) in [("notes.bin", "not a stored AMI"), ("none.bin", "none.bin")] {
        let source = format!("commercial:images/{key}");
        let restored = v1::RestoredImage { name: "new".into(), ..v1::RestoredImage::default() };
        let asked = v1::RestoreSpec { source, restored: Some(restored) };
        running.fails(asked, &["commercial", words]).await?;
    }
    ensure!(world.from().images().is_empty(), "{:?}", world.from().images());
    running.daemon.stop(LogCheck::Expected(&["the job failed"])).await
}
