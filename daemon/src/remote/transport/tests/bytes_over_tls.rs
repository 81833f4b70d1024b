//! What goes over TLS, against rustls's own server.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::super::dial::{Dial, Host, TimedOut};
use super::super::wire::Wire;
use super::super::{Error, tls};
use super::peer::{identity, listen, noise};

type Served = TlsStream<TcpStream>;

/// Serves one connection by `work`; gives the port, and the server's certificate.
async fn serve<F>(
    version: &'static rustls::SupportedProtocolVersion,
    work: impl FnOnce(Served) -> F + Send + 'static,
) -> (u16, String)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (acceptor, pem) = identity(version);
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a client");
        // A client that does not trust the server breaks off here.
        if let Ok(stream) = acceptor.accept(socket).await {
            work(stream).await;
        }
    });
    (port, pem)
}

async fn dial(port: u16, pem: &str) -> Result<Wire, Error> {
    let config = tls::config(Some(pem.as_bytes())).expect("its certificate");
    let uri = format!("https://localhost:{port}").parse().expect("a URI");
    Dial::new(config.into()).dial(&Host::of(&uri)?).await
}

async fn write_all(wire: &mut Wire, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let taken = poll_fn(|cx| wire.poll_write(cx, bytes)).await.expect("the server reads");
        bytes = &bytes[taken..];
    }
}

async fn flush(wire: &mut Wire) {
    poll_fn(|cx| wire.poll_flush(cx)).await.expect("the server reads");
}

async fn read(wire: &mut Wire) -> io::Result<Option<bytes::Bytes>> {
    poll_fn(|cx| wire.poll_read(cx)).await
}

async fn read_exact(wire: &mut Wire, len: usize) -> Vec<u8> {
    let mut came = Vec::new();
    while came.len() < len {
        came.extend(read(wire).await.expect("the server writes").expect("more"));
    }
    came
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
        let (port, pem) = serve(version, echo).await;
        let mut wire = dial(port, &pem).await.expect("connected");
        let sent = noise(7, 24 << 20);
        let (mut rng, mut at, mut piece) = (SmallRng::seed_from_u64(1), 0, &sent[..0]);
        let mut came = Vec::new();
        while came.len() < sent.len() {
            poll_fn(|cx| {
                loop {
                    if piece.is_empty() && at < sent.len() {
                        let most: usize = if rng.random_bool(0.5) { 40_000 } else { 700_000 };
                        let len = rng.random_range(1..most).min(sent.len() - at);
                        (piece, at) = (&sent[at..at + len], at + len);
                    }
                    let more = if piece.is_empty() {
                        wire.poll_flush(cx).map_ok(|()| false)
                    } else {
                        wire.poll_write(cx, piece).map_ok(|taken| {
                            piece = &piece[taken..];
                            true
                        })
                    };
                    if !matches!(
                        more.map(|more| more.expect("the server reads")),
                        Poll::Ready(true)
                    ) {
                        break;
                    }
                }
                wire.poll_read(cx)
            })
            .await
            .expect("the server writes")
            .map(|frame| came.extend_from_slice(&frame))
            .expect("more");
        }
        assert!(came == sent, "{version:?}");
    }
}

/// A body without a length that is cut off must not look whole.
#[tokio::test]
async fn only_a_goodbye_ends_a_stream() {
    let (port, pem) = serve(&TLS13, async |mut stream: Served| {
        stream.write_all(b"half").await.expect("the client is there");
        stream.flush().await.expect("the client is there");
        let (tcp, _) = stream.into_inner();
        drop(tcp);
    })
    .await;
    let mut wire = dial(port, &pem).await.expect("connected");
    assert_eq!(read_exact(&mut wire, 4).await, b"half");
    let error = read(&mut wire).await.expect_err("cut off");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);

    let (port, pem) = serve(&TLS13, async |mut stream: Served| {
        stream.write_all(b"whole").await.expect("the client is there");
        stream.shutdown().await.expect("the client is there");
    })
    .await;
    let mut wire = dial(port, &pem).await.expect("connected");
    assert_eq!(read_exact(&mut wire, 5).await, b"whole");
    assert!(read(&mut wire).await.expect("a goodbye").is_none());
}

/// A server that counts on the goodbye must not take a connection that is let go of for a broken one.
#[tokio::test]
async fn a_connection_that_is_dropped_says_goodbye() {
    for version in [&TLS12, &TLS13] {
        let (told, heard) = tokio::sync::oneshot::channel();
        let (port, pem) = serve(version, async |mut stream: Served| {
            let mut bytes = Vec::new();
            let end = stream.read_to_end(&mut bytes).await.map(|_| bytes);
            told.send(end).expect("the test waits");
        })
        .await;
        let mut wire = dial(port, &pem).await.expect("connected");
        write_all(&mut wire, b"hello").await;
        flush(&mut wire).await;
        drop(wire);
        assert_eq!(heard.await.expect("no panic").expect("a goodbye"), b"hello");
    }
}

/// A peer may change its keys at any record, and ask for ours to be changed: we answer before we write on.
#[tokio::test]
async fn new_keys_in_mid_stream_change_no_byte() {
    const ROUNDS: usize = 20;
    const PIECE: usize = 50_000;
    let (port, pem) = serve(&TLS13, async |mut stream: Served| {
        let mut piece = vec![0; PIECE];
        for _ in 0..ROUNDS {
            stream.read_exact(&mut piece).await.expect("the client writes");
            stream.get_mut().1.refresh_traffic_keys().expect("TLS 1.3");
            stream.write_all(&piece).await.expect("the client reads");
            stream.flush().await.expect("the client reads");
        }
    })
    .await;
    let mut wire = dial(port, &pem).await.expect("connected");
    for round in 0..ROUNDS {
        let sent = noise(round as u64, PIECE);
        write_all(&mut wire, &sent).await;
        flush(&mut wire).await;
        assert!(read_exact(&mut wire, PIECE).await == sent, "round {round}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused() {
    let (port, _) = serve(&TLS13, async |_| {}).await;
    let (_, other) = identity(&TLS13);
    let error = dial(port, &other).await.expect_err("not trusted");
    let Error::Connect(why) = error else { panic!("{error}") };
    assert!(why.to_string().contains("invalid peer certificate"), "{why}");
}

/// What accepts and never speaks holds nobody for longer than it takes to connect.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_speaks_is_given_up() {
    let (_listener, port) = listen().await;
    let (_, pem) = identity(&TLS13);
    let error = dial(port, &pem).await.expect_err("nobody speaks");
    let Error::Connect(why) = error else { panic!("{error}") };
    assert!(why.is::<TimedOut>(), "{why}");
}
