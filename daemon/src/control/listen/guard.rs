//! What decides who comes in: the roles and the certificates, changed together by a reload, the paces, and the
//! places.
//!
//! # Invariants
//! - No identity takes all places, and whoever is no admin takes none of those that are kept for admins: who has to
//!   set things right comes in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard as Lent};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::places::{Place, Places};
use super::tls::{Loaded, Unusable};
use super::{Listen, Settings, socket};
use crate::base::clock;
use crate::control::access::{Access, Caller, Pacing, Refusals, Role, Who, Whom};
use crate::ledger::Ledger;

/// Connections at once of those who have a role.
const CONNECTIONS_MAX: usize = 1024;
/// Beside them, of admins who find no place among the others.
const SPARE_MAX: usize = 64;
/// And of those who have none, and are told so.
const STRANGERS_MAX: usize = 64;

/// Shared by the listener, the gate before the methods, and whoever reloads.
#[derive(Debug)]
pub struct Guard {
    access: ArcSwap<Access>,
    tls: Option<Mutex<Tls>>,
    pacing: Pacing,
    connections: Places,
    spare: Places,
    strangers: Places,
    /// Cancelled by the reload that ends it.
    roles_in_force: Mutex<CancellationToken>,
    refusals: Refusals,
}

/// What a connection is let in with.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) place: Place,
    /// Completes when a reload has put other roles in force than those that it was judged by.
    pub(super) other_roles: WaitForCancellationFutureOwned,
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
            connections: Places::new(CONNECTIONS_MAX),
            spare: Places::new(SPARE_MAX),
            strangers: Places::new(STRANGERS_MAX),
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

    /// Lets in who has connected; `None` where no place is left for it, which is written down if it has a role.
    pub(super) fn admit(&self, who: &Who) -> Option<Admission> {
        // Asked for first: a reload between the two is not missed.
        let other_roles = self.other_roles();
        let place = self.place(who)?;
        Some(Admission { place, other_roles })
    }

    fn place(&self, who: &Who) -> Option<Place> {
        let judged = self.access().of(who, clock::now());
        let Ok((actor, role)) = judged else {
            // Who has no role is told nothing that it could not know.
            return self.strangers.take(&who.claimed()).ok();
        };
        let place = match self.connections.take(&actor) {
            Err(_) if role == Role::Admin => self.spare.take(&actor),
            place => place,
        };
        let whom = Whom::Known(&actor);
        place.inspect_err(|why| self.refusals.write(whom, who.address(), "connection", why)).ok()
    }

    /// Whether it has a role now.
    pub(super) fn knows(&self, who: &Who) -> bool {
        self.access().of(who, clock::now()).is_ok()
    }

    /// Completes when a reload has put other roles in force.
    pub(super) fn other_roles(&self) -> WaitForCancellationFutureOwned {
        lock(&self.roles_in_force).clone().cancelled_owned()
    }

    /// Whether there is TLS.
    pub(super) fn shakes_hands(&self) -> bool {
        self.tls.is_some()
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
pub(super) fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::base::NoObserver;

    /// All people of a bastion may come by one user id: its share is large, and never all.
    #[tokio::test]
    async fn no_identity_takes_the_places_of_others_and_an_admin_finds_one_after_all() {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(&dir.path().join("data"), Arc::new(NoObserver)).expect("new");
        let roles = [(1, Role::Admin), (2, Role::Operator), (3, Role::Viewer)];
        let settings = Settings {
            listen: Listen::Unix(dir.path().join("s")),
            tls: None,
            roles: roles.map(|(uid, role)| (format!("uid:{uid}"), role)).into(),
            submissions_per_second: NonZeroU32::MIN,
        };
        let guard = Guard::new(&settings, ledger.clone()).expect("no files");
        let admit = |uid| guard.admit(&Who::Process { uid });
        let all = |uid| std::iter::from_fn(|| admit(uid)).collect::<Vec<_>>();

        let (operators, viewers) = (all(2), all(3));
        assert_eq!((operators.len(), viewers.len()), (512, 512));
        assert_eq!(all(4).len(), 32, "half of those that are for who has no role");
        let admins = all(1);
        assert_eq!(admins.len(), 32, "half of those that are for admins");
        let own = nix::unistd::geteuid().as_raw();
        assert!(admit(0).is_some() && admit(own).is_some());
        assert!(admit(2).is_none());
        drop(viewers);
        assert!(admit(3).is_some() && admit(1).is_some());
        assert!(admit(2).is_none(), "it has its share");

        ledger.flush().await.expect("writable");
        let log = std::fs::read_dir(dir.path().join("data/audit")).expect("there");
        let log = log.map(|it| std::fs::read_to_string(it.expect("read").path()).expect("UTF-8"));
        let log: String = log.collect();
        assert!(log.contains("as many connections as one identity may have"), "{log}");
        assert!(!log.contains("uid:4"), "{log}");
    }
}
