//! What every [`Source`] has to do, whatever server is behind it. Each backend runs [`all`].

use futures::TryStreamExt as _;

use super::{Error, Source};
use crate::model::{ByteRange, FailureClass, PinnedObject};

/// The whole suite, on a source that holds `expected` and is not changed meanwhile.
pub async fn all(source: &dyn Source, expected: &[u8]) {
    assert!(!source.name().is_empty());
    let pinned = a_pin_tells_the_object(source, expected).await;
    every_range_gives_its_bytes(source, &pinned, expected).await;
    frames_are_passed_on_without_being_gathered(source, &pinned).await;
    another_version_is_never_read(source, &pinned).await;
    a_range_beyond_the_end_is_an_error(source, &pinned).await;
    a_receipt_names_what_was_pinned(source, &pinned);
    a_read_may_be_dropped_midway(source, &pinned, expected).await;
}

/// What an empty object does: it is pinned, and read without a byte.
pub async fn empty(source: &dyn Source) {
    let pinned = a_pin_tells_the_object(source, b"").await;
    assert_eq!(read(source, &pinned, 0, 0).await, Ok(Vec::new()));
}

/// What a source does whose object is not there.
pub async fn missing(source: &dyn Source) {
    let error = source.pin().await.expect_err("nothing stands there");
    assert!(matches!(error, Error::NoSuchKey(_)), "{error}");
    assert_eq!(error.class(), FailureClass::Permanent);
}

async fn read(
    source: &dyn Source,
    pinned: &PinnedObject,
    start: u64,
    len: u64,
) -> Result<Vec<u8>, Error> {
    let frames = source.read(pinned, ByteRange { start, len }).await?;
    Ok(frames.try_collect::<Vec<_>>().await?.concat())
}

async fn a_pin_tells_the_object(source: &dyn Source, expected: &[u8]) -> PinnedObject {
    let (pinned, _) = source.pin().await.expect("the object stands there");
    assert_eq!(pinned.size, expected.len() as u64);
    assert!(!pinned.etag.is_empty() && !pinned.etag.contains('"'), "{}", pinned.etag);
    assert!(pinned.metadata.keys().all(|name| *name == name.to_ascii_lowercase()));
    let (again, _) = source.pin().await.expect("nothing changed");
    assert_eq!(again.etag, pinned.etag, "an ETag is the version's, not the moment's");
    pinned
}

async fn every_range_gives_its_bytes(source: &dyn Source, pinned: &PinnedObject, expected: &[u8]) {
    let size = pinned.size;
    let middle = size / 2;
    let ranges =
        [(0, size), (0, 1), (size - 1, 1), (middle, size - middle), (1, middle), (middle, 0)];
    for (start, len) in ranges {
        let bytes = read(source, pinned, start, len).await.expect("a range of the object");
        let from = usize::try_from(start).expect("a test's size");
        let to = from + usize::try_from(len).expect("a test's size");
        assert!(bytes == expected[from..to], "{len} bytes from {start} differ");
    }
}

/// A body of megabytes comes in several frames: one alone would mean that it was held somewhere.
async fn frames_are_passed_on_without_being_gathered(source: &dyn Source, pinned: &PinnedObject) {
    let range = ByteRange { start: 0, len: pinned.size };
    let frames = source.read(pinned, range).await.expect("the whole");
    let frames: Vec<_> = frames.try_collect().await.expect("the whole");
    assert!(pinned.size < 1 << 20 || frames.len() > 1, "{} frames", frames.len());
}

/// Also at a server that ignores `If-Match`.
async fn another_version_is_never_read(source: &dyn Source, pinned: &PinnedObject) {
    let other = PinnedObject { etag: "00000000000000000000000000000000".into(), ..pinned.clone() };
    let error = read(source, &other, 0, 1).await.expect_err("another version was pinned");
    assert!(matches!(error, Error::SourceChanged(_)), "{error}");
    assert_eq!(error.class(), FailureClass::Permanent);
}

async fn a_range_beyond_the_end_is_an_error(source: &dyn Source, pinned: &PinnedObject) {
    for (start, len) in [(pinned.size, 1), (pinned.size - 1, 2)] {
        let error = read(source, pinned, start, len).await.expect_err("beyond the end");
        assert_eq!(error.class(), FailureClass::Permanent, "{error}");
    }
}

fn a_receipt_names_what_was_pinned(source: &dyn Source, pinned: &PinnedObject) {
    let told = source.describe(pinned);
    assert_eq!(told.remote, source.name());
    assert_eq!((told.size, &told.etag), (pinned.size, &pinned.etag));
    assert!(!told.key.is_empty() && !told.key.contains("Signature"), "{}", told.key);
}

async fn a_read_may_be_dropped_midway(source: &dyn Source, pinned: &PinnedObject, all: &[u8]) {
    let range = ByteRange { start: 0, len: pinned.size };
    let mut frames = source.read(pinned, range).await.expect("the whole");
    let first = frames.try_next().await.expect("a frame").expect("not the end");
    assert!(all.starts_with(&first));
    drop(frames);
    assert_eq!(read(source, pinned, 0, 1).await.expect("unharmed"), all[..1]);
}
