//! One connection's bytes, over TLS or in the clear: read in frames of up to a quarter of a mebibyte,
//! written as much at a time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

use super::buffers::Buffers;
use super::outgoing::Outgoing;
use super::tls::Session;

/// So much that waits is written before more is asked for: what is encrypted is in the cache still.
const WRITE_AT: usize = 64 << 10;

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: TcpStream,
    tls: Option<Box<Session>>,
    outgoing: Outgoing,
    buffers: Buffers,
    ended: bool,
    tag: Tag,
}

/// What is known of a connection outside of it.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    poisoned: Arc<AtomicBool>,
}

impl Wire {
    /// In the clear.
    pub(super) fn plain(tcp: TcpStream, buffers: Buffers) -> Self {
        let poisoned = Arc::default();
        let tag = Tag { local: tcp.local_addr().ok(), remote: tcp.peer_addr().ok(), poisoned };
        let outgoing = Outgoing::new(buffers.clone());
        Self { tcp, tls: None, outgoing, buffers, ended: false, tag }
    }

    /// Over TLS, with a server that proved to be `name`.
    pub(super) async fn encrypted(
        tcp: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        buffers: Buffers,
    ) -> io::Result<Self> {
        let mut this = Self::plain(tcp, buffers);
        let session =
            Session::handshake(&mut this.tcp, config, name, &mut this.outgoing, &this.buffers);
        this.tls = Some(Box::new(session.await?));
        Ok(this)
    }

    pub(super) fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The next frame, never empty; `None` at the end.
    ///
    /// # Errors
    /// Where it breaks, over TLS also where it ends without a goodbye.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        while !self.ended {
            ready!(self.tcp.poll_read_ready(cx))?;
            let frame = match &mut self.tls {
                Some(session) => {
                    let mut incoming = session.incoming(&self.buffers)?;
                    match ready!(read(&mut self.tcp, cx, incoming.room()))? {
                        0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                        read => incoming.filled(read),
                    }
                    let frame = session.decrypt(incoming, &mut self.outgoing)?;
                    self.ended = session.ended();
                    // What TLS answers by itself. If that fails, the next write tells.
                    let _ = self.outgoing.poll_send(&mut self.tcp, cx);
                    frame
                }
                None => {
                    let mut buffer = self.buffers.lend();
                    let read = ready!(read(&mut self.tcp, cx, &mut buffer))?;
                    self.ended = read == 0;
                    buffer.freeze(read)
                }
            };
            if !frame.is_empty() {
                return Poll::Ready(Ok(Some(frame)));
            }
        }
        Poll::Ready(Ok(None))
    }

    /// Takes as much of `bytes` as there is room for, and writes when much waits. Ready with how much
    /// was taken; pending while nothing more should be.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.outgoing.len() >= WRITE_AT || self.outgoing.is_begun() {
            ready!(self.poll_flush(cx))?;
        }
        let taken = match &mut self.tls {
            Some(session) => session.encrypt(bytes, &mut self.outgoing)?,
            None => self.outgoing.copy(bytes),
        };
        if self.outgoing.len() >= WRITE_AT {
            // What is left is waited for by the next call.
            let _ = self.outgoing.poll_send(&mut self.tcp, cx)?;
        }
        Poll::Ready(Ok(taken))
    }

    /// Ready once everything that was taken is with the kernel.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_send(&mut self.tcp, cx)
    }

    /// Whether the peer has neither closed an idle connection nor said anything that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.poll_read(&mut cx).is_pending() && self.outgoing.len() == 0 && !self.tag.is_poisoned()
    }
}

impl Drop for Wire {
    /// Says goodbye, if the kernel takes it at once.
    fn drop(&mut self) {
        if let Some(session) = &mut self.tls
            && self.outgoing.len() == 0
        {
            session.say_goodbye(&mut self.outgoing);
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let _ = self.outgoing.poll_send(&mut self.tcp, &mut cx);
        }
    }
}

impl Tag {
    /// The connection is to be closed once its answer is over.
    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }
}

fn read(tcp: &mut TcpStream, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut room = ReadBuf::new(room);
    ready!(Pin::new(tcp).poll_read(cx, &mut room))?;
    Poll::Ready(Ok(room.filled().len()))
}
