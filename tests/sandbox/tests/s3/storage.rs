//! Files, sinks and synthetic objects behind the same S3.

use aws_sdk_s3::types::ChecksumMode;
use futures::TryStreamExt as _;
use sandbox::{Attributes, BucketOptions, Content, Endpoint, Sink, Synthetic};

use crate::client::{
    MIB, bytes, client, create, get, list, options, part, put, refused, start_with,
};

fn files(directory: &std::path::Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[tokio::test]
async fn uploads_into_files_read_the_same_and_leave_no_file_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut on_disk = options();
    on_disk.directory = Some(directory.path().to_owned());
    let (endpoint, s3) = start_with(on_disk).await;
    let (one, two) = (bytes(7 * MIB + 3, 1), bytes(2 * MIB, 2));
    let upload = create(&s3, "k").await;
    let parts = vec![
        part(&s3, "k", &upload, 1, one.clone()).await,
        part(&s3, "k", &upload, 2, two.clone()).await,
    ];
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
    complete.multipart_upload(list(parts)).send().await.unwrap();
    assert_eq!(get(&s3, "k").await, [one, two].concat());
    assert_eq!(files(directory.path()), 2);

    let aborted = create(&s3, "gone").await;
    part(&s3, "gone", &aborted, 1, bytes(MIB, 3)).await;
    assert_eq!(files(directory.path()), 3);
    let abort = s3.abort_multipart_upload().bucket("bucket").key("gone").upload_id(&aborted);
    abort.send().await.unwrap();
    put(&s3, "k", b"small").await;
    assert_eq!(files(directory.path()), 1, "what nothing refers to is gone");
    drop(endpoint);
}

#[tokio::test]
async fn a_50_tb_object_can_be_read_anywhere() {
    let (endpoint, s3) = start_with(options()).await;
    let size = 50_000_000_000_000;
    let object = Synthetic::new(7, size);
    endpoint.put("bucket", "huge", object.clone(), Attributes::default()).await.unwrap();
    let head = s3.head_object().bucket("bucket").key("huge").send().await.unwrap();
    assert_eq!(head.content_length(), i64::try_from(size).ok());
    let range = (size - 3_000_000)..(size - 1_000_000);
    let call = s3.get_object().bucket("bucket").key("huge");
    let call = call.range(format!("bytes={}-{}", range.start, range.end - 1));
    let got = call.send().await.unwrap().body.collect().await.unwrap().to_vec();
    let frames: Vec<_> = Content::from_synthetic(object).read(range).try_collect().await.unwrap();
    assert_eq!(got, frames.concat());
}

async fn sink(compare: Option<Synthetic>) -> (Endpoint, aws_sdk_s3::Client) {
    let mut options = options();
    options.buckets.clear();
    let bucket = BucketOptions { sink: Some(Sink { compare }), ..BucketOptions::default() };
    let endpoint = Endpoint::start(options.bucket_with("bucket", bucket)).await.unwrap();
    let s3 = client(&endpoint, |builder| builder);
    (endpoint, s3)
}

async fn range(object: &Synthetic, from: usize, to: usize) -> Vec<u8> {
    let content = Content::from_synthetic(object.clone());
    let frames: Vec<_> = content.read(from as u64..to as u64).try_collect().await.unwrap();
    frames.concat()
}

#[tokio::test]
async fn a_sink_drops_the_bytes_and_keeps_size_and_checksum() {
    let (endpoint, s3) = sink(None).await;
    let object = Synthetic::new(3, 6 * MIB as u64);
    put(&s3, "k", &range(&object, 0, 6 * MIB).await).await;
    let head = s3.head_object().bucket("bucket").key("k").checksum_mode(ChecksumMode::Enabled);
    assert_eq!(head.send().await.unwrap().content_length(), Some(6 << 20));
    assert!(!endpoint.object("bucket", "k").unwrap().content.is_readable());
    assert_eq!(refused(s3.get_object().bucket("bucket").key("k").send().await), "NotImplemented");
}

#[tokio::test]
async fn a_comparing_sink_takes_the_right_bytes_in_the_right_place_only() {
    let object = Synthetic::new(3, 12 * MIB as u64 + 40);
    let (_endpoint, s3) = sink(Some(object.clone())).await;
    let upload = create(&s3, "k").await;
    let bounds = [0, 6 * MIB, 12 * MIB, 12 * MIB + 40];
    let mut parts = Vec::new();
    for (number, pair) in (1..).zip(bounds.windows(2)) {
        let body = range(&object, pair[0], pair[1]).await;
        parts.push(part(&s3, "k", &upload, number, body).await);
    }
    let mut wrong = range(&object, 0, 6 * MIB).await;
    wrong[3 * MIB] ^= 1;
    let call = s3.upload_part().bucket("bucket").key("k").upload_id(&upload).part_number(4);
    assert_eq!(refused(call.body(wrong.into()).send().await), "BadDigest");

    // A client that probes with a tiny part may abort it, and may not complete it.
    let probe = create(&s3, "k").await;
    let stray = part(&s3, "k", &probe, 1, b"what is this server like?".to_vec()).await;
    let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&probe);
    assert_eq!(refused(call.multipart_upload(list(vec![stray])).send().await), "BadDigest");
    let put = s3.put_object().bucket("bucket").key("k").body(b"other".to_vec().into());
    assert_eq!(refused(put.send().await), "BadDigest");

    let complete = |parts| {
        let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
        call.multipart_upload(list(parts)).send()
    };
    // The second part in the place of the first.
    assert_eq!(refused(complete(parts[1..].to_vec()).await), "BadDigest");
    complete(parts).await.unwrap();
    // What passed is known, so it can be read although it was not kept.
    assert_eq!(get(&s3, "k").await, range(&object, 0, 12 * MIB + 40).await);
}
