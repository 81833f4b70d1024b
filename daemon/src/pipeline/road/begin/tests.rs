//! What is written down of requests whose answers are made up here: nobody is asked over a network.

use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::base::{Berth, NoObserver, Room};
use crate::blob::tests::server;
use crate::ledger::Ledger;
use crate::model::{ImageSpec, Job, RestoreSpec, Submission, Tags};
use crate::pipeline::{Handle, Pipeline};
use crate::remote::Remote;
use crate::transfer::Record;

/// A job that is to restore an object, claimed.
struct World {
    pipeline: Pipeline,
    handle: Handle,
    images: Images,
    job: Job,
    _dir: TempDir,
}

impl World {
    async fn new() -> Self {
        let options = server::options("http://localhost:1");
        let remote = Remote::build(options, Arc::new(NoObserver)).await.expect("legal");
        let dir = TempDir::new().expect("a directory");
        let pipeline = Pipeline::of_one(remote, dir.path());
        let remote = pipeline.remotes.values().next().map(Arc::clone).expect("one");
        let job = claimed(&pipeline.ledger).await;
        let handle = pipeline.handle(None, 0, Berth::unbounded());
        Self { pipeline, handle, images: Images::new(remote), job, _dir: dir }
    }

    fn record(&self) -> Record {
        Record {
            ledger: self.pipeline.ledger.clone(),
            job: self.job.id,
            token: self.job.lease.as_ref().expect("claimed").token,
            live: Arc::clone(&self.handle.live),
            stop: self.handle.stop.clone(),
        }
    }

    fn task(&self) -> Task<'_> {
        let (kind, side) = (Kind::Restore, Side::Target);
        let (job, images) = (self.job.id, &self.images);
        Task { job, kind, side, images, name: "", gib: 1, object: None }
    }
}

async fn claimed(ledger: &Ledger) -> Job {
    let restore = RestoreSpec {
        object: server::address("a.bin"),
        name: None,
        tags: Tags::new(),
        copy_tags: false,
        alias: None,
        deprecate_after: None,
        require_encryption: false,
        repair: false,
    };
    let spec = ImageSpec {
        store: None,
        restore: Some(restore),
        clean_up_stored: false,
        clean_up_landed: false,
        retire_source: None,
    };
    ledger.submit(Submission::image(spec, None), "uid:0").await.expect("accepted");
    let room = Room { small: 1, others: 1, large: 1, images: 1 };
    let claimed = ledger.claim(room, Duration::from_secs(60)).await.expect("the disk works");
    claimed.expect("it is queued")
}

/// EC2 may not show at once what it makes. Where the daemon is killed just after a request, the next one looks for as
/// long as that takes: from this request on, not from one that was refused hours ago.
#[tokio::test]
async fn each_request_is_written_down_as_of_its_own_moment() {
    let world = World::new().await;
    let (record, task) = (world.record(), world.task());
    let road = Road { pipeline: &world.pipeline, record: &record, handle: &world.handle };
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
