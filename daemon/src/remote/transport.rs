//! The HTTP transport under every AWS client of one remote: dialing, TLS, the pool of connections.
//!
//! hyper speaks HTTP. What is our own is below it: TLS over sockets that are read and written a quarter
//! of a mebibyte at a time, since buffered rustls reads 4 KiB at a time and the kernel's part in moving a
//! byte is more than half of its cost.

mod buffers;
mod dial;
mod tls;

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
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
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::trust;
use dial::Dial;

/// How long a connection may take, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// S3 closes idle connections itself; a request sent into one that it just closed is lost.
pub const POOL_IDLE: Duration = Duration::from_secs(60);
/// The most that hyper reads into one frame. Frames are hashed while they are warm: a second-level
/// cache holds a few of these.
const FRAME_BYTES_MAX: usize = 256 << 10;

type Error = Box<dyn StdError + Send + Sync>;

/// The client that all of a remote's services share, and with it the pool.
///
/// # Errors
/// Where the bundle cannot be read or used.
pub fn client(ca_bundle: Option<&Path>) -> Result<SharedHttpClient, trust::Error> {
    let pem = ca_bundle.map(std::fs::read).transpose()?;
    let dial = Dial::new(Arc::new(tls::config(pem.as_deref())?));
    let pool = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(FRAME_BYTES_MAX)
        .build(dial);
    Ok(SharedHttpClient::new(Transport { pool }))
}

#[derive(Debug, Clone)]
struct Transport {
    pool: legacy::Client<Dial, SdkBody>,
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
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let connection = capture_connection(&mut request);
        if let Some(asked) = request.extensions().get::<CaptureSmithyConnection>() {
            asked.set_connection_retriever(move || metadata(&connection));
        }
        let answer = self.pool.request(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|error| told(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The connection that a request went over, which the SDK closes when it looks broken.
fn metadata(captured: &CaptureConnection) -> Option<ConnectionMetadata> {
    let extras = {
        let connected = captured.connection_metadata();
        let mut extras = http::Extensions::new();
        connected.as_ref()?.get_extras(&mut extras);
        extras
    };
    let addresses = extras.get::<HttpInfo>();
    let captured = captured.clone();
    let mut builder = ConnectionMetadata::builder().proxied(false).poison_fn(move || {
        if let Some(connected) = captured.connection_metadata().as_ref() {
            connected.poison();
        }
    });
    builder
        .set_local_addr(addresses.map(HttpInfo::local_addr))
        .set_remote_addr(addresses.map(HttpInfo::remote_addr));
    Some(builder.build())
}

/// hyper's error in the SDK's terms.
fn told(error: Error) -> ConnectorError {
    if found::<dial::TimedOut>(&*error).is_some() {
        return ConnectorError::timeout(error);
    }
    let is_dialing = found::<legacy::Error>(&*error).is_some_and(legacy::Error::is_connect);
    if is_dialing || found::<std::io::Error>(&*error).is_some() {
        return ConnectorError::io(error);
    }
    match found::<hyper::Error>(&*error) {
        Some(why) if why.is_user() => ConnectorError::user(error),
        Some(why) if why.is_closed() || why.is_canceled() => ConnectorError::io(error),
        Some(why) if why.is_incomplete_message() => {
            ConnectorError::other(error, Some(ErrorKind::TransientError))
        }
        _ => ConnectorError::other(error, None),
    }
}

/// The first of the errors behind `error` that is an `E`.
fn found<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        // An I/O error's `source` leaves out the error that it carries.
        Some(io) => io.get_ref().map(|inner| inner as _),
        None => error.source(),
    })
    .find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests;
