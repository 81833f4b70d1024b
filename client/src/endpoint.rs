//! Where the daemon listens, and how it is dialled.
//!
//! # Invariants
//! - Plain HTTP goes to loopback only: submissions may carry presigned URLs, which are secrets. Elsewhere
//!   it is TLS, and both sides show who they are.
//! - A dead peer is noticed: HTTP/2 pings run even while a watch is silent.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint as Dialer, Uri};

use crate::error::Error;
use crate::tls::{Connector, TlsOptions};

/// Where the daemon listens when nothing else is said.
pub const DEFAULT: &str = "unix:/run/causeway/control.sock";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A parsed endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `unix:/run/causeway/control.sock`
    Unix(PathBuf),
    /// `http://127.0.0.1:7443`, or without the scheme.
    Loopback(Uri),
    /// `https://bastion.example.org:7443`
    Tls(Uri),
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = |reason: &str| Error::Endpoint { endpoint: text.into(), reason: reason.into() };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.is_empty() {
                true => Err(error("no path follows `unix:`")),
                false => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        if text.starts_with("https://") {
            let uri: Option<Uri> = text.trim_end_matches('/').parse().ok();
            return match uri.filter(is_bare) {
                Some(uri) => Ok(Self::Tls(uri)),
                None => Err(error("write https://HOST:PORT, such as https://bastion:7443")),
            };
        }
        let address = text.strip_prefix("http://").unwrap_or(text);
        let uri: Option<Uri> = format!("http://{}", address.trim_end_matches('/')).parse().ok();
        let Some(uri) = uri.filter(is_bare) else {
            return Err(error("write unix:/path/to/socket, https://HOST:PORT or 127.0.0.1:PORT"));
        };
        if !uri.host().is_some_and(is_loopback) {
            return Err(error("plain http is for loopback only: use https, or the socket"));
        }
        Ok(Self::Loopback(uri))
    }
}

/// A host and a port, and nothing else.
fn is_bare(uri: &Uri) -> bool {
    let nobody = uri.authority().is_none_or(|authority| !authority.as_str().contains('@'));
    nobody && uri.port().is_some() && uri.path() == "/" && uri.query().is_none()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Of a path that begins with two slashes they would be taken for the URL's own.
            Self::Unix(path) => {
                let slashes =
                    if path.as_os_str().as_encoded_bytes().starts_with(b"//") { "//" } else { "" };
                write!(f, "unix:{slashes}{}", path.display())
            }
            Self::Loopback(uri) | Self::Tls(uri) => {
                let scheme = uri.scheme_str().unwrap_or("http");
                write!(f, "{scheme}://{}", uri.authority().map_or("", |a| a.as_str()))
            }
        }
    }
}

impl Endpoint {
    /// Connects, within 5 seconds. The channel connects anew by itself when a later call finds it
    /// closed.
    pub(crate) async fn dial(&self, tls: &TlsOptions) -> Result<Channel, Error> {
        let tls = match self {
            Self::Tls(uri) => {
                let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
                Some(Connector::new(tls, host, port)?)
            }
            Self::Unix(_) | Self::Loopback(_) => None,
        };
        let connected = async {
            match self {
                Self::Unix(path) => {
                    let path = path.clone();
                    // HTTP/2 wants an authority; a socket has none, and the daemon ignores it.
                    let dialer = tuned(Dialer::from_static("http://causeway.local"));
                    let connector = tower::service_fn(move |_: Uri| {
                        let path = path.clone();
                        async move { UnixStream::connect(path).await.map(TokioIo::new) }
                    });
                    dialer.connect_with_connector(connector).await
                }
                Self::Loopback(uri) | Self::Tls(uri) => {
                    let dialer = tuned(Dialer::from(uri.clone()));
                    match tls {
                        None => dialer.connect().await,
                        Some(tls) => {
                            let connector = tower::service_fn(move |_: Uri| tls.clone().connect());
                            dialer.connect_with_connector(connector).await
                        }
                    }
                }
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(Error::broken(self.to_string(), &error)),
            Err(_) => Err(Error::TimedOut { endpoint: self.to_string() }),
        }
    }
}

fn tuned(dialer: Dialer) -> Dialer {
    dialer
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        match text.parse::<Endpoint>() {
            Err(Error::Endpoint { reason, .. }) => reason,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn sockets_and_loopback_are_dialled() {
        for (text, shown) in [
            ("unix:/run/causeway/control.sock", "unix:/run/causeway/control.sock"),
            ("unix:///run/x.sock", "unix:/run/x.sock"),
            ("unix:////run/x.sock", "unix:////run/x.sock"),
            ("http://127.0.0.1:7443", "http://127.0.0.1:7443"),
            ("http://127.0.0.1:7443/", "http://127.0.0.1:7443"),
            ("127.0.0.1:7443", "http://127.0.0.1:7443"),
            ("localhost:7443", "http://localhost:7443"),
            ("[::1]:7443", "http://[::1]:7443"),
        ] {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), shown);
        }
        assert!(DEFAULT.parse::<Endpoint>().is_ok());
    }

    #[test]
    fn secrets_do_not_leave_the_machine_in_the_clear() {
        assert!(reason("http://10.0.0.1:7443").contains("loopback only"));
        assert!(reason("localhost.example.com:7443").contains("loopback only"));
    }

    #[test]
    fn tls_goes_to_any_host_and_needs_a_port() {
        for text in
            ["https://bastion.example.org:7443", "https://[::1]:7443", "https://10.0.0.1:7443/"]
        {
            let endpoint: Endpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), text.trim_end_matches('/'));
        }
        for text in ["https://bastion", "https://", "https://a:1/b", "https://me@bastion:7443"] {
            assert!(reason(text).contains("https://HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "unix:", "127.0.0.1", "http://127.0.0.1:7443/path", "a b:1"] {
            assert!(!reason(text).is_empty(), "{text}");
        }
    }
}
