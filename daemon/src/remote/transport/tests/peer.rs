//! Servers for the tests, and the client that asks them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::Error;
use super::super::body::Body;
use super::super::client::Client;
use super::super::dial::Dial;
use super::super::tls;

/// A server, and a client that trusts it.
pub struct Peer {
    pub client: Client,
    pub uri: String,
    accepted: Arc<AtomicUsize>,
}

pub async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    (listener, port)
}

/// A client that trusts who has `pem`.
pub fn client(pem: Option<&str>) -> Client {
    let config = tls::config(pem.map(str::as_bytes)).expect("its certificate");
    Client::new(Dial::new(Arc::new(config)))
}

/// How a server called `localhost` proves who it is, and its certificate.
pub fn identity(version: &'static rustls::SupportedProtocolVersion) -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("its own key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version of the provider's")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

impl Peer {
    /// Does `work` on each connection, which is told its number from 0.
    pub async fn plain<F>(work: impl Fn(usize, TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (listener, port) = listen().await;
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(work(count.fetch_add(1, Ordering::SeqCst), stream));
            }
        });
        Self { client: client(None), uri: format!("http://localhost:{port}/a/key?x=1"), accepted }
    }

    /// Likewise over TLS.
    pub async fn tls<F>(work: impl Fn(usize, TlsStream<TcpStream>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (listener, port) = listen().await;
        let (acceptor, pem) = identity(if port % 2 == 0 { &TLS12 } else { &TLS13 });
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = acceptor.accept(stream).await.expect("a client that trusts");
                tokio::spawn(work(count.fetch_add(1, Ordering::SeqCst), stream));
            }
        });
        Self {
            client: client(Some(&pem)),
            uri: format!("https://localhost:{port}/a/key"),
            accepted,
        }
    }

    /// Does `work` on each connection, and tells when that is over.
    pub async fn told_when_over<F>(
        work: impl Fn(TcpStream) -> F + Clone + Send + Sync + 'static,
    ) -> (Self, mpsc::Receiver<()>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (told, heard) = mpsc::channel(1);
        let peer = Self::plain(move |_, stream| {
            let (work, told) = (work(stream), told.clone());
            async move {
                work.await;
                told.send(()).await.expect("the test waits");
            }
        });
        (peer.await, heard)
    }

    /// Answers every request of a connection with the bytes that `answer` gives for its number.
    pub async fn answering(
        answer: impl Fn(usize) -> Vec<u8> + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::plain(move |_, mut stream| {
            let answer = answer.clone();
            async move {
                let mut number = 0;
                while request(&mut stream).await.is_some() {
                    stream.write_all(&answer(number)).await.expect("the client reads");
                    number += 1;
                }
            }
        })
        .await
    }

    /// Gives `answer` to the first request, and closes.
    pub async fn closing(answer: Vec<u8>) -> Self {
        Self::plain(move |_, mut stream| {
            let answer = answer.clone();
            async move {
                request(&mut stream).await.expect("a request");
                // A client that has heard enough is gone.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Connections that were made.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub async fn send(
        &self,
        method: &str,
        body: impl Into<SdkBody>,
    ) -> Result<Response<Body>, Error> {
        let request = Request::builder().method(method).uri(&self.uri);
        self.client.send(request.body(body.into()).expect("a request"), |_| {}).await
    }

    pub async fn get(&self) -> Result<(StatusCode, Bytes), Error> {
        whole(self.send("GET", SdkBody::empty()).await?).await
    }
}

/// All of an answer.
pub async fn whole(answer: Response<Body>) -> Result<(StatusCode, Bytes), Error> {
    let (head, body) = answer.into_parts();
    Ok((head.status, body.collect().await?.to_bytes()))
}

/// Reads one request; `None` where the client has gone before one.
pub async fn request<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("text");
    let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; len.map_or(0, |len| len.parse().expect("a number"))];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// An answer whose body is coded in chunks of `len` bytes.
pub fn chunked(body: &[u8], len: usize) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(len) {
        answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
        answer.extend(chunk);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    answer
}

/// An answer that says how long its body is.
pub fn measured(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}
