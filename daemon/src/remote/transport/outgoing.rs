//! What is ready to be written to a socket.
//!
//! # Invariants
//! - What was put in is sent in its order, once.
//! - A buffer is lent only while there is something to send.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::unbuffered::{EncodeError, EncodeTlsData};
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::buffers::{Buffer, Buffers};

/// The most plaintext of a record. <https://www.rfc-editor.org/rfc/rfc8446#section-5.1>
pub(super) const RECORD_BYTES: usize = 16 << 10;
/// What a record adds, generously: its header, a nonce (TLS 1.2), the content's type, the tag.
const RECORD_OVERHEAD: usize = 64;
/// Room that is left to what TLS says by itself.
const RESERVE: usize = 1 << 10;

#[derive(Debug)]
pub(super) struct Outgoing {
    lent: Option<Buffer>,
    sent: usize,
    filled: usize,
    buffers: Buffers,
}

impl Outgoing {
    pub(super) fn new(buffers: Buffers) -> Self {
        Self { lent: None, sent: 0, filled: 0, buffers }
    }

    /// Bytes that wait to be sent.
    pub(super) fn len(&self) -> usize {
        self.filled - self.sent
    }

    /// Whether the socket took a part of it, and no more.
    pub(super) fn is_begun(&self) -> bool {
        self.sent > 0
    }

    /// Where the next bytes go.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let buffer = self.lent.get_or_insert_with(|| self.buffers.lend());
        &mut buffer[self.filled..]
    }

    /// The first `len` bytes of the room are to be sent.
    pub(super) fn filled(&mut self, len: usize) {
        self.filled += len;
    }

    /// How much plaintext surely fits once it is encrypted.
    pub(super) fn plaintext_room(&mut self) -> usize {
        let room = self.room().len().saturating_sub(RESERVE);
        let records = room / (RECORD_BYTES + RECORD_OVERHEAD);
        let rest = room % (RECORD_BYTES + RECORD_OVERHEAD);
        records * RECORD_BYTES + rest.saturating_sub(RECORD_OVERHEAD)
    }

    /// Takes as many of `bytes` as fit, as they are; returns how many.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let fits = room.len().min(bytes.len());
        room[..fits].copy_from_slice(&bytes[..fits]);
        self.filled += fits;
        fits
    }

    pub(super) fn encode<D>(&mut self, message: &mut EncodeTlsData<'_, D>) -> io::Result<()> {
        match message.encode(self.room()) {
            Ok(encoded) => self.filled += encoded,
            Err(EncodeError::AlreadyEncoded) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(())
    }

    /// Ready once everything is with the kernel.
    pub(super) fn poll_send(
        &mut self,
        tcp: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(buffer) = self.lent.as_ref().filter(|_| self.sent < self.filled) {
            match ready!(Pin::new(&mut *tcp).poll_write(cx, &buffer[self.sent..self.filled]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        self.clear();
        Poll::Ready(Ok(()))
    }

    pub(super) async fn send_all(&mut self, tcp: &mut TcpStream) -> io::Result<()> {
        if let Some(buffer) = &self.lent {
            tcp.write_all(&buffer[self.sent..self.filled]).await?;
        }
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        (self.sent, self.filled) = (0, 0);
        self.lent = None;
    }
}
