//! Single objects: what is kept, what is refused, what is listed.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass, Tag, Tagging};
use sandbox::{BucketOptions, Credentials, Endpoint, EndpointOptions};

use crate::client::{bytes, client, get, options, put, refused, start, start_with};

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_given_along() {
    let (endpoint, s3) = start().await;
    let put = s3
        .put_object()
        .bucket("bucket")
        .key("dir/a b+ü.bin")
        .body(ByteStream::from_static(b"hello"))
        .content_type("application/x-image")
        .cache_control("no-store")
        .content_encoding("gzip")
        .metadata("ami-name", "an image")
        .tagging("team=platform&odd%20key=a%2Bb")
        .storage_class(StorageClass::StandardIa)
        .send()
        .await
        .unwrap();
    // `md5 -s hello`
    assert_eq!(put.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    let got = s3.get_object().bucket("bucket").key("dir/a b+ü.bin").send().await.unwrap();
    assert_eq!(got.content_type(), Some("application/x-image"));
    assert_eq!(got.cache_control(), Some("no-store"));
    assert_eq!(got.content_encoding(), Some("gzip"));
    assert_eq!(got.metadata().unwrap()["ami-name"], "an image");
    assert_eq!(got.tag_count(), Some(2));
    assert_eq!(got.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(got.server_side_encryption(), Some(&ServerSideEncryption::Aes256));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"hello");
    let tags = s3.get_object_tagging().bucket("bucket").key("dir/a b+ü.bin").send().await.unwrap();
    let odd = Tag::builder().key("odd key").value("a+b").build().unwrap();
    assert!(tags.tag_set().contains(&odd), "{tags:?}");
    let stored = endpoint.object("bucket", "dir/a b+ü.bin").unwrap();
    assert_eq!(&stored.bytes().await.unwrap()[..], b"hello");
}

#[tokio::test]
async fn a_key_of_the_other_partition_is_refused() {
    let (commercial, _) = start().await;
    let mut gov = EndpointOptions::gov().bucket("bucket");
    gov.plain_http = true;
    let gov = Endpoint::start(gov).await.unwrap();
    let stranger = client(&commercial, |builder| {
        let region = gov.region().to_owned();
        builder.endpoint_url(gov.url()).region(aws_sdk_s3::config::Region::new(region))
    });
    assert_eq!(refused(stranger.list_buckets().send().await), "InvalidAccessKeyId");
}

#[tokio::test]
async fn a_signature_for_another_region_or_with_another_secret_is_refused() {
    let (endpoint, _) = start().await;
    let elsewhere =
        client(&endpoint, |builder| builder.region(aws_sdk_s3::config::Region::new("us-west-2")));
    let code = refused(elsewhere.list_buckets().send().await);
    assert_eq!(code, "AuthorizationHeaderMalformed");
    let forger = client(&endpoint, |builder| {
        let id = endpoint.credentials().access_key_id.clone();
        let keys = aws_credential_types::Credentials::new(id, "guess", None, None, "test");
        builder.credentials_provider(keys)
    });
    assert_eq!(refused(forger.list_buckets().send().await), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_session_token_is_asked_for_and_expires() {
    let mut with_token = options();
    with_token.credentials =
        Credentials { session_token: Some("t0ken".into()), ..with_token.credentials };
    let (endpoint, s3) = start_with(with_token).await;
    s3.list_buckets().send().await.unwrap();
    let without = client(&endpoint, |builder| {
        let keys = endpoint.credentials();
        let keys = aws_credential_types::Credentials::new(
            &keys.access_key_id,
            &keys.secret_access_key,
            None,
            None,
            "test",
        );
        builder.credentials_provider(keys)
    });
    assert_eq!(refused(without.list_buckets().send().await), "InvalidToken");
    endpoint.expire_credentials(&endpoint.credentials().access_key_id.clone());
    assert_eq!(refused(s3.list_buckets().send().await), "ExpiredToken");
}

#[tokio::test]
async fn a_range_is_answered_with_206_and_its_place() {
    let (_endpoint, s3) = start().await;
    let body = bytes(1000, 1);
    put(&s3, "k", &body).await;
    let call = || s3.get_object().bucket("bucket").key("k");
    let got = call().range("bytes=10-19").send().await.unwrap();
    assert_eq!(got.content_range(), Some("bytes 10-19/1000"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), body[10..20]);
    let tail = call().range("bytes=-7").send().await.unwrap();
    assert_eq!(tail.body.collect().await.unwrap().to_vec(), body[993..]);
    assert_eq!(refused(call().range("bytes=1000-").send().await), "InvalidRange");
}

#[tokio::test]
async fn a_pinned_read_fails_once_the_object_is_overwritten() {
    let (_endpoint, s3) = start().await;
    put(&s3, "k", b"one").await;
    let etag = s3.head_object().bucket("bucket").key("k").send().await.unwrap().e_tag.unwrap();
    let pinned = || s3.get_object().bucket("bucket").key("k").if_match(&etag);
    pinned().send().await.unwrap();
    put(&s3, "k", b"two").await;
    assert_eq!(refused(pinned().send().await), "PreconditionFailed");
}

#[tokio::test]
async fn if_none_match_never_overwrites() {
    let (_endpoint, s3) = start().await;
    let put = |body: &'static [u8]| {
        let body = ByteStream::from_static(body);
        s3.put_object().bucket("bucket").key("k").body(body).if_none_match("*").send()
    };
    put(b"one").await.unwrap();
    assert_eq!(refused(put(b"two").await), "PreconditionFailed");
    assert_eq!(get(&s3, "k").await, b"one");
}

#[tokio::test]
async fn limits_on_metadata_tags_and_keys_are_s3s() {
    let (endpoint, s3) = start().await;
    let put = |key: &str| s3.put_object().bucket("bucket").key(key);
    let code = refused(put("k").metadata("m", "x".repeat(2048)).send().await);
    assert_eq!(code, "MetadataTooLarge");
    let eleven: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
    assert_eq!(refused(put("k").tagging(eleven.join("&")).send().await), "BadRequest");
    assert_eq!(refused(put("k").tagging("a=1&a=2").send().await), "InvalidTag");
    assert_eq!(refused(put(&"k".repeat(1025)).send().await), "KeyTooLongError");
    let unknown =
        put("k").server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id("nope");
    assert_eq!(refused(unknown.send().await), "KMS.NotFoundException");
    assert!(endpoint.object("bucket", "k").is_none(), "a refused object is not stored");
    put(&"k".repeat(1024)).send().await.unwrap();
}

#[tokio::test]
async fn a_known_kms_key_is_echoed_by_its_arn() {
    let arn = "arn:aws:kms:us-east-2:111122223333:key/1234abcd";
    let mut with_key = options();
    with_key.kms_keys.insert(arn.to_owned());
    let (_endpoint, s3) = start_with(with_key).await;
    let put = s3.put_object().bucket("bucket").key("k").ssekms_key_id("1234abcd");
    let put = put.server_side_encryption(ServerSideEncryption::AwsKms).send().await.unwrap();
    assert_eq!(put.ssekms_key_id(), Some(arn));
    let head = s3.head_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(head.ssekms_key_id(), Some(arn));
    assert_eq!(head.server_side_encryption(), Some(&ServerSideEncryption::AwsKms));
}

#[tokio::test]
async fn a_listing_is_paged_and_grouped_and_misses_nothing() {
    let (_endpoint, s3) = start().await;
    for key in ["a", "d/1", "d/2", "d/e/3", "f/4", "z"] {
        put(&s3, key, b"x").await;
    }
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let call = s3.list_objects_v2().bucket("bucket").max_keys(2).set_continuation_token(token);
        let page = call.send().await.unwrap();
        assert!(page.contents().len() <= 2);
        seen.extend(page.contents().iter().filter_map(|object| object.key.clone()));
        token = page.next_continuation_token;
        if page.is_truncated != Some(true) {
            break;
        }
    }
    assert_eq!(seen, ["a", "d/1", "d/2", "d/e/3", "f/4", "z"]);

    let mut groups = Vec::new();
    let mut token = None;
    loop {
        let call = s3.list_objects_v2().bucket("bucket").delimiter("/").max_keys(1);
        let page = call.set_continuation_token(token).send().await.unwrap();
        groups.extend(page.contents().iter().filter_map(|object| object.key.clone()));
        groups.extend(page.common_prefixes().iter().filter_map(|group| group.prefix.clone()));
        token = page.next_continuation_token;
        if page.is_truncated != Some(true) {
            break;
        }
    }
    assert_eq!(groups, ["a", "d/", "f/", "z"]);
    let below =
        s3.list_objects_v2().bucket("bucket").prefix("d/").delimiter("/").send().await.unwrap();
    assert_eq!((below.contents().len(), below.common_prefixes().len()), (2, 1));
}

#[tokio::test]
async fn old_versions_stay_readable_by_their_id() {
    let versioned = BucketOptions { versioned: true, ..BucketOptions::default() };
    let (endpoint, s3) = start_with(options().bucket_with("versioned", versioned)).await;
    let put = |body: &'static [u8]| {
        s3.put_object().bucket("versioned").key("k").body(ByteStream::from_static(body)).send()
    };
    let first = put(b"one").await.unwrap().version_id.unwrap();
    let second = put(b"two").await.unwrap().version_id.unwrap();
    assert_ne!(first, second);
    s3.delete_object().bucket("versioned").key("k").send().await.unwrap();
    assert_eq!(refused(s3.get_object().bucket("versioned").key("k").send().await), "NoSuchKey");
    let old = s3.get_object().bucket("versioned").key("k").version_id(&first).send().await.unwrap();
    assert_eq!(old.body.collect().await.unwrap().to_vec(), b"one");
    assert!(endpoint.object("versioned", "k").is_none());
}

#[tokio::test]
async fn tags_can_be_replaced_and_objects_deleted() {
    let (endpoint, s3) = start().await;
    put(&s3, "k", b"x").await;
    let tag = Tag::builder().key("a").value("b").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    s3.put_object_tagging().bucket("bucket").key("k").tagging(tagging).send().await.unwrap();
    let tags = s3.get_object_tagging().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(tags.tag_set(), [tag]);
    assert_eq!(refused(s3.delete_bucket().bucket("bucket").send().await), "BucketNotEmpty");
    s3.delete_object().bucket("bucket").key("k").send().await.unwrap();
    assert!(endpoint.object("bucket", "k").is_none());
    s3.delete_bucket().bucket("bucket").send().await.unwrap();
    assert_eq!(refused(s3.list_objects_v2().bucket("bucket").send().await), "NoSuchBucket");
}

#[tokio::test]
async fn a_presigned_url_reads_and_an_altered_one_does_not() {
    let (endpoint, s3) = start().await;
    put(&s3, "dir/a b.bin", b"presigned").await;
    let url = endpoint.presigned_get("bucket", "dir/a b.bin", Duration::from_secs(60));
    let (status, body) = crate::faults::http_get(&url).await;
    assert_eq!((status, body.as_slice()), (200, &b"presigned"[..]));
    let (status, _) = crate::faults::http_get(&url.replace("a%20b", "a%20c")).await;
    assert_eq!(status, 403);
}
