//! Both backends on a real server, and each odd habit on a scripted one.

mod odd;
mod rehearsal;
pub(crate) mod server;
mod settings;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use bytes::Bytes;
use futures::stream;

use self::server::{Tls, address};
use super::*;
use crate::base::{Limits, NoObserver, Pace};
use crate::egress::Egress;
use crate::model::{AllowedHosts, ObjectHeaders, PartNumber, PresignedUrl, UploadId};
use crate::remote::Remote;

/// Bytes that no two offsets share, so that a shifted range is seen.
fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| ((at >> 16) ^ (at >> 8) ^ at).to_le_bytes()[0]).collect()
}

fn crc64nvme(bytes: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes)
}

/// s3s-fs, with TLS or without, and a remote for it.
struct World {
    remote: Arc<Remote>,
    tls: Option<Tls>,
    _root: tempfile::TempDir,
}

impl World {
    async fn new(tls: bool) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let tls = tls.then(Tls::new);
        let bundle: Option<PathBuf> = tls.as_ref().map(|tls| {
            let path = root.path().join("ca.pem");
            std::fs::write(&path, &tls.pem).expect("a file");
            path
        });
        let endpoint = server::s3(&root.path().join("s3"), tls.as_ref()).await;
        let remote = server::remote(&endpoint, bundle.as_deref()).await;
        Self { remote, tls, _root: root }
    }

    fn target(&self, key: &str) -> S3Target {
        S3Target::new(Arc::clone(&self.remote), address(key))
    }

    fn object(&self, key: &str) -> S3Object {
        S3Object::new(Arc::clone(&self.remote), address(key))
    }

    async fn put(&self, key: &str, bytes: &Bytes) {
        let attributes = Attributes {
            metadata: BTreeMap::from([("ami-name".to_owned(), "golden".to_owned())]),
            headers: ObjectHeaders {
                content_type: Some("image/x-ami".to_owned()),
                ..ObjectHeaders::default()
            },
            ..Attributes::default()
        };
        self.target(key).put(part(bytes), crc64nvme(bytes), &attributes, false).await.expect("put");
    }

    async fn presigned(&self, key: &str) -> PresignedObject {
        let lifetime = PresigningConfig::expires_in(Duration::from_secs(600)).expect("10 minutes");
        let url = call::client(&self.remote)
            .get_object()
            .bucket(server::BUCKET)
            .key(key)
            .presigned(lifetime)
            .await
            .expect("signed");
        let url: PresignedUrl = url.uri().parse().expect("an https URL");
        let pem = self.tls.as_ref().map(|tls| tls.pem.as_bytes());
        PresignedObject::new(url, pace(), Arc::new(NoObserver), &loopback(), pem).expect("a client")
    }
}

/// Admits the servers of these tests.
pub(crate) fn loopback() -> Egress {
    let entries = ["localhost:*", "127.0.0.1:*", "[::1]:*"];
    let rules = entries.iter().map(|entry| entry.parse().expect("an entry")).collect();
    Egress::new(AllowedHosts::new(rules))
}

fn pace() -> Arc<Pace> {
    Pace::new("presigned", Limits::default(), Arc::new(NoObserver))
}

fn number(n: u32) -> PartNumber {
    PartNumber::new(n).expect("a part's number")
}

/// `bytes` in frames of 100,000.
fn part(bytes: &Bytes) -> PartBytes<Infallible> {
    let (bytes, whole) = (bytes.clone(), bytes.clone());
    let len = bytes.len() as u64;
    let starts = (0..bytes.len()).step_by(100_000);
    let frame = move |at: usize| Ok(bytes.slice(at..bytes.len().min(at + 100_000)));
    let frames = Box::pin(stream::iter(starts.map(frame)));
    PartBytes { len, frames, crc64nvme: Box::new(move || crc64nvme(&whole)) }
}

#[tokio::test]
async fn an_s3_object_conforms() {
    for tls in [false, true] {
        let world = World::new(tls).await;
        let bytes = pattern((3 << 20) + 17);
        world.put("a b/ü+c.bin", &bytes).await;
        conformance::all(&world.object("a b/ü+c.bin"), &bytes).await;
        world.put("empty", &Bytes::new()).await;
        conformance::empty(&world.object("empty")).await;
        conformance::missing(&world.object("missing")).await;
    }
}

#[tokio::test]
async fn a_presigned_object_conforms() {
    let world = World::new(true).await;
    let bytes = pattern((3 << 20) + 17);
    world.put("a b/ü+c.bin", &bytes).await;
    conformance::all(&world.presigned("a b/ü+c.bin").await, &bytes).await;
    world.put("empty", &Bytes::new()).await;
    conformance::empty(&world.presigned("empty").await).await;
    conformance::missing(&world.presigned("missing").await).await;
}

/// EC2 writes what an AMI is into the object's metadata: without it a restore knows less.
#[tokio::test]
async fn headers_and_metadata_go_along() {
    let world = World::new(true).await;
    world.put("a.bin", &pattern(1000)).await;
    let (s3, _) = world.object("a.bin").pin().await.expect("pinned");
    let (presigned, _) = world.presigned("a.bin").await.pin().await.expect("pinned");
    for pinned in [s3, presigned] {
        assert_eq!(pinned.metadata.get("ami-name").map(String::as_str), Some("golden"));
        assert_eq!(pinned.headers.content_type.as_deref(), Some("image/x-ami"));
        assert!(pinned.last_modified.is_some());
    }
}

async fn upload_in_parts(world: &World) {
    let target = world.target("big.bin");
    let target = target.clone().with_habits(target.probe().await.expect("probed"));
    let bytes = pattern((5 << 20) + (1 << 19));
    let (first, last) = (bytes.slice(..5 << 20), bytes.slice(5 << 20..));
    let created = target.create_upload(&Attributes::default()).await.expect("begun");
    let mut parts = Vec::new();
    // The order in which parts arrive is nobody's business.
    for (n, bytes) in [(2, &last), (1, &first)] {
        let ack = target
            .upload_part(&created.upload, number(n), part(bytes))
            .await
            .expect("acknowledged");
        let crc64nvme = crc64nvme(bytes);
        parts.insert(0, SealedPart { number: number(n), etag: ack.etag, crc64nvme });
    }
    let listed = target.list_parts(&created.upload).await.expect("listed").expect("known");
    let sizes: Vec<_> = listed.iter().map(|part| (part.number.get(), part.size)).collect();
    assert_eq!(sizes, [(1, 5 << 20), (2, 1 << 19)], "stored without framing, and in order");

    assert_eq!(target.head(None).await, Ok(None), "nothing is there before it is complete");
    let size = bytes.len() as u64;
    let published = target
        .complete(&created.upload, &parts, crc64nvme(&bytes), size, true)
        .await
        .expect("published");
    let found = target.head(None).await.expect("asked").expect("there");
    assert_eq!((found.size, &found.etag), (size, &published.etag));
    conformance::all(&world.object("big.bin"), &bytes).await;

    let again = target.create_upload(&Attributes::default()).await.expect("begun");
    let ack =
        target.upload_part(&again.upload, number(1), part(&last)).await.expect("acknowledged");
    let part = SealedPart { number: number(1), etag: ack.etag, crc64nvme: crc64nvme(&last) };
    let error = target
        .complete(&again.upload, &[part], crc64nvme(&last), last.len() as u64, true)
        .await
        .expect_err("the key exists");
    assert!(error.is_precondition_failed(), "{error}");
    target.abort(&again.upload).await.expect("gone");
}

#[tokio::test]
async fn an_object_goes_up_in_parts_over_tls() {
    upload_in_parts(&World::new(true).await).await;
}

/// There the SDK signs every chunk: slower, but it must work.
#[tokio::test]
async fn an_object_goes_up_in_parts_over_plain_http() {
    upload_in_parts(&World::new(false).await).await;
}

#[tokio::test]
async fn a_server_without_full_object_checksums_is_found_out_and_nothing_is_left() {
    let world = World::new(false).await;
    let habits = world.target("a.bin").probe().await.expect("probed");
    let expected = Habits {
        part_checksum: PartChecksum::Trailer,
        full_object: false,
        listed_checksums: false,
        lists_parts: true,
    };
    assert_eq!(habits, expected);
    let names = |path: PathBuf| {
        let entries = std::fs::read_dir(path).expect("a directory");
        entries.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>()
    };
    let root = world._root.path().join("s3");
    assert_eq!(names(root.join(server::BUCKET)).len(), 0);
    let left: Vec<_> = names(root).into_iter().filter(|name| name != server::BUCKET).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("the source gave up at byte {0}")]
struct GaveUp(u64);

/// Which side is at fault decides who retries: it must not drown in a dispatch failure.
#[tokio::test]
async fn a_body_s_own_error_comes_back_unchanged() {
    for tls in [false, true] {
        let world = World::new(tls).await;
        let target = world.target("a.bin");
        let created = target.create_upload(&Attributes::default()).await.expect("begun");
        let items = [Ok(Bytes::from_static(&[7; 1000])), Err(GaveUp(1000))];
        let part = |len, items| {
            let frames: PartFrames<_> = Box::pin(stream::iter(items));
            PartBytes { len, frames, crc64nvme: Box::new(|| 0) }
        };
        let sent = part(5000, items.to_vec());
        let error = target.upload_part(&created.upload, number(1), sent).await;
        assert!(matches!(error, Err(PartError::Body(GaveUp(1000)))), "{error:?}");

        let items = [Ok::<_, GaveUp>(Bytes::from_static(&[7; 1000]))];
        for (len, found) in [(999, 1000), (1001, 1000)] {
            let sent = part(len, items.to_vec());
            let error = target.upload_part(&created.upload, number(1), sent).await;
            let Err(PartError::Length { expected, found: was }) = error else {
                panic!("{error:?}")
            };
            assert_eq!((expected, was), (len, found));
        }
        target.abort(&created.upload).await.expect("gone");
    }
}

#[tokio::test]
async fn a_listing_gives_every_key_below_the_prefix() {
    let world = World::new(false).await;
    for key in ["p/a b.bin", "p/ü+c.bin", "q/other.bin"] {
        world.put(key, &pattern(10)).await;
    }
    let page = list(Arc::clone(&world.remote), &address("p/"), None).await.expect("listed");
    let mut keys: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["p/a b.bin", "p/ü+c.bin"]);
    assert!(page.objects.iter().all(|object| object.size == 10));
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn an_upload_nobody_knows_is_told_as_such_or_as_a_refusal() {
    let world = World::new(false).await;
    let upload = UploadId("00000000-0000-0000-0000-000000000000".to_owned());
    let error = world.target("a.bin").abort(&upload).await;
    // s3s-fs says AccessDenied for an upload that it does not know; S3 says NoSuchUpload.
    assert!(matches!(error, Ok(()) | Err(Error::AccessDenied(_))), "{error:?}");
}
