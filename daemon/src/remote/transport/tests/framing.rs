//! Where an answer ends, by every way of telling it, and by none.

use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use tokio::io::AsyncWriteExt as _;

use super::super::Error;
use super::peer::{Peer, chunked, measured, noise, request, whole};

#[tokio::test]
async fn a_body_ends_where_the_answer_says() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"),
        ("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n", ""),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            "abcd",
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\nx: y\r\n\r\n", ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", ""),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", "a"),
    ] {
        let peer = Peer::closing(answer.into()).await;
        let (_, body) = peer.get().await.unwrap_or_else(|error| panic!("{answer}: {error}"));
        assert_eq!(body, expected, "{answer}");
    }
}

/// Of a body cut short, no byte more than came, and never an end.
#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ] {
        let peer = Peer::closing(answer.into()).await;
        let answered = peer.send("GET", SdkBody::empty()).await.expect("a head");
        let error = whole(answered).await.expect_err("cut short");
        assert!(matches!(error, Error::Incomplete), "{answer}: {error}");
        assert_eq!(peer.client.pool.len(), 0);
    }
}

/// Over TLS the goodbye tells an end from a cut, also where the head tells no length.
#[tokio::test]
async fn only_a_goodbye_ends_a_body_without_a_length() {
    for polite in [true, false] {
        let peer = Peer::tls(move |_, mut stream| async move {
            request(&mut stream).await.expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nabc").await.expect("the client reads");
            stream.flush().await.expect("the client reads");
            if polite {
                stream.shutdown().await.expect("the client reads");
            }
        })
        .await;
        match peer.get().await {
            Ok((_, body)) => assert!(polite && body == "abc"),
            Err(error) => assert!(!polite && matches!(error, Error::Read(_)), "{error}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_refused() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 3, 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: three\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
        "<html>not HTTP</html>\r\n\r\n",
        "\0\0\0\0\0\0",
    ] {
        let peer = Peer::closing(answer.into()).await;
        let error = peer.get().await.expect_err(answer);
        assert!(matches!(error, Error::Answer(_) | Error::Head(_)), "{answer}: {error}");
        assert_eq!(peer.client.pool.len(), 0);
    }
}

/// A server cannot make us keep what it sends without end.
#[tokio::test]
async fn a_head_without_an_end_is_refused() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\n";
    for endless in ["a: b\r\n", "a", interim] {
        let peer = Peer::plain(move |_, mut stream| async move {
            request(&mut stream).await.expect("a request");
            let start = if endless == interim { "" } else { "HTTP/1.1 200 OK\r\n" };
            stream.write_all(start.as_bytes()).await.expect("the client reads");
            while stream.write_all(endless.repeat(100).as_bytes()).await.is_ok() {}
        })
        .await;
        let asked = tokio::time::timeout(Duration::from_secs(20), peer.get());
        let error = asked.await.expect("in time").expect_err("too long");
        assert!(matches!(error, Error::Answer(_) | Error::Head(_)), "{error}");
    }
}

#[tokio::test]
async fn a_head_of_many_headers_is_taken_and_one_of_too_many_is_not() {
    let answer = |headers: usize| {
        let headers: String = (0..headers).map(|n| format!("x-amz-meta-{n}: {n}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n").into_bytes()
    };
    let peer = Peer::closing(answer(100)).await;
    let answered = peer.send("GET", SdkBody::empty()).await.expect("an answer");
    assert_eq!(answered.headers().len(), 101);
    assert_eq!(answered.headers()["x-amz-meta-99"], "99");
    let error = Peer::closing(answer(1000)).await.get().await.expect_err("too many");
    assert!(matches!(error, Error::Head(_)), "{error}");
}

/// What comes in dribs, and what comes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_whole_however_it_comes() {
    for (piece, len) in [(1, 300), (1000, 100_000), (16_385, 3 << 20), (5 << 20, 20 << 20)] {
        for chunks in [0, 5, 100_000] {
            let body = noise(3, len);
            let answer = if chunks == 0 { measured(&body) } else { chunked(&body, chunks) };
            let peer = Peer::tls(move |_, mut stream| {
                let answer = answer.clone();
                async move {
                    while request(&mut stream).await.is_some() {
                        for piece in answer.chunks(piece) {
                            stream.write_all(piece).await.expect("the client reads");
                            stream.flush().await.expect("the client reads");
                        }
                    }
                }
            })
            .await;
            for _ in 0..2 {
                let (_, came) = peer.get().await.expect("an answer");
                assert!(came == body, "{len} in pieces of {piece} and chunks of {chunks}");
            }
            assert_eq!(peer.accepted(), 1);
        }
    }
}
