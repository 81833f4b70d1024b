//! The connections of a listener.
//!
//! Made here because tonic asks again at once after an accept that failed: with no file descriptors
//! left that is a busy loop, just when the machine needs its time. A stream owns its listener, so
//! that the end of accepting is the end of listening too.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures::{Stream, stream};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::socket::Socket;

const PAUSE: Duration = Duration::from_millis(100);

/// What clients connect to the socket. The peer's user id is read when a connection is taken.
pub(super) fn unix(socket: Socket) -> impl Stream<Item = io::Result<UnixStream>> {
    stream::unfold(socket, |socket| async move {
        let accept = || async { Ok(socket.listener().accept().await?.0) };
        let connection = patiently(accept).await;
        Some((Ok(connection), socket))
    })
}

/// What clients connect to the port.
pub(super) fn tcp(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    stream::unfold(listener, |listener| async move {
        let accept = || async {
            let (connection, _) = listener.accept().await?;
            // Requests are small and wait for their answers. Without it they are only slower.
            let _ = connection.set_nodelay(true);
            Ok(connection)
        };
        let connection = patiently(accept).await;
        Some((Ok(connection), listener))
    })
}

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
