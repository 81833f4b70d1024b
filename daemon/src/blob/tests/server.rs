//! Servers for the tests: s3s-fs, with TLS and without, and one that says what it is told to.

use std::path::Path;
use std::sync::{Arc, Mutex};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls_pki_types::PrivateKeyDer;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::base::{Limits, NoObserver};
use crate::model::{ObjectAddress, PinnedObject};
use crate::remote::{Credentials, Options, Remote, Secret};

pub const ACCESS_KEY: &str = "AKIDEXAMPLE";
pub const SECRET_KEY: &str = "a-secret-key-of-the-tests";
pub const BUCKET: &str = "images";

/// A certificate for `localhost` that signs itself.
pub struct Tls {
    pub pem: String,
    acceptor: TlsAcceptor,
}

impl Tls {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("its own key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider's own versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a pair");
        Self { pem: made.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    (listener, port)
}

/// Starts s3s-fs on `root`, which gets a bucket; gives its endpoint. It ends with the runtime.
pub async fn s3(root: &Path, tls: Option<&Tls>) -> String {
    std::fs::create_dir_all(root.join(BUCKET)).expect("a directory");
    let fs = s3s_fs::FileSystem::new(root).expect("a directory");
    let mut builder = S3ServiceBuilder::new(fs);
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = builder.build();
    let (listener, port) = listen().await;
    let acceptor = tls.map(|tls| tls.acceptor.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (service, acceptor) = (service.clone(), acceptor.clone());
            tokio::spawn(async move {
                match acceptor {
                    None => serve(socket, service).await,
                    Some(acceptor) => {
                        if let Ok(socket) = acceptor.accept(socket).await {
                            serve(socket, service).await;
                        }
                    }
                }
            });
        }
    });
    format!("{scheme}://localhost:{port}")
}

async fn serve(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S3Service) {
    // A client that goes away is no failure of the server.
    let _ =
        Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
}

/// What a scripted server was asked: each request's head.
pub type Asked = Arc<Mutex<Vec<String>>>;

/// Starts a server that answers each request's head with what `script` says, after reading its body,
/// and closes. An empty answer is none: the connection stays open.
pub async fn scripted<T: Into<Vec<u8>>>(
    tls: Option<&Tls>,
    script: impl Fn(&str) -> T + Send + Sync + 'static,
) -> (String, Asked) {
    let (listener, port) = listen().await;
    let acceptor = tls.map(|tls| tls.acceptor.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let script = Arc::new(move |head: &str| script(head).into());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, script, log) = (acceptor.clone(), Arc::clone(&script), Arc::clone(&log));
            tokio::spawn(async move {
                match acceptor {
                    None => answer(socket, &*script, &log).await,
                    Some(acceptor) => {
                        if let Ok(socket) = acceptor.accept(socket).await {
                            answer(socket, &*script, &log).await;
                        }
                    }
                }
            });
        }
    });
    (format!("{scheme}://localhost:{port}"), asked)
}

async fn answer(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    script: &(dyn Fn(&str) -> Vec<u8> + Send + Sync),
    log: &Asked,
) {
    let mut seen = Vec::new();
    let end = loop {
        if let Some(at) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&seen[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        })
        .unwrap_or(0_usize);
    while seen.len() < end + length {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            break;
        }
    }
    log.lock().expect("not poisoned").push(head.clone());
    let text = script(&head);
    if text.is_empty() {
        std::future::pending::<()>().await;
    }
    let _ = socket.write_all(&text).await;
    let _ = socket.shutdown().await;
}

/// An HTTP answer.
pub fn http(status: &str, headers: &[&str], body: &str) -> String {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// An error as S3 writes it.
pub fn refusal(status: &str, code: &str) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>as scripted</Message></Error>");
    http(status, &["Content-Type: application/xml"], &body)
}

/// The remote at `endpoint`, which nobody asks who it is.
pub async fn remote(endpoint: &str, ca_bundle: Option<&Path>) -> Arc<Remote> {
    let options = Options { ca_bundle: ca_bundle.map(Path::to_path_buf), ..options(endpoint) };
    Remote::connect(options, Arc::new(NoObserver)).await.expect("nothing to ask")
}

/// How the remote at `endpoint` is reached.
pub fn options(endpoint: &str) -> Options {
    Options {
        name: "commercial".parse().expect("a name"),
        region: "us-east-1".to_owned(),
        credentials: Credentials::Static {
            access_key_id: ACCESS_KEY.to_owned(),
            secret_access_key: Secret::new(SECRET_KEY),
            session_token: None,
        },
        expected_account: None,
        fips: false,
        dual_stack: false,
        path_style: true,
        s3_endpoint: Some(endpoint.to_owned()),
        sts_endpoint: None,
        ec2_endpoint: Some(endpoint.to_owned()),
        ssm_endpoint: Some(endpoint.to_owned()),
        ca_bundle: None,
        limits: Limits::default(),
    }
}

/// `commercial:images/KEY`.
pub fn address(key: &str) -> ObjectAddress {
    format!("commercial:{BUCKET}/{key}").parse().expect("an address")
}

/// What a scripted server's object of so many bytes is pinned as.
pub fn pinned(size: u64) -> PinnedObject {
    PinnedObject::bare(size, "abc")
}
