//! Feeds the adapters of S3 and of presigned URLs with a server's answers: each operation of `blob`, against a
//! server on loopback that says what the input says.
//!
//! The first byte of an input chooses the operation. What follows are answers with `%%` on a line of its own
//! between them, given one after the other, the last one again and again. One that begins with `HTTP/` is sent
//! as it is; else its first line is the status, then come headers, an empty line and the body, and it is framed
//! well. After each the connection is closed.
//!
//! What must hold:
//! - What is asked ends, with a value or an error.
//! - A read gives exactly the bytes that were asked for, or an error; what is pinned, published or listed has
//!   an ETag, an id, a number where the daemon relies on it.
//! - No error holds a secret, and each fits a line of the audit log.
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use causeway_fuzz::cut::Cut;
use causewayd::base::{Limits, NoObserver, Pace};
use causewayd::blob::{
    self, Attributes, BucketSettings, Error, PartBytes, PartError, PresignedObject, S3Object,
    S3Target, SealedPart, Source,
};
use causewayd::egress::Egress;
use causewayd::model::{
    AllowedHosts, ByteRange, ObjectAddress, PartNumber, PinnedObject, Side, UploadId,
};
use causewayd::remote::{Credentials, Options, Remote, Secret};
use futures::StreamExt as _;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

const SECRET_KEY: &str = "a-secret-key-of-the-fuzzers";
const SIGNATURE: &str = "5ec2e75ec2e75ec2e7";
const OPERATIONS: u8 = 22;
/// More of a body than this is not waited for.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// The answers, and how many were given.
type Script = Arc<Mutex<(Vec<Vec<u8>>, usize)>>;

struct Scene {
    runtime: Runtime,
    script: Script,
    remote: Arc<Remote>,
    presigned: PresignedObject,
}

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    SCENE.with_borrow_mut(|scene| {
        let scene = scene.get_or_insert_with(Scene::new);
        let mut input = Cut(data);
        let operation = input.byte() % OPERATIONS;
        *lock(&scene.script) = (answers(input.0), 0);
        let patience = Duration::from_secs(18);
        let outcome = async { tokio::time::timeout(patience, scene.run(operation)).await };
        let outcome = scene.runtime.block_on(outcome).expect("it ends");
        if let Err(error) = outcome {
            judge_error(&error);
        }
    });
});

fn lock(script: &Script) -> std::sync::MutexGuard<'_, (Vec<Vec<u8>>, usize)> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answers(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(4).position(|window| window == b"\n%%\n") {
        found.push(framed(&rest[..at]));
        rest = &rest[at + 4..];
    }
    found.push(framed(rest));
    found
}

fn framed(text: &[u8]) -> Vec<u8> {
    if text.starts_with(b"HTTP/") {
        return text.to_vec();
    }
    let (head, body) = match text.windows(2).position(|window| window == b"\n\n") {
        Some(at) => (&text[..at], &text[at + 2..]),
        None => (text, &b""[..]),
    };
    let mut answer = b"HTTP/1.1 ".to_vec();
    for line in head.split(|byte| *byte == b'\n') {
        answer.extend_from_slice(line);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend(format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).bytes());
    answer.extend_from_slice(body);
    answer
}

impl Scene {
    fn new() -> Self {
        let runtime = causeway_fuzz::runtime();
        let script = Script::default();
        let (remote, presigned) = runtime.block_on(async {
            let made =
                rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
            let port = serve(Arc::clone(&script), None).await;
            let remote =
                Remote::connect(options(port), Arc::new(NoObserver)).await.expect("nothing to ask");
            let port = serve(Arc::clone(&script), Some(acceptor(&made))).await;
            (remote, presigned(port, &made.cert.pem()))
        });
        Self { runtime, script, remote, presigned }
    }

    async fn run(&self, operation: u8) -> Result<(), Error> {
        let target = S3Target::new(Arc::clone(&self.remote), address("a.bin"));
        let upload = UploadId("an-upload".to_owned());
        match operation {
            0 | 1 => self.pin(&self.object()).await,
            2 => self.pin(&self.presigned).await,
            3 | 4 => read(&self.object(), 64).await,
            5 => read(&self.presigned, 64).await,
            6 => target.head(None).await.map(|found| judge(&found)),
            7 => target.look().await.map(|found| judge(&found)),
            8 => {
                let object = bytes(b"an object of few bytes");
                let put = target.put(object, 7, &attributes(), true).await?;
                assert!(!put.etag.is_empty(), "only an ETag proves it");
                Ok(())
            }
            9 => target.delete().await.map(drop),
            10 => target.tags(Some("v1")).await.map(|tags| judge(&tags)),
            11 => target.put_tags(&attributes().tags, None).await,
            12 => {
                let created = target.create_upload(&attributes()).await?;
                assert!((1..=2048).contains(&created.upload.0.len()), "an id that is sane");
                Ok(())
            }
            13 => upload_part(&target, &upload).await,
            14 => complete(&target, &upload).await,
            15 => target.abort(&upload).await,
            16 => target.list_uploads().await.map(drop),
            17 => list_parts(&target, &upload).await,
            18 => list(&self.remote).await,
            19 => blob::bucket_region(Arc::clone(&self.remote), "images").await.map(drop),
            20 => self.settings().await,
            _ => target.probe().await.map(drop),
        }
    }

    fn object(&self) -> S3Object {
        S3Object::new(Arc::clone(&self.remote), address("a.bin"))
    }

    async fn pin(&self, source: &dyn Source) -> Result<(), Error> {
        let (pinned, _) = source.pin().await?;
        assert!(!pinned.etag.is_empty(), "it is what pins it");
        judge(&pinned);
        judge(&source.describe(&pinned));
        Ok(())
    }

    async fn settings(&self) -> Result<(), Error> {
        let settings = BucketSettings::new(Arc::clone(&self.remote), "images");
        settings.encryption().await?;
        settings.public_access_block().await?;
        settings.lifecycle().await.map(drop)
    }
}

async fn read(source: &dyn Source, len: u64) -> Result<(), Error> {
    let pinned = PinnedObject::bare(100, "abc");
    let mut frames = source.read(&pinned, ByteRange { start: 36, len }).await?;
    let mut found = 0;
    while let Some(frame) = frames.next().await {
        found += frame?.len() as u64;
        assert!(found <= len, "{found} bytes of {len}");
    }
    assert_eq!(found, len, "all, or an error");
    Ok(())
}

async fn upload_part(target: &S3Target, upload: &UploadId) -> Result<(), Error> {
    match target.upload_part(upload, number(3), bytes::<Infallible>(b"a part of few bytes")).await {
        Ok(ack) => {
            assert!(!ack.etag.is_empty(), "Complete needs it");
            Ok(())
        }
        Err(PartError::Target(error)) => Err(error),
        Err(fault) => panic!("the body is whole: {fault}"),
    }
}

async fn complete(target: &S3Target, upload: &UploadId) -> Result<(), Error> {
    let part = |n| SealedPart { number: number(n), etag: "abc".to_owned(), crc64nvme: 7 };
    let published = target.complete(upload, &[part(1), part(2)], 7, 100, true).await?;
    assert!(!published.etag.is_empty(), "only an ETag proves it");
    judge(&published);
    Ok(())
}

async fn list_parts(target: &S3Target, upload: &UploadId) -> Result<(), Error> {
    if let Some(parts) = target.list_parts(upload).await? {
        assert!(parts.is_sorted_by_key(|part| part.number), "by number");
        assert!(parts.iter().all(|part| i64::try_from(part.size).is_ok()));
    }
    Ok(())
}

async fn list(remote: &Arc<Remote>) -> Result<(), Error> {
    let page = blob::list(Arc::clone(remote), &address("a/"), Some("token")).await?;
    assert!(page.objects.iter().all(|object| i64::try_from(object.size).is_ok()));
    Ok(())
}

/// It goes into the ledger, and into a line of the audit log.
fn judge<T: std::fmt::Debug>(value: &T) {
    let len = format!("{value:?}").len();
    assert!(len < 4 << 20, "{len} bytes are kept");
}

fn judge_error(error: &Error) {
    let failure = error.to_failure(Side::Source);
    let _ = (error.class(), error.code(), error.answer_lost());
    for text in
        [error.to_string(), format!("{error:?}"), failure.to_string(), format!("{failure:?}")]
    {
        assert!(!text.contains(SECRET_KEY) && !text.contains(SIGNATURE), "{text}");
        assert!(text.len() < 64 << 10, "{} bytes are kept", text.len());
    }
}

fn attributes() -> Attributes {
    Attributes { tags: BTreeMap::from([("a".to_owned(), "b".to_owned())]), ..Attributes::default() }
}

fn number(number: u32) -> PartNumber {
    PartNumber::new(number).expect("legal")
}

fn bytes<E: Send + 'static>(bytes: &'static [u8]) -> PartBytes<E> {
    let frames = futures::stream::iter([Ok(Bytes::from_static(bytes))]);
    PartBytes { len: bytes.len() as u64, frames: Box::pin(frames), crc64nvme: Box::new(|| 7) }
}

fn address(key: &str) -> ObjectAddress {
    format!("commercial:images/{key}").parse().expect("an address")
}

fn options(port: u16) -> Options {
    let endpoint = Some(format!("http://127.0.0.1:{port}"));
    Options {
        name: "commercial".parse().expect("a name"),
        region: "us-east-1".to_owned(),
        credentials: Credentials::Static {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new(SECRET_KEY),
            session_token: None,
        },
        expected_account: None,
        fips: false,
        dual_stack: false,
        path_style: true,
        s3_endpoint: endpoint.clone(),
        sts_endpoint: None,
        ec2_endpoint: endpoint.clone(),
        ssm_endpoint: endpoint,
        ca_bundle: None,
        limits: Limits::default(),
    }
}

fn presigned(port: u16, pem: &str) -> PresignedObject {
    let url = format!("https://localhost:{port}/images/a.bin?X-Amz-Signature={SIGNATURE}");
    let rules =
        ["localhost:*", "127.0.0.1:*", "[::1]:*"].map(|rule| rule.parse().expect("an entry"));
    let egress = Egress::new(AllowedHosts::new(rules.to_vec()));
    let pace = Pace::new("presigned", Limits::default(), Arc::new(NoObserver));
    let url = url.parse().expect("a URL");
    PresignedObject::new(url, pace, Arc::new(NoObserver), &egress, Some(pem.as_bytes()))
        .expect("a client")
}

fn acceptor(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = made.signing_key.serialize_der().try_into().expect("its own key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider's own versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
    TlsAcceptor::from(Arc::new(config))
}

/// Gives the port.
async fn serve(script: Script, tls: Option<TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (script, tls) = (Arc::clone(&script), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => answer(socket, &script).await,
                    Some(tls) => {
                        if let Ok(socket) = tls.accept(socket).await {
                            answer(socket, &script).await;
                        }
                    }
                }
            });
        }
    });
    port
}

async fn answer(mut socket: impl AsyncRead + AsyncWrite + Unpin, script: &Script) {
    let mut seen = Vec::new();
    let end = loop {
        if let Some(at) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&seen[..end]).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    while seen.len() < (end + length.unwrap_or(0_usize)).min(REQUEST_BYTES_MAX) {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            break;
        }
    }
    let text = {
        let mut script = lock(script);
        let (answers, given) = &mut *script;
        let text = answers[(*given).min(answers.len() - 1)].clone();
        *given += 1;
        text
    };
    let _ = socket.write_all(&text).await;
    let _ = socket.shutdown().await;
}
