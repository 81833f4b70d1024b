//! Images once they are there: described, tagged, registered, retired.

use http::StatusCode;

use super::{World, all, first, pass};
use crate::ec2::{ImageSpec, ImageState, Owner};

#[tokio::test(start_paused = true)]
async fn a_dry_run_changes_nothing() {
    let (world, id) = World::slow();
    let form = format!("Action=CreateStoreImageTask&ImageId={id}&Bucket=bucket&DryRun=true");
    let refused = world.no(&form).await;
    assert_eq!(refused, ("DryRunOperation".to_owned(), StatusCode::PRECONDITION_FAILED));
    assert!(all(&world.yes("Action=DescribeStoreImageTasks").await, "amiId").is_empty());
    assert_eq!(world.code("Action=RunInstances").await, "InvalidAction");
}

#[tokio::test(start_paused = true)]
async fn images_are_found_by_owner_and_filter() {
    let world = World::new();
    let mut theirs = ImageSpec::new("al2023");
    theirs.owner = Owner::Public("137112412989".to_owned());
    world.ec2.add_image(theirs);
    let golden = world.ec2.add_image(ImageSpec::new("golden-1").tag("team", "a"));
    world.ec2.add_image(ImageSpec::new("other").tag("team", "b"));
    for (query, count) in [
        ("", 3),
        ("&Owner.1=self", 2),
        ("&Owner.1=137112412989", 1),
        ("&ExecutableBy.1=all", 1),
        ("&Filter.1.Name=name&Filter.1.Value.1=golden-*", 1),
        ("&Filter.1.Name=tag%3Ateam&Filter.1.Value.1=a&Filter.1.Value.2=b", 2),
        ("&Filter.1.Name=tag-key&Filter.1.Value.1=team", 2),
        ("&Filter.1.Name=state&Filter.1.Value.1=pending", 0),
        ("&Filter.1.Name=is-public&Filter.1.Value.1=true", 1),
        ("&Filter.1.Name=owner-id&Filter.1.Value.1=111122223333", 2),
    ] {
        let shown = world.yes(&format!("Action=DescribeImages{query}")).await;
        assert_eq!(all(&shown, "imageId").len(), count, "{query}");
    }
    let filter = format!("&Filter.1.Name=image-id&Filter.1.Value.1={golden}");
    let shown = world.yes(&format!("Action=DescribeImages{filter}")).await;
    assert_eq!(first(&shown, "name"), "golden-1");
    // A public image's snapshots are not.
    let shown = world.yes("Action=DescribeSnapshots").await;
    assert_eq!(all(&shown, "snapshotId").len(), 2);
    let unknown = "Action=DescribeImages&Filter.1.Name=colour&Filter.1.Value.1=red";
    assert_eq!(world.code(unknown).await, "InvalidParameterValue");
    let page = world.yes("Action=DescribeImages&MaxResults=2").await;
    let token = first(&page, "nextToken");
    let rest = world.yes(&format!("Action=DescribeImages&MaxResults=2&NextToken={token}")).await;
    assert_eq!(all(&rest, "imageId").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_said_of_a_registered_image_is_i386_and_paravirtual() {
    let world = World::new();
    let id = world.ec2.add_image(ImageSpec::new("golden"));
    let snapshot = world.ec2.image(&id).unwrap().snapshot_ids().next().unwrap().to_owned();
    let devices = format!(
        "RootDeviceName=/dev/xvda&BlockDeviceMapping.1.DeviceName=/dev/xvda&\
         BlockDeviceMapping.1.Ebs.SnapshotId={snapshot}"
    );
    let answer = world.yes(&format!("Action=RegisterImage&Name=plain&{devices}")).await;
    let plain = world.ec2.image(first(&answer, "imageId")).unwrap();
    assert_eq!((plain.traits.architecture.as_str(), plain.gib()), ("i386", 8));
    assert_eq!(
        (plain.traits.virtualization.as_str(), plain.traits.ena_support),
        ("paravirtual", false)
    );
    let said = "Architecture=x86_64&VirtualizationType=hvm&BootMode=uefi&TpmSupport=v2.0&\
        ImdsSupport=v2.0&UefiData=AAAA&EnaSupport=true&TagSpecification.1.ResourceType=image&\
        TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v";
    let answer = world.yes(&format!("Action=RegisterImage&Name=whole&{devices}&{said}")).await;
    let whole = world.ec2.image(first(&answer, "imageId")).unwrap();
    assert_eq!(whole.traits.tpm_support.as_deref(), Some("v2.0"));
    assert_eq!((whole.tags()["k"].as_str(), whole.state), ("v", ImageState::Available));

    for (form, code) in [
        (format!("Name=plain&{devices}"), "InvalidAMIName.Duplicate"),
        (
            format!("Name=tpm&{devices}&VirtualizationType=hvm&TpmSupport=v2.0"),
            "InvalidParameterCombination",
        ),
        (format!("Name=ena&{devices}&EnaSupport=true"), "InvalidParameterCombination"),
        ("Name=rootless&RootDeviceName=/dev/sda1".to_owned(), "InvalidBlockDeviceMapping"),
        (
            format!("Name=small&{devices}&BlockDeviceMapping.1.Ebs.VolumeSize=7"),
            "InvalidBlockDeviceMapping",
        ),
        (devices.replace("snap-0", "snap-1") + "&Name=gone", "InvalidSnapshot.NotFound"),
    ] {
        assert_eq!(world.code(&format!("Action=RegisterImage&{form}")).await, code, "{form}");
    }
}

#[tokio::test(start_paused = true)]
async fn deregistering_deletes_only_snapshots_that_nobody_else_stands_on() {
    let world = World::new();
    let id = world.ec2.add_image(ImageSpec::new("golden"));
    let snapshot = world.ec2.image(&id).unwrap().snapshot_ids().next().unwrap().to_owned();
    let answer = world
        .yes(&format!(
            "Action=RegisterImage&Name=twin&RootDeviceName=/dev/xvda&\
             BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.SnapshotId={snapshot}"
        ))
        .await;
    let twin = first(&answer, "imageId");
    let delete = format!("Action=DeleteSnapshot&SnapshotId={snapshot}");
    assert_eq!(world.code(&delete).await, "InvalidSnapshot.InUse");
    let form = format!("Action=DeregisterImage&ImageId={id}&DeleteAssociatedSnapshots=true");
    assert_eq!(first(&world.yes(&form).await, "returnCode"), "skipped");
    assert!(world.ec2.snapshots().contains_key(&snapshot));
    assert_eq!(world.code(&form).await, "InvalidAMIID.Unavailable");
    // Not asked to, it keeps them.
    world.yes(&format!("Action=DeregisterImage&ImageId={twin}")).await;
    assert!(world.ec2.snapshots().contains_key(&snapshot));
    world.yes(&delete).await;
    assert_eq!(world.code(&delete).await, "InvalidSnapshot.NotFound");

    let alone = world.ec2.add_image(ImageSpec::new("alone"));
    let form = format!("Action=DeregisterImage&ImageId={alone}&DeleteAssociatedSnapshots=true");
    assert_eq!(first(&world.yes(&form).await, "returnCode"), "success");
    assert!(world.ec2.snapshots().is_empty() && world.ec2.images().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_protected_image_cannot_be_deregistered() {
    let (world, id) = World::slow();
    world.ec2.protect(&id, true);
    let form = format!("Action=DeregisterImage&ImageId={id}");
    assert_eq!(world.code(&form).await, "OperationNotPermitted");
    world.ec2.protect(&id, false);
    world.yes(&form).await;
}

#[tokio::test(start_paused = true)]
async fn a_disabled_image_is_shown_only_when_asked_for() {
    let (world, id) = World::slow();
    world.yes(&format!("Action=DisableImage&ImageId={id}")).await;
    assert!(all(&world.yes("Action=DescribeImages").await, "imageId").is_empty());
    let shown = world.yes("Action=DescribeImages&IncludeDisabled=true").await;
    assert_eq!(first(&shown, "imageState"), "disabled");
    let store = format!("Action=CreateStoreImageTask&ImageId={id}&Bucket=bucket");
    assert_eq!(world.code(&store).await, "InvalidAMIID.Unavailable");
    world.yes(&format!("Action=EnableImage&ImageId={id}")).await;
    assert_eq!(first(&world.yes("Action=DescribeImages").await, "imageState"), "available");
}

#[tokio::test(start_paused = true)]
async fn deprecation_is_to_the_minute_and_never_in_the_past() {
    let (world, id) = World::slow();
    let form = |at: &str| format!("Action=EnableImageDeprecation&ImageId={id}&DeprecateAt={at}");
    for at in ["2020-01-01T00:00:00Z", "2199-01-01T00:00:00Z", "soon"] {
        assert_eq!(world.code(&form(at)).await, "InvalidParameterValue", "{at}");
    }
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let at = soon.strftime("%Y-%m-%dT%H:%M:40.000Z").to_string();
    world.yes(&form(&at)).await;
    let shown = world.yes("Action=DescribeImages").await;
    assert!(first(&shown, "deprecationTime").ends_with(":00.000Z"), "{shown}");
    // Its owner sees it still.
    pass(2 * 86_400).await;
    assert_eq!(all(&world.yes("Action=DescribeImages").await, "imageId").len(), 1);
    world.yes(&format!("Action=DisableImageDeprecation&ImageId={id}")).await;
    assert!(!world.yes("Action=DescribeImages").await.contains("deprecationTime"));
}

#[tokio::test(start_paused = true)]
async fn tags_are_set_on_all_resources_or_on_none() {
    let (world, id) = World::slow();
    let snapshot = world.ec2.image(&id).unwrap().snapshot_ids().next().unwrap().to_owned();
    let tag = "Tag.1.Key=team&Tag.1.Value=images";
    let missing = format!("Action=CreateTags&ResourceId.1={id}&ResourceId.2=snap-00000000&{tag}");
    assert_eq!(world.code(&missing).await, "InvalidSnapshot.NotFound");
    assert!(world.ec2.image(&id).unwrap().tags().is_empty());
    world.yes(&format!("Action=CreateTags&ResourceId.1={id}&ResourceId.2={snapshot}&{tag}")).await;
    let tags = world.yes("Action=DescribeTags&Filter.1.Name=key&Filter.1.Value.1=team").await;
    assert_eq!(all(&tags, "resourceId"), [id.as_str(), snapshot.as_str()]);
    let reserved = format!("Action=CreateTags&ResourceId.1={id}&Tag.1.Key=aws%3Ax&Tag.1.Value=1");
    assert_eq!(world.code(&reserved).await, "InvalidTagKey.Malformed");
    let many: String = (1..=50).map(|n| format!("&Tag.{n}.Key=k{n}")).collect();
    let form = format!("Action=CreateTags&ResourceId.1={id}{many}");
    assert_eq!(world.code(&form).await, "TagLimitExceeded");
}
