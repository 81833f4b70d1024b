//! An SDK client that hides nothing: no retries, and the error's code at hand.

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_http_client::Builder as HttpBuilder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use http_body_util::Full;
use hyper::body::Bytes;
use sandbox::{Endpoint, EndpointOptions};

pub(crate) const MIB: usize = 1 << 20;

/// A plain HTTP endpoint with the bucket `bucket`, and a client of it.
pub(crate) async fn start() -> (Endpoint, Client) {
    start_with(options()).await
}

pub(crate) fn options() -> EndpointOptions {
    let mut options = EndpointOptions::commercial().bucket("bucket");
    options.plain_http = true;
    options
}

pub(crate) async fn start_with(options: EndpointOptions) -> (Endpoint, Client) {
    let endpoint = Endpoint::start(options).await.unwrap();
    let client = client(&endpoint, |builder| builder);
    (endpoint, client)
}

pub(crate) fn client(endpoint: &Endpoint, change: impl FnOnce(Builder) -> Builder) -> Client {
    let keys = endpoint.credentials();
    let credentials = Credentials::new(
        &keys.access_key_id,
        &keys.secret_access_key,
        keys.session_token.clone(),
        None,
        "test",
    );
    let mut builder = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(endpoint.region().to_owned()))
        .credentials_provider(credentials)
        .endpoint_url(endpoint.url())
        .force_path_style(true)
        .retry_config(RetryConfig::disabled());
    if let Some(pem) = endpoint.ca_pem() {
        let trust = TrustStore::empty().with_pem_certificate(pem.as_bytes());
        let context = TlsContext::builder().with_trust_store(trust).build().unwrap();
        let provider = Provider::Rustls(CryptoMode::AwsLc);
        let http = HttpBuilder::new().tls_provider(provider).tls_context(context).build_https();
        builder = builder.http_client(http);
    }
    Client::from_conf(change(builder).build())
}

/// S3's code of an error; empty for one that is not S3's.
pub(crate) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    error.code().unwrap_or_default().to_owned()
}

/// The code of a call that has to fail.
pub(crate) fn refused<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    match result {
        Ok(_) => "nothing was refused".to_owned(),
        Err(error) => code(&error),
    }
}

/// Bytes without a pattern that a part size could hide behind.
pub(crate) fn bytes(len: usize, seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(step).collect()
}

/// A body that the SDK cannot read twice: over TLS its checksum comes as a trailer behind aws-chunked
/// framing, as that of a relayed part does.
pub(crate) fn streamed(bytes: Vec<u8>) -> ByteStream {
    ByteStream::new(SdkBody::from_body_1_x(Full::new(Bytes::from(bytes))))
}

pub(crate) async fn put(client: &Client, key: &str, body: &[u8]) {
    let body = ByteStream::from(body.to_vec());
    client.put_object().bucket("bucket").key(key).body(body).send().await.unwrap();
}

pub(crate) async fn get(client: &Client, key: &str) -> Vec<u8> {
    let got = client.get_object().bucket("bucket").key(key).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

pub(crate) async fn create(client: &Client, key: &str) -> String {
    let created = client.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
    created.upload_id.unwrap()
}

pub(crate) async fn part(
    client: &Client,
    key: &str,
    upload: &str,
    number: i32,
    body: Vec<u8>,
) -> CompletedPart {
    let call = client.upload_part().bucket("bucket").key(key).upload_id(upload).part_number(number);
    completed(number, &call.body(body.into()).send().await.unwrap())
}

pub(crate) fn completed(number: i32, output: &UploadPartOutput) -> CompletedPart {
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(output.e_tag.clone())
        .set_checksum_crc32(output.checksum_crc32.clone())
        .set_checksum_crc64_nvme(output.checksum_crc64_nvme.clone())
        .build()
}

pub(crate) fn list(parts: Vec<CompletedPart>) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}
