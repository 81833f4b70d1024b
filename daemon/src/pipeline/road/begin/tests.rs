//! What is written down of requests whose answers are made up here: nobody is asked over a network.

use std::sync::Mutex;

use super::super::tests::World;
use super::*;

/// Asked over no network: what EC2 says is made up here.
async fn world() -> World {
    World::at("http://localhost:1").await
}

fn task(world: &World) -> Task<'_> {
    let (kind, side) = (Kind::Restore, Side::Target);
    let (job, images) = (world.job.id, &world.images);
    Task { job, kind, side, images, name: "", gib: 1, object: None }
}

/// EC2 may not show at once what it makes. Where the daemon is killed just after a request, the next one looks for as
/// long as that takes: from this request on, not from one that was refused hours ago.
#[tokio::test]
async fn each_request_is_written_down_as_of_its_own_moment() {
    let world = world().await;
    let (record, task) = (world.record(), task(&world));
    let road = world.road(&record);
    let other = JobId::from_bytes([9; 16]);
    let other = world.pipeline.quotas.begin(task.remote(), Kind::Restore, other, ("ami-9", 1));
    let asked = Mutex::new(Vec::new());
    let ask = || {
        let job = world.pipeline.ledger.get(world.job.id).expect("readable");
        let mut asked = asked.lock().expect("not poisoned");
        asked.push(job.image.expect("an image job").progress.restore_asked);
        let is_first = asked.len() == 1;
        async move { if is_first { Err(image::Error::Quota(Box::default())) } else { Ok(()) } }
    };
    let makes_room = async {
        while asked.lock().expect("not poisoned").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(other);
    };
    let begin = road.begin(&task, ImageFact::RestoreAsked, ask);
    let (begun, ()) = tokio::join!(begin, makes_room);
    let (answer, _counted) = begun.expect("not stopped");
    assert_eq!(answer, Ok(()));
    let asked = asked.into_inner().expect("not poisoned");
    assert!(matches!(asked[..], [Some(first), Some(second)] if first < second), "{asked:?}");
}
