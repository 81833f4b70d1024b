//! Bodies of requests: sent as they come, and never past an answer.

use std::io;
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc;
use http::StatusCode;
use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::Error;
use super::peer::{Peer, noise, request, whole};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A body of `len` bytes whose frames are sent into a channel. It cannot be sent twice.
pub fn channel(len: u64) -> (mpsc::Sender<Bytes>, SdkBody) {
    let (sender, frames) = mpsc::channel(4);
    (sender, streamed(len, frames.map(Ok)))
}

fn streamed(
    len: u64,
    frames: impl futures::Stream<Item = Result<Bytes, io::Error>> + Send + 'static,
) -> SdkBody {
    let frames = frames.map(|frame| frame.map(http_body::Frame::data));
    let frames = StreamBody::new(sync_wrapper(frames));
    SdkBody::from_body_1_x(Sized { len, frames: Box::pin(frames) })
}

/// A body has to be `Sync`, and a stream need not be.
fn sync_wrapper<S: futures::Stream + Send>(
    stream: S,
) -> impl futures::Stream<Item = S::Item> + Send + Sync {
    let stream = std::sync::Mutex::new(Box::pin(stream));
    futures::stream::poll_fn(move |cx| stream.lock().expect("not poisoned").poll_next_unpin(cx))
}

type Frames =
    std::pin::Pin<Box<dyn http_body::Body<Data = Bytes, Error = io::Error> + Send + Sync>>;

struct Sized {
    len: u64,
    frames: Frames,
}

impl http_body::Body for Sized {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        self.frames.as_mut().poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.len)
    }
}

/// `count` frames of `len` bytes each, and how many of them were taken.
fn frames(count: usize, len: usize) -> (SdkBody, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&taken);
    let frame = Bytes::from(noise(9, len));
    let all = futures::stream::iter(0..count).map(move |_| {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(frame.clone())
    });
    (streamed((count * len) as u64, all), taken)
}

#[tokio::test]
async fn a_body_arrives_as_it_was_given_whatever_its_frames() {
    for (count, len) in [(1, 1), (1000, 7), (40, 16_384), (10, 262_144), (3, 1_000_001)] {
        let expected = noise(9, len).repeat(count);
        let peer = Peer::tls(move |_, mut stream| {
            let expected = expected.clone();
            async move {
                for _ in 0..2 {
                    let (head, body) = request(&mut stream).await.expect("a request");
                    assert!(head.starts_with("PUT /a/key HTTP/1.1\r\nhost: localhost:"), "{head}");
                    assert!(body == expected, "{count} x {len}");
                    stream.write_all(OK).await.expect("the client reads");
                    stream.flush().await.expect("the client reads");
                }
            }
        })
        .await;
        for _ in 0..2 {
            let answer = peer.send("PUT", frames(count, len).0).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK);
        }
        assert_eq!(peer.accepted(), 1);
    }
}

/// A server that refuses an upload says so after the head: gigabytes must not follow.
#[tokio::test]
async fn an_answer_in_the_midst_of_an_upload_ends_it() {
    for closes in [false, true] {
        let peer = Peer::plain(move |_, mut stream| async move {
            stream.read_exact(&mut [0; 1000]).await.expect("a request");
            let answer = b"HTTP/1.1 412 Precondition Failed\r\ncontent-length: 4\r\n\r\ngone";
            stream.write_all(answer).await.expect("the client reads");
            if closes {
                // With bytes unread: the client gets a reset besides the answer.
                return;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        })
        .await;
        let (body, taken) = frames(10_000, 100_000);
        let answer = peer.send("PUT", body).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::PRECONDITION_FAILED, "closes: {closes}");
        assert_eq!(whole(answer).await.expect("whole").1, "gone");
        assert!(taken.load(std::sync::atomic::Ordering::SeqCst) < 1000, "it went on");
        assert_eq!(peer.client.pool.len(), 0, "the rest of the body is missing on it");
    }
}

/// What is not read there must not pile up here.
#[tokio::test]
async fn no_more_of_a_body_is_asked_for_than_the_server_takes() {
    let peer = Peer::tls(|_, stream| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let (body, taken) = frames(10_000, 100_000);
    tokio::time::timeout(Duration::from_millis(700), peer.send("PUT", body))
        .await
        .expect_err("nobody reads");
    let taken = taken.load(std::sync::atomic::Ordering::SeqCst);
    // The kernel's buffers of both ends, and a buffer of ours.
    assert!((1..1000).contains(&taken), "{taken}");
}

/// Whoever gave the body counts from its last byte how long the answer may take.
#[tokio::test]
async fn a_body_is_let_go_of_with_its_last_byte() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let heard = std::sync::Mutex::new(Some(heard));
    let peer = Peer::plain(move |_, mut stream| {
        let heard = heard.lock().expect("not poisoned").take().expect("one connection");
        async move {
            request(&mut stream).await.expect("a request");
            heard.await.expect("the test goes on");
            stream.write_all(OK).await.expect("the client reads");
        }
    })
    .await;
    let (mut sender, body) = channel(3);
    let feeding = async {
        sender.try_send(Bytes::from_static(b"abc")).expect("room");
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        told.send(()).expect("the server waits");
    };
    let both = async { tokio::join!(peer.send("PUT", body), feeding).0 };
    let answer = tokio::time::timeout(Duration::from_secs(10), both).await.expect("let go of");
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_was_said_is_an_error() {
    let peer = Peer::plain(|_, mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    for given in [&b"ab"[..], b"abcd"] {
        let frames = futures::stream::iter([Ok(Bytes::from_static(given))]);
        let error = peer.send("PUT", streamed(3, frames)).await.expect_err("not three");
        assert!(matches!(error, Error::Request(_)), "{error}");
        assert!(error.told().is_user());
    }
}

#[tokio::test]
async fn a_body_s_own_error_is_told_as_such() {
    let peer = Peer::plain(|_, mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let frames = [Ok(Bytes::from_static(b"ab")), Err(io::Error::other("no more"))];
    let body = streamed(3, futures::stream::iter(frames));
    let error = peer.send("PUT", body).await.expect_err("it failed");
    let Error::Body(why) = &error else { panic!("{error}") };
    assert_eq!(why.to_string(), "no more");
    assert!(error.told().is_user());
}

/// There is no other way to tell a server where it ends that all of them understand.
#[tokio::test]
async fn a_body_without_a_length_or_with_two_is_refused() {
    let peer = Peer::closing(OK.to_vec()).await;
    let frames = futures::stream::pending::<Result<http_body::Frame<Bytes>, io::Error>>();
    let endless = SdkBody::from_body_1_x(StreamBody::new(frames));
    let requests = [
        http::Request::put(&peer.uri).body(endless),
        http::Request::put(&peer.uri).header("content-length", "4").body(SdkBody::from("abc")),
        http::Request::put(&peer.uri).header("content-length", "x").body(SdkBody::from("abc")),
        http::Request::put(&peer.uri)
            .header("transfer-encoding", "chunked")
            .body(SdkBody::from("abc")),
        http::Request::put("ftp://localhost/").body(SdkBody::from("abc")),
        http::Request::put("/nowhere").body(SdkBody::from("abc")),
    ];
    for request in requests {
        let request = request.expect("a request");
        let error = peer.client.send(request, |_| {}).await.expect_err("refused");
        assert!(error.told().is_user());
    }
    assert_eq!(peer.accepted(), 0, "nothing was sent");
}

#[tokio::test]
async fn a_request_says_what_it_was_told_to_say() {
    let (told, mut heard) = tokio::sync::mpsc::channel(9);
    let peer = Peer::plain(move |_, mut stream| {
        let told = told.clone();
        async move {
            while let Some((head, _)) = request(&mut stream).await {
                told.send(head).await.expect("the test reads");
                stream.write_all(OK).await.expect("the client reads");
            }
        }
    })
    .await;
    let (_, host) = peer.uri.split_once("//").expect("a host");
    let (host, _) = host.split_once('/').expect("a path");
    for (method, body, said) in [
        ("GET", "", format!("GET /a/key?x=1 HTTP/1.1\r\nhost: {host}\r\n\r\n")),
        (
            "PUT",
            "",
            format!("PUT /a/key?x=1 HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n"),
        ),
        (
            "POST",
            "ab",
            format!("POST /a/key?x=1 HTTP/1.1\r\nhost: {host}\r\ncontent-length: 2\r\n\r\n"),
        ),
        ("DELETE", "", format!("DELETE /a/key?x=1 HTTP/1.1\r\nhost: {host}\r\n\r\n")),
    ] {
        peer.send(method, body).await.expect("an answer");
        assert_eq!(heard.recv().await.expect("a request"), said);
    }
    let request =
        http::Request::get(&peer.uri).header("host", "other").header("x-a", "1").header("x-a", "2");
    let request = request.body(SdkBody::empty()).expect("a request");
    peer.client.send(request, |_| {}).await.expect("an answer");
    let said = "GET /a/key?x=1 HTTP/1.1\r\nhost: other\r\nx-a: 1\r\nx-a: 2\r\n\r\n";
    assert_eq!(heard.recv().await.expect("a request"), said);
}
