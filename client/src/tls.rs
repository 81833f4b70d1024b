//! How the client proves who it is over TLS, and whom it trusts.
//!
//! The connector is made here, under tonic's channel, because its errors have to name the file that cannot
//! be used, and tonic's do not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::Error;

/// Files in PEM, and the name that the daemon's certificate has to have. All may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Whose signature the daemon's certificate needs; absent: the system's roots.
    pub ca: Option<PathBuf>,
    /// Who this client is. A daemon that listens with TLS asks for it.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// The name to check instead of the endpoint's host: through a tunnel, that is `localhost`.
    pub server_name: Option<String>,
}

/// What connects to one daemon.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: TlsConnector,
    name: ServerName<'static>,
    /// `host:port`, brackets and all.
    authority: String,
}

impl Connector {
    /// # Errors
    /// The file or the name that cannot be used.
    pub(crate) fn new(options: &TlsOptions, host: &str, port: u16) -> Result<Self, Error> {
        let name = options.server_name.as_deref().unwrap_or(host);
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| Error::Tls {
            what: "server name".to_owned(),
            reason: format!("'{name}' is no host name"),
        })?;
        let mut config = config(options)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsConnector::from(Arc::new(config));
        Ok(Self { tls, name, authority: format!("{host}:{port}") })
    }

    pub(crate) async fn connect(self) -> std::io::Result<TokioIo<TlsStream<TcpStream>>> {
        let socket = TcpStream::connect(&self.authority).await?;
        // Requests are small and wait for their answers.
        socket.set_nodelay(true)?;
        self.tls.connect(self.name, socket).await.map(TokioIo::new)
    }
}

fn config(options: &TlsOptions) -> Result<ClientConfig, Error> {
    let failed = |what: &str, reason: String| Error::Tls { what: what.to_owned(), reason };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed("TLS", error.to_string()))?
        .with_root_certificates(roots(options)?);
    match (&options.cert, &options.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let chain = certificates(cert)?;
            let secret = PrivateKeyDer::from_pem_file(key)
                // The error may quote a line, and this file is a secret.
                .map_err(|error| failed(&shown(key), of_pem(&error, "a private key")))?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| {
                let reason = format!("does not go with the key {}: {error}", key.display());
                failed(&shown(cert), reason)
            })
        }
        (Some(_), None) => Err(failed("--tls-cert", "its key is missing: give --tls-key".into())),
        (None, Some(_)) => {
            Err(failed("--tls-key", "its certificate is missing: give --tls-cert".into()))
        }
    }
}

fn roots(options: &TlsOptions) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    match &options.ca {
        Some(ca) => {
            for root in certificates(ca)? {
                roots.add(root).map_err(|error| Error::Tls {
                    what: shown(ca),
                    reason: format!("is no certificate authority: {error}"),
                })?;
            }
        }
        // Those that cannot be read are not trusted: no reason to trust nobody.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |reason: String| Error::Tls { what: shown(path), reason };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| failed(of_pem(&error, "certificates")))?;
    if read.is_empty() {
        return Err(failed("has no certificate in PEM".to_owned()));
    }
    Ok(read)
}

fn of_pem(error: &rustls::pki_types::pem::Error, what: &str) -> String {
    match error {
        rustls::pki_types::pem::Error::Io(error) => format!("cannot be read: {error}"),
        _ => format!("does not hold {what} in PEM"),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What rustls found wrong, in a chain of errors. What an `io::Error` holds is no link of its chain.
pub(crate) fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let held = held.map(|held| held as &(dyn std::error::Error + 'static));
        for error in [Some(error), held].into_iter().flatten() {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
        }
        next = held.and_then(std::error::Error::source).or_else(|| error.source());
    }
    None
}
