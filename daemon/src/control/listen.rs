//! Where the API is reached: a Unix socket, or TCP on loopback.
//!
//! Binding is apart from serving, so that a daemon is ready only once its socket is there. The
//! service is joined by gRPC health checks and by server reflection, so that `grpcurl` needs no
//! `.proto` file.
//!
//! # Invariants
//! - The socket is its owner's alone before the first connection is possible.
//! - A socket that somebody answers on is never removed, and neither is a file that is no socket.
//! - Serving ends a few seconds after the stop, whatever clients do.

mod incoming;
mod socket;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use causeway_proto::v1;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use super::service::{SERVICE_NAME, Service};
use socket::Socket;

/// The longest message that is taken, and that a client takes by default.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Requests and streams at once on one connection.
const STREAMS_MAX: u32 = 256;
/// A peer that vanished is found out by then.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// What answers and streams get to finish once the daemon stops.
const GRACE: Duration = Duration::from_secs(5);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Unix(PathBuf),
    /// On loopback: nobody is authenticated there.
    Tcp(SocketAddr),
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
    #[error("the API stopped being served")]
    Serve(#[source] tonic::transport::Error),
    #[error("the API's descriptors cannot be served")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// A bound listener. A Unix socket's file goes with it.
#[derive(Debug)]
pub struct Bound(Listener);

#[derive(Debug)]
enum Listener {
    Unix(Socket),
    Tcp(TcpListener),
}

/// Binds: from here on clients can connect, and are answered once it is served.
///
/// # Errors
/// Where the address is taken or cannot be had.
pub async fn bind(listen: &Listen) -> Result<Bound, Error> {
    let listener = match listen {
        Listen::Unix(path) => Listener::Unix(Socket::bind(path).await?),
        Listen::Tcp(address) => {
            let bound = TcpListener::bind(address).await;
            Listener::Tcp(bound.map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => Error::InUse(listen.clone()),
                _ => Error::Bind { listen: listen.clone(), source },
            })?)
        }
    };
    Ok(Bound(listener))
}

impl Bound {
    /// Where it listens: with port 0, the port that the system chose.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn local_endpoint(&self) -> io::Result<Listen> {
        match &self.0 {
            Listener::Unix(socket) => Ok(Listen::Unix(socket.path().to_owned())),
            Listener::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
        }
    }

    /// Serves until the service's stop, and a few seconds beyond for what is being answered.
    ///
    /// # Errors
    /// Where it ends before it was stopped.
    pub async fn serve(self, service: Service) -> Result<(), Error> {
        let stop = service.stop.clone();
        let router = router(service).await?;
        let ended = stop.clone().cancelled_owned();
        let served = async {
            match self.0 {
                Listener::Unix(socket) => {
                    router.serve_with_incoming_shutdown(incoming::unix(socket), ended).await
                }
                Listener::Tcp(listener) => {
                    router.serve_with_incoming_shutdown(incoming::tcp(listener), ended).await
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
        }
    }
}

async fn router(service: Service) -> Result<Router, Error> {
    let health = service.health.clone();
    health.set_service_status(SERVICE_NAME, ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let control = v1::control_server::ControlServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    Ok(Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(control)
        .add_service(HealthServer::new(HealthService::from_health_reporter(health)))
        .add_service(reflection().build_v1().map_err(Error::Reflection)?)
        // What grpcurl and others still ask for.
        .add_service(reflection().build_v1alpha().map_err(Error::Reflection)?))
}
