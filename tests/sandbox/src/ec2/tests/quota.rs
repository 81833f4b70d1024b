//! What may be in progress at once.

use super::{World, pass};
use crate::ec2::{Ec2Options, ImageSpec};

/// 1,200 GB of stores: four images of 300 GB reach it, the fifth waits for one to end.
#[tokio::test(start_paused = true)]
async fn stores_are_accepted_while_less_than_the_limit_is_in_progress() {
    let world = World::new();
    let ids: Vec<String> =
        (0..12).map(|n| world.ec2.add_image(ImageSpec::new(format!("i-{n}")).gib(300))).collect();
    let mut waiting = ids.clone();
    while let Some(id) = waiting.first() {
        let form = format!("Action=CreateStoreImageTask&ImageId={id}&Bucket=bucket");
        match world.ask(&form).await {
            Ok(_) => drop(waiting.remove(0)),
            Err(refused) => {
                assert_eq!(refused.code, "ResourceLimitExceeded");
                pass(1).await;
            }
        }
    }
    pass(60).await;
    let store = world.ec2.quotas().store;
    assert_eq!((store.admitted, store.greatest_gib, store.in_progress_gib), (12, 1_200, 0));
    assert_eq!((store.greatest_tasks, store.rule_broken), (4, 0));
    assert!(store.refused > 0);
}

/// The size of the request itself does not count.
#[tokio::test(start_paused = true)]
async fn one_restore_may_go_over_the_limit() {
    let world = World::of(
        "us-gov-west-1",
        Ec2Options { restore_ms_per_gib: 1_000, ..Ec2Options::default() },
    );
    let id = world.ec2.add_image(ImageSpec::new("large").gib(599));
    let key = world.store(&id).await;
    let form =
        |n| format!("Action=CreateRestoreImageTask&Bucket=bucket&ObjectKey={key}&Name=i-{n}");
    world.yes(&form(1)).await;
    world.yes(&form(2)).await;
    assert_eq!(world.code(&form(3)).await, "ResourceLimitExceeded");
    let restore = world.ec2.quotas().restore;
    assert_eq!((restore.greatest_gib, restore.refused, restore.rule_broken), (1_198, 1, 0));
    // Stores have a limit of their own.
    assert_eq!(world.ec2.quotas().store.in_progress_gib, 0);
    pass(600).await;
    world.yes(&form(3)).await;
}

/// A deregistered image's restore goes on at EC2, and is given back.
#[tokio::test(start_paused = true)]
async fn a_restore_is_given_back_even_when_its_image_is_gone() {
    let (world, id) = World::slow();
    let key = world.store(&id).await;
    let answer = world
        .yes(&format!("Action=CreateRestoreImageTask&Bucket=bucket&ObjectKey={key}&Name=new"))
        .await;
    let new = super::first(&answer, "imageId");
    world.yes(&format!("Action=DeregisterImage&ImageId={new}")).await;
    assert_eq!(world.ec2.quotas().restore.in_progress_gib, 8);
    pass(9).await;
    assert_eq!(world.ec2.quotas().restore.in_progress_gib, 0);
    assert!(world.ec2.image(new).is_none());
}
