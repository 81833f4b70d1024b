//! Buckets' settings as S3 writes them, and buckets that have none.

use super::server::{self, http, refusal, remote, scripted};
use super::*;
use crate::model::{Encryption, Timestamp};

async fn answering(script: impl Fn(&str) -> String + Send + Sync + 'static) -> BucketSettings {
    let (endpoint, _) = scripted(None, script).await;
    BucketSettings::new(remote(&endpoint, None).await, server::BUCKET)
}

async fn saying(body: &'static str) -> BucketSettings {
    answering(move |_| http("200 OK", &["Content-Type: application/xml"], body)).await
}

#[tokio::test]
async fn lifecycle_rules_are_read_whichever_way_they_were_written() {
    const RULES: &str = "<LifecycleConfiguration>\
        <Rule><ID>old</ID><Prefix>logs/</Prefix><Status>Enabled</Status>\
        <Expiration><Days>3</Days></Expiration></Rule>\
        <Rule><ID>plain</ID><Filter><Prefix>golden/</Prefix></Filter><Status>Enabled</Status>\
        <AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation>\
        </AbortIncompleteMultipartUpload>\
        <Transition><Days>0</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>\
        <Rule><ID>both</ID><Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
        </And></Filter><Status>Enabled</Status>\
        <Expiration><Date>2026-01-02T00:00:00.000Z</Date></Expiration></Rule>\
        <Rule><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Status>Enabled</Status>\
        <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>\
        <Rule><ID>off</ID><Filter/><Status>Disabled</Status>\
        <Expiration><Days>1</Days></Expiration></Rule>\
        </LifecycleConfiguration>";
    let rules = saying(RULES).await.lifecycle().await.expect("rules");
    let rule = |id: &str, prefix: &str| LifecycleRule {
        id: id.to_owned(),
        prefix: prefix.to_owned(),
        ..LifecycleRule::default()
    };
    let expected = [
        LifecycleRule { expires: Some(When::Days(3)), ..rule("old", "logs/") },
        LifecycleRule {
            aborts_uploads: Some(2),
            moves: vec![(When::Days(0), "GLACIER".to_owned())],
            ..rule("plain", "golden/")
        },
        LifecycleRule {
            is_narrowed: true,
            expires: Some(When::At(Timestamp(1_767_312_000_000))),
            ..rule("both", "a/")
        },
        LifecycleRule { is_narrowed: true, ..rule("", "") },
    ];
    assert_eq!(rules, expected);
}

#[tokio::test]
async fn a_default_encryption_and_what_is_blocked_are_read() {
    let bucket = saying(
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
         <SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:aws:kms:r:1:key/1</KMSMasterKeyID>\
         </ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
    )
    .await;
    let kms = Encryption::Kms { key_id: Some("arn:aws:kms:r:1:key/1".to_owned()) };
    assert_eq!(bucket.encryption().await.expect("read"), Some(kms));

    let bucket = saying(
        "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
         <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>false</BlockPublicPolicy>\
         </PublicAccessBlockConfiguration>",
    )
    .await;
    let found = bucket.public_access_block().await.expect("read").expect("set");
    assert!(found.block_public_acls && found.ignore_public_acls, "{found:?}");
    assert!(!found.block_public_policy && !found.restrict_public_buckets, "{found:?}");
}

/// 'Not set' is no missing right, and a missing right is not 'not set'.
#[tokio::test]
async fn a_bucket_without_a_setting_is_told_from_one_that_cannot_be_read() {
    let bucket = answering(|head| {
        let code = match head {
            head if head.contains("encryption") => "ServerSideEncryptionConfigurationNotFoundError",
            head if head.contains("lifecycle") => "NoSuchLifecycleConfiguration",
            _ => "NoSuchPublicAccessBlockConfiguration",
        };
        refusal("404 Not Found", code)
    })
    .await;
    assert_eq!(bucket.encryption().await.expect("unset"), None);
    assert_eq!(bucket.lifecycle().await.expect("unset"), []);
    assert_eq!(bucket.public_access_block().await.expect("unset"), None);

    for (status, code) in [("403 Forbidden", "AccessDenied"), ("404 Not Found", "NoSuchBucket")] {
        let bucket = answering(move |_| refusal(status, code)).await;
        for error in [
            bucket.encryption().await.expect_err(code),
            bucket.lifecycle().await.map(drop).expect_err(code),
            bucket.public_access_block().await.map(drop).expect_err(code),
        ] {
            assert_eq!(error.code(), Some(code), "{error}");
        }
    }
}

/// A job that took an expired token for a missing right would fail instead of waiting.
#[tokio::test]
async fn a_head_of_a_bucket_that_says_nothing_is_explained() {
    let region = async |status: &'static str, listing: String| {
        let script = move |head: &str| match head.starts_with("HEAD") {
            true => http(status, &[], ""),
            false => listing.clone(),
        };
        let (endpoint, _) = scripted(None, script).await;
        bucket_region(remote(&endpoint, None).await, server::BUCKET).await
    };
    let expired = refusal("400 Bad Request", "ExpiredToken");
    let error = region("400 Bad Request", expired).await.expect_err("expired");
    assert_eq!(error.class(), crate::model::FailureClass::Credentials, "{error}");
    let missing = refusal("404 Not Found", "NoSuchBucket");
    let error = region("404 Not Found", missing).await.expect_err("missing");
    assert!(matches!(error, Error::NoSuchBucket(_)), "{error}");

    let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
    let elsewhere = http("400 Bad Request", &["Content-Type: application/xml"], body);
    let found = region("400 Bad Request", elsewhere).await.expect("it says where");
    assert_eq!(found.as_deref(), Some("eu-west-1"));
    let listed = http("200 OK", &["Content-Type: application/xml"], "<ListBucketResult/>");
    assert_eq!(region("403 Forbidden", listed).await.expect("it is there"), None);
}
