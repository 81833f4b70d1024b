//! EC2 as far as images are stored, restored, described and retired, by AWS's documented rules: quotas,
//! states, delays, the 31 days of store tasks, error codes, eventual consistency.
//!
//! # Invariants
//! - Everything it knows is under one lock, and no lock is held while bytes move or time passes.
//! - An image that is available was restored from an object that is byte for byte what a store wrote, or was
//!   seeded, or was registered from such snapshots.

mod admission;
mod attribute;
mod describe;
mod image;
mod options;
mod register;
mod restore;
mod retire;
mod seed;
mod show;
mod state;
mod store;
mod stored;
mod tags;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::admission::Admissions;
pub use self::image::{
    Device, DeviceSpec, Image, ImageSpec, ImageState, ImageTraits, Owner, Snapshot, SnapshotState,
    Volume, VolumeShape,
};
pub use self::options::{Ec2Options, Lost};
use self::state::State;
use crate::api::{Command, Refused};
use crate::clock::Clock;
use crate::cloud::unknown;
use crate::lock::lock;
use crate::query::{Written, Xml};
use crate::s3::Partition;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// One account's EC2 in one Region: a handle.
#[derive(Debug, Clone)]
pub struct Ec2(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    partition: Arc<Partition>,
    clock: Clock,
    state: Mutex<State>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What was admitted so far, of both kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// Stores.
    pub store: Admissions,
    /// Restores.
    pub restore: Admissions,
}

impl Ec2 {
    pub(crate) fn new(
        partition: Arc<Partition>,
        clock: Clock,
        options: Ec2Options,
        (stop, tasks): (CancellationToken, TaskTracker),
    ) -> Self {
        let state = Mutex::new(State::new(options, &partition.region));
        Self(Arc::new(Inner { partition, clock, state, stop, tasks }))
    }

    pub(crate) async fn answer(
        &self,
        command: &Command,
        request_id: &str,
    ) -> Result<Vec<u8>, Refused> {
        let name = command.operation;
        if name != "Unknown" && command.form.flag("DryRun")? {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(Refused::new("DryRunOperation", message));
        }
        let written = self.perform(command).await?;
        Ok(Xml::document(&format!("{name}Response"), Some(NAMESPACE), |xml| {
            xml.leaf("requestId", request_id);
            written(xml);
        }))
    }

    async fn perform(&self, command: &Command) -> Result<Written, Refused> {
        let form = &command.form;
        match command.operation {
            "CreateStoreImageTask" => self.create_store(form),
            "DescribeStoreImageTasks" => self.describe_stores(form),
            "CreateRestoreImageTask" => self.create_restore(form).await,
            "DescribeImages" => self.describe_images(form),
            "DescribeImageAttribute" => self.describe_image_attribute(form),
            "DescribeSnapshots" => self.describe_snapshots(form),
            "CreateTags" => self.create_tags(form),
            "DescribeTags" => self.describe_tags(form),
            "EnableImageDeprecation" => self.enable_deprecation(form),
            "DisableImageDeprecation" => self.disable_deprecation(form),
            "DisableImage" => self.disable(form),
            "EnableImage" => self.enable(form),
            "DeregisterImage" => self.deregister(form),
            "DeleteSnapshot" => self.delete_snapshot(form),
            "RegisterImage" => self.register(form),
            "GetEbsEncryptionByDefault" => {
                let enabled = lock(&self.0.state).options.encryption_by_default;
                Ok(Box::new(move |xml| {
                    xml.leaf("ebsEncryptionByDefault", enabled);
                    xml.leaf("sseType", if enabled { "sse-kms" } else { "none" });
                }))
            }
            "GetEbsDefaultKmsKeyId" => {
                let key = lock(&self.0.state).options.default_key.clone();
                Ok(Box::new(move |xml| xml.leaf("kmsKeyId", key)))
            }
            _ => Err(unknown(command)),
        }
    }

    /// A task that ends with the endpoint.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move { stop.run_until_cancelled(work).await });
    }
}
