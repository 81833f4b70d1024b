//! The connections of a listener: accepted, shaken hands with, and known.
//!
//! Made here because tonic asks again at once after an accept that failed: with no file descriptors
//! left that is a busy loop, just when the machine needs its time. A stream owns its listener, so
//! that the end of accepting is the end of listening too.
//!
//! # Invariants
//! - A handshake holds up nobody else's while there are fewer than their bound, and ends within its time. No
//!   address takes all of them.
//! - Who has no role takes none of the places of those who have. Who finds no place holds up nobody.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::Guard;
use super::connection::{Connection, Wire};
use super::places::{Place, Places};
use super::socket;
use crate::control::access::{NAMELESS, Who, Whom, read_certificate};

const PAUSE: Duration = Duration::from_millis(100);
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Of which one address has half at most.
const HANDSHAKES_MAX: usize = 256;
const LINGER: Duration = Duration::from_secs(1);
/// A client that was refused has sent a request or two by then.
const UNREAD_BYTES_MAX: u64 = 64 << 10;

/// As refusals name them.
const STRANGER: Whom<'static> = Whom::Stranger(NAMELESS);
const HANDSHAKING: &str = "TLS handshake";

type Accepted = io::Result<Connection>;

/// What clients connect to the socket. The peer's user id is read when a connection is taken.
pub(super) fn unix(socket: socket::Socket, guard: Arc<Guard>) -> impl Stream<Item = Accepted> {
    stream::unfold((socket, guard), |(socket, guard)| async move {
        loop {
            let (stream, _) = patiently(|| socket.listener().accept()).await;
            let peer = stream.peer_cred();
            let who = peer.map_or(Who::Unknown, |peer| Who::Process { uid: peer.uid() });
            if let Some(admission) = guard.admit(&who) {
                let cut = CancellationToken::new();
                let caller = guard.caller(who, cut.clone());
                let (wire, cut) = (Wire::Unix(stream), cut.cancelled_owned());
                let connection = Connection::new(wire, caller, Arc::clone(&guard), cut, admission);
                return Some((Ok(connection), (socket, guard)));
            }
        }
    })
}

/// What clients connect to the port.
pub(super) fn tcp(listener: TcpListener, guard: Arc<Guard>) -> impl Stream<Item = Accepted> {
    let places = Places::new(HANDSHAKES_MAX);
    let start = (listener, guard, places);
    let accepted = stream::unfold(start, |(listener, guard, places)| async move {
        let accept = || async {
            let (stream, address) = listener.accept().await?;
            // Requests are small and wait for their answers. Without it they are only slower.
            let _ = stream.set_nodelay(true);
            Ok((stream, address))
        };
        let known = loop {
            let (stream, address) = patiently(accept).await;
            match handshake(&guard, &places, address) {
                Ok(place) => break known(Arc::clone(&guard), stream, address, place),
                Err(why) => guard.refusals().write(STRANGER, Some(address), HANDSHAKING, why),
            }
        };
        Some((known, (listener, guard, places)))
    });
    accepted.buffer_unordered(HANDSHAKES_MAX).filter_map(|known| async { known.map(Ok) })
}

/// The place of a handshake with who has connected; without TLS there is none.
///
/// # Errors
/// Why there is no place for it.
fn handshake(
    guard: &Guard,
    places: &Places,
    address: SocketAddr,
) -> Result<Option<Place>, &'static str> {
    if !guard.shakes_hands() {
        return Ok(None);
    }
    // Whoever has one address of IPv6 has all that begin with the same 64 bits.
    let from = match address.ip().to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).to_string(),
        ip => ip.to_string(),
    };
    let place = places.take(&from).map(Some);
    place.map_err(|_| "as many handshakes are under way with its address as may be")
}

/// The connection, once it is known whose it is; `None` where that is nobody who may come in. The place of its
/// handshake is free again then.
async fn known(
    guard: Arc<Guard>,
    stream: TcpStream,
    address: SocketAddr,
    _place: Option<Place>,
) -> Option<Connection> {
    let Some((config, cut)) = guard.tls() else {
        let (who, cut) = (Who::Local { address }, CancellationToken::new());
        let admission = guard.admit(&who)?;
        let caller = guard.caller(who, cut.clone());
        let cut = cut.cancelled_owned();
        return Some(Connection::new(Wire::Tcp(stream), caller, guard, cut, admission));
    };
    let shaking = TlsAcceptor::from(config).accept(stream).into_fallible();
    let shaken = tokio::time::timeout(HANDSHAKE, shaking).await;
    let (why, refused) = match shaken {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            match shown.and_then(|shown| read_certificate(shown)) {
                Some(certificate) => {
                    let who = Who::Certified { certificate, address };
                    let admission = guard.admit(&who)?;
                    let caller = guard.caller(who, cut.clone());
                    let (wire, cut) = (Wire::Tls(Box::new(stream)), cut.cancelled_owned());
                    return Some(Connection::new(wire, caller, guard, cut, admission));
                }
                None => ("its certificate cannot be read".to_owned(), None),
            }
        }
        // Who connects and leaves, as port scans and health checks do, was refused nothing.
        Ok(Err((error, _))) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
        Ok(Err((error, stream))) => (error.to_string(), Some(stream)),
        Err(_) => ("it did not finish the handshake in time".to_owned(), None),
    };
    guard.refusals().write(STRANGER, Some(address), HANDSHAKING, &why);
    if let Some(stream) = refused {
        linger(stream).await;
    }
    None
}

/// Lets the other end read why it is refused: closed with bytes of it unread, the kernel would throw away
/// what it was told.
async fn linger(mut stream: TcpStream) {
    let left = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(UNREAD_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // Whether it has read it or not, there is no more to say.
    let _ = tokio::time::timeout(LINGER, left).await;
}

/// The next connection.
async fn patiently<C, A>(accept: impl Fn() -> A) -> C
where
    A: Future<Output = io::Result<C>>,
{
    loop {
        match accept().await {
            Ok(connection) => return connection,
            // The client gave up before it was taken: nothing is wrong here.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
