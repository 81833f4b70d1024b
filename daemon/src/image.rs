//! EC2's store and restore tasks, images, snapshots, and SSM's image aliases: one request, one checked answer.
//!
//! As `blob`, nothing here retries, waits or decides. EC2 is eventually consistent, and its creating requests
//! have no client token: whoever asks has to look before asking again, see [`Error::answer_lost`].
//!
//! # Invariants
//! - An answer is of what was asked for, or an error; a list is whole, or an error.
//! - Nothing is left to EC2's defaults where they change what an image is.
//! - A rehearsal (`may_…`) changes nothing.

mod error;
mod remedy;

mod store;

mod restore;

mod found;

mod find;

mod attribute;

mod snapshot;

mod register;

mod retire;

mod tags;

mod parameter;

mod call;
mod classify;
mod pages;

use std::fmt;
use std::sync::Arc;

pub use error::Error;
pub use find::By;
pub use parameter::Parameter;
pub use register::Registration;
pub use retire::{DeletedSnapshot, Deletion};
pub use snapshot::{Snapshot, SnapshotState};
pub use store::{StoreState, StoreTask};

use crate::model::{Device, Image, Tags, Traits, Volume};
use crate::remote::Remote;

/// The images of one remote.
#[derive(Clone)]
pub struct Images {
    remote: Arc<Remote>,
    ec2: aws_sdk_ec2::Client,
    ssm: aws_sdk_ssm::Client,
}

impl Images {
    /// Those of `remote`. Nobody is asked anything yet.
    pub fn new(remote: Arc<Remote>) -> Self {
        let (ec2, ssm) = (call::ec2(&remote), call::ssm(&remote));
        Self { remote, ec2, ssm }
    }

    /// The remote.
    pub fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Images({})", self.remote.name())
    }
}

#[cfg(test)]
mod tests;
