//! One request to EC2 or SSM, or its rehearsal, and the clients that send it.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextMut,
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use http_body_util::Limited;

use super::{Error, Images};
use crate::model::FailureClass;
use crate::remote::{ANSWER_PATIENCE, Exchange, Fault, Operation, Remote, ServiceError};

/// The SDK holds an answer whole. A page of a thousand images has a few MiB.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// What EC2 says instead of doing what it would do.
const WOULD_SUCCEED: &str = "DryRunOperation";

impl Images {
    /// An error about an answer that came, and is not one to the request.
    pub(super) fn bad_answer(&self, operation: Operation, about: &str, message: &str) -> Error {
        Error::BadAnswer(self.told(operation, about, message))
    }

    /// The id that a creating request has to be answered with. Without one it may have taken effect all the
    /// same, which is for the caller to find out.
    pub(super) fn created(
        &self,
        operation: Operation,
        about: &str,
        id: Option<String>,
    ) -> Result<String, Error> {
        id.filter(|id| !id.is_empty()).ok_or_else(|| {
            Error::Unanswered(self.told(operation, about, "the answer does not name what was made"))
        })
    }

    /// The word of EC2 that it did it: it says so, or an error, and both at once is neither.
    pub(super) fn confirmed(
        &self,
        operation: Operation,
        about: &str,
        done: Option<bool>,
    ) -> Result<(), Error> {
        match done {
            Some(false) => Err(Error::Unanswered(self.told(
                operation,
                about,
                "the answer says neither yes nor no",
            ))),
            Some(true) | None => Ok(()),
        }
    }

    pub(super) fn told(&self, operation: Operation, about: &str, message: &str) -> Box<Exchange> {
        let asked = self.remote.asked(operation, about.to_owned());
        Box::new(Exchange { message: message.to_owned(), ..asked })
    }

    /// Sends a request about `about`.
    pub(super) fn call<T, E>(
        &self,
        operation: Operation,
        about: &str,
        request: impl Future<Output = Result<T, SdkError<E, Response>>> + Send,
    ) -> impl Future<Output = Result<T, Error>> + Send
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        self.send(operation, about, request)
    }

    /// Sends a request that has the parameter `DryRun` set.
    pub(super) fn rehearse<T, E>(
        &self,
        operation: Operation,
        about: &str,
        request: impl Future<Output = Result<T, SdkError<E, Response>>> + Send,
    ) -> impl Future<Output = Result<(), Error>> + Send
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let sent = self.send::<T, E, Rehearsed>(operation, about, request);
        async move {
            match sent.await {
                Err(Rehearsed::WouldSucceed) => Ok(()),
                Err(Rehearsed::Error(error)) => Err(error),
                Ok(_) => {
                    Err(self.bad_answer(operation, about, "the server ignores DryRun, and did it"))
                }
            }
        }
    }

    fn send<T, E, X>(
        &self,
        operation: Operation,
        about: &str,
        request: impl Future<Output = Result<T, SdkError<E, Response>>> + Send,
    ) -> impl Future<Output = Result<T, X>> + Send
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        X: ServiceError,
    {
        let asked = move || self.remote.asked(operation, about.to_owned());
        self.remote.send(operation.api, ANSWER_PATIENCE, async {}, request, asked)
    }
}

/// What ends a rehearsal.
enum Rehearsed {
    WouldSucceed,
    Error(Error),
}

impl From<Fault> for Rehearsed {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(told) if told.code.as_deref() == Some(WOULD_SUCCEED) => {
                Self::WouldSucceed
            }
            fault => Self::Error(fault.into()),
        }
    }
}

impl ServiceError for Rehearsed {
    fn outcome(&self) -> Option<FailureClass> {
        match self {
            Self::WouldSucceed => None,
            Self::Error(error) => Some(error.class()),
        }
    }
}

/// Keeps an answer that does not end out of memory.
#[derive(Debug)]
struct AnswerLimit;

impl Intercept for AnswerLimit {
    fn name(&self) -> &'static str {
        "AnswerLimit"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response_mut();
        let body = Limited::new(answer.take_body(), ANSWER_BYTES_MAX);
        *answer.body_mut() = SdkBody::from_body_1_x(body);
        Ok(())
    }
}

/// Refuses an answer of EC2 that breaks off: the SDK takes as much of a document as there is, and a list that
/// is shorter than it should be for the whole.
#[derive(Debug)]
struct Whole;

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What is wrong with it is told already.
        if context.output_or_error().is_err() {
            return Ok(());
        }
        let answer = context.response();
        let body = answer.body().bytes().unwrap_or_default().trim_ascii_end();
        // `</DescribeImagesResponse>` and the like end every yes; what ends in `</Response>` is a no.
        let is_yes = body.ends_with(b"Response>") && !body.ends_with(b"</Response>");
        match answer.status().is_success() && !is_yes {
            true => Err("the answer breaks off, or is none of EC2's".into()),
            false => Ok(()),
        }
    }
}

/// EC2's client for `remote`.
pub(super) fn ec2(remote: &Remote) -> aws_sdk_ec2::Client {
    remote.client(|config| {
        let mut config = aws_sdk_ec2::config::Builder::from(config);
        config = config.interceptor(AnswerLimit).interceptor(Whole);
        config.set_endpoint_url(remote.ec2_endpoint().map(str::to_owned));
        aws_sdk_ec2::Client::from_conf(config.build())
    })
}

/// SSM's client for `remote`.
pub(super) fn ssm(remote: &Remote) -> aws_sdk_ssm::Client {
    remote.client(|config| {
        let mut config = aws_sdk_ssm::config::Builder::from(config).interceptor(AnswerLimit);
        config.set_endpoint_url(remote.ssm_endpoint().map(str::to_owned));
        aws_sdk_ssm::Client::from_conf(config.build())
    })
}
