//! An image job at work, for the tests of its road's parts.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::Road;
use crate::base::{Berth, NoObserver, Room};
use crate::blob::tests::server;
use crate::image::Images;
use crate::ledger::Ledger;
use crate::model::{ImageSpec, Job, RestoreSpec, Submission, Tags};
use crate::pipeline::{Handle, Pipeline};
use crate::remote::Remote;
use crate::transfer::Record;

/// A job that is to restore an object, claimed.
pub(super) struct World {
    pub(super) pipeline: Pipeline,
    pub(super) handle: Handle,
    pub(super) images: Images,
    pub(super) job: Job,
    _dir: TempDir,
}

impl World {
    /// At a remote that is at this endpoint.
    pub(super) async fn at(endpoint: &str) -> Self {
        let options = server::options(endpoint);
        let remote = Remote::build(options, Arc::new(NoObserver)).await.expect("legal");
        let dir = TempDir::new().expect("a directory");
        let pipeline = Pipeline::of_one(remote, dir.path());
        let remote = pipeline.remotes.values().next().map(Arc::clone).expect("one");
        let job = claimed(&pipeline.ledger).await;
        let handle = pipeline.handle(None, 0, Berth::unbounded());
        Self { pipeline, handle, images: Images::new(remote), job, _dir: dir }
    }

    pub(super) fn record(&self) -> Record {
        Record {
            ledger: self.pipeline.ledger.clone(),
            job: self.job.id,
            token: self.job.lease.as_ref().expect("claimed").token,
            live: Arc::clone(&self.handle.live),
            stop: self.handle.stop.clone(),
        }
    }

    pub(super) fn road<'a>(&'a self, record: &'a Record) -> Road<'a> {
        Road { pipeline: &self.pipeline, record, handle: &self.handle }
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
