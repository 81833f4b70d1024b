//! TLS over a socket by rustls's unbuffered interface: a quarter of a mebibyte is read, decrypted in
//! place and handed on; or encrypted, and written at once.
//!
//! # Invariants
//! - What was accepted for writing is sent in its order before anything that is accepted later.
//! - `partial` never holds a whole record: everything that can be decrypted has been.
//! - A connection that ends without TLS's own goodbye is an error: a body cut short is never taken for
//!   one that ended.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection as _};
use hyper_util::rt::TokioIo;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::buffers::{BUFFER_BYTES, Buffer, Buffers};
use crate::remote::trust;

/// The most plaintext of a record. <https://www.rfc-editor.org/rfc/rfc8446#section-5.1>
const RECORD_BYTES: usize = 16 << 10;
/// What a record adds, generously: its header, a nonce (TLS 1.2), the content's type, the tag.
const RECORD_OVERHEAD: usize = 64;

/// The client's side of TLS: who is trusted, and what is preferred.
///
/// # Errors
/// Where the bundle cannot be used.
pub(super) fn config(pem: Option<&[u8]>) -> Result<ClientConfig, trust::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trust::system().iter().cloned());
    if let Some(pem) = pem {
        roots.add_parsable_certificates(trust::parse(pem)?);
    }
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    // With AES in the CPU, AES-128 is the cheapest of those that TLS 1.3 has.
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_AES_256_GCM_SHA384 => 1,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => 2,
        _ => 3,
    });
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(trust::Error::Provider)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// One connection.
pub(super) struct TlsStream {
    tcp: TokioIo<TcpStream>,
    tls: UnbufferedClientConnection,
    /// The beginning of a record whose rest is still to come.
    partial: Vec<u8>,
    plain: Plain,
    /// Encrypted, and not sent yet.
    outgoing: Option<Outgoing>,
    /// The peer said that it sends no more.
    ended: bool,
    said_goodbye: bool,
    buffers: Buffers,
}

/// Decrypted, and not taken yet: what was more than the reader had room for.
#[derive(Debug, Default)]
struct Plain {
    bytes: Vec<u8>,
    taken: usize,
}

#[derive(Debug)]
struct Outgoing {
    buffer: Buffer,
    sent: usize,
    filled: usize,
}

/// Where decrypted bytes go: to the reader as far as it has room, the rest aside.
struct Sink<'a, 'b> {
    cursor: Option<&'a mut ReadBufCursor<'b>>,
    plain: &'a mut Plain,
}

impl TlsStream {
    /// Agrees with the server, which has to prove that it is `name`.
    ///
    /// # Errors
    /// Where it is not trusted, speaks no TLS that is safe, or the connection breaks.
    pub(super) async fn handshake(
        tcp: TokioIo<TcpStream>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        buffers: Buffers,
    ) -> io::Result<Self> {
        let tls = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut this = Self {
            tcp,
            tls,
            partial: Vec::new(),
            plain: Plain::default(),
            outgoing: None,
            ended: false,
            said_goodbye: false,
            buffers,
        };
        let mut incoming = this.buffers.lend();
        let mut filled = 0;
        loop {
            let used = this.process(&mut incoming[..filled], None)?;
            incoming.copy_within(used..filled, 0);
            filled -= used;
            this.send_all().await?;
            if !this.tls.is_handshaking() {
                this.partial.extend_from_slice(&incoming[..filled]);
                return Ok(this);
            }
            match this.tcp.inner_mut().read(&mut incoming[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
    }

    pub(super) fn connected(&self) -> Connected {
        self.tcp.connected()
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = cursor.remaining();
        self.plain.give(&mut cursor);
        while cursor.remaining() == room && room > 0 && !self.ended {
            ready!(self.tcp.inner().poll_read_ready(cx))?;
            let mut incoming = self.buffers.lend();
            let kept = self.partial.len();
            incoming[..kept].copy_from_slice(&self.partial);
            // Little more than the reader takes, so that little has to be put aside.
            let end = (kept + room + RECORD_BYTES).min(BUFFER_BYTES);
            let read = match self.tcp.inner().try_read(&mut incoming[kept..end]) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            self.partial.clear();
            let filled = kept + read;
            let used = self.process(&mut incoming[..filled], Some(&mut cursor))?;
            self.partial.extend_from_slice(&incoming[used..filled]);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.outgoing.as_ref().is_some_and(|outgoing| outgoing.plaintext_room() == 0) {
            ready!(self.poll_send(cx))?;
        }
        let taken = self.encrypt(bufs)?;
        // Sent at once, as far as the socket takes it: what is left goes with the next call.
        self.try_send()?;
        Poll::Ready(Ok(taken))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.said_goodbye {
            ready!(self.poll_send(cx))?;
            self.said_goodbye = true;
            self.say_goodbye()?;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(self.tcp.inner_mut()).poll_shutdown(cx)
    }

    /// Decrypts the whole records of `incoming`, and does what the protocol asks for besides. Returns
    /// how many bytes are done with.
    fn process(
        &mut self,
        incoming: &mut [u8],
        cursor: Option<&mut ReadBufCursor<'_>>,
    ) -> io::Result<usize> {
        let Self { tls, plain, outgoing, buffers, ended, .. } = self;
        let mut sink = Sink { cursor, plain };
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state, .. } =
                tls.process_tls_records(&mut incoming[used..]);
            let waits = match state.map_err(invalid)? {
                ConnectionState::ReadTraffic(mut records) => {
                    while let Some(record) = records.next_record() {
                        let record = record.map_err(invalid)?;
                        discard += record.discard;
                        sink.take(record.payload);
                    }
                    false
                }
                ConnectionState::EncodeTlsData(mut message) => {
                    Outgoing::of(outgoing, buffers).encode(&mut message)?;
                    false
                }
                // What was encoded is in `outgoing`, and goes before anything else.
                ConnectionState::TransmitTlsData(sent) => {
                    sent.done();
                    false
                }
                ConnectionState::PeerClosed => {
                    *ended = true;
                    false
                }
                _ => true,
            };
            used += discard;
            if waits {
                return Ok(used);
            }
        }
    }

    /// Encrypts as much as there is room for; returns how much that was.
    fn encrypt(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.answer_the_protocol()?;
        let Self { tls, partial, outgoing, buffers, .. } = self;
        let UnbufferedStatus { state, .. } = tls.process_tls_records(partial);
        let ConnectionState::WriteTraffic(mut writer) = state.map_err(invalid)? else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let outgoing = Outgoing::of(outgoing, buffers);
        let mut taken = 0;
        for buf in bufs {
            let fits = outgoing.plaintext_room().min(buf.len());
            if fits > 0 {
                let room = &mut outgoing.buffer[outgoing.filled..];
                outgoing.filled += writer.encrypt(&buf[..fits], room).map_err(io::Error::other)?;
            }
            taken += fits;
            if fits < buf.len() {
                break;
            }
        }
        Ok(taken)
    }

    /// Encodes what rustls wants to say before anything else is written, a new key among others.
    fn answer_the_protocol(&mut self) -> io::Result<()> {
        let mut partial = std::mem::take(&mut self.partial);
        let used = self.process(&mut partial, None)?;
        partial.drain(..used);
        self.partial = partial;
        Ok(())
    }

    fn say_goodbye(&mut self) -> io::Result<()> {
        let Self { tls, partial, outgoing, buffers, .. } = self;
        let UnbufferedStatus { state, .. } = tls.process_tls_records(partial);
        // In any other state nothing can be said any more.
        if let Ok(ConnectionState::WriteTraffic(mut writer)) = state {
            let outgoing = Outgoing::of(outgoing, buffers);
            let room = &mut outgoing.buffer[outgoing.filled..];
            outgoing.filled += writer.queue_close_notify(room).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Sends what the socket takes without waiting.
    fn try_send(&mut self) -> io::Result<()> {
        while let Some(outgoing) = &mut self.outgoing {
            match self.tcp.inner().try_write(outgoing.unsent()) {
                Ok(sent) => outgoing.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if outgoing.unsent().is_empty() {
                self.outgoing = None;
            }
        }
        Ok(())
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.try_send()?;
            if self.outgoing.is_none() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.tcp.inner().poll_write_ready(cx))?;
        }
    }

    async fn send_all(&mut self) -> io::Result<()> {
        if let Some(outgoing) = self.outgoing.take() {
            self.tcp.inner_mut().write_all(outgoing.unsent()).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}

impl Plain {
    fn give(&mut self, cursor: &mut ReadBufCursor<'_>) {
        let left = &self.bytes[self.taken..];
        let fits = left.len().min(cursor.remaining());
        cursor.put_slice(&left[..fits]);
        self.taken += fits;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        }
    }
}

impl Sink<'_, '_> {
    fn take(&mut self, payload: &[u8]) {
        let room = self.cursor.as_ref().map_or(0, |cursor| cursor.remaining());
        let (now, aside) = payload.split_at(payload.len().min(room));
        if let Some(cursor) = &mut self.cursor {
            cursor.put_slice(now);
        }
        self.plain.bytes.extend_from_slice(aside);
    }
}

impl Outgoing {
    fn of<'a>(this: &'a mut Option<Self>, buffers: &Buffers) -> &'a mut Self {
        this.get_or_insert_with(|| Self { buffer: buffers.lend(), sent: 0, filled: 0 })
    }

    fn unsent(&self) -> &[u8] {
        &self.buffer[self.sent..self.filled]
    }

    /// How much plaintext surely fits once it is encrypted.
    fn plaintext_room(&self) -> usize {
        let room = self.buffer.len() - self.filled;
        let records = room / (RECORD_BYTES + RECORD_OVERHEAD);
        let rest = room % (RECORD_BYTES + RECORD_OVERHEAD);
        records * RECORD_BYTES + rest.saturating_sub(RECORD_OVERHEAD)
    }

    fn encode<D>(&mut self, message: &mut EncodeTlsData<'_, D>) -> io::Result<()> {
        match message.encode(&mut self.buffer[self.filled..]) {
            Ok(encoded) => self.filled += encoded,
            Err(EncodeError::AlreadyEncoded) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(())
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
