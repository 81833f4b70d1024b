//! One request to S3: paced, timed, counted, and its failure told in our words.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;

use super::{Error, Exchange, document};
use crate::model::ObjectAddress;
use crate::remote::Remote;
pub(super) use crate::remote::{ANSWER_PATIENCE, Operation};

/// Completing thousands of parts takes minutes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
pub(super) const COMPLETE_PATIENCE: Duration = Duration::from_secs(600);

/// One key, or one bucket, at one remote, and the client to ask about it.
#[derive(Clone)]
pub(super) struct Caller {
    pub remote: Arc<Remote>,
    pub client: aws_sdk_s3::Client,
    pub address: ObjectAddress,
}

impl Caller {
    pub(super) fn new(remote: Arc<Remote>, address: ObjectAddress) -> Self {
        let client = client(&remote);
        Self { remote, client, address }
    }

    /// What is asked, before there is an answer.
    pub(super) fn asked(&self, operation: Operation) -> Exchange {
        self.remote.asked(operation, self.address.resource())
    }

    /// An error about an answer that came, and is not one to the request.
    pub(super) fn bad_answer(&self, operation: Operation, message: impl Into<String>) -> Error {
        let message = message.into();
        Error::BadAnswer(Box::new(Exchange { message, ..self.asked(operation) }))
    }

    /// Sends `request`, which has to be answered within [`ANSWER_PATIENCE`].
    pub(super) fn call<T, E>(
        &self,
        operation: Operation,
        request: impl Future<Output = Result<T, SdkError<E, Response>>> + Send,
    ) -> impl Future<Output = Result<T, Error>> + Send
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        self.call_within(operation, ANSWER_PATIENCE, async {}, request)
    }

    /// Sends `request`, which has to be answered within `patience` from when `sent` is over.
    pub(super) fn call_within<T, E>(
        &self,
        operation: Operation,
        patience: Duration,
        sent: impl Future<Output = ()> + Send,
        request: impl Future<Output = Result<T, SdkError<E, Response>>> + Send,
    ) -> impl Future<Output = Result<T, Error>> + Send
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        self.remote.send(operation.api, patience, sent, request, move || self.asked(operation))
    }
}

/// S3's client for `remote`.
pub(super) fn client(remote: &Remote) -> aws_sdk_s3::Client {
    remote.client(|config| {
        let config = aws_sdk_s3::config::Builder::from(config);
        let mut config = config.force_path_style(remote.path_style());
        config.set_endpoint_url(remote.s3_endpoint().map(str::to_owned));
        aws_sdk_s3::Client::from_conf(config.interceptor(document::Bounded).build())
    })
}
