//! Where the daemon goes because somebody's URL says so: presigned sources and webhooks. It alone builds
//! the HTTP clients for them, so none goes where `allowed_hosts` does not admit.
//!
//! # Invariants
//! - A URL is judged before each request, and each address that its name resolves to before it is dialed:
//!   the answer of the name server that is judged is the one that is used.
//! - No redirect is followed, and no proxy asked: either would go where nobody looked.

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use reqwest::Certificate;
use url::Url;

use crate::model::AllowedHosts;
use crate::model::host::Refused;
use crate::remote::{CONNECT_TIMEOUT, POOL_IDLE, Spread, trust};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the ca_bundle cannot be used")]
    Trust(#[from] trust::Error),
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// The way out. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    hosts: Arc<ArcSwap<AllowedHosts>>,
}

impl Egress {
    /// To what `hosts` admits.
    pub fn new(hosts: AllowedHosts) -> Self {
        Self { hosts: Arc::new(ArcSwap::from_pointee(hosts)) }
    }

    /// Admits other hosts from now on, to clients that are there already as well.
    pub fn admit(&self, hosts: AllowedHosts) {
        self.hosts.store(Arc::new(hosts));
    }

    /// Whether something may be sent to this URL, as far as the URL tells.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        self.hosts.load().check(url)
    }

    /// A client for this URL's host and port, which trusts the system's authorities and those of
    /// `ca_bundle`, PEM.
    ///
    /// # Errors
    /// Where the bundle cannot be used.
    pub fn client(&self, url: &Url, ca_bundle: Option<&[u8]>) -> Result<reqwest::Client, Error> {
        let mut roots = trust::system().to_vec();
        if let Some(pem) = ca_bundle {
            roots.extend(trust::parse(pem)?);
        }
        let roots = roots.iter().filter_map(|root| Certificate::from_der(root).ok());
        let port = url.port_or_known_default().unwrap_or_default();
        #[expect(clippy::disallowed_methods, reason = "here alone, behind the guard")]
        let client = reqwest::Client::builder();
        client
            .user_agent(concat!("causeway/", env!("CARGO_PKG_VERSION")))
            // A host that may do without TLS is known by its address: see `AllowedHosts`.
            .https_only(url.scheme() == "https")
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            // One connection a read: HTTP/2 would put all of them behind one window.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .dns_resolver(Arc::new(Guarded {
                names: Spread::default(),
                egress: self.clone(),
                port,
            }))
            .tls_certs_only(roots)
            .build()
            .map_err(Error::Client)
    }

    fn check_all(&self, addresses: &[IpAddr], port: u16) -> Result<(), Refused> {
        let hosts = self.hosts.load();
        // One bad address spoils the name: who answers with it may answer with it alone next time.
        addresses.iter().try_for_each(|address| hosts.check_address(*address, port))
    }
}

/// Whether a request failed because an address was refused.
pub fn refused<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Refused> {
    let mut chain = std::iter::successors(Some(error), |error| StdError::source(*error));
    chain.find_map(|error| error.downcast_ref())
}

/// The remotes' resolver, with each answer judged.
#[derive(Debug)]
struct Guarded {
    names: Spread,
    egress: Egress,
    /// What will be dialed: reqwest asks for names alone.
    port: u16,
}

impl reqwest::dns::Resolve for Guarded {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (names, egress, port) = (self.names.clone(), self.egress.clone(), self.port);
        Box::pin(async move {
            let addresses = names.lookup(name.as_str()).await?;
            egress.check_all(&addresses, port)?;
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn egress(entries: &[&str]) -> Egress {
        let rules = entries.iter().map(|entry| entry.parse().expect("an entry")).collect();
        Egress::new(AllowedHosts::new(rules))
    }

    /// A server that answers everything with a redirect to itself, and counts.
    async fn redirecting() -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = "HTTP/1.1 307 Temporary Redirect\r\nlocation: /again\r\n\
                              content-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, count)
    }

    async fn get(egress: &Egress, url: &str) -> reqwest::Result<reqwest::Response> {
        let url = Url::parse(url).expect("a URL");
        let client = egress.client(&url, None).expect("a client");
        tokio::time::timeout(Duration::from_secs(20), client.get(url).send())
            .await
            .expect("in time")
    }

    /// The name is admitted and its address is not: what a name server under somebody's hand would try.
    #[tokio::test]
    async fn a_name_that_leads_to_loopback_is_not_dialed() {
        let (port, count) = redirecting().await;
        let egress = egress(&["localhost:*"]);
        let url = format!("http://localhost:{port}/");
        let error = get(&egress, &url).await.expect_err("refused");
        let refused = refused(&error).expect("told by the guard").to_string();
        assert!(refused.contains("is loopback"), "{refused}");
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 0, "nobody was dialed");
        egress.admit(AllowedHosts::new(vec![
            "127.0.0.1:*".parse().expect("an entry"),
            "[::1]:*".parse().expect("an entry"),
        ]));
        get(&egress, &url).await.expect("admitted by its address, without a new client's asking");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_followed() {
        let (port, count) = redirecting().await;
        let egress = egress(&["127.0.0.1:*"]);
        let answer = get(&egress, &format!("http://127.0.0.1:{port}/")).await.expect("an answer");
        assert_eq!(answer.status(), 307);
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
