//! Connections that wait for their next request.
//!
//! # Invariants
//! - The one that was used last is used first, so that those that are not needed grow old.
//! - None waits for longer than [`POOL_IDLE`], and no more than [`IDLE_MAX`] wait for one host.
//! - None is given out that the peer has closed, or has said anything on, as far as the kernel knows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

use super::POOL_IDLE;
use super::dial::Host;
use super::wire::Wire;

/// Lanes are bounded far below by the parts in flight.
const IDLE_MAX: usize = 256;

#[derive(Debug)]
struct Idle {
    wire: Wire,
    until: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    /// The oldest first.
    idle: HashMap<Host, Vec<Idle>>,
    /// Whether a task is there that closes what grew old.
    is_tended: bool,
}

/// A pool. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool {
    inner: Arc<Mutex<Inner>>,
}

/// Where a connection goes back to.
#[derive(Debug)]
pub(super) struct Place {
    pool: Pool,
    host: Host,
}

impl Pool {
    pub(super) fn place(&self, host: Host) -> Place {
        Place { pool: self.clone(), host }
    }

    /// A connection to `host` that seems to be usable.
    pub(super) fn take(&self, host: &Host) -> Option<Wire> {
        loop {
            // Bound here: closing one that is not takes a while.
            let mut idle = lock(&self.inner).idle.get_mut(host)?.pop()?;
            if idle.until > Instant::now() && idle.wire.is_quiet() {
                return Some(idle.wire);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.inner).idle.values().map(Vec::len).sum()
    }
}

impl Place {
    /// Keeps `wire` for the next request.
    pub(super) fn put(self, wire: Wire) {
        if wire.tag().is_poisoned() {
            return;
        }
        let mut inner = lock(&self.pool.inner);
        let idle = inner.idle.entry(self.host).or_default();
        idle.push(Idle { wire, until: Instant::now() + POOL_IDLE });
        let surplus = (idle.len() > IDLE_MAX).then(|| idle.remove(0));
        if !std::mem::replace(&mut inner.is_tended, true) {
            tokio::spawn(tend(Arc::downgrade(&self.pool.inner)));
        }
        drop((inner, surplus));
    }
}

/// Closes what grows old, until nothing is left.
async fn tend(pool: Weak<Mutex<Inner>>) {
    while let Some(next) = pool.upgrade().and_then(|pool| close_old(&pool)) {
        tokio::time::sleep_until(next).await;
    }
}

/// When the next one will be old.
fn close_old(pool: &Mutex<Inner>) -> Option<Instant> {
    let now = Instant::now();
    let mut inner = lock(pool);
    let mut old = Vec::new();
    inner.idle.retain(|_, idle| {
        let end = idle.partition_point(|idle| idle.until <= now);
        old.extend(idle.drain(..end));
        !idle.is_empty()
    });
    let next = inner.idle.values().filter_map(|idle| idle.first()).map(|idle| idle.until).min();
    inner.is_tended = next.is_some();
    drop(inner);
    next
}

// No code path panics while it holds the lock.
fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
