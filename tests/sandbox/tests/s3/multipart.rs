//! Multipart uploads by S3's rules.

use aws_sdk_s3::types::CompletedPart;

use crate::client::{
    MIB, bytes, create, get, list, options, part, put, refused, start, start_with,
};

#[tokio::test]
async fn parts_become_an_object_with_s3s_etag() {
    let (endpoint, s3) = start().await;
    let (one, two) = (bytes(5 * MIB, 1), bytes(1234, 2));
    let upload = create(&s3, "k").await;
    // Out of order, and the first part twice: the last one counts.
    let second = part(&s3, "k", &upload, 2, two.clone()).await;
    part(&s3, "k", &upload, 1, bytes(5 * MIB, 9)).await;
    let first = part(&s3, "k", &upload, 1, one.clone()).await;
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
    let done = complete.multipart_upload(list(vec![first, second])).send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-2\""), "{done:?}");
    let whole = [one, two].concat();
    assert_eq!(get(&s3, "k").await, whole);
    assert!(endpoint.uploads().is_empty());
    let object = endpoint.object("bucket", "k").unwrap();
    assert_eq!(object.parts.iter().map(|part| part.size).collect::<Vec<_>>(), [5 << 20, 1234]);
    let by_part = s3.get_object().bucket("bucket").key("k").part_number(2).send().await.unwrap();
    assert_eq!(by_part.body.collect().await.unwrap().to_vec(), whole[5 * MIB..]);
}

#[tokio::test]
async fn a_wrong_list_of_parts_is_refused_and_the_upload_stays() {
    let (endpoint, s3) = start().await;
    let upload = create(&s3, "k").await;
    let small = part(&s3, "k", &upload, 1, bytes(100, 1)).await;
    let last = part(&s3, "k", &upload, 2, bytes(100, 2)).await;
    let complete = |parts: Vec<CompletedPart>| {
        let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
        call.multipart_upload(list(parts)).send()
    };
    let backwards = complete(vec![last.clone(), small.clone()]).await;
    assert_eq!(refused(backwards), "InvalidPartOrder");
    assert_eq!(refused(complete(vec![small.clone(), last.clone()]).await), "EntityTooSmall");
    let unknown = CompletedPart::builder().part_number(3).e_tag("x").build();
    assert_eq!(refused(complete(vec![small.clone(), unknown]).await), "InvalidPart");
    let wrong = CompletedPart::builder().part_number(1).e_tag("\"00\"").build();
    assert_eq!(refused(complete(vec![wrong]).await), "InvalidPart");
    assert_eq!(refused(complete(vec![]).await), "MalformedXML");
    assert_eq!(endpoint.uploads().len(), 1);
    // The last part may be small, and parts may be left out.
    complete(vec![last]).await.unwrap();
    assert_eq!(get(&s3, "k").await, bytes(100, 2));
}

#[tokio::test]
async fn an_upload_that_is_gone_is_no_such_upload() {
    let (endpoint, s3) = start().await;
    let upload = create(&s3, "k").await;
    part(&s3, "k", &upload, 1, bytes(10, 1)).await;
    let abort = || s3.abort_multipart_upload().bucket("bucket").key("k").upload_id(&upload).send();
    abort().await.unwrap();
    assert!(endpoint.uploads().is_empty());
    assert_eq!(refused(abort().await), "NoSuchUpload");
    // The answer is readable although the client sent megabytes that nobody wanted.
    let call = s3.upload_part().bucket("bucket").key("k").upload_id(&upload).part_number(1);
    let late = call.body(bytes(8 * MIB, 1).into()).send().await;
    assert_eq!(refused(late), "NoSuchUpload");
    let call = s3.list_parts().bucket("bucket").key("k").upload_id(&upload);
    assert_eq!(refused(call.send().await), "NoSuchUpload");
}

#[tokio::test]
async fn part_numbers_end_at_ten_thousand() {
    let (_endpoint, s3) = start().await;
    let upload = create(&s3, "k").await;
    part(&s3, "k", &upload, 10_000, vec![1]).await;
    let call = s3.upload_part().bucket("bucket").key("k").upload_id(&upload).part_number(10_001);
    assert_eq!(refused(call.body(vec![1].into()).send().await), "InvalidArgument");
}

#[tokio::test]
async fn complete_honours_its_conditions_and_keeps_the_upload() {
    let (endpoint, s3) = start().await;
    let upload = create(&s3, "k").await;
    let only = part(&s3, "k", &upload, 1, b"new".to_vec()).await;
    put(&s3, "k", b"old").await;
    let complete = || {
        let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
        call.multipart_upload(list(vec![only.clone()]))
    };
    let never = complete().if_none_match("*").send().await;
    assert_eq!(refused(never), "PreconditionFailed");
    let pinned = complete().if_match("\"00\"").send().await;
    assert_eq!(refused(pinned), "PreconditionFailed");
    assert_eq!(get(&s3, "k").await, b"old");
    assert_eq!(endpoint.uploads().len(), 1);
    let etag = s3.head_object().bucket("bucket").key("k").send().await.unwrap().e_tag.unwrap();
    complete().if_match(etag).send().await.unwrap();
    assert_eq!(get(&s3, "k").await, b"new");
}

#[tokio::test]
async fn a_second_complete_gives_the_first_answer_again() {
    let (_endpoint, s3) = start().await;
    let upload = create(&s3, "k").await;
    let only = part(&s3, "k", &upload, 1, b"once".to_vec()).await;
    let complete = || {
        let call = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
        call.multipart_upload(list(vec![only.clone()])).send()
    };
    let first = complete().await.unwrap();
    put(&s3, "k", b"overwritten").await;
    let second = complete().await.unwrap();
    assert_eq!(first.e_tag(), second.e_tag());
    assert_eq!(get(&s3, "k").await, b"overwritten", "repeating is not performing again");
}

#[tokio::test]
async fn parts_and_uploads_are_listed_page_by_page() {
    let (_endpoint, s3) = start().await;
    let upload = create(&s3, "k1").await;
    create(&s3, "k2").await;
    create(&s3, "k2").await;
    for number in 1..=5 {
        part(&s3, "k1", &upload, number, vec![0; 10]).await;
    }
    let call = || s3.list_parts().bucket("bucket").key("k1").upload_id(&upload).max_parts(3);
    let first = call().send().await.unwrap();
    assert_eq!((first.parts().len(), first.is_truncated()), (3, Some(true)));
    let marker = first.next_part_number_marker.unwrap();
    let rest = call().part_number_marker(marker).send().await.unwrap();
    let numbers: Vec<i32> = rest.parts().iter().filter_map(|part| part.part_number).collect();
    assert_eq!((numbers, rest.is_truncated()), (vec![4, 5], Some(false)));

    let page = s3.list_multipart_uploads().bucket("bucket").max_uploads(2).send().await.unwrap();
    assert_eq!((page.uploads().len(), page.is_truncated()), (2, Some(true)));
    let rest = s3
        .list_multipart_uploads()
        .bucket("bucket")
        .set_key_marker(page.next_key_marker)
        .set_upload_id_marker(page.next_upload_id_marker)
        .send()
        .await
        .unwrap();
    assert_eq!((rest.uploads().len(), rest.is_truncated()), (1, Some(false)));
}

#[tokio::test]
async fn attributes_given_at_create_are_the_objects() {
    let (endpoint, s3) = start_with(options()).await;
    let create = s3.create_multipart_upload().bucket("bucket").key("k").content_type("text/x");
    let create = create.metadata("a", "b").tagging("t=1").send().await.unwrap();
    let upload = create.upload_id.unwrap();
    let only = part(&s3, "k", &upload, 1, b"x".to_vec()).await;
    let complete = s3.complete_multipart_upload().bucket("bucket").key("k").upload_id(&upload);
    complete.multipart_upload(list(vec![only])).send().await.unwrap();
    let object = endpoint.object("bucket", "k").unwrap();
    assert_eq!(object.attributes.header("content-type"), Some("text/x"));
    assert_eq!(object.attributes.metadata["a"], "b");
    assert_eq!(object.attributes.tags["t"], "1");
}
