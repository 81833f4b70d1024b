//! What was refused, and to whom: in the log, and in the audit log.
//!
//! # Invariants
//! - Who asks again and again does not fill the disk: a few short lines a second are written, and the next one
//!   counts those that were not. Strangers do not hide what somebody is refused whom a certificate or the kernel
//!   names.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::Turnstile;
use crate::ledger::Ledger;

const WRITTEN_PER_SECOND: NonZeroU32 = NonZeroU32::new(5).expect("not 0");

/// Of what a caller chooses itself, its certificate's names among it.
const TEXT_CHARS_MAX: usize = 256;
/// Whom nothing names.
pub(in crate::control) const STRANGER: &str = "unknown";

/// Writes refusals down.
pub(in crate::control) struct Refusals {
    ledger: Ledger,
    strangers: Pace,
    named: Pace,
}

struct Pace {
    turnstile: Turnstile,
    unwritten: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        let turnstile = Turnstile::new(WRITTEN_PER_SECOND);
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
        Self { ledger, strangers: Pace::default(), named: Pace::default() }
    }

    /// Writes down that `actor` was refused `what`, and why.
    pub(in crate::control) fn write(
        &self,
        actor: &str,
        address: Option<SocketAddr>,
        what: &str,
        why: &str,
    ) {
        let Pace { turnstile, unwritten } =
            if actor == STRANGER { &self.strangers } else { &self.named };
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
