//! Accepts connections and serves HTTP/1.1 on each, below TLS or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gate::Gate;
use crate::wire::{Fate, Wire};

/// How much of a body hyper holds for one connection in either direction.
const BUFFER_BYTES: usize = 512 * 1024;

/// Runs until `stop`; each connection is a task of `tasks`.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    gate: Gate,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // The peer may be gone before it was accepted; the next one is not.
        let Ok((tcp, _)) = accepted else { continue };
        let connection = connection(tcp, tls.clone(), gate.clone());
        let stop = stop.clone();
        tasks.spawn(async move { stop.run_until_cancelled(connection).await });
    }
}

/// Counts a connection for as long as it is open.
struct Open<'a>(&'a AtomicU64);

impl<'a> Open<'a> {
    fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(tcp: TcpStream, tls: Option<Arc<ServerConfig>>, gate: Gate) {
    let recorder = gate.recorder();
    recorder.connections.fetch_add(1, Ordering::Relaxed);
    let _open = Open::new(&recorder.connections_open);
    let fate = Arc::new(Fate::default());
    // Without it the last bytes of an answer wait for the peer's delayed acknowledgement.
    let _ = tcp.set_nodelay(true);
    let wire = Wire::new(tcp, Arc::clone(&fate));
    match tls {
        None => http(wire, gate.clone(), fate).await,
        Some(tls) => match TlsAcceptor::from(tls).accept(wire).await {
            Ok(stream) => http(stream, gate.clone(), fate).await,
            Err(error) => tracing::debug!(%error, "TLS handshake failed"),
        },
    }
}

async fn http<S>(stream: S, gate: Gate, fate: Arc<Fate>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (gate, fate) = (gate.clone(), Arc::clone(&fate));
        async move { gate.handle(request, fate).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}
