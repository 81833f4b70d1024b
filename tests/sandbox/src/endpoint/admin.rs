//! The admin port: counters, faults and habits for tests that run in another process. JSON over
//! plain HTTP on loopback.
//!
//! `GET /_sandbox/stats` · `GET|POST|DELETE /_sandbox/faults` · `GET|POST /_sandbox/habits` ·
//! `GET /_sandbox/uploads` · `GET /_sandbox/quotas`, EC2's admissions. POST replaces what was there.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Shared;
use crate::fault::FaultScript;
use crate::lock::lock;

/// A script of thousands of faults fits.
const BODY_BYTES_MAX: usize = 4 << 20;

type Answer = Response<Full<Bytes>>;

/// Runs until `stop`.
pub(super) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else { continue };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(answer(&shared, request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
        let stop = stop.clone();
        // How the connection ends is the client's business.
        tasks.spawn(async move { stop.run_until_cancelled(connection).await.map(drop) });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/_sandbox/stats") => json(&shared.recorder.snapshot()),
        (&Method::GET, "/_sandbox/faults") => json(&shared.faults.script()),
        (&Method::POST, "/_sandbox/faults") => match read(body).await {
            Ok(script) => {
                shared.faults.set(script);
                json(&shared.faults.script())
            }
            Err(reason) => refused(&reason),
        },
        (&Method::DELETE, "/_sandbox/faults") => {
            shared.faults.set(FaultScript::default());
            json(&shared.faults.script())
        }
        (&Method::GET, "/_sandbox/habits") => json(&shared.partition.habits()),
        (&Method::POST, "/_sandbox/habits") => match read(body).await {
            Ok(habits) => {
                *lock(&shared.partition.habits) = habits;
                json(&shared.partition.habits())
            }
            Err(reason) => refused(&reason),
        },
        (&Method::GET, "/_sandbox/uploads") => json(&uploads(shared)),
        (&Method::GET, "/_sandbox/quotas") => json(&shared.cloud.ec2.quotas()),
        _ => text(StatusCode::NOT_FOUND, "no such thing\n"),
    }
}

/// An open upload, as the admin port shows it.
#[derive(Debug, Serialize)]
struct OpenUpload {
    bucket: String,
    key: String,
    upload_id: String,
    /// Numbers of the parts that are there.
    parts: Vec<u32>,
}

fn uploads(shared: &Shared) -> Vec<OpenUpload> {
    let all = shared.partition.store.each_bucket(|name, bucket| {
        let open = bucket.uploads.values().map(|upload| OpenUpload {
            bucket: name.to_owned(),
            key: upload.key.clone(),
            upload_id: upload.upload_id.clone(),
            parts: upload.parts.keys().copied().collect(),
        });
        open.collect::<Vec<_>>()
    });
    all.into_iter().flatten().collect()
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, String> {
    let limited = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let bytes = limited.map_err(|error| error.to_string())?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec_pretty(value) {
        Ok(json) => Response::new(Full::new(json.into())),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn refused(reason: &str) -> Answer {
    text(StatusCode::BAD_REQUEST, reason)
}

fn text(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}
