//! The other end of one connection: who it is, how fast it may ask, and how it is cut off.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Certificate;
use super::patience::Patience;
use super::refusals::NAMELESS;
use crate::base::Turnstile;

/// Watches at once on one connection.
const WATCHES_MAX: usize = 32;
/// Dry runs and the like at once on one connection, of those of all.
const ASKING_MAX: usize = 4;

/// Who it is, as far as the transport proves it.
#[derive(Debug, Clone)]
pub(in crate::control) enum Who {
    /// On the Unix socket, by the kernel's word.
    Process { uid: u32 },
    /// On plain TCP, from this machine.
    Local { address: SocketAddr },
    /// With a certificate that one of `client_ca` signed.
    Certified { certificate: Certificate, address: SocketAddr },
    /// The kernel does not say.
    Unknown,
}

impl Who {
    /// Who it says that it is, where it has no role.
    pub(in crate::control) fn claimed(&self) -> String {
        match self {
            Self::Process { uid } => format!("uid:{uid}"),
            Self::Certified { certificate, .. } => certificate.subject().to_owned(),
            Self::Local { .. } | Self::Unknown => NAMELESS.to_owned(),
        }
    }

    /// Where it is, for the audit log.
    pub(in crate::control) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Local { address } | Self::Certified { address, .. } => Some(*address),
            Self::Process { .. } | Self::Unknown => None,
        }
    }
}

/// How fast one connection may ask.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Pacing {
    /// Requests; a stream is one.
    pub(in crate::control) requests_per_second: NonZeroU32,
    /// Jobs, by whichever method.
    pub(in crate::control) submissions_per_second: NonZeroU32,
}

/// One connection's other end. Clones are the same one.
#[derive(Debug, Clone)]
pub(in crate::control) struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    who: Who,
    requests: Turnstile,
    submissions: Turnstile,
    watches: Arc<Semaphore>,
    asking: Arc<Semaphore>,
    patience: Arc<Patience>,
    cut: CancellationToken,
}

impl Caller {
    /// A caller of a connection that ends once `cut` is cancelled.
    pub(in crate::control) fn new(who: Who, pacing: Pacing, cut: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            who,
            requests: Turnstile::new(pacing.requests_per_second),
            submissions: Turnstile::new(pacing.submissions_per_second),
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
            patience: Arc::default(),
            cut,
        }))
    }

    pub(in crate::control) fn who(&self) -> &Who {
        &self.0.who
    }

    /// Waits for its turn to ask.
    pub(super) async fn request(&self) {
        self.0.requests.pass().await;
    }

    /// Waits for its turn to submit a job.
    pub(in crate::control) async fn submission(&self) {
        self.0.submissions.pass().await;
    }

    /// The watches that it has open.
    pub(in crate::control) fn watches(&self) -> &Arc<Semaphore> {
        &self.0.watches
    }

    /// What it asks of the sides.
    pub(in crate::control) fn asking(&self) -> &Arc<Semaphore> {
        &self.0.asking
    }

    /// What its streams wait for.
    pub(super) fn patience(&self) -> &Arc<Patience> {
        &self.0.patience
    }

    /// For how long it has let a stream wait, of those that wait now.
    pub(in crate::control) fn keeps_waiting(&self) -> Duration {
        self.0.patience.longest()
    }

    /// Ends the connection: it does not read what it asked for.
    pub(in crate::control) fn cut(&self) {
        self.0.cut.cancel();
    }
}
