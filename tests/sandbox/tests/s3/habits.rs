//! Habits of servers that are not AWS.

use aws_sdk_s3::types::{ChecksumMode, ObjectAttributes};
use sandbox::{Endpoint, EndpointOptions, Habits, RepeatedComplete};

use crate::client::{MIB, bytes, client, create, get, list, part, put, refused, start, streamed};

#[tokio::test]
async fn conditions_can_be_ignored() {
    let (endpoint, s3) = start().await;
    endpoint.set_habits(Habits {
        ignore_conditions_on_complete: true,
        ignore_if_match_on_get: true,
        ..Habits::default()
    });
    put(&s3, "k", b"old").await;
    let upload = create(&s3, "k").await;
    let only = part(&s3, "k", &upload, 1, b"new".to_vec()).await;
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
    let complete = complete.multipart_upload(list(vec![only])).if_none_match("*");
    complete.send().await.unwrap();
    s3.get_object().bucket("bucket").key("k").if_match("\"00\"").send().await.unwrap();
    assert_eq!(get(&s3, "k").await, b"new");
}

#[tokio::test]
async fn checksums_can_be_unknown() {
    let (endpoint, s3) = start().await;
    endpoint.set_habits(Habits { no_checksums: true, ..Habits::default() });
    let call = s3.put_object().bucket("bucket").key("k").body(b"x".to_vec().into());
    call.checksum_crc64_nvme("AAAAAAAAAAA=").send().await.unwrap();
    let head = s3.head_object().bucket("bucket").key("k").checksum_mode(ChecksumMode::Enabled);
    assert_eq!(head.send().await.unwrap().checksum_crc64_nvme(), None);
}

#[tokio::test]
async fn trailers_can_be_refused_or_stored_with_their_framing() {
    let endpoint = Endpoint::start(EndpointOptions::commercial().bucket("bucket")).await.unwrap();
    let s3 = client(&endpoint, |builder| builder);
    endpoint.set_habits(Habits { refuse_trailers: true, ..Habits::default() });
    let call = || s3.put_object().bucket("bucket").key("k").body(streamed(bytes(MIB, 1))).send();
    assert_eq!(refused(call().await), "InvalidRequest");
    endpoint.set_habits(Habits { store_chunk_framing: true, ..Habits::default() });
    call().await.unwrap();
    let stored = endpoint.object("bucket", "k").unwrap();
    assert!(stored.size() > MIB as u64, "{}", stored.size());
    assert!(stored.bytes().await.unwrap().ends_with(b"\r\n\r\n"));
}

#[tokio::test]
async fn tags_given_at_create_can_be_lost() {
    let (endpoint, s3) = start().await;
    endpoint.set_habits(Habits { drop_tags_at_create: true, ..Habits::default() });
    let created = s3.create_multipart_upload().bucket("bucket").key("k").tagging("a=b").send();
    let upload = created.await.unwrap().upload_id.unwrap();
    let only = part(&s3, "k", &upload, 1, b"x".to_vec()).await;
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
    complete.multipart_upload(list(vec![only])).send().await.unwrap();
    assert!(endpoint.object("bucket", "k").unwrap().attributes.tags.is_empty());
}

#[tokio::test]
async fn attributes_can_be_answered_with_the_object() {
    let (endpoint, s3) = start().await;
    endpoint.set_habits(Habits { attributes_answer_body: true, ..Habits::default() });
    put(&s3, "k", &bytes(MIB, 1)).await;
    let call = s3.get_object_attributes().bucket("bucket").key("k");
    let call = call.object_attributes(ObjectAttributes::Checksum).send();
    assert!(call.await.is_err(), "the SDK cannot read an object as XML");
    assert!(endpoint.stats().operations["GetObjectAttributes"].bytes_out >= MIB as u64);
}

#[tokio::test]
async fn an_error_can_break_the_connection() {
    let (endpoint, s3) = start().await;
    endpoint.set_habits(Habits { break_connection_on_error: true, ..Habits::default() });
    let call = s3.upload_part().bucket("bucket").key("k").upload_id("gone").part_number(1);
    let broken = call.body(bytes(8 * MIB, 1).into()).send().await.unwrap_err();
    assert!(broken.raw_response().is_none(), "{broken:?}");
}

#[tokio::test]
async fn a_repeated_complete_can_be_refused() {
    let (endpoint, s3) = start().await;
    for (habit, expected) in [
        (RepeatedComplete::NoSuchUpload, "NoSuchUpload"),
        (RepeatedComplete::AccessDenied, "AccessDenied"),
    ] {
        endpoint.set_habits(Habits { repeated_complete: habit, ..Habits::default() });
        let upload = create(&s3, "k").await;
        let only = part(&s3, "k", &upload, 1, b"x".to_vec()).await;
        let complete = || {
            let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
            call.multipart_upload(list(vec![only.clone()])).send()
        };
        complete().await.unwrap();
        assert_eq!(refused(complete().await), expected);
    }
}
