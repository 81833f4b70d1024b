//! A pipeline for the tests of its parts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Pipeline, Quotas};
use crate::base::{Limits, MemoryBudget, NoObserver, Pace, SharedObserver, Slots};
use crate::egress::Egress;
use crate::ledger::Ledger;
use crate::remote::Remote;
use crate::transfer::Probes;

impl Pipeline {
    /// One of a single remote, with a ledger of its own in `dir`.
    pub(in crate::pipeline) fn of_one(remote: Remote, dir: &Path) -> Self {
        let observer: SharedObserver = Arc::new(NoObserver);
        Self {
            ledger: Ledger::open(dir, Arc::clone(&observer)).expect("a ledger"),
            remotes: Arc::new(BTreeMap::from([(remote.name().clone(), Arc::new(remote))])),
            presigned: Pace::new("presigned", Limits::default(), Arc::clone(&observer)),
            slots: Slots::new(4),
            memory: MemoryBudget::new(64 << 20),
            observer,
            probes: Probes::default(),
            parts_max: 4,
            quotas: Quotas::new(BTreeMap::new()),
            egress: Egress::default(),
        }
    }
}
