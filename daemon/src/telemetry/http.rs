//! `GET /metrics`, `/healthz` and `/readyz`, for scrapers and supervisors.
//!
//! Every connection answers one request and closes, within a bounded time, and there are only so many
//! of them: a stuck or hostile scraper costs the data path nothing.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Metrics, Snapshot};

/// More than these wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 16;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// From accepting a connection to closing it.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed accept: mostly the process is out of file descriptors, and trying at once spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server answers with.
#[derive(Clone)]
pub struct Endpoints {
    pub metrics: Arc<Metrics>,
    /// Called at every scrape; must not block.
    pub snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    /// `Err` says, in one line, why the daemon is not ready.
    pub ready: Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").finish_non_exhaustive()
    }
}

/// Serves until `stop`, then closes its connections and returns.
pub async fn serve(listener: TcpListener, endpoints: Endpoints, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let accept = async {
        // The semaphore is never closed: this ends with `stop` alone.
        while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(stream, endpoints.clone(), permit);
                    let stop = stop.clone();
                    connections.spawn(async move {
                        stop.run_until_cancelled(connection).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a telemetry connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accept).await;
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, endpoints: Endpoints, permit: OwnedSemaphorePermit) {
    let service = service_fn(|request: Request<Incoming>| {
        let endpoints = endpoints.clone();
        async move {
            Ok::<_, Infallible>(endpoints.respond(request.method(), request.uri().path()).await)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIMEOUT, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a telemetry connection broke"),
        Err(_) => tracing::debug!("a telemetry connection took too long"),
    }
    drop(permit);
}

impl Endpoints {
    async fn respond(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(path, "/metrics" | "/healthz" | "/readyz") {
            return text(StatusCode::NOT_FOUND, "not found\n");
        }
        if method != Method::GET {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        match path {
            "/metrics" => self.scrape(),
            "/readyz" => match (self.ready)().await {
                Ok(()) => text(StatusCode::OK, "ready\n"),
                Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            },
            _ => text(StatusCode::OK, "ok\n"),
        }
    }

    fn scrape(&self) -> Response<Full<Bytes>> {
        match self.metrics.render(&(self.snapshot)()) {
            Ok(exposition) => {
                let mut response = text(StatusCode::OK, exposition);
                let format = HeaderValue::from_static(prometheus::TEXT_FORMAT);
                response.headers_mut().insert(CONTENT_TYPE, format);
                response
            }
            Err(error) => {
                tracing::error!(%error, "cannot render the metrics");
                text(StatusCode::INTERNAL_SERVER_ERROR, "cannot render the metrics\n")
            }
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
