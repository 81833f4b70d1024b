//! An upload that is tried: whatever the server says to it, it is aborted, and nothing is published.

use tokio::time::Instant;

use super::odd::uploads;
use super::server::{Asked, http, refusal, remote, scripted};
use super::*;

async fn rehearsed(
    script: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (Result<Rehearsed, Error>, Asked) {
    let (endpoint, asked) = scripted(None, script).await;
    let target = S3Target::new(remote(&endpoint, None).await, address("golden/a.bin"));
    let until = Instant::now() + Duration::from_secs(20);
    (target.rehearse(&Attributes::default(), until).await, asked)
}

fn sent(asked: &Asked, method: &str, query: &str) -> usize {
    let asked = asked.lock().expect("not poisoned");
    asked.iter().filter(|head| head.starts_with(method) && head.contains(query)).count()
}

fn assert_nothing_is_left(asked: &Asked) {
    let begun = sent(asked, "POST", "?uploads");
    assert!(begun > 0 && sent(asked, "DELETE", "uploadId=u") >= begun, "{asked:?}");
    assert_eq!(sent(asked, "POST", "uploadId="), 0, "published");
    assert_eq!(sent(asked, "PUT", "") - sent(asked, "PUT", "partNumber="), 0, "written");
}

#[tokio::test]
async fn an_upload_is_begun_filled_listed_and_aborted() {
    for refuses_trailers in [false, true] {
        let (rehearsed, asked) = rehearsed(uploads(refuses_trailers)).await;
        let rehearsed = rehearsed.expect("it works");
        assert!(rehearsed.part.is_ok() && rehearsed.listed.is_ok(), "{rehearsed:?}");
        assert!(rehearsed.aborted.is_ok(), "{rehearsed:?}");
        assert_nothing_is_left(&asked);
    }
}

#[tokio::test]
async fn whatever_fails_in_between_it_is_aborted() {
    for failing in ["partNumber=", "GET "] {
        let works = uploads(false);
        let (rehearsed, asked) = rehearsed(move |head| match head.contains(failing) {
            true => refusal("403 Forbidden", "AccessDenied"),
            false => works(head),
        })
        .await;
        let rehearsed = rehearsed.expect("it was begun");
        let is_of_part = failing.starts_with("part");
        assert_eq!(rehearsed.part.is_err(), is_of_part, "{rehearsed:?}");
        assert!(rehearsed.listed.is_err() && rehearsed.aborted.is_ok(), "{rehearsed:?}");
        assert_nothing_is_left(&asked);
    }
}

#[tokio::test]
async fn an_abort_that_fails_is_tried_again_and_then_told() {
    let works = uploads(false);
    let (rehearsed, asked) = rehearsed(move |head| match head.starts_with("DELETE") {
        true => refusal("500 Internal Server Error", "InternalError"),
        false => works(head),
    })
    .await;
    let rehearsed = rehearsed.expect("it was begun");
    assert!(rehearsed.aborted.is_err() && rehearsed.part.is_ok(), "{rehearsed:?}");
    assert_eq!(sent(&asked, "DELETE", "uploadId=u"), 3);
}

#[tokio::test]
async fn what_the_server_says_of_encryption_and_lifecycle_is_kept() {
    let works = uploads(false);
    let (rehearsed, _) = rehearsed(move |head| match head.starts_with("POST") {
        true => http(
            "200 OK",
            &[
                "x-amz-server-side-encryption: aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:r:1:key/1",
                "x-amz-abort-date: Fri, 02 Jan 2026 00:00:00 GMT",
            ],
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        false => works(head),
    })
    .await;
    let created = rehearsed.expect("it works").created;
    let key_id = Some("arn:aws:kms:r:1:key/1".to_owned());
    assert_eq!(created.encryption, Some(crate::model::Encryption::Kms { key_id }));
    assert_eq!(created.abort_at, Some(crate::model::Timestamp(1_767_312_000_000)));
}
