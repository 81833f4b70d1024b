//! An end for answers that are documents: the SDK reads one whole, into memory, before anybody looks at it.
//!
//! Servers exist that answer any question with the object, and an object has gigabytes.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// A page of 1,000 keys of 1,024 bytes, each byte written as an entity, is 6 MiB; S3 has no longer one.
const BYTES_MAX: usize = 16 << 20;
/// The one request whose good answer is no document.
const STREAMED: &str = "GetObject";

/// The document is not one of S3's.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {} MiB, and should be a document", BYTES_MAX >> 20)]
struct TooLong;

/// Puts the end on each answer.
#[derive(Debug)]
pub(super) struct Bounded;

impl Intercept for Bounded {
    fn name(&self) -> &'static str {
        "Bounded"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response_mut();
        let is_get = config.load::<Metadata>().is_some_and(|asked| asked.name() == STREAMED);
        if !(is_get && answer.status().is_success()) {
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = bounded(body);
        }
        Ok(())
    }
}

fn bounded(body: SdkBody) -> SdkBody {
    let named = |error: BoxError| match error.is::<LengthLimitError>() {
        true => TooLong.into(),
        false => error,
    };
    SdkBody::from_body_1_x(Limited::new(body, BYTES_MAX).map_err(named))
}
