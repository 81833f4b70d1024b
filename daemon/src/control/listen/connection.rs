//! One connection: bytes both ways, and whose they are.
//!
//! # Invariants
//! - Who sends nothing at first, or takes nothing of what it asked for, is cut off; so is who was let in
//!   by certificates that are not in force any more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use crate::control::access::Caller;

/// Until the first bytes have come.
const FIRST_BYTES: Duration = Duration::from_secs(10);
/// For which the other end may take nothing of what is sent.
const UNREAD: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) enum Wire {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Connection {
    wire: Wire,
    caller: Caller,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Runs until the first bytes come, and while a write waits.
    patience: Pin<Box<Sleep>>,
    awaits: Awaits,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    FirstBytes,
    Nothing,
    Room,
}

impl Connection {
    pub(super) fn new(
        wire: Wire,
        caller: Caller,
        cut: WaitForCancellationFutureOwned,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let patience = Box::pin(tokio::time::sleep(FIRST_BYTES));
        let (cut, awaits) = (Box::pin(cut), Awaits::FirstBytes);
        Self { wire, caller, cut, patience, awaits, _permit: permit }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut off"));
        }
        if self.awaits != Awaits::Nothing && self.patience.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client is too slow"));
        }
        Ok(())
    }

    /// Notes whether what was written could be taken.
    fn wrote<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match (&written, self.awaits) {
            (Poll::Pending, Awaits::Nothing) => {
                self.awaits = Awaits::Room;
                self.patience.as_mut().reset(Instant::now() + UNREAD);
                // So that this task is woken when it runs out.
                self.check(context)?;
            }
            (Poll::Ready(_), Awaits::Room) => self.awaits = Awaits::Nothing,
            _ => {}
        }
        written
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

macro_rules! of_wire {
    ($wire:expr, $stream:ident => $call:expr) => {
        match $wire {
            Wire::Unix($stream) => $call,
            Wire::Tcp($stream) => $call,
            Wire::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        let before = buffer.filled().len();
        ready!(of_wire!(&mut self.wire, s => Pin::new(s).poll_read(context, buffer)))?;
        if self.awaits == Awaits::FirstBytes && buffer.filled().len() > before {
            self.awaits = Awaits::Nothing;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written = of_wire!(&mut self.wire, s => Pin::new(s).poll_write(context, bytes));
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        let written =
            of_wire!(&mut self.wire, s => Pin::new(s).poll_write_vectored(context, slices));
        self.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        of_wire!(&self.wire, s => s.is_write_vectored())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        let flushed = of_wire!(&mut self.wire, s => Pin::new(s).poll_flush(context));
        self.wrote(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_wire!(&mut self.wire, s => Pin::new(s).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::control::access::{Pacing, Who};

    fn connection() -> (Connection, UnixStream, CancellationToken) {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let pacing = Pacing {
            requests_per_second: NonZeroU32::MIN,
            submissions_per_second: NonZeroU32::MIN,
        };
        let cut = CancellationToken::new();
        let caller = Caller::new(Who::Unknown, pacing, cut.clone());
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("one");
        let cut_off = cut.clone().cancelled_owned();
        (Connection::new(Wire::Unix(ours), caller, cut_off, permit), theirs, cut)
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_and_says_nothing_is_cut_off_and_who_spoke_may_be_silent() {
        let (mut silent, _theirs, _) = connection();
        let began = Instant::now();
        let error = silent.read_u8().await.expect_err("nothing came");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));

        let (mut spoke, mut theirs, _) = connection();
        theirs.write_all(b"a").await.expect("room");
        assert_eq!(spoke.read_u8().await.expect("a byte"), b'a');
        let later = tokio::time::timeout(Duration::from_secs(3600), spoke.read_u8()).await;
        later.expect_err("it waits, and is not cut off");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_for_a_minute_is_cut_off() {
        let (mut full, mut theirs, _) = connection();
        theirs.write_all(b"a").await.expect("room");
        full.read_u8().await.expect("a byte");
        let began = Instant::now();
        let error = full.write_all(&[0; 16 << 20]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 60));
    }

    #[tokio::test]
    async fn a_cut_ends_a_read_that_waits() {
        let (mut open, _theirs, cut) = connection();
        let read = tokio::spawn(async move { open.read_u8().await });
        cut.cancel();
        let error = read.await.expect("no panic").expect_err("cut off");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
