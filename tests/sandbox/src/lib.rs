//! A stand-in cloud on loopback: endpoints that stand for partitions, each an S3, an EC2, an SSM and an STS
//! with AWS's own rules, faults on a script, and objects of any size that cost nothing to keep.
//!
//! ```no_run
//! # async fn example() -> Result<(), sandbox::Error> {
//! use sandbox::{Action, Attributes, Endpoint, EndpointOptions, Fault, Synthetic};
//!
//! let source = Endpoint::start(EndpointOptions::commercial().bucket("images")).await?;
//! let image = Synthetic::new(42, 5 << 30);
//! source.put("images", "ami-0.bin", image, Attributes::default()).await?;
//! source.faults([Fault::on("GetObject", Action::Reset).call(3).at_byte(1 << 20)]);
//! # Ok(())
//! # }
//! ```

mod api;
mod call;
mod checksum;
mod clock;
mod cloud;
mod config;
mod content;
mod credentials;
mod ec2;
mod endpoint;
mod fault;
mod habit;
mod ingest;
mod lock;
mod presign;
mod query;
mod refusal;
mod s3;
mod sigv4;
mod ssm;
mod stats;
mod store;
mod sts;
mod tls;
mod wire;

pub use checksum::{Algorithm, Checksum, Kind};
pub use config::{DaemonConfig, Error as ConfigError, config_toml};
pub use content::synthetic::Synthetic;
pub use content::{Content, Segment, StoredFile};
pub use credentials::Credentials;
pub use ec2::{
    Admissions, Device, DeviceSpec, Ec2, Ec2Options, Image, ImageSpec, ImageState, ImageTraits,
    Lost, Owner, Quotas, Snapshot, SnapshotState, Volume, VolumeShape,
};
pub use endpoint::{Endpoint, EndpointOptions, Error};
pub use fault::{Action, Fault, FaultScript, Side};
pub use habit::{Habits, RepeatedComplete};
pub use ingest::EtagStyle;
pub use ssm::{Ssm, SsmOptions};
pub use stats::{LoggedCall, OperationStats, Stats};
pub use store::bucket::{BucketOptions, Lifecycle, Sink};
pub use store::object::{Attributes, Encryption, ObjectPart, StoredObject};
pub use store::upload::{ChecksumPlan, StoredPart, Upload};
pub use tls::{Error as TlsError, Identity};
