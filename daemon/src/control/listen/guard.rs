//! What decides who comes in: the roles and the certificates, changed together by a reload, and the paces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard as Lent};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::tls::{Loaded, Unusable};
use super::{Listen, Settings, socket};
use crate::base::clock;
use crate::control::access::{Access, Caller, Pacing, Refusals, Who};
use crate::ledger::Ledger;

/// Connections at once of those who have a role.
const CONNECTIONS_MAX: usize = 1024;
/// And of those who have none, and are told so.
const STRANGERS_MAX: usize = 64;

/// Shared by the listener, the gate before the methods, and whoever reloads.
#[derive(Debug)]
pub struct Guard {
    access: ArcSwap<Access>,
    tls: Option<Mutex<Tls>>,
    pacing: Pacing,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    /// Cancelled by the reload that ends it.
    roles_in_force: Mutex<CancellationToken>,
    refusals: Refusals,
}

#[derive(Debug)]
struct Tls {
    loaded: Loaded,
    /// Ends the connections that were let in by this `client_ca`.
    cut: CancellationToken,
}

impl Guard {
    pub(super) fn new(settings: &Settings, ledger: Ledger) -> Result<Self, Unusable> {
        let loaded = settings.tls.as_ref().map(|files| files.load()).transpose()?;
        let tls = loaded.map(|loaded| Mutex::new(Tls { loaded, cut: CancellationToken::new() }));
        Ok(Self {
            access: ArcSwap::from_pointee(access(settings)),
            tls,
            pacing: settings.pacing(),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            roles_in_force: Mutex::default(),
            refusals: Refusals::new(ledger),
        })
    }

    /// Puts the roles and the certificates of `settings` in force, which listen where those of before did. Where
    /// `client_ca` is another, clients that came in by the old one are cut off, and so are those who have no role
    /// any more; they come again, or cannot. Blocks for a moment.
    ///
    /// # Errors
    /// Where a file cannot be used; nothing has changed then.
    pub fn reload(&self, settings: &Settings) -> Result<(), Unusable> {
        if let Listen::Unix(path) = &settings.listen {
            socket::open_to(path, settings.socket_mode()).map_err(|error| Unusable {
                key: "listen",
                path: path.clone(),
                problem: error.to_string(),
            })?;
        }
        let loaded = settings.tls.as_ref().map(|files| files.load()).transpose()?;
        if let (Some(tls), Some(loaded)) = (&self.tls, loaded) {
            let mut tls = lock(tls);
            let is_other = tls.loaded.client_ca != loaded.client_ca;
            tls.loaded = loaded;
            if is_other {
                std::mem::take(&mut tls.cut).cancel();
            }
        }
        self.access.store(Arc::new(access(settings)));
        std::mem::take(&mut *lock(&self.roles_in_force)).cancel();
        Ok(())
    }

    pub(in crate::control) fn access(&self) -> Lent<Arc<Access>> {
        self.access.load()
    }

    pub(in crate::control) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The places of its kind, and whether it has a role.
    pub(super) fn places(&self, who: &Who) -> (&Arc<Semaphore>, bool) {
        if self.knows(who) { (&self.connections, true) } else { (&self.strangers, false) }
    }

    /// Whether it has a role now.
    pub(super) fn knows(&self, who: &Who) -> bool {
        self.access().of(who, clock::now()).is_ok()
    }

    /// Completes when a reload has put other roles in force.
    pub(super) fn other_roles(&self) -> WaitForCancellationFutureOwned {
        lock(&self.roles_in_force).clone().cancelled_owned()
    }

    /// What the next handshake is made with, and what ends the connection; `None` without TLS.
    pub(super) fn tls(&self) -> Option<(Arc<rustls::ServerConfig>, CancellationToken)> {
        let tls = lock(self.tls.as_ref()?);
        Some((Arc::clone(&tls.loaded.config), tls.cut.child_token()))
    }

    pub(super) fn caller(&self, who: Who, cut: CancellationToken) -> Caller {
        Caller::new(who, self.pacing, cut)
    }
}

fn access(settings: &Settings) -> Access {
    Access::new(nix::unistd::geteuid().as_raw(), settings.roles.clone())
}

// Nothing panics while it holds the lock.
fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Settings {
    /// Who may open the socket: its owner alone, or anybody where user ids have roles of their own, since
    /// the kernel tells which one it is.
    pub(super) fn socket_mode(&self) -> u32 {
        let by_uid = matches!(self.listen, Listen::Unix(_)) && !self.roles.is_empty();
        if by_uid { 0o666 } else { 0o600 }
    }
}
