//! Who is let in, and in what words somebody is not.

use http::request::Parts;
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::credentials::Credentials;
use crate::ec2::tests::partition;
use crate::sigv4::sign;

const KEYS: (&str, &str) = ("AKIATEST", "the-secret");
const OWN: &str = "us-east-2";

fn cloud() -> Cloud {
    let keys = KeyRing::default();
    keys.add(Credentials::new(KEYS.0, KEYS.1));
    let temporary = Credentials::new("ASIATEST", KEYS.1);
    keys.add(Credentials { session_token: Some("token".to_owned()), ..temporary });
    let ends = (CancellationToken::new(), TaskTracker::new());
    let behaviour = (Ec2Options::default(), SsmOptions::default());
    Cloud::new(partition(OWN), Arc::new(keys), behaviour, ends)
}

/// A request of each service, not signed yet.
const REQUESTS: [(Service, &str, &[u8]); 3] = [
    (Service::Ec2, "ec2", b"Action=DescribeImages&Version=2016-11-15"),
    (Service::Ssm, "ssm", br#"{"Names":["/x"]}"#),
    (Service::Sts, "sts", b"Action=GetCallerIdentity&Version=2011-06-15"),
];

fn request(at: Timestamp) -> Parts {
    let request = http::Request::builder()
        .method("POST")
        .uri("/")
        .header("host", "127.0.0.1")
        .header("x-amz-target", "AmazonSSM.GetParameters")
        .header("x-amz-date", at.strftime("%Y%m%dT%H%M%SZ").to_string());
    request.body(()).unwrap().into_parts().0
}

/// What each service answers to a request that `change` was done to.
async fn answers(
    cloud: &Cloud,
    at: Timestamp,
    change: impl Fn(&mut Parts, &[u8], &str),
) -> [String; 3] {
    let mut answers = [const { String::new() }; 3];
    for (answer, (service, name, body)) in answers.iter_mut().zip(REQUESTS) {
        let mut parts = request(at);
        change(&mut parts, body, name);
        let command = Command::read(service, &parts, body);
        let (head, body) = cloud.answer(&command, &parts, body).await.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        *answer = format!("{} {text}", head.status.as_u16());
    }
    answers
}

fn assert_codes(answers: &[String; 3], codes: [&str; 3]) {
    for (answer, code) in answers.iter().zip(codes) {
        assert!(answer.contains(code) && !answer.starts_with("200"), "{code}: {answer}");
    }
}

#[tokio::test]
async fn whoever_signs_well_is_let_in() {
    let cloud = cloud();
    let answers = answers(&cloud, Timestamp::now(), |parts, body, service| {
        sign(parts, body, KEYS, (OWN, service));
    });
    assert!(answers.await.iter().all(|answer| answer.starts_with("200")));
}

#[tokio::test]
async fn a_request_for_another_region_is_refused() {
    let cloud = cloud();
    let answers = answers(&cloud, Timestamp::now(), |parts, body, service| {
        sign(parts, body, KEYS, ("us-gov-west-1", service));
    });
    let codes = ["AuthFailure", "InvalidSignatureException", "SignatureDoesNotMatch"];
    assert_codes(&answers.await, codes);
}

#[tokio::test]
async fn a_request_of_half_an_hour_ago_is_refused() {
    let before = Timestamp::now() - SignedDuration::from_mins(30);
    let cloud = cloud();
    let answers = answers(&cloud, before, |parts, body, service| {
        sign(parts, body, KEYS, (OWN, service));
    });
    let codes = ["RequestExpired", "InvalidSignatureException", "SignatureDoesNotMatch"];
    assert_codes(&answers.await, codes);
}

#[tokio::test]
async fn who_did_not_sign_is_refused_in_the_services_own_words() {
    let cloud = cloud();
    let answers = answers(&cloud, Timestamp::now(), |_, _, _| {}).await;
    let codes =
        ["AuthFailure", "MissingAuthenticationTokenException", "MissingAuthenticationToken"];
    assert_codes(&answers, codes);
}

#[tokio::test]
async fn temporary_keys_need_their_token_and_last_until_they_expire() {
    let cloud = cloud();
    let signed = |token: Option<&'static str>| {
        move |parts: &mut Parts, body: &[u8], service: &str| {
            if let Some(token) = token {
                parts.headers.insert("x-amz-security-token", token.parse().unwrap());
            }
            sign(parts, body, ("ASIATEST", KEYS.1), (OWN, service));
        }
    };
    let now = Timestamp::now();
    assert!(answers(&cloud, now, signed(Some("token"))).await.iter().all(|a| a.starts_with("200")));
    let codes = ["AuthFailure", "UnrecognizedClientException", "InvalidClientTokenId"];
    assert_codes(&answers(&cloud, now, signed(None)).await, codes);
    assert_codes(&answers(&cloud, now, signed(Some("another"))).await, codes);
    cloud.keys.expire("ASIATEST");
    let codes = ["RequestExpired", "ExpiredTokenException", "ExpiredToken"];
    assert_codes(&answers(&cloud, now, signed(Some("token"))).await, codes);
}
