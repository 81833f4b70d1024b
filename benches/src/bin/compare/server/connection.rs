//! One connection: requests one after the other, until the client goes.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;

use super::exchange::{Received, Request};
use super::pace::{Pace, wait};
use super::reply::{Payload, Reply};
use super::{Shared, s3};
use crate::tls::Stream;

/// A request's head is not longer.
const HEAD_MAX: usize = 64 << 10;

struct Connection<'a> {
    stream: Stream<UnbufferedServerConnection>,
    shared: &'a Shared,
    /// Received, and not yet of any request.
    pending: Vec<u8>,
    reading: Pace,
    writing: Pace,
}

/// Serves until the client closes the connection.
pub fn serve(socket: TcpStream, tls: Arc<rustls::ServerConfig>, shared: &Shared) -> io::Result<()> {
    let end = UnbufferedServerConnection::new(tls).map_err(io::Error::other)?;
    let mut connection = Connection {
        stream: Stream::new(socket, end)?,
        shared,
        pending: Vec::new(),
        reading: Pace::new(shared.bytes_per_second),
        writing: Pace::new(shared.bytes_per_second),
    };
    while let Some(request) = connection.head()? {
        if request.expects_continue() {
            connection.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            connection.stream.flush()?;
        }
        let received = connection.body(&request)?;
        wait(shared.first_byte);
        let reply = s3::answer(shared, &request, &received);
        connection.send(&reply)?;
        if request.closes() {
            break;
        }
    }
    Ok(())
}

impl Connection<'_> {
    /// The next request's head; `None` when the client has gone.
    fn head(&mut self) -> io::Result<Option<Request>> {
        loop {
            if !self.pending.is_empty()
                && let Some((request, len)) = Request::parse(&self.pending)?
            {
                self.pending.drain(..len);
                return Ok(Some(request));
            }
            if self.pending.len() > HEAD_MAX {
                return Err(io::Error::other("the head is too long"));
            }
            let pending = &mut self.pending;
            let open = self.stream.receive(|plain| {
                pending.extend_from_slice(plain);
                Ok(())
            })?;
            if !open {
                return Ok(None);
            }
        }
    }

    fn body(&mut self, request: &Request) -> io::Result<Received> {
        let mut body = request.body();
        let begun = std::mem::take(&mut self.pending);
        let used = body.push(&begun)?;
        self.pending.extend_from_slice(&begun[used..]);
        while !body.is_done() {
            let (pending, mut bytes) = (&mut self.pending, 0);
            let open = self.stream.receive(|plain| {
                let used = body.push(plain)?;
                pending.extend_from_slice(&plain[used..]);
                bytes += plain.len();
                Ok(())
            })?;
            if !open {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.reading.carried(bytes);
        }
        Ok(body.finish())
    }

    fn send(&mut self, reply: &Reply) -> io::Result<()> {
        self.stream.write(reply.head().as_bytes())?;
        match &reply.body {
            Payload::Empty | Payload::HeadOnly(_) => {}
            Payload::Text(text) => self.stream.write(text.as_bytes())?,
            Payload::Object { index, start, len } => {
                let end = start + len;
                let mut offset = *start;
                while offset < end {
                    let content = &self.shared.store.content;
                    let piece = content.piece(*index, offset, end - offset);
                    self.stream.write(piece)?;
                    self.writing.carried(piece.len());
                    offset += piece.len() as u64;
                }
            }
        }
        self.stream.flush()
    }
}
