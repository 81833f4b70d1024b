//! TLS for loopback: a certificate authority of the endpoint's own, and a leaf for 127.0.0.1 to .3 and
//! localhost. Each endpoint has its own, so that a client that mixes up two remotes' bundles fails.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What keeps TLS from being set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// rustls refuses the certificate.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// A server configuration and the authority that vouches for it, in PEM.
#[derive(Debug)]
pub struct Identity {
    /// For a server on loopback that speaks HTTP/1.1.
    pub server: Arc<ServerConfig>,
    /// What its clients are to trust.
    pub ca_pem: String,
}

impl Identity {
    /// Makes one; `name` stands in its certificates.
    ///
    /// # Errors
    /// Where no certificate can be made of it.
    pub fn generate(name: &str) -> Result<Self, Error> {
        let (issuer, ca_pem) = authority(name)?;
        let key = KeyPair::generate()?;
        let names = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1", "localhost"].map(str::to_owned);
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, format!("sandbox endpoint {name}"));
        let certificate: CertificateDer<'static> = leaf.signed_by(&key, &issuer)?.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        // S3 speaks HTTP/1.1 alone.
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { server: Arc::new(server), ca_pem })
    }
}

fn authority(name: &str) -> Result<(Issuer<'static, KeyPair>, String), Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, format!("sandbox authority {name}"));
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), pem))
}
