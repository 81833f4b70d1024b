//! From a URI to a connection: resolve, connect, agree on TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tower::Service;

use super::buffers::Buffers;
use super::tls::TlsStream;
use super::{CONNECT_TIMEOUT, Error};
use crate::remote::Spread;

/// A peer that is gone without a word is noticed by the kernel after this long without traffic.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The connection was not there in time.
#[derive(Debug, thiserror::Error)]
#[error("not connected within {} s", CONNECT_TIMEOUT.as_secs())]
pub(super) struct TimedOut;

/// Dials. Clones share the resolver's memory, TLS sessions, and buffers.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    tcp: HttpConnector<Spread>,
    tls: Arc<ClientConfig>,
    buffers: Buffers,
}

impl Dial {
    pub(super) fn new(tls: Arc<ClientConfig>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Spread::default());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        Self { tcp, tls, buffers: Buffers::default() }
    }

    async fn dial(mut self, uri: Uri) -> Result<Dialed, Error> {
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let tcp = self.tcp.call(uri).await?;
        if !is_tls {
            return Ok(Dialed::Plain(tcp));
        }
        let name = ServerName::try_from(host)?;
        let tls = TlsStream::handshake(tcp, self.tls, name, self.buffers).await?;
        Ok(Dialed::Tls(Box::new(tls)))
    }
}

impl Service<Uri> for Dial {
    type Response = Dialed;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Dialed, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialed = tokio::time::timeout(CONNECT_TIMEOUT, self.clone().dial(uri));
        dialed.map(|dialed| dialed.unwrap_or_else(|_| Err(TimedOut.into()))).boxed()
    }
}

impl Service<Name> for Spread {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let this = self.clone();
        async move {
            let found = this.lookup(name.as_str()).await?;
            let found: Vec<_> = found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(found.into_iter())
        }
        .boxed()
    }
}

/// A connection, as hyper has it.
#[derive(Debug)]
pub(super) enum Dialed {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TlsStream>),
}

impl Connection for Dialed {
    fn connected(&self) -> Connected {
        match self {
            Self::Plain(tcp) => tcp.connected(),
            Self::Tls(tls) => tls.connected(),
        }
    }
}

impl Read for Dialed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => tls.poll_read(cx, buf),
        }
    }
}

impl Write for Dialed {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => tls.poll_write(cx, &[io::IoSlice::new(buf)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => tls.poll_write(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => tls.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => tls.poll_shutdown(cx),
        }
    }
}
