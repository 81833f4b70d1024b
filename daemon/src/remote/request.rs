//! One request to a service of AWS: only to a remote that is who it should be, at the pace of its limits, with
//! an end, and counted. The SDK's clients know of none of these.

use std::time::Duration;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::Instant;

use super::{Exchange, Fault, Remote, ServiceError};
use crate::base::{Measure, SharedObserver};
use crate::model::FailureClass;

/// How long a service may take to begin its answer.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// A kind of request: AWS's name for it, and the action that a policy has to allow.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub api: &'static str,
    pub action: &'static str,
}

impl Operation {
    /// A request that is allowed by the action of the same name or, with S3, by another.
    pub const fn new(api: &'static str, action: &'static str) -> Self {
        Self { api, action }
    }
}

impl Remote {
    /// What is asked about `resource`, before there is an answer.
    pub fn asked(&self, operation: Operation, resource: String) -> Exchange {
        Exchange {
            api: operation.api,
            operation: operation.action,
            resource,
            remote: Some(self.name().clone()),
            ..Exchange::default()
        }
    }

    /// Sends `request`, which has to be answered within `patience` from when `sent` is over. What `asked`
    /// says is asked of it has the name `api`.
    ///
    /// The SDK's futures are tens of kilobytes: this one is boxed at once, so that those of the
    /// callers, and of theirs, are not.
    pub fn send<T, E, X>(
        &self,
        api: &'static str,
        patience: Duration,
        sent: impl Future<Output = ()> + Send,
        request: impl Future<Output = Result<T, SdkError<E, Response>>> + Send,
        asked: impl Fn() -> Exchange + Send,
    ) -> impl Future<Output = Result<T, X>> + Send
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        X: ServiceError,
    {
        let request = Box::pin(request);
        async move {
            if let Some(barred) = self.barred() {
                return Err(Fault::barred(asked(), barred).into());
            }
            self.pace().request().await;
            let begun = Instant::now();
            let deadline = async {
                sent.await;
                tokio::time::sleep(patience).await;
            };
            let answer = tokio::select! {
                answer = request => answer.map_err(|e| Fault::of_sdk(asked(), &e, X::region)),
                () = deadline => Err(Fault::late(asked(), patience)),
            };
            let answer = answer.map_err(X::from);
            let class = answer.as_ref().err().and_then(X::outcome);
            count(self.observer(), self.name().as_str(), api, begun.elapsed(), class);
            answer
        }
    }
}

/// Reports one request, which failed where it has a class.
pub fn count(
    observer: &SharedObserver,
    remote: &str,
    operation: &'static str,
    elapsed: Duration,
    class: Option<FailureClass>,
) {
    let outcome = class.map_or("ok", FailureClass::as_str);
    observer.record(Measure::Request { remote, operation, outcome, elapsed });
    if class == Some(FailureClass::Throttled) {
        observer.record(Measure::Throttled { remote });
    }
}
