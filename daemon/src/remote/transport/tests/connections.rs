//! Which connection a request goes over, and what becomes of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::dial::first;
use super::super::{Error, POOL_IDLE};
use super::peer::{Peer, listen, noise, request, whole};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_connection_is_used_again() {
    for answer in [
        OK,
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 2\r\n\r\nok",
    ] {
        let peer = Peer::answering(|_| answer.to_vec()).await;
        for _ in 0..5 {
            peer.get().await.expect("an answer");
        }
        assert_eq!(peer.accepted(), 1, "{}", String::from_utf8_lossy(answer));
        assert_eq!(peer.client.pool.len(), 1);
    }
}

#[tokio::test]
async fn a_connection_over_tls_is_used_again() {
    let peer = Peer::tls(|_, mut stream| async move {
        for len in [1, 70_000, 3 << 20, 0, 17] {
            let (_, body) = request(&mut stream).await.expect("a request");
            assert_eq!(body, noise(5, len));
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n");
            stream.write_all(&[head.as_bytes(), &body].concat()).await.expect("the client reads");
            stream.flush().await.expect("the client reads");
        }
    })
    .await;
    for len in [1, 70_000, 3 << 20, 0, 17] {
        let answer = peer.send("PUT", noise(5, len)).await.expect("an answer");
        let (status, body) = whole(answer).await.expect("whole");
        assert_eq!((status.as_u16(), body.len()), (200, len));
        assert!(body == noise(5, len));
    }
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_whatever_it_says() {
    let peer =
        Peer::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n".to_vec()).await;
    for _ in 0..3 {
        let answer = peer.send("HEAD", SdkBody::empty()).await.expect("an answer");
        assert_eq!(answer.headers()["content-length"], "5000000");
        assert!(whole(answer).await.expect("nothing").1.is_empty());
    }
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_is_to_be_closed_is() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 2\r\n\r\nok"[..],
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        // What follows an answer is nobody's: taken for the next one, it would be somebody else's.
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n",
    ] {
        let peer = Peer::answering(|_| answer.to_vec()).await;
        for _ in 0..3 {
            assert_eq!(peer.get().await.expect("an answer").1, "ok");
            assert_eq!(peer.client.pool.len(), 0, "{}", String::from_utf8_lossy(answer));
        }
        assert_eq!(peer.accepted(), 3);
    }
}

/// A server that says something while nobody asks answers the next request before it is made.
#[tokio::test]
async fn a_connection_on_which_anything_came_while_it_waited_is_not_used() {
    let (told, mut heard) = tokio::sync::mpsc::channel(1);
    let peer = Peer::plain(move |_, mut stream| {
        let told = told.clone();
        async move {
            while request(&mut stream).await.is_some() {
                stream.write_all(OK).await.expect("the client reads");
                tokio::time::sleep(Duration::from_millis(20)).await;
                let unasked = b"HTTP/1.1 408 Request Timeout\r\n\r\n";
                stream.write_all(unasked).await.expect("the client is there");
                told.send(()).await.expect("the test waits");
            }
        }
    })
    .await;
    for _ in 0..3 {
        assert_eq!(peer.get().await.expect("an answer").0, 200);
        heard.recv().await.expect("it was said");
        // So that the runtime hears of it.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(peer.accepted(), 3);
}

#[tokio::test]
async fn a_connection_that_is_poisoned_is_not_used() {
    let peer = Peer::answering(|_| OK.to_vec()).await;
    for _ in 0..3 {
        let request = http::Request::get(&peer.uri).body(SdkBody::empty()).expect("a request");
        let poison = |tag: &super::super::Tag| tag.poison();
        whole(peer.client.send(request, poison).await.expect("an answer")).await.expect("whole");
    }
    assert_eq!((peer.accepted(), peer.client.pool.len()), (3, 0));
}

/// A server that closes what waited for long is within its rights, and nobody should notice.
#[tokio::test]
async fn a_connection_that_was_closed_while_it_waited_costs_no_request() {
    for wait in [Duration::ZERO, Duration::from_millis(50)] {
        let peer = Peer::plain(|_, mut stream| async move {
            request(&mut stream).await.expect("a request");
            stream.write_all(OK).await.expect("the client reads");
        })
        .await;
        for _ in 0..20 {
            assert_eq!(peer.get().await.expect("an answer").0, 200);
            tokio::time::sleep(wait).await;
        }
        assert_eq!(peer.accepted(), 20);
    }
}

/// Closed when the second request is there already.
async fn closes_late() -> Peer {
    Peer::plain(|number, mut stream| async move {
        request(&mut stream).await.expect("a request");
        stream.write_all(OK).await.expect("the client reads");
        if number == 0 {
            request(&mut stream).await.expect("another");
        } else {
            while request(&mut stream).await.is_some() {
                stream.write_all(OK).await.expect("the client reads");
            }
        }
    })
    .await
}

#[tokio::test]
async fn what_changes_nothing_is_asked_again_where_a_used_connection_ends_without_an_answer() {
    let peer = closes_late().await;
    for _ in 0..3 {
        assert_eq!(peer.get().await.expect("an answer").0, 200);
    }
    assert_eq!(peer.accepted(), 2);
}

/// The server may have done it: only the caller knows how to find out.
#[tokio::test]
async fn what_changes_something_is_not_sent_twice() {
    for method in ["PUT", "POST", "DELETE"] {
        let peer = closes_late().await;
        peer.get().await.expect("an answer");
        let error = peer.send(method, "body").await.expect_err("no answer");
        assert!(error.is_lost(), "{error}");
        assert_eq!(peer.accepted(), 1);
    }
}

#[tokio::test]
async fn a_fresh_connection_that_ends_without_an_answer_is_an_error() {
    let peer = Peer::closing(Vec::new()).await;
    let error = peer.get().await.expect_err("no answer");
    assert!(matches!(error, Error::Incomplete), "{error}");
    assert!(error.told().as_other().is_some(), "transient");
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn to_drop_a_body_midway_closes_the_connection() {
    let (peer, mut closed) = Peer::told_when_over(async |mut stream: TcpStream| {
        request(&mut stream).await.expect("a request");
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n";
        stream.write_all(head).await.expect("the client reads");
        while stream.write_all(&[0; 10_000]).await.is_ok() {}
    })
    .await;
    let mut body = peer.send("GET", SdkBody::empty()).await.expect("an answer").into_body();
    body.frame().await.expect("a frame").expect("no error");
    assert!(closed.try_recv().is_err(), "not yet");
    drop(body);
    closed.recv().await.expect("closed");
    assert_eq!(peer.client.pool.len(), 0);
}

#[tokio::test]
async fn to_drop_a_request_midway_closes_the_connection() {
    let (peer, mut closed) = Peer::told_when_over(async |mut stream: TcpStream| {
        request(&mut stream).await.expect("a request");
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed");
    })
    .await;
    let asking = tokio::time::timeout(Duration::from_millis(200), peer.get());
    asking.await.expect_err("nobody answers");
    closed.recv().await.expect("closed");
}

#[tokio::test]
async fn a_connection_waits_only_for_so_long() {
    let peer = Peer::answering(|_| OK.to_vec()).await;
    // Twice: whoever closes what is old goes when nothing is left, and has to come back.
    for round in 1..=2 {
        peer.get().await.expect("an answer");
        assert_eq!((peer.accepted(), peer.client.pool.len()), (round, 1));
        tokio::time::pause();
        tokio::time::advance(POOL_IDLE - Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        assert_eq!(peer.client.pool.len(), 1);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(peer.client.pool.len(), 0);
        tokio::time::resume();
    }
}

/// Each is used by one request at a time, and there are no more than are needed.
#[tokio::test]
async fn requests_at_once_take_a_connection_each_and_leave_them_to_the_next() {
    let peer = Peer::answering(|_| OK.to_vec()).await;
    for _ in 0..5 {
        let all = futures::future::join_all((0..8).map(|_| peer.get())).await;
        assert!(all.iter().all(|answer| answer.as_ref().is_ok_and(|(_, body)| *body == "ok")));
        assert_eq!((peer.accepted(), peer.client.pool.len()), (8, 8));
    }
}

/// One address of a name that is down must not make the name unreachable.
#[tokio::test]
async fn every_address_is_tried() {
    let (listener, port) = listen().await;
    let (dead, dead_port) = listen().await;
    drop(dead);
    let dead = SocketAddr::from((Ipv4Addr::LOCALHOST, dead_port));
    let alive = listener.local_addr().expect("its address");
    let tcp = first([dead, dead, alive].into_iter()).await.expect("one takes it");
    assert_eq!(tcp.peer_addr().expect("connected").port(), port);
    let error = first([dead, dead].into_iter()).await.expect_err("nobody takes it");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(first(Vec::new().into_iter()).await.is_err());
}

#[tokio::test]
async fn a_name_that_does_not_resolve_and_a_port_that_is_closed_are_told() {
    let (listener, port) = listen().await;
    drop(listener);
    for (uri, said) in [
        ("http://s3.causeway.invalid/".to_owned(), "dns error"),
        (format!("http://127.0.0.1:{port}/"), "refused"),
    ] {
        let client = super::peer::client(None);
        let request = http::Request::get(uri).body(SdkBody::empty()).expect("a request");
        let error = client.send(request, |_| {}).await.expect_err("nobody is there");
        let Error::Connect(why) = &error else { panic!("{error}") };
        assert!(why.to_string().contains(said), "{why}");
        assert!(error.told().is_io());
    }
}

/// A small request is on its way at once, whatever the body that follows it is waiting for.
#[tokio::test]
async fn what_a_body_gave_is_sent_before_it_has_more() {
    let (mut sender, body) = super::uploads::channel(6);
    let (told, mut heard) = tokio::sync::mpsc::channel::<Bytes>(4);
    let peer = Peer::plain(move |_, mut stream| {
        let told = told.clone();
        async move {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                told.send(Bytes::copy_from_slice(&bytes[..read])).await.expect("the test reads");
                if bytes[..read].ends_with(b"def") {
                    stream.write_all(OK).await.expect("the client reads");
                }
            }
        }
    })
    .await;
    let asking = async {
        let answer = peer.send("PUT", body).await.expect("an answer");
        whole(answer).await.expect("whole");
    };
    let feeding = async {
        sender.try_send(Bytes::from_static(b"abc")).expect("room");
        let mut came = Vec::new();
        while !came.ends_with(b"\r\n\r\nabc") {
            came.extend(heard.recv().await.expect("what was given so far"));
        }
        sender.try_send(Bytes::from_static(b"def")).expect("room");
    };
    tokio::join!(asking, feeding);
}
