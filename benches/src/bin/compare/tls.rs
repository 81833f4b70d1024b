//! TLS on a blocking socket by rustls's unbuffered API: records are decrypted where they were read,
//! and plaintext is encrypted straight into what is written. Server and floor both stand on it.

mod trust;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::ops::DerefMut;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, UnbufferedConnectionCommon, UnbufferedStatus};

pub use trust::trusting;

/// Bytes asked of the socket at a time.
const READ: usize = 256 << 10;
/// The largest TLS record: 16 KiB, and 256 bytes for header, padding and tag.
const RECORD: usize = (16 << 10) + 256;
/// Bytes that wait to be written before the socket is asked to take them.
const WRITE: usize = 256 << 10;
/// Plaintext of at most this many bytes fits into an empty outgoing buffer once encrypted.
const PLAIN: usize = 15 * (16 << 10);

/// Either end of a connection.
pub trait End {
    /// What rustls keeps for this end.
    type Data;

    /// Takes the next step on what was received.
    fn step<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl End for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn step<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        let common: &mut UnbufferedConnectionCommon<_> = self.deref_mut();
        common.process_tls_records(incoming)
    }
}

impl End for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn step<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        let common: &mut UnbufferedConnectionCommon<_> = self.deref_mut();
        common.process_tls_records(incoming)
    }
}

/// A TLS connection.
pub struct Stream<E> {
    socket: TcpStream,
    end: E,
    incoming: Vec<u8>,
    /// What of `incoming` waits to be decrypted.
    unread: std::ops::Range<usize>,
    outgoing: Vec<u8>,
    /// Bytes of `outgoing` that wait to be written.
    queued: usize,
    closed: bool,
}

/// What a step came to.
enum Step {
    Again,
    /// What was to be sent is queued.
    Sent,
    /// Whatever could be done is done; more bytes of the peer are needed.
    Starved,
    Closed,
}

impl<E: End> Stream<E> {
    /// A connection on `socket`; the handshake happens on the way.
    pub fn new(socket: TcpStream, end: E) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            end,
            incoming: vec![0; READ + RECORD],
            unread: 0..0,
            outgoing: vec![0; WRITE],
            queued: 0,
            closed: false,
        })
    }

    /// Reads once and gives all plaintext that came of it to `take`: possibly none. False when the
    /// peer has closed the connection.
    pub fn receive(&mut self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<bool> {
        if self.closed {
            return Ok(false);
        }
        self.incoming.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        let read = self.socket.read(&mut self.incoming[self.unread.end..])?;
        self.unread.end += read;
        loop {
            match self.step(None, &mut take)? {
                Step::Again | Step::Sent => {}
                Step::Starved => return Ok(read > 0),
                Step::Closed => {
                    self.closed = true;
                    return Ok(false);
                }
            }
        }
    }

    /// Encrypts `plain` into the outgoing buffer, and writes that whenever it is full.
    pub fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        for piece in plain.chunks(PLAIN) {
            let encrypted = piece.len() + piece.len().div_ceil(16 << 10) * 256;
            if self.queued + encrypted > self.outgoing.len() {
                self.flush()?;
            }
            self.encrypt(piece)?;
        }
        Ok(())
    }

    /// Writes what is queued.
    pub fn flush(&mut self) -> io::Result<()> {
        self.socket.write_all(&self.outgoing[..self.queued])?;
        self.queued = 0;
        Ok(())
    }

    fn encrypt(&mut self, plain: &[u8]) -> io::Result<()> {
        let mut refuse = |_: &[u8]| Err(io::Error::other("plaintext before the handshake ended"));
        loop {
            match self.step(Some(plain), &mut refuse)? {
                Step::Sent => return Ok(()),
                Step::Again => {}
                Step::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
                Step::Starved => {
                    if !self.receive(refuse)? {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }

    /// One step of rustls's state machine. With something to send, no received bytes are offered to
    /// it: what the peer says meanwhile waits for `receive`.
    fn step(
        &mut self,
        plain: Option<&[u8]>,
        take: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Step> {
        let unread = match plain {
            Some(_) => &mut [],
            None => &mut self.incoming[self.unread.clone()],
        };
        let UnbufferedStatus { mut discard, state } = self.end.step(unread);
        let room = &mut self.outgoing[self.queued..];
        let step = match (state.map_err(io::Error::other)?, plain) {
            (ConnectionState::ReadTraffic(mut traffic), _) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(io::Error::other)?;
                    discard += record.discard;
                    take(record.payload)?;
                }
                Step::Again
            }
            (ConnectionState::EncodeTlsData(mut data), _) => {
                self.queued += data.encode(room).map_err(io::Error::other)?;
                Step::Again
            }
            (ConnectionState::TransmitTlsData(data), _) => {
                self.socket.write_all(&self.outgoing[..self.queued])?;
                self.queued = 0;
                data.done();
                Step::Again
            }
            (ConnectionState::WriteTraffic(mut traffic), Some(plain)) => {
                self.queued += traffic.encrypt(plain, room).map_err(io::Error::other)?;
                Step::Sent
            }
            (ConnectionState::PeerClosed | ConnectionState::Closed, _) => Step::Closed,
            _ => Step::Starved,
        };
        self.unread.start += discard;
        Ok(step)
    }
}
