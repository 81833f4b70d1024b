//! The floor on tokio and hyper: the body of a ranged GET is handed on, frame by frame, as the body of
//! a PUT.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::Context as _;
use bytes::Bytes;
use causewayd::integrity::PartHasher;
use http_body_util::{BodyExt as _, Either, Empty};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::Arguments;
use super::client::Endpoint;
use super::work::{Part, Work};

/// As many as causeway has on the machine that the comparison is meant for.
const WORKERS: usize = 2;

type Outgoing = Either<Empty<Bytes>, Hashed>;

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let source = Endpoint::new(arguments.source, &arguments.source_ca, &arguments.source_key)?;
    let target = Endpoint::new(arguments.target, &arguments.target_ca, &arguments.target_key)?;
    let mut control = target.connect()?;
    let work = Arc::new(Work::begin(arguments, &mut control)?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    runtime.block_on(async {
        let mut relays = JoinSet::new();
        for _ in 0..arguments.connections {
            relays.spawn(relay(source.clone(), target.clone(), Arc::clone(&work)));
        }
        while let Some(end) = relays.join_next().await {
            end??;
        }
        anyhow::Ok(())
    })?;
    drop(runtime);
    Arc::into_inner(work).context("a relay still runs")?.complete(&mut control)
}

async fn relay(source: Endpoint, target: Endpoint, work: Arc<Work>) -> anyhow::Result<()> {
    let (mut reading, mut writing) = (connect(&source).await?, connect(&target).await?);
    while let Some((index, part)) = work.take() {
        let hasher = Arc::new(Mutex::new(Some(PartHasher::new(part.object_size, part.range))));
        let get = get(&source, part)?;
        reading.ready().await?;
        let got = reading.send_request(get).await?;
        anyhow::ensure!(got.status() == 206, "GET {}: {}", part.source, got.status());
        let put = put(&target, part, got, Arc::clone(&hasher))?;
        writing.ready().await?;
        let answer = writing.send_request(put).await?;
        anyhow::ensure!(answer.status() == 200, "PUT {}: {}", part.target, answer.status());
        let etag = answer.headers().get(header::ETAG).context("no ETag")?.to_str()?.to_owned();
        // Read to its end, so that the connection can be used again.
        answer.into_body().collect().await?;
        let hasher = hasher.lock().unwrap_or_else(PoisonError::into_inner).take();
        work.finish(index, etag, hasher.context("no hasher")?.finish()?);
    }
    Ok(())
}

async fn connect(endpoint: &Endpoint) -> anyhow::Result<SendRequest<Outgoing>> {
    let socket = TcpStream::connect(endpoint.address).await?;
    socket.set_nodelay(true)?;
    let tls =
        TlsConnector::from(Arc::clone(&endpoint.tls)).connect(endpoint.name(), socket).await?;
    let (sender, connection) = handshake(TokioIo::new(tls)).await?;
    // It ends with its sender.
    tokio::spawn(connection);
    Ok(sender)
}

fn get(endpoint: &Endpoint, part: &Part) -> anyhow::Result<Request<Outgoing>> {
    let request = Request::get(&part.source)
        .header(header::HOST, "127.0.0.1")
        .header(header::AUTHORIZATION, &endpoint.authorization)
        .header(header::RANGE, part.range.header());
    Ok(request.body(Either::Left(Empty::new()))?)
}

fn put(
    endpoint: &Endpoint,
    part: &Part,
    got: Response<Incoming>,
    hasher: Arc<Mutex<Option<PartHasher>>>,
) -> anyhow::Result<Request<Outgoing>> {
    let request = Request::put(&part.target)
        .header(header::HOST, "127.0.0.1")
        .header(header::AUTHORIZATION, &endpoint.authorization)
        .header(header::CONTENT_LENGTH, part.range.len);
    Ok(request.body(Either::Right(Hashed { body: got.into_body(), hasher }))?)
}

/// A body that is hashed as it passes.
struct Hashed {
    body: Incoming,
    /// Shared with whoever wants the digest in the end; nobody else takes the lock meanwhile.
    hasher: Arc<Mutex<Option<PartHasher>>>,
}

impl Body for Hashed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { body, hasher } = self.get_mut();
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let (Some(bytes), Ok(mut hasher)) = (frame.data_ref(), hasher.lock())
            && let Some(hasher) = hasher.as_mut()
        {
            hasher.update(bytes);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
