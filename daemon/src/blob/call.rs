//! One request to S3: paced, timed, counted, and its failure told in our words.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use tokio::time::Instant;

use super::classify::from_sdk;
use super::{Error, Exchange};
use crate::base::{Measure, SharedObserver};
use crate::model::{FailureClass, ObjectAddress};
use crate::remote::{Barred, Remote};

/// How long S3 may take to begin its answer.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// Completing thousands of parts takes minutes.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
pub(super) const COMPLETE_PATIENCE: Duration = Duration::from_secs(600);

/// A kind of request: S3's name for it, and the action that a policy has to allow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub api: &'static str,
    pub action: &'static str,
}

impl Operation {
    /// A request that is allowed by the action of the same name or, here, by `action`.
    pub(super) const fn new(api: &'static str, action: &'static str) -> Self {
        Self { api, action }
    }
}

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
        Exchange {
            api: operation.api,
            operation: operation.action,
            resource: self.address.resource(),
            remote: Some(self.remote.name().clone()),
            ..Exchange::default()
        }
    }

    /// An error about an answer that came, and is not one to the request.
    pub(super) fn bad_answer(&self, operation: Operation, message: impl Into<String>) -> Error {
        let message = message.into();
        Error::BadAnswer(Box::new(Exchange { message, ..self.asked(operation) }))
    }

    /// Who the remote is has to be known before anything is asked of it.
    fn not_sent(&self, operation: Operation, barred: Barred) -> Error {
        let exchange = |message| Box::new(Exchange { message, ..self.asked(operation) });
        match barred {
            Barred::Unchecked(why) => Error::Unidentified(exchange(why)),
            Barred::Wrong(why) => Error::WrongIdentity(exchange(why)),
        }
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
    ///
    /// The SDK's futures are tens of kilobytes: this one is boxed at once, so that those of the
    /// callers, and of theirs, are not.
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
        let request = Box::pin(request);
        async move {
            if let Some(barred) = self.remote.barred() {
                return Err(self.not_sent(operation, barred));
            }
            self.remote.pace().request().await;
            let begun = Instant::now();
            let deadline = async {
                sent.await;
                tokio::time::sleep(patience).await;
            };
            let answer = tokio::select! {
                answer = request => answer.map_err(|error| from_sdk(self.asked(operation), &error)),
                () = deadline => {
                    let message = format!("no answer within {} seconds", patience.as_secs());
                    Err(Error::Unanswered(Box::new(Exchange { message, ..self.asked(operation) })))
                }
            };
            let (remote, failure) = (self.remote.name().as_str(), answer.as_ref().err());
            count(self.remote.observer(), remote, operation.api, begun.elapsed(), failure);
            answer
        }
    }
}

/// Reports one request.
pub(super) fn count(
    observer: &SharedObserver,
    remote: &str,
    operation: &'static str,
    elapsed: Duration,
    error: Option<&Error>,
) {
    let class = error.map(Error::class);
    let outcome = class.map_or("ok", FailureClass::as_str);
    observer.record(Measure::Request { remote, operation, outcome, elapsed });
    if class == Some(FailureClass::Throttled) {
        observer.record(Measure::Throttled { remote });
    }
}

/// S3's client for `remote`.
pub(super) fn client(remote: &Remote) -> aws_sdk_s3::Client {
    remote.client(|config| {
        let config = aws_sdk_s3::config::Builder::from(config);
        let mut config = config.force_path_style(remote.path_style());
        config.set_endpoint_url(remote.s3_endpoint().map(str::to_owned));
        aws_sdk_s3::Client::from_conf(config.build())
    })
}
