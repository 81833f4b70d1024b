//! Answers that nobody would write, by chance: against hyper's client, which takes more than ours does.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::super::Error;
use super::super::body::Framing;
use super::super::head::Collecting;
use super::peer::{chunked, measured};

/// An answer of a connection on which `pieces` come, and then its end.
fn ours(pieces: &[Bytes]) -> Result<(StatusCode, Vec<u8>), Error> {
    let (mut head, mut body, mut open) = (Collecting::default(), Vec::new(), None);
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let mut unread = piece.clone();
        if open.is_none() {
            let Some((answered, rest)) = head.push(unread, false)? else { continue };
            unread = rest;
            open = Some((answered.status, answered.framing));
        }
        if let Some((_, framing)) = &mut open {
            while let Some(data) = framing.next(&mut unread)? {
                assert!(!data.is_empty());
                body.extend_from_slice(&data);
            }
        }
    }
    match open {
        Some((status, framing)) if framing.is_over() || matches!(framing, Framing::Close) => {
            Ok((status, body))
        }
        _ => Err(Error::Incomplete),
    }
}

async fn hyper_s(answer: &[u8]) -> Result<(StatusCode, Vec<u8>), hyper::Error> {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_headers(128)
        .handshake(TokioIo::new(ours))
        .await?;
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "a").body(Empty::<Bytes>::new());
    let asking = sender.send_request(request.expect("a request"));
    let answering = async {
        // hyper refuses what comes before it has asked.
        tokio::io::AsyncReadExt::read(&mut theirs, &mut [0; 64]).await.expect("a request");
        let _ = theirs.write_all(answer).await;
        drop(theirs);
    };
    let (asked, ()) = tokio::join!(asking, answering);
    let (head, body) = asked?.into_parts();
    Ok((head.status, body.collect().await?.to_bytes().to_vec()))
}

fn split(answer: &[u8], cuts: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(answer.len() + 1)).collect();
    ends.extend([0, answer.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|two| Bytes::copy_from_slice(&answer[two[0]..two[1]])).collect()
}

/// Pieces of answers, in an order that makes sense now and then.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        8 => prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 No\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 204 None\r\n", "Content-Length: 5\r\n", "content-length: 0\r\n",
            "content-length: 5, 5\r\n", "content-length: 05\r\n", "Transfer-Encoding: chunked\r\n",
            "transfer-encoding: gzip\r\n", "connection: close\r\n", "x: y\r\n", "\r\n", "\r\n\r\n",
            "hello", "5\r\nhello\r\n", "0\r\n\r\n", "0\r\nx: y\r\n\r\n", "A;x=\"y\"\r\n0123456789\r\n",
            "\n", "\r", ":", " ", "5", "00000005\r\nhello\r\n",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    let start = prop::sample::select(vec![
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    ]);
    (start, prop::collection::vec(fragment, 0..8))
        .prop_map(|(start, rest)| [start.as_bytes(), &rest.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// What is taken is what another client takes it for, wherever it was split.
    #[test]
    fn an_answer_is_refused_or_is_what_hyper_takes_it_for(
        answer in fragments(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = ours(&[Bytes::copy_from_slice(&answer)]);
        let pieces = ours(&split(&answer, &cuts));
        prop_assert_eq!(whole.as_ref().ok(), pieces.as_ref().ok());
        if let Ok(whole) = whole {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let theirs = runtime.block_on(hyper_s(&answer));
            prop_assert_eq!(Some(whole), theirs.ok());
        }
    }

    /// A well-formed answer is taken, whatever its body and its chunks are like.
    #[test]
    fn an_answer_that_is_well_formed_is_taken(
        body in prop::collection::vec(any::<u8>(), 0..3000),
        chunk in 1_usize..4000,
        is_chunked in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut answer = if is_chunked { chunked(&body, chunk) } else { measured(&body) };
        let (status, came) = ours(&split(&answer, &cuts)).expect("well-formed");
        prop_assert_eq!((status.as_u16(), came), (200, body));
        answer.pop();
        prop_assert!(ours(&split(&answer, &cuts)).is_err(), "cut short");
    }
}
