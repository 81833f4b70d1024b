//! TLS of the control port: mutual, and made of files that are read again on a reload.
//!
//! # Invariants
//! - A client without a certificate that one of `client_ca` signed gets no further than the handshake.
//! - Files that cannot be used change nothing: what was in force stays.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A file of certificates is a few KiB; one that is much more is another file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Who else may read the key: the group, as Debian's ssl-cert has it.
const KEY_MODE_REFUSED: u32 = 0o037;

/// `[control.tls]`: files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The daemon's certificate, and those between it and the clients' root.
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Whose signature makes a client known.
    pub client_ca: PathBuf,
}

/// Which file cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("{key} = {}: {problem}", .path.display())]
pub struct Unusable {
    /// The key of the configuration that names it.
    pub key: &'static str,
    pub path: PathBuf,
    pub problem: String,
}

/// What was read, ready for handshakes.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// As it stands in `client_ca`, to tell a change of it.
    pub(super) client_ca: Vec<CertificateDer<'static>>,
}

impl TlsFiles {
    /// Reads the files and checks that they can be used together. Blocks for a moment.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn check(&self) -> Result<(), Unusable> {
        self.load().map(drop)
    }

    pub(super) fn load(&self) -> Result<Loaded, Unusable> {
        let unusable = |key, path: &Path, problem: String| {
            let path = path.to_owned();
            Unusable { key, path, problem }
        };
        let of_cert = |problem| unusable("cert", &self.cert, problem);
        let of_key = |problem| unusable("key", &self.key, problem);
        let of_client_ca = |problem| unusable("client_ca", &self.client_ca, problem);

        let chain = certificates(&self.cert).map_err(of_cert)?;
        let key = private_key(&self.key).map_err(of_key)?;
        let client_ca = certificates(&self.client_ca).map_err(of_client_ca)?;
        let mut roots = RootCertStore::empty();
        for root in &client_ca {
            let added = roots.add(root.clone());
            added.map_err(|error| of_client_ca(format!("is no certificate authority: {error}")))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier
            .build()
            .map_err(|error: VerifierBuilderError| of_client_ca(error.to_string()))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| of_cert(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key);
        let mut config = config.map_err(|error| {
            of_cert(format!("does not go with the key {}: {error}", self.key.display()))
        })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Loaded { config: Arc::new(config), client_ca })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path, |_| Ok(()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err("has no certificate: expected PEM, '-----BEGIN CERTIFICATE-----'".to_owned())
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("is not PEM: {error}")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(path, |mode| match mode & KEY_MODE_REFUSED {
        0 => Ok(()),
        _ => Err(format!(
            "has the mode {:04o}, so that others may read the key: chmod 0600, or 0640",
            mode & 0o7777
        )),
    })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            "has no private key: expected PEM, '-----BEGIN PRIVATE KEY-----'".to_owned()
        }
        // The error may quote a line, and this file is a secret.
        _ => "is not a private key in PEM".to_owned(),
    })
}

/// The file's bytes, if its mode is legal.
fn read(path: &Path, legal: impl FnOnce(u32) -> Result<(), String>) -> Result<Vec<u8>, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(cannot)?;
    legal(file.metadata().map_err(cannot)?.mode())?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(cannot)?;
    match u64::try_from(text.len()) {
        Ok(bytes) if bytes <= FILE_BYTES_MAX => Ok(text),
        _ => Err("has more than 1 MiB: it is another file".to_owned()),
    }
}
