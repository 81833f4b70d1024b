//! The HTTP client of one remote: TLS, resolver, connection pool.

use std::path::Path;
use std::time::Duration;

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::{Spread, trust};

/// How long a connection may take, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// S3 closes idle connections itself; a request sent into one that it just closed is lost.
pub const POOL_IDLE: Duration = Duration::from_secs(60);

/// The client that all of a remote's services share, and with it the pool.
///
/// # Errors
/// Where the bundle cannot be read or used.
pub fn client(ca_bundle: Option<&Path>) -> Result<SharedHttpClient, trust::Error> {
    // The SDK asserts that there is a system authority when it is told to use them.
    let mut roots = TrustStore::empty().with_native_roots(!trust::system().is_empty());
    if let Some(path) = ca_bundle {
        let pem = std::fs::read(path)?;
        trust::parse(&pem)?;
        roots = roots.with_pem_certificate(pem);
    }
    // Without a client certificate and with checked roots the context cannot be refused.
    let context = TlsContext::builder().with_trust_store(roots).build().unwrap_or_default();
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .pool_idle_timeout(POOL_IDLE)
        .build_with_resolver(Spread::default()))
}
