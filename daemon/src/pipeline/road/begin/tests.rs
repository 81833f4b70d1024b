//! What is written down of requests whose answers are made up here: nobody is asked over a network.

use std::cell::Cell;
use std::sync::Mutex;

use super::super::tests::World;
use super::*;
use crate::model::Timestamp;

/// Asked over no network: what EC2 says is made up here.
async fn world() -> World {
    World::at("http://localhost:1").await
}

fn task(world: &World) -> Task<'_> {
    let (kind, side) = (Kind::Restore, Side::Target);
    let (job, images) = (world.job.id, &world.images);
    Task { job, kind, side, images, name: "", gib: 1, object: None }
}

/// When the job says that EC2 was asked.
fn asked_at(world: &World) -> Option<Timestamp> {
    let job = world.pipeline.ledger.get(world.job.id).expect("readable");
    job.image.expect("an image job").progress.restore_asked
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
        let mut asked = asked.lock().expect("not poisoned");
        asked.push(asked_at(&world));
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

/// A copy of somebody else that comes while the job is paused would be taken for what it asked for, and deleted
/// with it.
#[tokio::test]
async fn a_request_that_was_refused_is_not_asked_any_more_when_the_worker_stops() {
    let world = world().await;
    let (record, task) = (world.record(), task(&world));
    let road = world.road(&record);
    let (requests, seen) = (Cell::new(0), Cell::new(None));
    let ask = || {
        requests.set(requests.get() + 1);
        seen.set(asked_at(&world));
        async { Err::<(), _>(image::Error::Quota(Box::default())) }
    };
    let stops = async {
        while requests.get() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.handle.stop.soon();
    };
    let (begun, ()) = tokio::join!(road.begin(&task, ImageFact::RestoreAsked, ask), stops);
    assert!(matches!(begun, Err(Fault::Stopped)), "{begun:?}");
    assert_eq!(requests.get(), 1);
    assert!(seen.get().is_some(), "the intent was not written down before");
    assert_eq!(asked_at(&world), None);
}

/// Nobody knows what became of it: the next worker looks.
#[tokio::test]
async fn a_request_that_was_not_answered_stays_asked_when_the_worker_stops() {
    let world = world().await;
    let (record, task) = (world.record(), task(&world));
    let road = world.road(&record);
    let is_asked = Cell::new(false);
    let ask = || {
        is_asked.set(true);
        std::future::pending::<Result<(), image::Error>>()
    };
    let stops = async {
        while !is_asked.get() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.handle.stop.now();
    };
    let (begun, ()) = tokio::join!(road.begin(&task, ImageFact::RestoreAsked, ask), stops);
    assert!(matches!(begun, Err(Fault::Stopped)), "{begun:?}");
    assert!(asked_at(&world).is_some());
}
