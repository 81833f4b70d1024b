//! What was refused, and to whom: in the log, and in the audit log.
//!
//! # Invariants
//! - Who asks again and again does not fill the disk: some short lines are written, then one every few seconds,
//!   some 6 MB a day, and each counts those before it that were not. Who has no role does not hide what is refused
//!   to those who have one.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::Turnstile;
use crate::ledger::Ledger;

const WRITTEN_AT_ONCE: NonZeroU32 = NonZeroU32::new(60).expect("not 0");
const WRITTEN_EVERY: Duration = Duration::from_secs(5);

/// Of what a caller chooses itself, its certificate's names among it.
const TEXT_CHARS_MAX: usize = 256;
/// Whom nothing names.
pub(in crate::control) const NAMELESS: &str = "unknown";

/// Whom something is refused to.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) enum Whom<'a> {
    /// Who has a role.
    Known(&'a str),
    /// Who has none, by the name that it gives itself.
    Stranger(&'a str),
}

/// Writes refusals down.
pub(in crate::control) struct Refusals {
    ledger: Ledger,
    strangers: Pace,
    known: Pace,
}

struct Pace {
    turnstile: Turnstile,
    unwritten: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        let turnstile = Turnstile::one_each(WRITTEN_EVERY, WRITTEN_AT_ONCE);
        Self { turnstile, unwritten: AtomicU64::new(0) }
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

impl Refusals {
    pub(in crate::control) fn new(ledger: Ledger) -> Self {
        Self { ledger, strangers: Pace::default(), known: Pace::default() }
    }

    /// Writes down that `whom` was refused `what`, and why.
    pub(in crate::control) fn write(
        &self,
        whom: Whom<'_>,
        address: Option<SocketAddr>,
        what: &str,
        why: &str,
    ) {
        let (actor, Pace { turnstile, unwritten }) = match whom {
            Whom::Known(actor) => (actor, &self.known),
            Whom::Stranger(actor) => (actor, &self.strangers),
        };
        if turnstile.try_pass().is_err() {
            unwritten.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let unwritten = unwritten.swap(0, Ordering::Relaxed);
        let (actor, why) = (&*short(actor), &*short(why));
        let address = address.map(|address| address.to_string());
        let shown = address.as_deref().unwrap_or("here");
        tracing::warn!(actor, address = shown, what, why, unwritten, "refused");
        let mut details = vec![("what", short(what)), ("why", why.to_owned())];
        details.extend(address.map(|address| ("address", address)));
        if unwritten > 0 {
            details.push(("unwritten", unwritten.to_string()));
        }
        if let Err(error) = self.ledger.remark("refused", actor, &details) {
            tracing::error!(%error, "a refusal is not in the audit log");
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
