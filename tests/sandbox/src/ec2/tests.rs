//! EC2's rules, under a paused clock.

mod lifecycle;
mod quota;
mod restore;
mod store;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Ec2, Ec2Options, ImageSpec};
use crate::api::{Command, Refused, Service};
use crate::clock::Clock;
use crate::habit::Habits;
use crate::ingest::EtagStyle;
use crate::s3::Partition;
use crate::store::Store;
use crate::store::bucket::BucketOptions;

/// A partition's S3 with the bucket `bucket`.
pub(crate) fn partition(region: &str) -> Arc<Partition> {
    let store = Store::default();
    store.create_bucket("bucket", BucketOptions::default()).unwrap();
    Arc::new(Partition {
        region: region.to_owned(),
        account: "111122223333".to_owned(),
        store,
        kms_keys: Mutex::new(BTreeSet::new()),
        habits: Mutex::new(Habits::default()),
        directory: None,
        etags: EtagStyle::Md5,
    })
}

/// One partition's EC2 with the bucket `bucket`.
pub(crate) struct World {
    pub(crate) ec2: Ec2,
    pub(crate) partition: Arc<Partition>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of("us-east-2", Ec2Options::default())
    }

    pub(crate) fn of(region: &str, options: Ec2Options) -> Self {
        let partition = partition(region);
        let ends = (CancellationToken::new(), TaskTracker::new());
        let ec2 = Ec2::new(Arc::clone(&partition), Clock::new(), options, ends);
        Self { ec2, partition }
    }

    /// An image that takes 8 s to be stored: of 8 GiB at a second each.
    pub(crate) fn slow() -> (Self, String) {
        let options = Ec2Options {
            store_ms_per_gib: 1_000,
            restore_ms_per_gib: 1_000,
            ..Ec2Options::default()
        };
        let world = Self::of("us-east-2", options);
        let id = world.ec2.add_image(ImageSpec::new("golden"));
        (world, id)
    }

    /// The answer's XML.
    pub(crate) async fn ask(&self, form: &str) -> Result<String, Refused> {
        let request = http::Request::builder().method("POST").uri("/").body(()).unwrap();
        let command = Command::read(Service::Ec2, &request.into_parts().0, form.as_bytes());
        let body = self.ec2.answer(&command, "id").await?;
        Ok(String::from_utf8(body).unwrap())
    }

    /// The answer, which has to be a yes.
    pub(crate) async fn yes(&self, form: &str) -> String {
        self.ask(form).await.unwrap_or_else(|refused| panic!("{form}: {refused:?}"))
    }

    /// The code and the status of a no.
    pub(crate) async fn no(&self, form: &str) -> (String, StatusCode) {
        let refused = self.ask(form).await.expect_err(form);
        (refused.code, refused.status)
    }

    pub(crate) async fn code(&self, form: &str) -> String {
        self.no(form).await.0
    }

    /// Stores an image and waits for it.
    pub(crate) async fn store(&self, id: &str) -> String {
        self.yes(&format!("Action=CreateStoreImageTask&ImageId={id}&Bucket=bucket")).await;
        pass(3_600).await;
        let object = self.partition.find("bucket", &format!("{id}.bin"), None);
        assert!(object.is_ok(), "{}", self.yes("Action=DescribeStoreImageTasks").await);
        format!("{id}.bin")
    }
}

/// Lets so many seconds pass, and what they end come to its end.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// What stands in the first element of this name.
pub(crate) fn first<'a>(xml: &'a str, name: &str) -> &'a str {
    all(xml, name).into_iter().next().unwrap_or_else(|| panic!("no {name} in {xml}"))
}

/// What stands in the elements of this name.
pub(crate) fn all<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(open.as_str()).skip(1);
    parts.filter_map(|part| Some(part.split_once(close.as_str())?.0)).collect()
}
