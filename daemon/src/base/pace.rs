//! The limits of one remote: bytes a second each way, and requests a second. Changed live.
//!
//! Skeleton of the signature; the pacing itself follows.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::{Direction, SharedObserver};
use crate::model::Bandwidth;

/// Limits of one remote; an absent limit is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bandwidth: Option<Bandwidth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bandwidth: Option<Bandwidth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
}

/// Paces one remote.
#[derive(Debug)]
pub struct Pace {
    remote: String,
    limits: ArcSwap<Limits>,
    observer: SharedObserver,
}

impl Pace {
    /// `remote` is the name that measures are reported under.
    pub fn new(remote: impl Into<String>, limits: Limits, observer: SharedObserver) -> Arc<Self> {
        Arc::new(Self { remote: remote.into(), limits: ArcSwap::from_pointee(limits), observer })
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        **self.limits.load()
    }

    /// Puts other limits in force, at once.
    pub fn set(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    /// Returns when one more request may be sent.
    pub async fn request(&self) {}

    /// Returns when `bytes` more may pass.
    pub async fn bytes(&self, _direction: Direction, _bytes: u64) {}
}
