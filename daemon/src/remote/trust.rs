//! Whose certificates are trusted: the system's authorities, and those of a PEM bundle besides.

use std::path::Path;
use std::sync::LazyLock;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("it cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error("it is not PEM: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    #[error("it holds no certificate")]
    Empty,
    #[error("its certificate number {number} does not parse: {source}")]
    Certificate { number: usize, source: rustls::Error },
    #[error("TLS cannot be set up: {0}")]
    Provider(rustls::Error),
}

/// Read once: some systems keep hundreds, each in a file.
static SYSTEM: LazyLock<Vec<CertificateDer<'static>>> =
    LazyLock::new(|| rustls_native_certs::load_native_certs().certs);

/// The system's authorities. Empty on a bare container.
pub fn system() -> &'static [CertificateDer<'static>] {
    &SYSTEM
}

/// The certificates of the bundle in a file, as [`parse`]. Blocks for a moment.
///
/// # Errors
/// Where it cannot be read, or as there.
pub fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    parse(&std::fs::read(path)?)
}

/// The certificates of a PEM bundle, each fit to be an authority.
///
/// # Errors
/// Where the bundle holds none, or one that cannot be used.
pub fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    let mut roots = rustls::RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        roots
            .add(certificate.clone())
            .map_err(|source| Error::Certificate { number: index + 1, source })?;
    }
    if certificates.is_empty() { Err(Error::Empty) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_cannot_work_is_refused_with_its_reason() {
        let garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(parse(garbage), Err(Error::Certificate { number: 1, .. })));
        assert!(matches!(parse(b"no certificate at all"), Err(Error::Empty)));
        let torn = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(parse(torn), Err(Error::Pem(_))));
    }
}
