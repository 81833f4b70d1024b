//! What a remote is built from, and what it refuses.

use super::*;
use crate::base::NoObserver;
use crate::blob::tests::server::{http, scripted};
use crate::model::FailureClass;

pub(super) fn options() -> Options {
    Options {
        name: "gov".parse().expect("a name"),
        region: "us-gov-west-1".to_owned(),
        credentials: Credentials::Static {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("hunter2-secret"),
            session_token: Some(Secret::new("hunter2-token")),
        },
        expected_account: None,
        fips: false,
        dual_stack: false,
        path_style: true,
        s3_endpoint: Some("http://127.0.0.1:9".to_owned()),
        sts_endpoint: None,
        ec2_endpoint: None,
        ssm_endpoint: None,
        ca_bundle: None,
        limits: Limits::default(),
    }
}

async fn refused(options: Options) -> Error {
    Remote::connect(options, Arc::new(NoObserver)).await.expect_err("must be refused")
}

#[tokio::test]
async fn a_server_without_sts_is_not_asked_who_it_is() {
    let remote = Remote::connect(options(), Arc::new(NoObserver)).await.expect("nothing to ask");
    assert_eq!(remote.identity(), Identity::default());
    assert_eq!(remote.partition(), "aws-us-gov");
    assert_eq!(remote.endpoint(), "http://127.0.0.1:9");
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_sent() {
    let error = refused(Options { region: "moon-east-1".to_owned(), ..options() }).await;
    assert!(error.to_string().contains("moon-east-1"), "{error}");

    let path = PathBuf::from("/nonexistent/ca.pem");
    let error = refused(Options { ca_bundle: Some(path), ..options() }).await;
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");

    let credentials = Credentials::AssumeRole {
        role_arn: "arn:aws:iam::111122223333:role/mover".to_owned(),
        source_profile: None,
        external_id: None,
    };
    let error = refused(Options { credentials, ..options() }).await;
    assert!(matches!(error, Error::WrongPartition { .. }), "{error}");
}

/// A job must wait for STS rather than fail, and must not be told that its keys are wrong.
#[tokio::test]
async fn an_sts_that_is_not_reached_is_transient() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    let error = refused(Options { sts_endpoint: Some(endpoint), ..options() }).await;
    assert_eq!(error.class(), FailureClass::Transient, "{error}");
}

/// It stands in memory first, and then in every status, alert and job of the remote.
#[tokio::test]
async fn what_sts_writes_is_bounded() {
    let long = "no\n".repeat(100_000);
    let refusal = format!(
        "<ErrorResponse><Error><Code>No</Code><Message>{long}</Message></Error></ErrorResponse>"
    );
    let endless = " ".repeat(2 << 20);
    for (status, body, said) in
        [("403 Forbidden", refusal, "No: no no no"), ("200 OK", endless, "length limit exceeded")]
    {
        let (endpoint, _) = scripted(None, move |_| http(status, &[], &body)).await;
        let error = refused(Options { sts_endpoint: Some(endpoint), ..options() }).await;
        let text = error.to_string();
        assert!(text.contains(said), "{text}");
        assert!(text.len() < 1_000 && !text.contains(char::is_control), "{text}");
    }
}

/// It kept every remote down for good: what is permanent ends the daemon, and nothing starts it again.
#[tokio::test]
async fn a_page_that_is_not_of_sts_is_transient() {
    for status in ["302 Found", "404 Not Found", "407 Proxy Authentication Required", "200 OK"] {
        let page = "<html><body>Welcome to the airport!</body></html>";
        let (endpoint, _) = scripted(None, move |_| http(status, &[], page)).await;
        let error = refused(Options { sts_endpoint: Some(endpoint), ..options() }).await;
        assert_eq!(error.class(), FailureClass::Transient, "{status}: {error}");
        assert!(error.to_string().contains(&status[..3]), "{status}: {error}");
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_told_from_a_broken_network() {
    let credentials = Credentials::Profile("no-such-profile".to_owned());
    let sts_endpoint = Some("http://127.0.0.1:9".to_owned());
    let error = refused(Options { credentials, sts_endpoint, ..options() }).await;
    assert_eq!(error.class(), FailureClass::Credentials, "{error}");
}

#[tokio::test]
async fn no_secret_is_printed() {
    let text = format!("{:?}", options());
    assert!(!text.contains("hunter2"), "{text}");
    let remote = Remote::connect(options(), Arc::new(NoObserver)).await.expect("nothing to ask");
    let text = format!("{remote:?}");
    assert!(!text.contains("hunter2"), "{text}");
}
