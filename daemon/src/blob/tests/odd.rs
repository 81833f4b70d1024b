//! One odd or failing server each, scripted.

use std::sync::Arc;
use std::time::Duration;

use super::server::{Tls, address, http, pinned, refusal, remote, scripted};
use super::*;
use crate::model::{ByteRange, FailureClass, Side};

const FOUND: &[&str] = &["ETag: \"abc\"", "x-amz-tagging-count: 0"];

async fn object(script: impl Fn(&str) -> String + Send + Sync + 'static) -> S3Object {
    let (endpoint, _) = scripted(None, script).await;
    S3Object::new(remote(&endpoint, None).await, address("a.bin"))
}

async fn target(script: impl Fn(&str) -> String + Send + Sync + 'static) -> S3Target {
    let (endpoint, _) = scripted(None, script).await;
    S3Target::new(remote(&endpoint, None).await, address("a.bin"))
}

async fn refused_pin(answer: String) -> Error {
    object(move |_| answer.clone()).await.pin().await.expect_err("refused")
}

/// An answer to HEAD has no body: why it was refused is learned by asking for a byte.
#[tokio::test]
async fn a_refused_head_is_explained_by_a_get() {
    for (status, code, class) in [
        ("400 Bad Request", "ExpiredToken", FailureClass::Credentials),
        ("403 Forbidden", "RequestTimeTooSkewed", FailureClass::Credentials),
        ("404 Not Found", "NoSuchBucket", FailureClass::Permanent),
    ] {
        let script = move |head: &str| {
            if head.starts_with("HEAD") { http(status, &[], "") } else { refusal(status, code) }
        };
        let error = object(script).await.pin().await.expect_err("refused");
        assert_eq!((error.code(), error.class()), (Some(code), class), "{error}");
    }
}

/// Credentials that are renewed between the two requests: the HEAD's bare 400 is no last word.
#[tokio::test]
async fn a_refused_head_that_a_get_contradicts_is_asked_again() {
    for answer in [
        http("206 Partial Content", &["ETag: \"abc\""], "x"),
        refusal("416 Range Not Satisfiable", "InvalidRange"),
        http("500 Internal Server Error", &[], ""),
    ] {
        let script = move |head: &str| match head.starts_with("HEAD") {
            true => http("400 Bad Request", &[], ""),
            false => answer.clone(),
        };
        let error = object(script).await.pin().await.expect_err("refused");
        assert_eq!(error.class(), FailureClass::Transient, "{error}");
    }
}

/// The same at a target, where nothing stands: the explanation is the answer that was asked for.
#[tokio::test]
async fn a_refused_look_whose_get_finds_nothing_has_found_nothing() {
    for (code, head_finds_nothing) in [("NoSuchKey", true), ("NoSuchBucket", false)] {
        let target = target(move |head: &str| match head.starts_with("HEAD") {
            true => http("400 Bad Request", &[], ""),
            false => refusal("404 Not Found", code),
        });
        let target = target.await;
        assert_eq!(target.look().await.expect("an answer"), None, "{code}");
        assert_eq!(matches!(target.head(None).await, Ok(None)), head_finds_nothing, "{code}");
    }
}

#[tokio::test]
async fn a_bucket_elsewhere_is_named_with_its_region() {
    let answer = http("301 Moved Permanently", &["x-amz-bucket-region: eu-west-1"], "");
    let error = refused_pin(answer).await;
    assert!(matches!(error, Error::WrongRegion(_)), "{error}");
    let failure = error.to_failure(Side::Source);
    assert!(failure.to_string().contains("eu-west-1"), "{failure}");
}

#[tokio::test]
async fn a_side_that_asks_to_slow_down_is_throttled() {
    let error = refused_pin(http("503 Slow Down", &[], "")).await;
    assert_eq!(error.class(), FailureClass::Throttled, "{error}");
}

#[tokio::test]
async fn a_source_that_changed_is_told_by_status_by_etag_and_by_range() {
    for answer in [
        refusal("412 Precondition Failed", "PreconditionFailed"),
        http("206 Partial Content", &["ETag: \"new\"", "Content-Range: bytes 0-3/4"], "data"),
        refusal("416 Requested Range Not Satisfiable", "InvalidRange"),
    ] {
        let object = object(move |_| answer.clone()).await;
        let Err(error) = object.read(&pinned(4), ByteRange { start: 0, len: 4 }).await else {
            panic!("it changed")
        };
        assert!(matches!(error, Error::SourceChanged(_)), "{error}");
    }
}

/// The SDK takes `Expires` for text and panics where it is none; whoever writes an object decides what it is.
#[tokio::test]
async fn an_expires_that_is_no_text_is_none() {
    let script = |_: &str| {
        let head = b"HTTP/1.1 200 OK\r\nETag: \"abc\"\r\nContent-Length: 4\r\nExpires: ";
        [head, &b"\xc8\xc8\r\nx-amz-meta-b: c\r\n\r\n"[..]].concat()
    };
    let (endpoint, _) = scripted(None, script).await;
    let target = S3Target::new(remote(&endpoint, None).await, address("a.bin"));
    let found = target.head(None).await.expect("an answer").expect("there");
    assert_eq!((found.size, found.headers.expires), (4, None));
    assert_eq!(found.metadata, BTreeMap::from([("b".to_owned(), "c".to_owned())]));
}

/// The next answer would say the same, unlike one that a sick server garbled.
#[tokio::test]
async fn metadata_that_is_no_text_is_told_and_not_asked_for_again() {
    let script = |_: &str| {
        let head = b"HTTP/1.1 200 OK\r\nETag: \"abc\"\r\nContent-Length: 4\r\nx-amz-meta-a: b\r\n";
        [&head[..], &b"x-amz-meta-name: caf\xe9\r\n\r\n"[..]].concat()
    };
    let (endpoint, asked) = scripted(None, script).await;
    let object = S3Object::new(remote(&endpoint, None).await, address("a.bin"));
    let error = object.pin().await.expect_err("it cannot be carried");
    assert!(matches!(error, Error::Illegible(_)), "{error}");
    assert_eq!(error.class(), FailureClass::Permanent);
    assert_eq!(asked.lock().expect("not poisoned").len(), 1);
    let failure = error.to_failure(Side::Source);
    for words in ["x-amz-meta-name is no text", "images/a.bin"] {
        assert!(failure.to_string().contains(words), "{failure}");
    }
    assert!(failure.remedy.contains("REPLACE"), "{}", failure.remedy);

    let garbled = refused_pin(http("200 OK", &[FOUND[0], "Last-Modified: soon"], "")).await;
    assert_eq!(garbled.class(), FailureClass::Transient, "{garbled}");
}

/// Servers exist that answer any question with the object: it must not end up in memory.
#[tokio::test]
async fn a_document_has_an_end_and_an_object_has_none() {
    let long = "x".repeat(17 << 20);
    let answer = http("200 OK", &["ETag: \"abc\""], &long);
    let refusal = http("500 Internal Server Error", &[], &long);
    for answer in [&answer, &refusal] {
        let answer = answer.clone();
        let target = target(move |_| answer.clone()).await;
        let error = target.list_parts(&UploadId("u".to_owned())).await.expect_err("no list");
        assert!(error.to_string().contains("longer than 16 MiB"), "{error}");
        assert_eq!(error.class(), FailureClass::Transient, "{error}");
    }
    let object = object(move |_| answer.clone()).await;
    let range = ByteRange { start: 0, len: long.len() as u64 };
    let frames = object.read(&pinned(range.len), range).await.expect("the object");
    let given = futures::StreamExt::collect::<Vec<_>>(frames).await;
    let given = given.into_iter().map(|frame| frame.expect("whole").len());
    assert_eq!(given.sum::<usize>(), long.len());
}

/// What a server says of an upload goes into the ledger and the audit log, whose lines have an end.
#[tokio::test]
async fn an_id_or_an_etag_that_nobody_could_keep_is_none() {
    let long = "x".repeat(100 << 10);
    let root = "InitiateMultipartUploadResult";
    let begun = format!("<{root}><UploadId>{long}</UploadId></{root}>");
    let target = target(move |_| http("200 OK", &[], &begun)).await;
    let error = target.create_upload(&Attributes::default()).await.expect_err("no id");
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");

    let root = "CompleteMultipartUploadResult";
    let sealed = format!("<{root}><ETag>\"{long}\"</ETag></{root}>");
    let target = self::target(move |_| http("200 OK", &[], &sealed)).await;
    let upload = UploadId("u".to_owned());
    let error = target.complete(&upload, &[], 0, 0, false).await.expect_err("no ETag");
    assert!(matches!(error, Error::Unanswered(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_not_believed() {
    let object = object(|_| http("200 OK", &["ETag: \"abc\""], "0123456789")).await;
    let range = ByteRange { start: 0, len: 5 };
    let Err(error) = object.read(&pinned(10), range).await else {
        panic!("not what was asked for")
    };
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    assert!(object.read(&pinned(10), ByteRange { start: 0, len: 10 }).await.is_ok(), "the whole");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_transient() {
    let object = object(|_| {
        let headers = ["ETag: \"abc\"", "Content-Range: bytes 0-9/10"];
        http("206 Partial Content", &headers, "0123").replace("Length: 4", "Length: 10")
    })
    .await;
    let frames = object.read(&pinned(10), ByteRange { start: 0, len: 10 }).await.expect("begun");
    let results: Vec<_> = futures::StreamExt::collect::<Vec<_>>(frames).await;
    let error = results.last().expect("an end").as_ref().expect_err("it broke off");
    assert_eq!(error.class(), FailureClass::Transient, "{error}");
}

#[tokio::test]
async fn tags_that_may_not_be_read_are_a_warning() {
    let script = |head: &str| {
        if head.starts_with("HEAD") {
            http("200 OK", &["ETag: \"abc\"", "x-amz-tagging-count: 2"], "")
        } else {
            refusal("403 Forbidden", "AccessDenied")
        }
    };
    let (pinned, warnings) = object(script).await.pin().await.expect("pinned all the same");
    assert!(pinned.tags.is_empty());
    assert!(warnings[0].contains("tags"), "{warnings:?}");
}

#[tokio::test]
async fn composite_checksums_are_not_taken_for_the_whole_s() {
    for (kind, expected) in [("FULL_OBJECT", Some(0xae8b_1486_0a79_9888)), ("COMPOSITE", None)] {
        let script = move |_: &str| {
            let kind = format!("x-amz-checksum-type: {kind}");
            let checksum = "x-amz-checksum-crc64nvme: rosUhgp5mIg=";
            http("200 OK", &[FOUND[0], FOUND[1], checksum, &kind], "")
        };
        let (pinned, _) = object(script).await.pin().await.expect("pinned");
        assert_eq!(pinned.crc64nvme, expected, "{kind}");
    }
}

/// S3 begins its answer before it knows: the status proves nothing, only an ETag does.
#[tokio::test]
async fn a_complete_that_fails_inside_its_200_is_not_believed() {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InternalError</Code>\
                <Message>We encountered an internal error.</Message></Error>";
    let target = target(move |_| http("200 OK", &["Content-Type: application/xml"], body)).await;
    let upload = UploadId("u".to_owned());
    let part = SealedPart { number: number(1), etag: "e".to_owned(), crc64nvme: 0 };
    let error = target.complete(&upload, &[part], 0, 1, true).await.expect_err("it failed");
    assert!(error.answer_lost(), "{error}");
    assert_eq!(error.class(), FailureClass::Transient);
}

/// The clock is paused: the minute passes at once.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_transient() {
    let target = target(|_| String::new()).await;
    let begun = tokio::time::Instant::now();
    let error = target.head(None).await.expect_err("nobody answers");
    assert_eq!(error.class(), FailureClass::Transient, "{error}");
    assert!(error.answer_lost());
    assert!(begun.elapsed() >= Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_upload_that_is_gone_is_gone_and_not_an_error_to_abort() {
    let target = target(|_| refusal("404 Not Found", "NoSuchUpload")).await;
    let upload = UploadId("u".to_owned());
    assert_eq!(target.list_parts(&upload).await, Ok(None));
    assert_eq!(target.abort(&upload).await, Ok(()));
}

/// A server that knows no trailers: it refuses them, or stores the body as it comes, framing and all.
pub(super) fn uploads(refuses: bool) -> impl Fn(&str) -> String + Send + Sync + 'static {
    let stored = std::sync::Mutex::new(String::new());
    move |head: &str| {
        let head = head.to_ascii_lowercase();
        if head.contains("partnumber=") {
            if refuses && head.contains("x-amz-trailer") {
                return refusal("400 Bad Request", "InvalidRequest");
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            *stored.lock().expect("not poisoned") = length.expect("a length").to_owned();
            return http("200 OK", &["ETag: \"e\""], "");
        }
        if head.starts_with("delete") {
            return http("204 No Content", &[], "").replace("Content-Length: 0\r\n", "");
        }
        let body = if head.starts_with("post") {
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
                .to_owned()
        } else {
            let size = stored.lock().expect("not poisoned");
            format!(
                "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag>\
                 <Size>{size}</Size></Part></ListPartsResult>"
            )
        };
        http("200 OK", &["Content-Type: application/xml"], &body)
    }
}

#[tokio::test]
async fn a_server_that_refuses_trailers_or_stores_them_is_sent_none() {
    for refuses in [true, false] {
        let (endpoint, asked) = scripted(None, uploads(refuses)).await;
        let target = S3Target::new(remote(&endpoint, None).await, address("a.bin"));
        let habits = target.probe().await.expect("a plain upload works");
        assert_eq!(habits.part_checksum, PartChecksum::None, "refuses: {refuses}");
        assert!(!habits.full_object);
        let asked = asked.lock().expect("not poisoned").clone();
        let count = |start: &str| asked.iter().filter(|head| head.starts_with(start)).count();
        assert_eq!(count("POST"), count("DELETE"), "every upload was aborted");
        let parts: Vec<_> = asked.iter().filter(|head| head.contains("partNumber=")).collect();
        let last = parts.last().expect("a part").to_ascii_lowercase();
        assert!(!last.contains("x-amz-trailer") && last.contains("unsigned-payload"), "{last}");
    }
}

/// Somebody aborts the probe: what was seen is not a habit of the server, to be remembered for good.
#[tokio::test]
async fn a_probe_that_is_aborted_by_somebody_else_teaches_nothing() {
    let server = uploads(false);
    let script = move |head: &str| match head.starts_with("GET") {
        true => refusal("404 Not Found", "NoSuchUpload"),
        false => server(head),
    };
    let error = target(script).await.probe().await.expect_err("nothing is known");
    assert!(error.is_no_such_upload(), "{error}");
}

#[tokio::test]
async fn a_certificate_of_nobody_we_know_is_not_a_network_fault() {
    let tls = Tls::new();
    let (endpoint, _) = scripted(Some(&tls), |_| http("200 OK", FOUND, "")).await;
    let object = S3Object::new(remote(&endpoint, None).await, address("a.bin"));
    let error = object.pin().await.expect_err("not trusted");
    assert!(matches!(error, Error::Untrusted(_)), "{error}");
    assert!(error.to_failure(Side::Source).remedy.contains("ca_bundle"));
}

const SIGNED: &str = "X-Amz-Signature=5ec2e7&X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fs3";

fn presigned(endpoint: &str, more: &str, tls: Option<&Tls>) -> PresignedObject {
    let url = format!("{endpoint}/images/a.bin?{SIGNED}{more}").parse().expect("a URL");
    let pem = tls.map(|tls| tls.pem.as_bytes());
    PresignedObject::new(url, pace(), Arc::new(NoObserver), &loopback(), pem).expect("a client")
}

/// A ledger that was written under another configuration holds such jobs.
#[tokio::test]
async fn a_host_that_is_no_longer_allowed_is_not_asked() {
    let egress = loopback();
    let url: PresignedUrl = format!("https://127.0.0.1:9/a.bin?{SIGNED}").parse().expect("a URL");
    let make = |egress: &Egress| {
        PresignedObject::new(url.clone(), pace(), Arc::new(NoObserver), egress, None)
    };
    let source = make(&egress).expect("admitted");
    egress.admit(AllowedHosts::default());
    for error in [source.pin().await.expect_err("refused"), make(&egress).expect_err("refused")] {
        assert!(matches!(error, Error::HostNotAllowed(_)), "{error}");
        assert_eq!(error.class(), FailureClass::Permanent);
        let told = error.to_failure(Side::Source).to_string();
        assert!(told.contains("host 127.0.0.1 is not among allowed_hosts"), "{told}");
        assert_no_signature(&error);
    }
}

/// What a name server says decides, when it says it.
#[tokio::test]
async fn a_name_that_leads_to_loopback_fails_for_good() {
    let egress = Egress::new(AllowedHosts::new(vec!["localhost".parse().expect("an entry")]));
    let url = format!("https://localhost/a.bin?{SIGNED}").parse().expect("a URL");
    let source = PresignedObject::new(url, pace(), Arc::new(NoObserver), &egress, None);
    let error = source.expect("its name is admitted").pin().await.expect_err("its address is not");
    assert!(matches!(error, Error::HostNotAllowed(_)), "{error}");
    assert!(error.to_string().contains("is loopback"), "{error}");
    assert_no_signature(&error);
}

fn assert_no_signature(error: &Error) {
    for text in
        [error.to_string(), format!("{error:?}"), error.to_failure(Side::Source).to_string()]
    {
        assert!(!text.contains("5ec2e7") && !text.contains("AKID"), "{text}");
    }
}

#[tokio::test]
async fn a_signature_is_in_no_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    let source = presigned(&format!("https://localhost:{port}"), "", None);
    let error = source.pin().await.expect_err("nobody listens");
    assert_eq!(error.class(), FailureClass::Transient, "{error}");
    assert_no_signature(&error);
    assert!(!format!("{source:?}").contains("5ec2e7"));

    let tls = Tls::new();
    let moved = "Location: https://elsewhere.test/a.bin?X-Amz-Signature=5ec2e7";
    let (endpoint, _) = scripted(Some(&tls), move |_| http("302 Found", &[moved], "")).await;
    let error = presigned(&endpoint, "", Some(&tls)).pin().await.expect_err("not followed");
    assert_eq!(error.class(), FailureClass::Permanent, "{error}");
    assert_no_signature(&error);
}

#[tokio::test]
async fn an_expired_url_says_when_and_is_not_even_sent() {
    let tls = Tls::new();
    let (endpoint, asked) = scripted(Some(&tls), |_| http("200 OK", FOUND, "")).await;
    let date = "&X-Amz-Date=20240102T030405Z&X-Amz-Expires=60";
    let error = presigned(&endpoint, date, Some(&tls)).pin().await.expect_err("expired");
    assert!(matches!(error, Error::Expired(_)), "{error}");
    assert!(error.to_string().contains("2024-01-02T03:05:05Z"), "{error}");
    assert!(asked.lock().expect("not poisoned").is_empty());

    // A URL that does not say when it ends, and a server that does.
    let body = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message>\
                <Expires>2024-01-02T03:05:05Z</Expires></Error>";
    let (endpoint, _) = scripted(Some(&tls), move |_| http("403 Forbidden", &[], body)).await;
    let error = presigned(&endpoint, "", Some(&tls)).pin().await.expect_err("expired");
    assert!(matches!(error, Error::Expired(_)), "{error}");
    assert!(error.to_string().contains("2024-01-02"), "{error}");
}

/// Waiting for credentials that nobody here can renew would be for ever.
#[tokio::test]
async fn a_url_whose_signer_is_gone_is_permanent() {
    let tls = Tls::new();
    let script = |_: &str| refusal("403 Forbidden", "InvalidAccessKeyId");
    let (endpoint, _) = scripted(Some(&tls), script).await;
    let error = presigned(&endpoint, "", Some(&tls)).pin().await.expect_err("refused");
    assert_eq!(error.class(), FailureClass::Permanent, "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_if_match_is_asked_by_if_range() {
    let tls = Tls::new();
    let script = |head: &str| {
        if head.to_ascii_lowercase().contains("if-match") {
            return refusal("501 Not Implemented", "NotImplemented");
        }
        http("206 Partial Content", &["ETag: \"abc\"", "Content-Range: bytes 0-3/4"], "data")
    };
    let (endpoint, asked) = scripted(Some(&tls), script).await;
    let source = presigned(&endpoint, "", Some(&tls));
    for _ in 0..2 {
        assert!(source.read(&pinned(4), ByteRange { start: 0, len: 4 }).await.is_ok());
    }
    let asked = asked.lock().expect("not poisoned").clone();
    let by_match = asked.iter().filter(|head| head.to_ascii_lowercase().contains("if-match"));
    assert_eq!(by_match.count(), 1, "it is remembered");
    assert_eq!(asked.len(), 3);
}
