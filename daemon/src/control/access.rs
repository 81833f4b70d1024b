//! Who may do what: a caller, as far as the transport proves it, has a role, and each method asks for one.
//!
//! On the Unix socket the kernel tells the peer's user id: the daemon's own user and root are admins, any
//! other needs an entry `uid:N`. Over TLS the client's certificate has identities (the names of its SAN, and
//! its CN), and those need an entry. On plain TCP, which is loopback only, nobody is authenticated: who
//! reaches it is an admin.
//!
//! # Invariants
//! - No method is reached by a caller that was not admitted to it; one that is not in the table is for
//!   admins.
//! - Each request is judged by the entries that are in force then: a reload reaches open connections too.
//! - A certificate that ran out on an open connection is refused, as on a new one.

mod caller;
mod certificate;
mod gate;
mod patience;
mod refusals;
mod role;

use std::collections::BTreeMap;

use crate::ledger::Actor;
use crate::model::Timestamp;
pub(super) use caller::{Caller, Pacing, Who};
pub(super) use certificate::{Certificate, read as read_certificate};
pub(super) use gate::{Admitted, Gate};
pub(super) use refusals::{NAMELESS, Refusals, Whom};
pub use role::Role;

/// The prefix of an entry for a user id of this machine.
const UID: &str = "uid:";

/// The entries in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Access {
    /// The daemon's own user.
    uid: u32,
    roles: BTreeMap<String, Role>,
}

impl Access {
    pub(super) fn new(uid: u32, roles: BTreeMap<String, Role>) -> Self {
        Self { uid, roles }
    }

    /// Who this is, and what role it has. Of several identities the one with the largest role counts.
    ///
    /// # Errors
    /// One line for a person: who has no role, and the remedy.
    pub(super) fn of(&self, who: &Who, now: Timestamp) -> Result<(Actor, Role), String> {
        match who {
            Who::Process { uid } if *uid == self.uid || *uid == 0 => {
                Ok((Actor::uid(*uid), Role::Admin))
            }
            Who::Process { uid } => self.entry([format!("{UID}{uid}")]),
            Who::Local { address } => Ok((Actor::new(&format!("tcp:{address}")), Role::Admin)),
            Who::Certified { certificate, .. } if certificate.ends_at <= now => Err(format!(
                "the certificate of '{}' has expired: connect again with a new one",
                certificate.subject()
            )),
            Who::Certified { certificate, .. } => {
                self.entry(certificate.identities.iter().cloned())
            }
            Who::Unknown => Err("the transport does not say who asks".to_owned()),
        }
    }

    fn entry(
        &self,
        identities: impl IntoIterator<Item = String> + Clone,
    ) -> Result<(Actor, Role), String> {
        let known = identities.clone().into_iter();
        let known = known.filter_map(|name| self.roles.get(&name).map(|role| (name, *role)));
        if let Some((name, role)) = known.max_by_key(|(_, role)| *role) {
            return Ok((Actor::new(&name), role));
        }
        let names: Vec<_> = identities.into_iter().map(|name| format!("'{name}'")).collect();
        let names =
            if names.is_empty() { "a certificate without a name".into() } else { names.join(", ") };
        Err(format!("{names} has no role here"))
    }
}

#[cfg(test)]
mod tests;
