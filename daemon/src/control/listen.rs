//! Where the API is reached: a Unix socket, TCP with mutual TLS, or plain TCP on loopback.
//!
//! Binding is apart from serving, so that a daemon is ready only once its socket is there. The
//! service is joined by gRPC health checks and by server reflection, so that `grpcurl` needs no
//! `.proto` file.
//!
//! # Invariants
//! - The socket is its owner's alone before the first connection is possible, unless user ids have roles
//!   of their own.
//! - Every method, health checks and reflection among them, stands behind the gate of `access`.
//! - A client that is dead, or does not read what it asked for, is cut off.
//! - A socket that somebody answers on is never removed, and neither is a file that is no socket.
//! - Serving ends a few seconds after the stop, whatever clients do.

mod connection;
mod guard;
mod incoming;
mod places;
mod socket;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use causeway_proto::v1;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use super::access::{Gate, Pacing, Role};
use super::service::Service;
use crate::ledger::Ledger;
pub use guard::Guard;
use socket::Socket;
pub use tls::{TlsFiles, Unusable};

/// The longest message that is taken, and that a client takes by default.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Requests and streams at once on one connection.
const STREAMS_MAX: u32 = 64;
/// A peer that says nothing for so long is asked whether it is there, and has as long to answer.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(20);
/// Headers of a request: metadata and a path, never a job.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Requests a second on one connection. Scripts that submit one after the other hardly reach it, and whoever has
/// many jobs to submit has streams for them. Every submission is an event for each watch of all jobs.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(250).expect("not 0");
/// What answers and streams get to finish once the daemon stops.
const GRACE: Duration = Duration::from_secs(5);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Unix(PathBuf),
    /// Without TLS on loopback only: nobody is authenticated there.
    Tcp(SocketAddr),
}

/// `[control]`, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub listen: Listen,
    /// With TCP alone.
    pub tls: Option<TlsFiles>,
    /// By identity: `uid:N` on a socket, a name of the certificate with TLS.
    pub roles: BTreeMap<String, Role>,
    /// Jobs that one connection may submit a second.
    pub submissions_per_second: NonZeroU32,
}

impl Settings {
    fn pacing(&self) -> Pacing {
        let submissions_per_second = self.submissions_per_second;
        Pacing { requests_per_second: REQUESTS_PER_SECOND, submissions_per_second }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// Why the API cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another process answers on {0}: stop it, or listen elsewhere")]
    InUse(Listen),
    #[error("{} is there and is no socket: remove it, or listen elsewhere", .0.display())]
    NotASocket(PathBuf),
    #[error("cannot listen on {listen}")]
    Bind { listen: Listen, source: io::Error },
    #[error("control.tls.{0}")]
    Tls(#[from] Unusable),
    #[error("the API stopped being served")]
    Serve(#[source] tonic::transport::Error),
    #[error("the API's descriptors cannot be served")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// A bound listener. A Unix socket's file goes with it.
#[derive(Debug)]
pub struct Bound {
    listener: Listener,
    guard: Arc<Guard>,
}

#[derive(Debug)]
enum Listener {
    Unix(Socket),
    Tcp(TcpListener),
}

/// Binds: from here on clients can connect, and are answered once it is served. Who is refused is
/// written into the ledger's audit log.
///
/// # Errors
/// Where the address is taken or cannot be had, or a file of `[control.tls]` cannot be used.
pub async fn bind(settings: &Settings, ledger: Ledger) -> Result<Bound, Error> {
    let guard = Arc::new(Guard::new(settings, ledger)?);
    let listen = &settings.listen;
    let listener = match listen {
        Listen::Unix(path) => Listener::Unix(Socket::bind(path, settings.socket_mode()).await?),
        Listen::Tcp(address) => {
            let bound = TcpListener::bind(address).await;
            Listener::Tcp(bound.map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => Error::InUse(listen.clone()),
                _ => Error::Bind { listen: listen.clone(), source },
            })?)
        }
    };
    Ok(Bound { listener, guard })
}

impl Bound {
    /// Where it listens: with port 0, the port that the system chose.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn local_endpoint(&self) -> io::Result<Listen> {
        match &self.listener {
            Listener::Unix(socket) => Ok(Listen::Unix(socket.path().to_owned())),
            Listener::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
        }
    }

    /// What decides who comes in, to be changed while it serves.
    pub fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard)
    }

    /// Serves until the service's stop, and a few seconds beyond for what is being answered.
    ///
    /// # Errors
    /// Where it ends before it was stopped.
    pub async fn serve(self, service: Service) -> Result<(), Error> {
        let stop = service.stop.clone();
        let health = service.clone().follow_health();
        let routes = routes(service).await?;
        let (gated, ended) = (Arc::clone(&self.guard), stop.clone().cancelled_owned());
        let router = server()
            .layer(tower::layer::layer_fn(move |inner| Gate::new(inner, Arc::clone(&gated))))
            .add_routes(routes);
        let served = async {
            match self.listener {
                Listener::Unix(socket) => {
                    let incoming = incoming::unix(socket, self.guard);
                    router.serve_with_incoming_shutdown(incoming, ended).await
                }
                Listener::Tcp(listener) => {
                    let incoming = incoming::tcp(listener, self.guard);
                    router.serve_with_incoming_shutdown(incoming, ended).await
                }
            }
        };
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = served => served.map_err(Error::Serve),
            () = overdue => {
                tracing::info!("clients that did not leave were left behind");
                Ok(())
            }
            () = health => Ok(()),
        }
    }
}

fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
}

async fn routes(service: Service) -> Result<Routes, Error> {
    service.tell_health().await;
    let health = service.health.reporter();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let control = v1::control_server::ControlServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    Ok(Routes::new(control)
        .add_service(HealthServer::new(HealthService::from_health_reporter(health)))
        .add_service(reflection().build_v1().map_err(Error::Reflection)?)
        // What grpcurl and others still ask for.
        .add_service(reflection().build_v1alpha().map_err(Error::Reflection)?))
}
