//! The HTTP transport under every AWS client of one remote: dialing, TLS, the pool of connections, and
//! HTTP/1.1 itself.
//!
//! Ours, because the cost of moving a byte is what this program is measured by. A frame is read and
//! decrypted into a buffer that the cache still holds, and from there encrypted into the one that is
//! written, in the task that carries the part: it crosses no channel and wakes nobody. What we do not
//! need is not here: HTTP/2, proxies, upgrades, bodies of requests without a length.

mod body;
mod buffers;
mod chunked;
mod client;
mod dial;
mod exchange;
mod head;
mod outgoing;
mod pool;
mod tls;
mod wire;

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use http::header::EXPIRES;
use http::{HeaderMap, HeaderValue};

use super::server_clock::ServerClock;
use super::trust;
use client::Client;
use dial::Dial;
use wire::Tag;

/// How long a connection may take, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// S3 closes idle connections itself; a request sent into one that it just closed is lost.
pub const POOL_IDLE: Duration = Duration::from_secs(60);

type BoxError = Box<dyn StdError + Send + Sync>;

/// Why there is no answer, or no more of one.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot connect")]
    Connect(#[source] BoxError),
    #[error("cannot read from the connection")]
    Read(#[source] io::Error),
    #[error("cannot write to the connection")]
    Write(#[source] io::Error),
    #[error("the connection was closed before the answer was whole")]
    Incomplete,
    #[error("the answer's head is malformed")]
    Head(#[source] httparse::Error),
    #[error("the answer cannot be taken: {0}")]
    Answer(&'static str),
    #[error("the request's body failed")]
    Body(#[source] BoxError),
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
}

impl Error {
    /// Whether the connection broke, and nothing else is known to be wrong.
    fn is_lost(&self) -> bool {
        matches!(self, Self::Read(_) | Self::Write(_) | Self::Incomplete)
    }

    /// In the SDK's terms.
    fn told(self) -> ConnectorError {
        match self {
            Self::Connect(why) if why.is::<dial::TimedOut>() => {
                ConnectorError::timeout(Self::Connect(why).into())
            }
            Self::Connect(_) | Self::Read(_) | Self::Write(_) => ConnectorError::io(self.into()),
            Self::Incomplete => ConnectorError::other(self.into(), Some(ErrorKind::TransientError)),
            Self::Body(_) | Self::Request(_) => ConnectorError::user(self.into()),
            Self::Head(_) | Self::Answer(_) => ConnectorError::other(self.into(), None),
        }
    }
}

/// The client that all of a remote's services share, and with it the pool. `clock` hears of each answer.
///
/// # Errors
/// Where the bundle cannot be read or used.
pub(super) fn client(
    ca_bundle: Option<&Path>,
    clock: ServerClock,
) -> Result<SharedHttpClient, trust::Error> {
    let pem = ca_bundle.map(std::fs::read).transpose()?;
    let dial = Dial::new(Arc::new(tls::config(pem.as_deref())?));
    Ok(SharedHttpClient::new(Transport { client: Client::new(dial), clock }))
}

#[derive(Debug, Clone)]
struct Transport {
    client: Client,
    clock: ServerClock,
}

impl HttpClient for Transport {
    /// The SDK's timeouts are not used: this has its own for connecting, and `blob` one for answers.
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let used = Arc::new(Mutex::new(None));
        if let Some(asked) = request.extensions().get::<CaptureSmithyConnection>() {
            let used = Arc::clone(&used);
            asked.set_connection_retriever(move || {
                used.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(metadata)
            });
        }
        let (client, clock) = (self.client.clone(), self.clock.clone());
        HttpConnectorFuture::new(async move {
            let seen = |tag: &Tag| {
                *used.lock().unwrap_or_else(PoisonError::into_inner) = Some(tag.clone());
            };
            let mut answer = client.send(request, seen).await.map_err(Error::told)?;
            clock.see(answer.headers());
            leave_out_illegible(answer.headers_mut());
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Leaves out an `Expires` that is no text. aws-sdk-s3 1.157 takes for granted that it is (s3_expires_interceptor.rs)
/// and panics; and nobody could write it to the target as it stands.
fn leave_out_illegible(headers: &mut HeaderMap) {
    let is_text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).is_ok();
    if !headers.get_all(EXPIRES).iter().all(is_text) {
        headers.remove(EXPIRES);
        tracing::warn!("an answer's Expires is no text: it is left out");
    }
}

/// The connection that a request went over, which the SDK closes when it looks broken.
fn metadata(tag: &Tag) -> ConnectionMetadata {
    let poisoned = tag.clone();
    let mut builder =
        ConnectionMetadata::builder().proxied(false).poison_fn(move || poisoned.poison());
    builder.set_local_addr(tag.local).set_remote_addr(tag.remote);
    builder.build()
}

#[cfg(test)]
mod tests;
