//! Labelled metrics of the data path, resolved once.
//!
//! The registry finds a labelled child by hashing its labels under a lock. For what is recorded with
//! every frame the children are kept in a map that readers load without a lock; it grows by a few
//! entries at start-up, one a remote, and is then only read.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::base::Direction;

/// A metric with the labels `remote` and `direction`, in this order.
pub(super) trait Family {
    type Child;

    /// The child of these labels, found the slow way.
    fn child(&self, labels: &[&str; 2]) -> Self::Child;
}

impl Family for IntCounterVec {
    type Child = IntCounter;

    fn child(&self, labels: &[&str; 2]) -> IntCounter {
        self.with_label_values(labels)
    }
}

impl Family for IntGaugeVec {
    type Child = IntGauge;

    fn child(&self, labels: &[&str; 2]) -> IntGauge {
        self.with_label_values(labels)
    }
}

/// A family and those of its children that were asked for.
pub(super) struct ByDirection<F: Family> {
    family: F,
    children: ArcSwap<HashMap<String, Arc<Pair<F::Child>>>>,
}

#[derive(Debug)]
struct Pair<M> {
    read: M,
    write: M,
}

impl<F: Family> ByDirection<F> {
    /// No child is made before it is asked for.
    pub(super) fn new(family: F) -> Self {
        Self { family, children: ArcSwap::default() }
    }

    /// Calls `record` with the child of these labels.
    pub(super) fn with(&self, remote: &str, direction: Direction, record: impl FnOnce(&F::Child)) {
        if let Some(pair) = self.children.load().get(remote) {
            return record(pair.of(direction));
        }
        record(self.add(remote).of(direction));
    }

    fn add(&self, remote: &str) -> Arc<Pair<F::Child>> {
        let child = |direction: Direction| self.family.child(&[remote, direction.as_str()]);
        // Whoever loses a race made the same children: the family holds one of each.
        let pair = Arc::new(Pair { read: child(Direction::Read), write: child(Direction::Write) });
        self.children.rcu(|children| {
            let mut children = HashMap::clone(children);
            children.insert(remote.to_owned(), Arc::clone(&pair));
            children
        });
        pair
    }
}

impl<M> Pair<M> {
    fn of(&self, direction: Direction) -> &M {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }
}

impl<F: Family> fmt::Debug for ByDirection<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByDirection").finish_non_exhaustive()
    }
}
