//! Additional checksums: verified, kept, combined.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedPart, ObjectAttributes,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, checksum};
use sandbox::{Endpoint, EndpointOptions};

use crate::client::{MIB, bytes, client, completed, list, put, refused, start, streamed};

fn crc64nvme(bytes: &[u8]) -> String {
    BASE64.encode(checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes())
}

/// Over TLS the SDK sends the checksum of a streamed body as a trailer.
async fn start_tls() -> (Endpoint, Client) {
    let endpoint = Endpoint::start(EndpointOptions::commercial().bucket("bucket")).await.unwrap();
    let client = client(&endpoint, |builder| builder);
    (endpoint, client)
}

async fn create(s3: &Client, algorithm: ChecksumAlgorithm, kind: ChecksumType) -> String {
    let call = s3.create_multipart_upload().bucket("bucket").key("k");
    let created = call.checksum_algorithm(algorithm).checksum_type(kind).send().await.unwrap();
    created.upload_id.unwrap()
}

async fn part(
    s3: &Client,
    upload: &str,
    algorithm: ChecksumAlgorithm,
    number: i32,
    body: &[u8],
) -> CompletedPart {
    let call = s3.upload_part().bucket("bucket").key("k").upload_id(upload).part_number(number);
    let call = call.checksum_algorithm(algorithm).body(streamed(body.to_vec()));
    completed(number, &call.send().await.unwrap())
}

#[tokio::test]
async fn without_any_s3_keeps_a_crc64nvme_of_its_own() {
    let (endpoint, _) = start().await;
    let quiet = client(&endpoint, |builder| {
        let when_required = aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired;
        builder.request_checksum_calculation(when_required)
    });
    put(&quiet, "k", b"hello").await;
    let head = quiet.head_object().bucket("bucket").key("k").checksum_mode(ChecksumMode::Enabled);
    let head = head.send().await.unwrap();
    assert_eq!(head.checksum_crc64_nvme(), Some(crc64nvme(b"hello").as_str()));
    assert_eq!(head.checksum_type(), Some(&ChecksumType::FullObject));
    let without = quiet.head_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(without.checksum_crc64_nvme(), None);
}

#[tokio::test]
async fn a_wrong_checksum_stores_nothing() {
    let (endpoint, s3) = start().await;
    let call = || s3.put_object().bucket("bucket").key("k").body(b"hello".to_vec().into());
    let wrong = call().checksum_crc64_nvme(crc64nvme(b"other")).send().await;
    assert_eq!(refused(wrong), "BadDigest");
    let malformed = call().checksum_crc64_nvme("AAAA").send().await;
    assert_eq!(refused(malformed), "InvalidRequest");
    let wrong_md5 = call().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await;
    assert_eq!(refused(wrong_md5), "BadDigest");
    assert!(endpoint.object("bucket", "k").is_none());
    call().checksum_crc64_nvme(crc64nvme(b"hello")).send().await.unwrap();
}

#[tokio::test]
async fn trailers_over_tls_are_verified_and_combined_into_the_whole() {
    let (endpoint, s3) = start_tls().await;
    let (one, two) = (bytes(6 * MIB, 1), bytes(3 * MIB, 2));
    let whole = [one.clone(), two.clone()].concat();
    let algorithm = ChecksumAlgorithm::Crc64Nvme;
    let upload = create(&s3, algorithm.clone(), ChecksumType::FullObject).await;
    let parts = vec![
        part(&s3, &upload, algorithm.clone(), 1, &one).await,
        part(&s3, &upload, algorithm, 2, &two).await,
    ];
    assert_eq!(parts[0].checksum_crc64_nvme(), Some(crc64nvme(&one).as_str()));
    let listed = s3.list_parts().bucket("bucket").key("k").upload_id(&upload).send().await.unwrap();
    assert_eq!(listed.parts()[1].checksum_crc64_nvme(), Some(crc64nvme(&two).as_str()));
    let complete = || {
        let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
        let call = call.checksum_type(ChecksumType::FullObject);
        call.multipart_upload(list(parts.clone()))
    };
    let wrong = complete().checksum_crc64_nvme(crc64nvme(b"other")).send().await;
    assert_eq!(refused(wrong), "BadDigest");
    let right = crc64nvme(&whole);
    let wrong_size = complete().checksum_crc64_nvme(&right).mpu_object_size(1).send().await;
    assert_eq!(refused(wrong_size), "InvalidRequest");
    assert_eq!(endpoint.uploads().len(), 1, "a refused Complete leaves the upload");
    let size = i64::try_from(whole.len()).unwrap();
    let done = complete().checksum_crc64_nvme(&right).mpu_object_size(size).send().await.unwrap();
    assert_eq!(done.checksum_crc64_nvme(), Some(right.as_str()));
    let got = s3.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), whole);

    let attributes = s3
        .get_object_attributes()
        .bucket("bucket")
        .key("k")
        .object_attributes(ObjectAttributes::Checksum)
        .object_attributes(ObjectAttributes::ObjectSize)
        .object_attributes(ObjectAttributes::ObjectParts)
        .send()
        .await
        .unwrap();
    assert_eq!(attributes.object_size(), Some(size));
    assert_eq!(attributes.checksum().unwrap().checksum_crc64_nvme(), Some(right.as_str()));
    assert_eq!(attributes.object_parts().unwrap().total_parts_count(), Some(2));
}

#[tokio::test]
async fn a_composite_checksum_counts_its_parts_and_wants_each() {
    let (_endpoint, s3) = start_tls().await;
    let algorithm = ChecksumAlgorithm::Crc32;
    let upload = create(&s3, algorithm.clone(), ChecksumType::Composite).await;
    let parts = vec![
        part(&s3, &upload, algorithm.clone(), 1, &bytes(5 * MIB, 1)).await,
        part(&s3, &upload, algorithm, 2, &bytes(10, 2)).await,
    ];
    let complete = |parts: Vec<CompletedPart>| {
        let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
        call.multipart_upload(list(parts)).send()
    };
    let bare = |part: &CompletedPart| {
        let builder = CompletedPart::builder().set_part_number(part.part_number);
        builder.set_e_tag(part.e_tag.clone()).build()
    };
    let without = parts.iter().map(bare).collect();
    assert_eq!(refused(complete(without).await), "InvalidRequest");
    let done = complete(parts).await.unwrap();
    assert!(done.checksum_crc32().unwrap().ends_with("-2"), "{done:?}");
    assert_eq!(done.checksum_type(), Some(&ChecksumType::Composite));
}

#[tokio::test]
async fn an_algorithm_other_than_the_uploads_is_refused() {
    let (_endpoint, s3) = start_tls().await;
    let upload = create(&s3, ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject).await;
    let call = s3.upload_part().bucket("bucket").key("k").upload_id(&upload).part_number(1);
    let call = call.checksum_algorithm(ChecksumAlgorithm::Crc32).body(vec![1].into());
    assert_eq!(refused(call.send().await), "InvalidRequest");
    let call = s3.create_multipart_upload().bucket("bucket").key("k");
    let sha = call.checksum_algorithm(ChecksumAlgorithm::Sha256);
    let sha = sha.checksum_type(ChecksumType::FullObject).send().await;
    assert_eq!(refused(sha), "InvalidRequest");
}
