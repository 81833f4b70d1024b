//! A TCP connection that can be cut from above: by a script, at once, with or without RST.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How a connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severed {
    /// Closed; the peer sees the end of the stream.
    Closed,
    /// Reset; the peer sees RST.
    Reset,
}

/// Shared between a connection and the requests on it.
#[derive(Debug, Default)]
pub(crate) struct Fate(AtomicU8);

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const RESET: u8 = 2;

impl Fate {
    /// From now on nothing goes through.
    pub(crate) fn sever(&self, how: Severed) {
        let state = match how {
            Severed::Closed => CLOSED,
            Severed::Reset => RESET,
        };
        self.0.store(state, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::Acquire) {
            OPEN => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the script cut this")),
        }
    }
}

/// A TCP stream below TLS or HTTP.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    fate: Arc<Fate>,
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream, fate: Arc<Fate>) -> Self {
        Self { tcp, fate }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.fate.0.load(Ordering::Acquire) == RESET {
            // Closing with zero linger is what makes the kernel send RST.
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.fate.check()?;
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.fate.check()?;
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.fate.check()?;
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fate.check()?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.fate.check()?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
