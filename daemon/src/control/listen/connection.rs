//! One connection: bytes both ways, and whose they are.
//!
//! # Invariants
//! - Who does not speak HTTP/2 at first, takes nothing of what it asked for, or does not end what it asks, is cut
//!   off; so is who was let in by certificates that are not in force any more, or by a role that a reload took
//!   away: places are for those who have one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use super::Guard;
use super::guard::Admission;
use super::places::Place;
use crate::control::access::Caller;

/// Until HTTP/2's preface has come: from there on who is silent is asked whether it is there.
const FIRST_BYTES: Duration = Duration::from_secs(10);
/// Its length (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
/// For its streams to be told that the role is gone.
const FAREWELL: Duration = Duration::from_secs(5);
/// For which the other end may take nothing of what is sent, on the wire or in a stream.
const UNREAD: Duration = Duration::from_secs(60);
/// Between two looks at the streams.
const LOOK: Duration = Duration::from_secs(10);

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
    guard: Arc<Guard>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Completes when it has to be seen whether this one still has a role.
    other_roles: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Runs until the first bytes come, and while a write waits.
    patience: Pin<Box<Sleep>>,
    awaits: Awaits,
    /// Until the next look at the streams.
    look: Pin<Box<Sleep>>,
    _place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// So many of them.
    FirstBytes(usize),
    Nothing,
    Room,
    /// It has lost its role.
    End,
}

impl Connection {
    pub(super) fn new(
        wire: Wire,
        caller: Caller,
        guard: Arc<Guard>,
        cut: WaitForCancellationFutureOwned,
        admission: Admission,
    ) -> Self {
        let patience = Box::pin(tokio::time::sleep(FIRST_BYTES));
        let (cut, awaits) = (Box::pin(cut), Awaits::FirstBytes(PREFACE_BYTES));
        let Admission { place, other_roles } = admission;
        let other_roles = Box::pin(other_roles);
        let look = Box::pin(tokio::time::sleep(LOOK));
        Self { wire, caller, guard, cut, other_roles, patience, awaits, look, _place: place }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut off"));
        }
        while self.look.as_mut().poll(context).is_ready() {
            self.look.as_mut().reset(Instant::now() + LOOK);
            if self.caller.keeps_waiting() > UNREAD {
                tracing::info!("a client that keeps its streams waiting is cut off");
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it keeps a stream waiting"));
            }
        }
        while self.other_roles.as_mut().poll(context).is_ready() {
            // Asked for first: a reload between the two is not missed.
            self.other_roles = Box::pin(self.guard.other_roles());
            if !self.guard.knows(self.caller.who()) {
                self.awaits = Awaits::End;
                self.patience.as_mut().reset(Instant::now() + FAREWELL);
            }
        }
        if self.awaits != Awaits::Nothing && self.patience.as_mut().poll(context).is_ready() {
            return Err(match self.awaits {
                Awaits::End => io::Error::new(io::ErrorKind::ConnectionAborted, "it has no role"),
                _ => io::Error::new(io::ErrorKind::TimedOut, "the client is too slow"),
            });
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
        if let Awaits::FirstBytes(missing) = self.awaits {
            self.awaits = match missing.saturating_sub(buffer.filled().len() - before) {
                0 => Awaits::Nothing,
                missing => Awaits::FirstBytes(missing),
            };
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
    use tokio_util::sync::CancellationToken;

    use super::super::{Listen, Settings};
    use super::*;
    use crate::base::NoObserver;
    use crate::control::access::{Pacing, Role, Who};
    use crate::ledger::Ledger;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const WHO: Who = Who::Process { uid: 4242 };

    fn settings() -> Settings {
        let uid = ("uid:4242".to_owned(), Role::Viewer);
        Settings {
            listen: Listen::Tcp(([127, 0, 0, 1], 0).into()),
            tls: None,
            roles: [uid].into(),
            submissions_per_second: NonZeroU32::MIN,
        }
    }

    fn guard() -> Arc<Guard> {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(&directory.path().join("data"), Arc::new(NoObserver));
        Arc::new(Guard::new(&settings(), ledger.expect("new")).expect("no files"))
    }

    fn connection() -> (Connection, UnixStream, CancellationToken) {
        let guard = guard();
        let admission = guard.admit(&WHO).expect("a place");
        admitted(guard, admission)
    }

    fn admitted(
        guard: Arc<Guard>,
        admission: Admission,
    ) -> (Connection, UnixStream, CancellationToken) {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let pacing = Pacing {
            requests_per_second: NonZeroU32::MIN,
            submissions_per_second: NonZeroU32::MIN,
        };
        let cut = CancellationToken::new();
        let caller = Caller::new(WHO, pacing, cut.clone());
        let cut_off = cut.clone().cancelled_owned();
        (Connection::new(Wire::Unix(ours), caller, guard, cut_off, admission), theirs, cut)
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_and_says_nothing_is_cut_off_and_who_spoke_may_be_silent() {
        let (mut silent, _theirs, _) = connection();
        let began = Instant::now();
        let error = silent.read_u8().await.expect_err("nothing came");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));

        let (mut stuck, mut theirs, _) = connection();
        theirs.write_all(&PREFACE[1..]).await.expect("room");
        stuck.read_exact(&mut [0; 23]).await.expect("most of it");
        assert!(stuck.read_u8().await.is_err(), "a place is not to be had for a byte");

        let (mut spoke, mut theirs, _) = connection();
        theirs.write_all(PREFACE).await.expect("room");
        spoke.read_exact(&mut [0; 24]).await.expect("all of it");
        let later = tokio::time::timeout(Duration::from_secs(3600), spoke.read_u8()).await;
        later.expect_err("it waits, and is not cut off");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_for_a_minute_is_cut_off() {
        let (mut full, mut theirs, _) = connection();
        theirs.write_all(PREFACE).await.expect("room");
        full.read_exact(&mut [0; 24]).await.expect("all of it");
        let began = Instant::now();
        let error = full.write_all(&[0; 16 << 20]).await.expect_err("nobody reads");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 60));
    }

    /// Its place is for somebody who has one.
    #[tokio::test(start_paused = true)]
    async fn who_loses_its_role_is_cut_off_a_moment_later() {
        let (mut open, mut theirs, _) = connection();
        theirs.write_all(PREFACE).await.expect("room");
        open.read_exact(&mut [0; 24]).await.expect("all of it");
        let guard = Arc::clone(&open.guard);
        let read = tokio::spawn(async move {
            let began = Instant::now();
            (open.read_u8().await.expect_err("cut off").kind(), began.elapsed().as_secs())
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        guard.reload(&settings()).expect("no files");
        tokio::time::sleep(Duration::from_secs(60)).await;
        guard.reload(&Settings { roles: [].into(), ..settings() }).expect("no files");
        assert_eq!(read.await.expect("no panic"), (io::ErrorKind::ConnectionAborted, 125));
    }

    /// No reload falls between the judging and the waiting for one.
    #[tokio::test(start_paused = true)]
    async fn who_loses_its_role_while_it_connects_is_cut_off_as_well() {
        let guard = guard();
        let admission = guard.admit(&WHO).expect("a place");
        guard.reload(&Settings { roles: [].into(), ..settings() }).expect("no files");
        let (mut open, mut theirs, _) = admitted(guard, admission);
        theirs.write_all(PREFACE).await.expect("room");
        open.read_exact(&mut [0; 24]).await.expect("all of it");
        let began = Instant::now();
        let error = open.read_u8().await.expect_err("cut off");
        assert_eq!(
            (error.kind(), began.elapsed().as_secs()),
            (io::ErrorKind::ConnectionAborted, 5)
        );
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
