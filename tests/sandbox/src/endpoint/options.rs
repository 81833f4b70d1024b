//! How an endpoint is to be, with the two that stand for the partitions of the demo ready made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::credentials::Credentials;
use crate::ec2::{Ec2Options, ImageSpec};
use crate::fault::FaultScript;
use crate::habit::Habits;
use crate::ingest::EtagStyle;
use crate::ssm::SsmOptions;
use crate::store::bucket::BucketOptions;

/// How an endpoint is to be.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// AWS region; requests signed for another are refused.
    pub region: String,
    /// Who may speak to it.
    pub credentials: Credentials,
    /// AWS account that owns everything.
    pub account: String,
    /// Plain HTTP instead of TLS.
    pub plain_http: bool,
    /// Port on 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// Buckets that are there from the start.
    pub buckets: BTreeMap<String, BucketOptions>,
    /// Uploads are written below this directory; in memory without one.
    pub directory: Option<PathBuf>,
    /// How ETags are made.
    pub etags: EtagStyle,
    /// ARNs of the KMS keys that exist.
    pub kms_keys: BTreeSet<String>,
    /// Habits other than AWS's.
    pub habits: Habits,
    /// Faults from the start.
    pub faults: FaultScript,
    /// How EC2 behaves.
    pub ec2: Ec2Options,
    /// How SSM behaves.
    pub ssm: SsmOptions,
    /// Images that are there from the start.
    pub images: Vec<ImageSpec>,
}

impl EndpointOptions {
    /// An endpoint of `region` for one key pair, with TLS, in memory, behaving as AWS does.
    #[must_use]
    pub fn new(region: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            region: region.into(),
            credentials,
            account: "111122223333".to_owned(),
            plain_http: false,
            port: 0,
            buckets: BTreeMap::new(),
            directory: None,
            etags: EtagStyle::Md5,
            kms_keys: BTreeSet::new(),
            habits: Habits::default(),
            faults: FaultScript::default(),
            ec2: Ec2Options::default(),
            ssm: SsmOptions::default(),
            images: Vec::new(),
        }
    }

    /// Has this bucket from the start.
    #[must_use]
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.insert(name.into(), BucketOptions::default());
        self
    }

    /// Has this bucket from the start.
    #[must_use]
    pub fn bucket_with(mut self, name: impl Into<String>, options: BucketOptions) -> Self {
        self.buckets.insert(name.into(), options);
        self
    }

    /// Has this image from the start.
    #[must_use]
    pub fn image(mut self, image: ImageSpec) -> Self {
        self.images.push(image);
        self
    }

    /// What stands for the commercial partition: us-east-2.
    #[must_use]
    pub fn commercial() -> Self {
        Self::new("us-east-2", Credentials::new("AKIACOMMERCIALSANDBX", "commercial-secret"))
    }

    /// What stands for GovCloud: us-gov-west-1.
    #[must_use]
    pub fn gov() -> Self {
        let options =
            Self::new("us-gov-west-1", Credentials::new("AKIAGOVCLOUD0SANDBOX", "gov-secret"));
        Self { account: "444455556666".to_owned(), ..options }
    }
}
