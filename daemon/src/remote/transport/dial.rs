//! From a host to a connection: resolve, connect, agree on TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http::Uri;
use http::uri::Scheme;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::buffers::Buffers;
use super::wire::Wire;
use super::{CONNECT_TIMEOUT, Error};
use crate::remote::Spread;

/// A peer that is gone without a word is noticed by the kernel after this long without traffic.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long an address may take before the next is tried beside it.
/// <https://www.rfc-editor.org/rfc/rfc8305#section-5>
const STAGGER: Duration = Duration::from_millis(250);

/// The connection was not there in time.
#[derive(Debug, thiserror::Error)]
#[error("not connected within {} s", CONNECT_TIMEOUT.as_secs())]
pub(super) struct TimedOut;

/// The name did not resolve.
#[derive(Debug, thiserror::Error)]
#[error("dns error")]
struct Dns(#[source] io::Error);

/// Whom a connection goes to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Host {
    is_tls: bool,
    /// Without the brackets of an IPv6 address.
    name: String,
    port: u16,
}

impl Host {
    /// Of an absolute URI.
    pub(super) fn of(uri: &Uri) -> Result<Self, Error> {
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Error::Request("its URI is neither http nor https")),
        };
        let name = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if name.is_empty() {
            return Err(Error::Request("its URI has no host"));
        }
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { is_tls, name, port })
    }
}

/// Dials. Clones share the resolver's memory, TLS sessions, and buffers.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    names: Spread,
    tls: Arc<ClientConfig>,
    buffers: Buffers,
}

impl Dial {
    pub(super) fn new(tls: Arc<ClientConfig>) -> Self {
        Self { names: Spread::default(), tls, buffers: Buffers::default() }
    }

    /// A fresh connection, in time.
    pub(super) async fn dial(&self, host: &Host) -> Result<Wire, Error> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.connect(host)).await {
            Ok(dialed) => dialed.map_err(Error::Connect),
            Err(_) => Err(Error::Connect(TimedOut.into())),
        }
    }

    async fn connect(&self, host: &Host) -> Result<Wire, super::BoxError> {
        let addresses = match host.name.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.names.lookup(&host.name).await.map_err(Dns)?,
        };
        let tcp = first(addresses.into_iter().map(|ip| SocketAddr::new(ip, host.port))).await?;
        tcp.set_nodelay(true)?;
        SockRef::from(&tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        if !host.is_tls {
            return Ok(Wire::plain(tcp, self.buffers.clone()));
        }
        let name = ServerName::try_from(host.name.clone())?;
        Ok(Wire::encrypted(tcp, Arc::clone(&self.tls), name, self.buffers.clone()).await?)
    }
}

/// A connection to the first of `addresses` that takes one.
pub(super) async fn first(
    mut addresses: impl ExactSizeIterator<Item = SocketAddr>,
) -> io::Result<TcpStream> {
    let mut dialed = FuturesUnordered::new();
    let mut error = None;
    loop {
        dialed.extend(addresses.next().map(TcpStream::connect));
        tokio::select! {
            outcome = dialed.next() => match outcome {
                Some(Ok(tcp)) => return Ok(tcp),
                Some(Err(why)) => error = error.or(Some(why)),
                // The first error says most: its address was the system's first choice.
                None => return Err(error.unwrap_or_else(|| io::ErrorKind::NotFound.into())),
            },
            () = tokio::time::sleep(STAGGER), if addresses.len() > 0 => {}
        }
    }
}
