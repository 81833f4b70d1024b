//! Faults hit the call and the byte they are written for, and nothing else.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use sandbox::{Action, Attributes, Fault, FaultScript, Side, Stats, Synthetic};
use tokio::net::TcpStream;

use crate::client::{MIB, bytes, create, get, list, part, put, refused, start};

/// One request over plain HTTP; what came of the body, even when it ended early.
async fn http(method: &str, url: &str, body: Vec<u8>) -> (u16, Vec<u8>, bool) {
    let uri: http::Uri = url.parse().unwrap();
    let authority = uri.authority().unwrap().to_string();
    let tcp = TcpStream::connect(&authority).await.unwrap();
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(tcp));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request =
        http::Request::builder().method(method).uri(uri.path_and_query().unwrap().as_str());
    let request = request.header("host", authority).body(Full::new(Bytes::from(body))).unwrap();
    let mut response = sender.send_request(request).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(frame) = response.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => return (response.status().as_u16(), bytes, false),
        }
    }
    (response.status().as_u16(), bytes, true)
}

pub(crate) async fn http_get(url: &str) -> (u16, Vec<u8>) {
    let (status, body, _) = http("GET", url, Vec::new()).await;
    (status, body)
}

#[tokio::test]
async fn a_read_is_cut_at_the_byte_and_the_next_one_is_not() {
    let (endpoint, _) = start().await;
    let size = 20 * MIB;
    let object = Synthetic::new(1, size as u64);
    endpoint.put("bucket", "k", object, Attributes::default()).await.unwrap();
    let url = endpoint.presigned_get("bucket", "k", Duration::from_secs(60));
    let at = 7_654_321;
    for action in [Action::Reset, Action::Truncate] {
        endpoint.faults([Fault::on("GetObject", action.clone()).call(2).at_byte(at)]);
        let (_, whole, complete) = http("GET", &url, Vec::new()).await;
        assert!(complete && whole.len() == size);
        let (status, cut, complete) = http("GET", &url, Vec::new()).await;
        assert_eq!((status, complete), (200, false));
        // A reset may overtake bytes on their way; a truncated body has exactly so many.
        assert!(cut.len() as u64 <= at, "{action:?}: {}", cut.len());
        if action == Action::Truncate {
            assert_eq!(cut.len() as u64, at);
        }
        assert_eq!(cut, whole[..cut.len()]);
        assert!(http("GET", &url, Vec::new()).await.2);
    }
    assert_eq!(endpoint.stats().faults_fired, 2);
}

#[tokio::test]
async fn one_bit_is_flipped_on_the_way_out_and_not_in_store() {
    let (endpoint, s3) = start().await;
    let body = bytes(3 * MIB, 1);
    put(&s3, "k", &body).await;
    endpoint.faults([Fault::on("GetObject", Action::FlipBit).call(1).at_byte(2_000_000)]);
    let url = endpoint.presigned_get("bucket", "k", Duration::from_secs(60));
    let (_, flipped) = http_get(&url).await;
    let wrong: Vec<usize> = (0..body.len()).filter(|i| body[*i] != flipped[*i]).collect();
    assert_eq!(wrong, [2_000_000]);
    assert_eq!(http_get(&url).await.1, body);
}

#[tokio::test]
async fn a_bit_flipped_on_the_way_in_is_noticed_and_one_flipped_in_store_is_not() {
    let (endpoint, s3) = start().await;
    let flip = |side| Fault::on("PutObject", Action::FlipBit).call(1).at_byte(3).side(side);
    endpoint.faults([flip(Side::Request)]);
    let call = || s3.put_object().bucket("bucket").key("k").body(b"hello".to_vec().into()).send();
    assert_eq!(refused(call().await), "BadDigest");
    endpoint.faults([flip(Side::Stored)]);
    call().await.unwrap();
    let stored = endpoint.object("bucket", "k").unwrap();
    assert_eq!(&stored.bytes().await.unwrap()[..], b"helmo");
    assert_eq!(stored.etag, "5d41402abc4b2a76b9719d911017c592", "the ETag of the right bytes");
}

#[tokio::test]
async fn statuses_are_s3s_and_can_be_read_although_the_body_was_not() {
    let (endpoint, s3) = start().await;
    for (code, status) in [
        ("SlowDown", 503),
        ("InternalError", 500),
        ("429", 429),
        ("AccessDenied", 403),
        ("ExpiredToken", 400),
        ("RequestTimeTooSkewed", 403),
        ("NoSuchUpload", 404),
    ] {
        endpoint.faults([Fault::on("PutObject", Action::Status(code.into())).call(1)]);
        let body = bytes(2 * MIB, 1);
        let call = s3.put_object().bucket("bucket").key("k").body(body.into()).send().await;
        let error = call.unwrap_err();
        let code = if code == "429" { "TooManyRequests" } else { code };
        assert_eq!(crate::client::code(&error), code);
        let answered = error.raw_response().unwrap().status().as_u16();
        assert_eq!(answered, status, "{code}");
    }
    assert!(endpoint.object("bucket", "k").is_none());
}

#[tokio::test]
async fn a_lost_answer_was_performed_and_a_lost_request_was_not() {
    let (endpoint, s3) = start().await;
    let fault = |action| Fault::on("CompleteMultipartUpload", action).call(1);
    let upload = create(&s3, "k").await;
    let only = part(&s3, "k", &upload, 1, b"x".to_vec()).await;
    let complete = || {
        let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
        call.multipart_upload(list(vec![only.clone()])).send()
    };
    endpoint.faults([fault(Action::LoseRequest)]);
    assert!(complete().await.unwrap_err().raw_response().is_none());
    assert!(endpoint.object("bucket", "k").is_none());
    endpoint.faults([fault(Action::ErrorIn200("InternalError".into()))]);
    assert_eq!(refused(complete().await), "InternalError");
    assert!(endpoint.object("bucket", "k").is_none());
    endpoint.faults([fault(Action::LoseAnswer)]);
    assert!(complete().await.unwrap_err().raw_response().is_none());
    assert!(endpoint.object("bucket", "k").is_some());
    assert!(endpoint.uploads().is_empty());
}

#[tokio::test]
async fn an_upload_is_cut_at_the_byte_and_leaves_no_part() {
    let (endpoint, s3) = start().await;
    let upload = create(&s3, "k").await;
    let fault = Fault::on("UploadPart", Action::Reset).part(2).call(1).at_byte(MIB as u64);
    endpoint.faults([fault.side(Side::Request)]);
    part(&s3, "k", &upload, 1, bytes(5 * MIB, 1)).await;
    let call = s3.upload_part().bucket("bucket").key("k").upload_id(&upload).part_number(2);
    assert!(call.body(bytes(5 * MIB, 2).into()).send().await.is_err());
    let parts: Vec<u32> = endpoint.uploads()[0].parts.keys().copied().collect();
    assert_eq!(parts, [1]);
    part(&s3, "k", &upload, 2, bytes(5 * MIB, 2)).await;
}

#[tokio::test]
async fn a_stall_and_a_delay_take_their_time() {
    let (endpoint, s3) = start().await;
    put(&s3, "k", &bytes(MIB, 1)).await;
    for action in [Action::StallMs(300), Action::DelayMs(300)] {
        endpoint.faults([Fault::on("GetObject", action).call(1).at_byte(1000)]);
        let started = Instant::now();
        assert_eq!(get(&s3, "k").await.len(), MIB);
        assert!(started.elapsed() >= Duration::from_millis(300));
    }
}

#[tokio::test]
async fn the_admin_port_tells_counts_and_takes_faults() {
    let (endpoint, s3) = start().await;
    put(&s3, "k", b"hello").await;
    let url = |path: &str| format!("{}/{path}", endpoint.admin_url());
    let script = r#"{"faults": [{"operation": "GetObject", "action": {"status": "SlowDown"}}]}"#;
    let (status, _, _) = http("POST", &url("faults"), script.into()).await;
    assert_eq!(status, 200);
    let call = s3.get_object().bucket("bucket").key("k").send();
    assert_eq!(refused(call.await), "SlowDown");
    let (status, stats) = http_get(&url("stats")).await;
    let stats: Stats = serde_json::from_slice(&stats).unwrap();
    assert_eq!((status, stats.calls("GetObject"), stats.calls("PutObject")), (200, 1, 1));
    assert_eq!(stats.logged("GetObject").next().unwrap().status, Some(503));
    assert!(stats.operations["PutObject"].bytes_in >= 5);
    assert_eq!(http("POST", &url("faults"), b"{".to_vec()).await.0, 400);
    let (_, kept) = http_get(&url("faults")).await;
    let kept: FaultScript = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept.faults.len(), 1, "a wrong script changes nothing");
    http("DELETE", &url("faults"), Vec::new()).await;
    assert_eq!(get(&s3, "k").await, b"hello");
}
