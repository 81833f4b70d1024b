//! One endpoint on loopback: it stands for one partition's S3, EC2, SSM and STS, with its own region,
//! credentials, certificate authority and account.

mod admin;
mod gate;
mod listen;
mod options;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use s3s::S3Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::options::EndpointOptions;
use crate::cloud::Cloud;
use crate::content::Content;
use crate::credentials::{Credentials, KeyRing};
use crate::ec2::Ec2;
use crate::fault::{FaultScript, Faults};
use crate::habit::Habits;
use crate::lock::lock;
use crate::s3::Partition;
use crate::ssm::Ssm;
use crate::stats::{Recorder, Stats};
use crate::store::Store;
use crate::store::bucket::BucketOptions;
use crate::store::object::{Attributes, StoredObject};
use crate::store::upload::Upload;
use crate::tls::{self, Identity};

/// What keeps an endpoint from starting or a test from arranging its objects.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificate.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// No socket.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A directory or file does not do what it should.
    #[error("cannot use {path}")]
    Storage {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// S3's own rules forbid it.
    #[error("S3 refuses: {0}")]
    Refused(#[from] S3Error),
}

/// What all connections and the admin port share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) partition: Arc<Partition>,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) faults: Faults,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) cloud: Arc<Cloud>,
}

/// A running endpoint. It stops when it is dropped; [`Endpoint::stop`] also waits for that.
#[derive(Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    credentials: Credentials,
    address: SocketAddr,
    admin_address: SocketAddr,
    ca_pem: Option<String>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Endpoint {
    /// Starts an endpoint on 127.0.0.1. It serves until it is stopped or dropped.
    ///
    /// # Errors
    /// When there is no socket, certificate or directory for it.
    pub async fn start(options: EndpointOptions) -> Result<Self, Error> {
        let identity = match options.plain_http {
            true => None,
            false => Some(Identity::generate(&options.region)?),
        };
        if let Some(directory) = &options.directory {
            std::fs::create_dir_all(directory)
                .map_err(|source| Error::Storage { path: directory.clone(), source })?;
        }
        let (listener, address) = bind(options.port).await?;
        let (admin, admin_address) = bind(0).await?;
        let credentials = options.credentials.clone();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let shared = Arc::new(share(options, (stop.clone(), tasks.clone()))?);

        let ca_pem = identity.as_ref().map(|identity| identity.ca_pem.clone());
        let gate = gate::Gate::new(Arc::clone(&shared));
        let server = identity.map(|identity| identity.server);
        tasks.spawn(listen::serve(listener, server, gate, stop.clone(), tasks.clone()));
        tasks.spawn(admin::serve(admin, Arc::clone(&shared), stop.clone(), tasks.clone()));
        tasks.close();
        Ok(Self { shared, credentials, address, admin_address, ca_pem, stop, tasks })
    }

    /// `https://127.0.0.1:PORT`, or `http://` without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT/_sandbox`: counters and faults for other processes.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("http://{}/_sandbox", self.admin_address)
    }

    /// The authority that vouches for it; absent without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// AWS region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.shared.partition.region
    }

    /// AWS account.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.shared.partition.account
    }

    /// The key pair it was started with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Accepts another key pair as well.
    pub fn add_credentials(&self, credentials: Credentials) {
        self.shared.keys.add(credentials);
    }

    /// Answers requests with this key with `ExpiredToken` from now on.
    pub fn expire_credentials(&self, access_key_id: &str) {
        self.shared.keys.expire(access_key_id);
    }

    /// The EC2 of its account.
    #[must_use]
    pub fn ec2(&self) -> Ec2 {
        self.shared.cloud.ec2.clone()
    }

    /// The SSM of its account.
    #[must_use]
    pub fn ssm(&self) -> Ssm {
        self.shared.cloud.ssm.clone()
    }

    /// Forbids exactly these operations of EC2, SSM and STS from now on, as IAM would.
    pub fn deny(&self, operations: impl IntoIterator<Item = impl Into<String>>) {
        self.shared.cloud.deny(operations.into_iter().map(Into::into).collect());
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// When it is there already.
    pub fn create_bucket(&self, name: &str, options: BucketOptions) -> Result<(), Error> {
        Ok(self.shared.partition.store.create_bucket(name, options)?)
    }

    /// Stores an object without a request, with a CRC64NVME as S3 computes it. A content that is too
    /// large to be read for that has none.
    ///
    /// # Errors
    /// `NoSuchBucket`, or an unreadable content.
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        content: impl Into<Content>,
        attributes: Attributes,
    ) -> Result<Arc<StoredObject>, Error> {
        self.shared.partition.place(bucket, key, content.into(), attributes).await
    }

    /// Deletes an object without a request, as somebody else would.
    pub fn remove(&self, bucket: &str, key: &str) {
        let store = &self.shared.partition.store;
        let marker = store.unique_id();
        // Where there is no such bucket there is no such object.
        let _ = store.bucket(bucket, |bucket| Ok(bucket.delete(key, None, marker)));
    }

    /// The newest version of an object; `None` when there is none.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Arc<StoredObject>> {
        self.shared.partition.find(bucket, key, None).ok()
    }

    /// The keys of a bucket's newest objects, in order; none where there is no such bucket.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let store = &self.shared.partition.store;
        store.bucket(bucket, |bucket| Ok(bucket.keys())).unwrap_or_default()
    }

    /// The open multipart uploads of all buckets.
    #[must_use]
    pub fn uploads(&self) -> Vec<Upload> {
        let all = self
            .shared
            .partition
            .store
            .each_bucket(|_, bucket| bucket.uploads.values().cloned().collect::<Vec<_>>());
        all.into_iter().flatten().collect()
    }

    /// Drops an open upload, as a lifecycle rule would.
    pub fn abort_upload(&self, upload_id: &str) {
        let store = &self.shared.partition.store;
        for name in store.each_bucket(|name, _| name.to_owned()) {
            // The bucket may be gone by now, and the upload with it.
            let _ = store.bucket(&name, |bucket| Ok(bucket.uploads.remove(upload_id)));
        }
    }

    /// Replaces every fault; counting starts anew.
    pub fn set_faults(&self, script: FaultScript) {
        self.shared.faults.set(script);
    }

    /// Replaces every fault; counting starts anew.
    pub fn faults(&self, faults: impl IntoIterator<Item = crate::fault::Fault>) {
        self.set_faults(FaultScript { faults: faults.into_iter().collect() });
    }

    /// Adds faults to those in force, which go on counting.
    pub fn add_faults(&self, faults: impl IntoIterator<Item = crate::fault::Fault>) {
        self.shared.faults.add(FaultScript { faults: faults.into_iter().collect() });
    }

    /// Takes on other habits from now on.
    pub fn set_habits(&self, habits: Habits) {
        *lock(&self.shared.partition.habits) = habits;
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.recorder.snapshot()
    }

    /// Closes every connection and waits until nothing of it runs any more.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Memory(bytes)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(bytes.into())
    }
}

impl From<crate::Synthetic> for Content {
    fn from(source: crate::Synthetic) -> Self {
        Self::from_synthetic(source)
    }
}

async fn bind(port: u16) -> Result<(TcpListener, SocketAddr), Error> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn share(
    options: EndpointOptions,
    ends: (CancellationToken, TaskTracker),
) -> Result<Shared, Error> {
    let store = Store::default();
    for (name, bucket) in options.buckets {
        store.create_bucket(&name, bucket)?;
    }
    let keys = KeyRing::default();
    keys.add(options.credentials);
    let faults = Faults::default();
    faults.set(options.faults);
    let partition = Partition {
        region: options.region,
        account: options.account,
        store,
        kms_keys: Mutex::new(options.kms_keys),
        habits: Mutex::new(options.habits),
        directory: options.directory,
        etags: options.etags,
    };
    let (partition, keys) = (Arc::new(partition), Arc::new(keys));
    let behaviour = (options.ec2, options.ssm);
    let cloud = Cloud::new(Arc::clone(&partition), Arc::clone(&keys), behaviour, ends);
    for image in options.images {
        cloud.ec2.add_image(image);
    }
    Ok(Shared {
        cloud: Arc::new(cloud),
        partition,
        keys,
        faults,
        recorder: Arc::new(Recorder::new()),
    })
}
