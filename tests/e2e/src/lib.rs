//! What the whole-system tests share: a cloud, a daemon and a client, all real, all on loopback.
//!
//! A [`World`] is two endpoints and a work directory. [`World::start`] runs the real `causewayd` there
//! as a process, [`World::causeway`] the real client; [`ImageWorld`] has EC2 and SSM beside S3, and speaks
//! with the daemon by the client's library. A daemon that said WARN or ERROR without being
//! expected to fails its test when it is stopped.

mod aws;
mod daemon;
mod disk;
pub mod image_world;
mod peers;
mod prometheus;
mod receiver;
mod remote;
mod sts;
mod world;

pub use aws::Aws;
pub use daemon::{Daemon, LogCheck};
pub use disk::{Broken, FailingDisk, SmallDisk};
pub use image_world::{ImageWorld, Running};
pub use peers::{Fs, Moto, Peer};
pub use prometheus::{Prometheus, deployed, free_port, prometheus_program};
pub use receiver::{Delivery, Receiver};
pub use remote::remote_options;
pub use sts::{NoSts, Sts};
pub use world::{Output, World, binary, images, venv};
