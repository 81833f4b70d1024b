//! The transport against rustls's own server, byte by byte.

use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use rand::rngs::SmallRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service as _;

use super::dial::{Dial, Dialed, TimedOut};
use super::{Error, tls};

type Served = TlsStream<TcpStream>;

/// Serves one connection by `work`; gives where, and the server's certificate.
async fn serve<F>(
    version: &'static rustls::SupportedProtocolVersion,
    work: impl FnOnce(Served) -> F + Send + 'static,
) -> (Uri, String)
where
    F: Future<Output = ()> + Send + 'static,
{
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("its own key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version of the provider's")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    let (listener, uri) = listen("https").await;
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a client");
        // A client that does not trust the server breaks off here.
        if let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(socket).await {
            work(stream).await;
        }
    });
    (uri, made.cert.pem())
}

async fn listen(scheme: &str) -> (TcpListener, Uri) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    (listener, format!("{scheme}://localhost:{port}").parse().expect("a URI"))
}

async fn dial(uri: Uri, pem: &str) -> Result<TokioIo<Dialed>, Error> {
    let config = tls::config(Some(pem.as_bytes())).expect("its certificate");
    Ok(TokioIo::new(Dial::new(Arc::new(config)).call(uri).await?))
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// Gives every byte back, in pieces of its own sizes, while more is still coming.
async fn echo(stream: Served) {
    let (mut from, mut to) = tokio::io::split(stream);
    let mut rng = SmallRng::seed_from_u64(2);
    let mut piece = vec![0; 300 << 10];
    loop {
        let end = rng.random_range(1..piece.len());
        let read = from.read(&mut piece[..end]).await.expect("the client says goodbye");
        if read == 0 {
            to.shutdown().await.expect("the client is there");
            return;
        }
        to.write_all(&piece[..read]).await.expect("the client is there");
        to.flush().await.expect("the client is there");
    }
}

/// Pieces smaller than a record, larger than every buffer, and everything between, both ways at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_arrive_as_they_were_sent_whatever_the_sizes() {
    for version in [&TLS12, &TLS13] {
        let (uri, pem) = serve(version, echo).await;
        let stream = dial(uri, &pem).await.expect("connected");
        let (mut from, mut to) = tokio::io::split(stream);
        let sent = noise(7, 24 << 20);
        let writing = tokio::spawn({
            let sent = sent.clone();
            async move {
                let mut rng = SmallRng::seed_from_u64(1);
                let mut rest = sent.as_slice();
                while !rest.is_empty() {
                    let most: usize = if rng.random_bool(0.5) { 40_000 } else { 700_000 };
                    let (piece, after) = rest.split_at(rng.random_range(1..most).min(rest.len()));
                    to.write_all(piece).await.expect("the server reads");
                    rest = after;
                    if rng.random_bool(0.1) {
                        to.flush().await.expect("the server reads");
                    }
                }
                to.shutdown().await.expect("the server reads");
            }
        });
        let mut came = Vec::new();
        let mut piece = vec![0; 100_000];
        let mut rng = SmallRng::seed_from_u64(3);
        while came.len() < sent.len() {
            let end = rng.random_range(1..piece.len());
            let read = from.read(&mut piece[..end]).await.expect("the server writes");
            assert!(read > 0, "{version:?}: ended after {} bytes", came.len());
            came.extend_from_slice(&piece[..read]);
        }
        writing.await.expect("no panic");
        assert!(came == sent, "{version:?}");
        assert_eq!(from.read(&mut piece).await.expect("a goodbye"), 0, "{version:?}");
    }
}

/// A body without a length that is cut off must not look whole.
#[tokio::test]
async fn only_a_goodbye_ends_a_stream() {
    let (uri, pem) = serve(&TLS13, async |mut stream: Served| {
        stream.write_all(b"half").await.expect("the client is there");
        stream.flush().await.expect("the client is there");
        let (tcp, _) = stream.into_inner();
        drop(tcp);
    })
    .await;
    let mut stream = dial(uri, &pem).await.expect("connected");
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).await.expect_err("cut off");
    assert_eq!((bytes.as_slice(), error.kind()), (&b"half"[..], std::io::ErrorKind::UnexpectedEof));

    let (uri, pem) = serve(&TLS13, async |mut stream: Served| {
        stream.write_all(b"whole").await.expect("the client is there");
        stream.shutdown().await.expect("the client is there");
    })
    .await;
    let mut stream = dial(uri, &pem).await.expect("connected");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("a goodbye");
    assert_eq!(bytes, b"whole");
}

/// A peer may change its keys at any record, and ask for ours to be changed: we answer before we write on.
#[tokio::test]
async fn new_keys_in_mid_stream_change_no_byte() {
    const ROUNDS: usize = 20;
    const PIECE: usize = 50_000;
    let (uri, pem) = serve(&TLS13, async |mut stream: Served| {
        let mut piece = vec![0; PIECE];
        for _ in 0..ROUNDS {
            stream.read_exact(&mut piece).await.expect("the client writes");
            stream.get_mut().1.refresh_traffic_keys().expect("TLS 1.3");
            stream.write_all(&piece).await.expect("the client reads");
            stream.flush().await.expect("the client reads");
        }
    })
    .await;
    let mut stream = dial(uri, &pem).await.expect("connected");
    for round in 0..ROUNDS {
        let sent = noise(round as u64, PIECE);
        stream.write_all(&sent).await.expect("the server reads");
        stream.flush().await.expect("the server reads");
        let mut came = vec![0; PIECE];
        stream.read_exact(&mut came).await.expect("the server writes");
        assert!(came == sent, "round {round}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let (uri, _) = serve(&TLS13, async |_| {}).await;
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
    let error = dial(uri, &other.cert.pem()).await.expect_err("not trusted");
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
}

/// What accepts and never speaks holds nobody for longer than it takes to connect.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_speaks_is_given_up() {
    let (_listener, uri) = listen("https").await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
    let error = dial(uri, &made.cert.pem()).await.expect_err("nobody speaks");
    assert!(error.is::<TimedOut>(), "{error}");
}
