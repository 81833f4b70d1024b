//! Stores.

use super::{World, all, first, pass};
use crate::ec2::{DeviceSpec, Ec2Options, ImageSpec, Owner};
use crate::store::bucket::BucketOptions;

fn create(id: &str) -> String {
    format!("Action=CreateStoreImageTask&ImageId={id}&Bucket=bucket")
}

#[tokio::test(start_paused = true)]
async fn a_store_progresses_and_its_object_is_there_only_at_the_end() {
    let (world, id) = World::slow();
    let answer = world.yes(&create(&id)).await;
    assert_eq!(first(&answer, "objectKey"), format!("{id}.bin"));
    pass(4).await;
    let task = world.yes("Action=DescribeStoreImageTasks").await;
    assert_eq!(first(&task, "storeTaskState"), "InProgress");
    assert_eq!(first(&task, "progressPercentage"), "50");
    assert!(world.partition.find("bucket", &format!("{id}.bin"), None).is_err());
    pass(5).await;
    let task = world.yes("Action=DescribeStoreImageTasks").await;
    assert_eq!(first(&task, "storeTaskState"), "Completed");
    assert_eq!(first(&task, "progressPercentage"), "100");
    assert_eq!(first(&task, "s3objectKey"), format!("{id}.bin"));
    assert!(world.partition.find("bucket", &format!("{id}.bin"), None).is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_object_has_the_images_metadata_and_the_tags_asked_for() {
    let world = World::new();
    let mut image = ImageSpec::new("golden");
    image.traits.description = "für alle".to_owned();
    let id = world.ec2.add_image(image);
    let tagged = "S3ObjectTag.1.Key=team&S3ObjectTag.1.Value=images";
    world.yes(&format!("{}&{tagged}", create(&id))).await;
    pass(60).await;
    let object = world.partition.find("bucket", &format!("{id}.bin"), None).unwrap();
    let metadata = &object.attributes.metadata;
    assert_eq!(metadata["ami-name"], "golden");
    assert_eq!(metadata["ami-description"], "=?UTF-8?B?ZsO8ciBhbGxl?=");
    assert_eq!(metadata["ami-owner-account"], "111122223333");
    assert!(metadata["ami-registered-date"].ends_with('Z'));
    assert!(metadata["ami-store-date"] >= metadata["ami-registered-date"]);
    assert_eq!(object.attributes.tags["team"], "images");
    assert!(object.checksum.is_some());
}

/// There is no client token: only this keeps a second copy away.
#[tokio::test(start_paused = true)]
async fn a_bucket_has_one_copy_of_an_image() {
    let (world, id) = World::slow();
    world.yes(&create(&id)).await;
    assert_eq!(world.code(&create(&id)).await, "InvalidRequest");
    pass(9).await;
    assert_eq!(world.code(&create(&id)).await, "InvalidRequest");
    let tasks = world.yes("Action=DescribeStoreImageTasks").await;
    assert_eq!(all(&tasks, "amiId"), [id.as_str()]);
    let bucket = |bucket: &mut crate::store::bucket::Bucket| {
        Ok(bucket.delete(&format!("{id}.bin"), None, String::new()))
    };
    world.partition.store.bucket("bucket", bucket).unwrap();
    world.yes(&create(&id)).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_refused_by_its_own_code() {
    let world = World::of("us-east-2", Ec2Options::default());
    let far = BucketOptions { region: Some("eu-west-1".to_owned()), ..BucketOptions::default() };
    world.partition.store.create_bucket("far", far).unwrap();
    let mut paravirtual = ImageSpec::new("paravirtual");
    paravirtual.traits.virtualization = "paravirtual".to_owned();
    let mut instance_store = ImageSpec::new("instance store");
    instance_store.devices =
        vec![DeviceSpec { volume: None, ..DeviceSpec::volume("/dev/xvda", 1) }];
    let mut public = ImageSpec::new("public");
    public.owner = Owner::Public("137112412989".to_owned());
    let huge = ImageSpec::new("huge").gib(5_001);
    for (image, code) in [
        (paravirtual, "UnsupportedOperation"),
        (instance_store, "UnsupportedOperation"),
        (public, "AuthFailure"),
        (huge, "InvalidParameterValue"),
    ] {
        let name = image.name.clone();
        let id = world.ec2.add_image(image);
        assert_eq!(world.code(&create(&id)).await, code, "{name}");
    }
    assert_eq!(world.code(&create("ami-00000000")).await, "InvalidAMIID.NotFound");
    assert_eq!(world.code(&create("golden")).await, "InvalidAMIID.Malformed");
    let id = world.ec2.add_image(ImageSpec::new("golden"));
    for bucket in ["nowhere", "far"] {
        let form = format!("Action=CreateStoreImageTask&ImageId={id}&Bucket={bucket}");
        assert_eq!(world.code(&form).await, "InvalidParameterValue", "{bucket}");
    }
    let missing = format!("Action=CreateStoreImageTask&ImageId={id}");
    assert_eq!(world.code(&missing).await, "MissingParameter");
    assert_eq!(world.ec2.quotas().store.admitted, 0);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_was_shared_directly_can_be_stored_and_keeps_its_owner() {
    let world = World::new();
    let mut shared = ImageSpec::new("shared");
    shared.owner = Owner::SharedBy("999988887777".to_owned());
    let id = world.ec2.add_image(shared);
    let key = world.store(&id).await;
    let object = world.partition.find("bucket", &key, None).unwrap();
    assert_eq!(object.attributes.metadata["ami-owner-account"], "999988887777");
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_snapshot_goes_away_fails_and_leaves_no_object() {
    let (world, id) = World::slow();
    world.yes(&create(&id)).await;
    let snapshot = world.ec2.image(&id).unwrap().snapshot_ids().next().unwrap().to_owned();
    world.ec2.remove_snapshot(&snapshot);
    pass(9).await;
    let task = world.yes("Action=DescribeStoreImageTasks").await;
    assert_eq!(first(&task, "storeTaskState"), "Failed");
    assert!(first(&task, "storeTaskFailureReason").contains(&snapshot));
    assert!(world.partition.find("bucket", &format!("{id}.bin"), None).is_err());
    assert_eq!(world.ec2.quotas().store.in_progress_gib, 0);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_listed_newest_first_in_pages_and_for_31_days() {
    let world = World::new();
    let mut ids = Vec::new();
    for n in 0..5 {
        let id = world.ec2.add_image(ImageSpec::new(format!("image-{n}")));
        world.store(&id).await;
        ids.insert(0, id);
    }
    let page = world.yes("Action=DescribeStoreImageTasks&MaxResults=2").await;
    assert_eq!(all(&page, "amiId"), ids[..2]);
    let token = first(&page, "nextToken");
    // Newer tasks do not shift the pages.
    let newer = world.ec2.add_image(ImageSpec::new("newer"));
    world.store(&newer).await;
    let form = format!("Action=DescribeStoreImageTasks&MaxResults=200&NextToken={token}");
    let rest = world.yes(&form).await;
    assert_eq!(all(&rest, "amiId"), ids[2..]);
    assert!(!rest.contains("nextToken"));
    let refused = world.code("Action=DescribeStoreImageTasks&MaxResults=201").await;
    assert_eq!(refused, "InvalidParameterValue");
    pass(31 * 86_400 - 3 * 3_600).await;
    let left = world.yes("Action=DescribeStoreImageTasks").await;
    assert_eq!(all(&left, "amiId").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn by_id_filters_are_ignored_and_at_most_20_are_taken() {
    let (world, id) = World::slow();
    let other = world.ec2.add_image(ImageSpec::new("other"));
    world.store(&id).await;
    world.yes(&create(&other)).await;
    let completed = "Filter.1.Name=task-state&Filter.1.Value.1=Completed";
    let some = world.yes(&format!("Action=DescribeStoreImageTasks&{completed}")).await;
    assert_eq!(all(&some, "amiId"), [id.as_str()]);
    let form = format!("Action=DescribeStoreImageTasks&ImageId.1={other}&{completed}");
    assert_eq!(all(&world.yes(&form).await, "amiId"), [other.as_str()]);
    let form = format!("Action=DescribeStoreImageTasks&ImageId.1={other}&MaxResults=5");
    assert_eq!(world.code(&form).await, "InvalidParameterCombination");
    let many: String = (1..=21).map(|n| format!("&ImageId.{n}=ami-{n:08}")).collect();
    let refused = world.code(&format!("Action=DescribeStoreImageTasks{many}")).await;
    assert_eq!(refused, "InvalidParameterValue");
}
