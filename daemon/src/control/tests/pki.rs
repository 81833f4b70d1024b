//! Certificates of two authorities, as files and as clients.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use causeway_proto::v1::control_client::ControlClient;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::control::TlsFiles;

pub struct Authority {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    /// One with these names: `uri:…`, `dns:…`, or the CN.
    pub fn sign(&self, names: &[&str]) -> Identity {
        self.sign_until(names, 2096)
    }

    pub fn sign_until(&self, names: &[&str], year: i32) -> Identity {
        let mut params = CertificateParams::default();
        for name in names {
            match name.split_once(':') {
                Some(("uri", uri)) => {
                    params.subject_alt_names.push(SanType::URI(uri.try_into().expect("ASCII")));
                }
                Some(("dns", dns)) => {
                    params.subject_alt_names.push(SanType::DnsName(dns.try_into().expect("ASCII")));
                }
                _ => params.distinguished_name.push(DnType::CommonName, *name),
            }
        }
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        Identity { chain: vec![signed.der().clone()], pem: signed.pem(), key }
    }
}

/// What the daemon listens with, written into `dir`.
pub fn files(dir: &Path, server: &Identity, client_ca: &Authority) -> TlsFiles {
    use std::os::unix::fs::PermissionsExt as _;
    let files = TlsFiles {
        cert: dir.join("cert.pem"),
        key: dir.join("key.pem"),
        client_ca: dir.join("client-ca.pem"),
    };
    std::fs::write(&files.cert, &server.pem).expect("writable");
    std::fs::write(&files.key, server.key.serialize_pem()).expect("writable");
    let owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&files.key, owner).expect("its owner");
    std::fs::write(&files.client_ca, &client_ca.pem).expect("writable");
    files
}

/// A channel that has not dialled yet: what is wrong shows at the first request.
pub fn dial(
    address: SocketAddr,
    trusted: &Authority,
    identity: Option<&Identity>,
) -> ControlClient<Channel> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = builder.with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
            builder.with_client_auth_cert(identity.chain.clone(), key).expect("its key")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let connector = tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move {
            let name = ServerName::try_from("bastion.test").expect("a name");
            let socket = TcpStream::connect(address).await?;
            connector.connect(name, socket).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_static("https://bastion.test");
    ControlClient::new(endpoint.connect_with_connector_lazy(connector))
}
