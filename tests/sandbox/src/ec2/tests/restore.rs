//! Restores.

use super::{World, all, first, pass};
use crate::content::Content;
use crate::ec2::{DeviceSpec, Ec2Options, Image, ImageSpec, ImageState, Lost, SnapshotState};
use crate::store::object::Attributes;

fn restore(key: &str, name: &str) -> String {
    format!("Action=CreateRestoreImageTask&Bucket=bucket&ObjectKey={key}&Name={name}")
}

/// The same bytes in another partition.
async fn carry(from: &World, to: &World, key: &str) {
    let object = from.partition.find("bucket", key, None).unwrap();
    let attributes = Attributes::default();
    to.partition.place("bucket", key, object.content.clone(), attributes).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restore_has_an_id_at_once_and_an_image_at_the_end() {
    let (world, id) = World::slow();
    let key = world.store(&id).await;
    let answer = world.yes(&restore(&key, "new")).await;
    let new = first(&answer, "imageId");
    assert_ne!(new, id);
    pass(2).await;
    let pending = world.yes(&format!("Action=DescribeImages&ImageId.1={new}")).await;
    assert_eq!(first(&pending, "imageState"), "pending");
    let snapshot = first(&pending, "snapshotId");
    let form = format!("Action=DescribeSnapshots&SnapshotId.1={snapshot}");
    let shown = world.yes(&form).await;
    assert_eq!((first(&shown, "status"), first(&shown, "progress")), ("pending", "25%"));
    pass(7).await;
    let image = world.yes(&format!("Action=DescribeImages&ImageId.1={new}")).await;
    assert_eq!(first(&image, "imageState"), "available");
    let shown = world.yes(&form).await;
    assert_eq!((first(&shown, "status"), first(&shown, "progress")), ("completed", "100%"));
}

/// Between two volumes, it once took the second one's bytes with it.
#[tokio::test(start_paused = true)]
async fn an_instance_stores_device_stays_between_its_neighbours() {
    let world = World::new();
    let mut image = ImageSpec::new("golden");
    image.devices.push(DeviceSpec { volume: None, ..DeviceSpec::volume("/dev/sdb", 1) });
    image.devices.push(DeviceSpec::volume("/dev/xvdc", 100));
    let id = world.ec2.add_image(image);
    let key = world.store(&id).await;
    let answer = world.yes(&restore(&key, "new")).await;
    pass(60).await;
    let (old, new) =
        (world.ec2.image(&id).unwrap(), world.ec2.image(first(&answer, "imageId")).unwrap());
    let gib = |image: &Image| -> Vec<Option<u64>> {
        image.devices.iter().map(|d| Some(d.volume.as_ref()?.shape.gib)).collect()
    };
    assert_eq!(gib(&new), [Some(8), None, Some(100)]);
    let snapshots = world.ec2.snapshots();
    for (before, after) in old.snapshot_ids().zip(new.snapshot_ids()) {
        let bytes = async |id: &str| snapshots[id].payload.read_all().await.unwrap();
        assert!(bytes(before).await == bytes(after).await, "{after} holds other bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_is_the_same_in_another_partition() {
    let from = World::new();
    let to = World::of("us-gov-west-1", Ec2Options::default());
    let mut image = ImageSpec::new("golden").tag("team", "images").tag("stage", "prod");
    image.devices.push(DeviceSpec::volume("/dev/xvdb", 100));
    image.devices[1].tags.insert("disk".to_owned(), "data".to_owned());
    image.traits.uefi_data = Some("AAAA".to_owned());
    image.traits.platform = Some("Windows".to_owned());
    let id = from.ec2.add_image(image);
    let key = from.store(&id).await;
    carry(&from, &to, &key).await;
    let tags = "TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=stage&\
        TagSpecification.1.Tag.1.Value=test&TagSpecification.2.ResourceType=snapshot&\
        TagSpecification.2.Tag.1.Key=owner&TagSpecification.2.Tag.1.Value=me";
    // Without a name it keeps its own.
    let form = format!("Action=CreateRestoreImageTask&Bucket=bucket&ObjectKey={key}&{tags}");
    let answer = to.yes(&form).await;
    pass(60).await;
    let (old, new) =
        (from.ec2.image(&id).unwrap(), to.ec2.image(first(&answer, "imageId")).unwrap());
    assert_eq!((&new.name, &new.traits), (&old.name, &old.traits));
    assert_eq!((new.gib(), new.state.clone()), (108, ImageState::Available));
    assert_eq!(new.tags()["team"], "images");
    assert_eq!(new.tags()["stage"], "test");
    let snapshots = to.ec2.snapshots();
    let data = &snapshots[new.snapshot_ids().nth(1).unwrap()];
    assert_eq!((data.tags()["disk"].as_str(), data.tags()["owner"].as_str()), ("data", "me"));
    assert!(snapshots.values().all(|s| s.state == SnapshotState::Completed && !s.encrypted));

    // What was restored can be stored: other ids, the same disks.
    let again = to.store(&new.id).await;
    let (first, second) =
        (to.partition.find("bucket", &key, None), to.partition.find("bucket", &again, None));
    let tail = |content: &Content| content.slice(content.len() - (2 << 20)..content.len());
    let first = tail(&first.unwrap().content).read_all().await.unwrap();
    assert_eq!(first, tail(&second.unwrap().content).read_all().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_another_by_one_bit_becomes_no_image() {
    let world = World::new();
    let id = world.ec2.add_image(ImageSpec::new("golden"));
    let key = world.store(&id).await;
    let object = world.partition.find("bucket", &key, None).unwrap();
    let mut bytes = object.content.read_all().await.unwrap().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let attributes = Attributes::default();
    world.partition.place("bucket", "wrong.bin", bytes.into(), attributes).await.unwrap();
    let answer = world.yes(&restore("wrong.bin", "wrong")).await;
    let new = first(&answer, "imageId");
    pass(60).await;
    let image = world.yes(&format!("Action=DescribeImages&ImageId.1={new}")).await;
    assert_eq!(first(&image, "imageState"), "failed");
    assert!(first(&image, "message").contains("not those that were stored"));
    let form = format!("Action=DescribeSnapshots&SnapshotId.1={}", first(&image, "snapshotId"));
    assert_eq!(first(&world.yes(&form).await, "status"), "error");
    assert_eq!(world.ec2.quotas().restore.in_progress_gib, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_stored_image_is_refused_at_once() {
    let world = World::new();
    let bytes = Content::from(vec![0; 10_000]);
    world.partition.place("bucket", "zeros.bin", bytes, Attributes::default()).await.unwrap();
    for key in ["zeros.bin", "nothing.bin"] {
        assert_eq!(world.code(&restore(key, "new")).await, "InvalidParameterValue", "{key}");
    }
    let nowhere = "Action=CreateRestoreImageTask&Bucket=nowhere&ObjectKey=k&Name=new";
    assert_eq!(world.code(nowhere).await, "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_legal_and_nobody_elses() {
    let (world, id) = World::slow();
    let key = world.store(&id).await;
    assert_eq!(world.code(&restore(&key, "golden")).await, "InvalidAMIName.Duplicate");
    for name in ["ab", "a%24b%24c", &"x".repeat(129)] {
        assert_eq!(world.code(&restore(&key, name)).await, "InvalidAMIName.Malformed", "{name}");
    }
    world.yes(&restore(&key, "new+image+%28v2%29+%5Bx%5D")).await;
    // One that is pending has its name already.
    let again = world.code(&restore(&key, "new+image+%28v2%29+%5Bx%5D")).await;
    assert_eq!(again, "InvalidAMIName.Duplicate");
}

#[tokio::test(start_paused = true)]
async fn attributes_are_lost_only_where_they_are_to_be() {
    let world = World::new();
    let mut image = ImageSpec::new("golden");
    image.traits.boot_mode = Some("uefi".to_owned());
    image.traits.tpm_support = Some("v2.0".to_owned());
    image.traits.uefi_data = Some("AAAA".to_owned());
    let id = world.ec2.add_image(image);
    let key = world.store(&id).await;
    let lost = Lost { boot_mode: true, tpm_support: true, imds_support: true, uefi_data: true };
    world.ec2.change(|options| {
        options.lost_on_restore = lost;
        options.encryption_by_default = true;
    });
    let answer = world.yes(&restore(&key, "new")).await;
    pass(60).await;
    let new = world.ec2.image(first(&answer, "imageId")).unwrap();
    let (old, new) = (world.ec2.image(&id).unwrap().traits, new.traits);
    assert_eq!((new.boot_mode, new.tpm_support, new.imds_support), (None, None, None));
    assert_eq!((new.uefi_data, new.architecture), (None, old.architecture));
    let encrypted =
        world.yes("Action=DescribeSnapshots&Filter.1.Name=encrypted&Filter.1.Value.1=true");
    assert_eq!(all(&encrypted.await, "snapshotId").len(), 1);
    let default = world.yes("Action=GetEbsEncryptionByDefault").await;
    assert_eq!(first(&default, "ebsEncryptionByDefault"), "true");
    let key = world.yes("Action=GetEbsDefaultKmsKeyId").await;
    assert_eq!(first(&key, "kmsKeyId"), "alias/aws/ebs");
}

#[tokio::test(start_paused = true)]
async fn a_new_image_and_a_new_tag_are_seen_only_after_a_while() {
    let (world, id) = World::slow();
    let key = world.store(&id).await;
    world.ec2.change(|options| options.visible_after_ms = 2_000);
    let answer = world.yes(&restore(&key, "new")).await;
    let describe = format!("Action=DescribeImages&ImageId.1={}", first(&answer, "imageId"));
    assert_eq!(world.code(&describe).await, "InvalidAMIID.NotFound");
    let all_images = world.yes("Action=DescribeImages&Owner.1=self").await;
    assert_eq!(all(&all_images, "imageId").len(), 1);
    let tag = format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=k&Tag.1.Value=v");
    world.yes(&tag).await;
    let tagged = "Action=DescribeImages&Filter.1.Name=tag%3Ak&Filter.1.Value.1=v";
    assert!(all(&world.yes(tagged).await, "imageId").is_empty());
    pass(3).await;
    assert_eq!(first(&world.yes(&describe).await, "imageState"), "pending");
    assert_eq!(all(&world.yes(tagged).await, "imageId"), [id.as_str()]);
}
