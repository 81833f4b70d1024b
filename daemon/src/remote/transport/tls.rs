//! TLS by rustls's unbuffered interface: what came is decrypted in place, what goes is encrypted into
//! the buffer that is written.
//!
//! # Invariants
//! - `partial` never holds a whole record: everything that can be decrypted has been.
//! - What rustls wants to say by itself goes before anything that is encrypted later.
//! - A connection that ends without TLS's own goodbye is an error: a body cut short is never taken for
//!   one that ended.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use super::buffers::{Buffer, Buffers};
use super::outgoing::{Outgoing, RECORD_BYTES};
use crate::remote::trust;

/// Where what came begins in its buffer. Plaintext goes to the front: a record's is shorter than what
/// it came as, so that it always ends before the next one, which is still to be decrypted.
const GAP: usize = RECORD_BYTES;

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

/// One connection's keys, and the beginning of a record whose rest is still to come.
pub(super) struct Session {
    tls: UnbufferedClientConnection,
    partial: Vec<u8>,
    /// The peer said that it sends no more.
    ended: bool,
}

/// A buffer that is being filled from the socket.
pub(super) struct Incoming {
    buffer: Buffer,
    filled: usize,
}

impl Session {
    /// Agrees with the server, which has to prove that it is `name`.
    ///
    /// # Errors
    /// Where it is not trusted, speaks no TLS that is safe, or the connection breaks.
    pub(super) async fn handshake(
        tcp: &mut TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        outgoing: &mut Outgoing,
        buffers: &Buffers,
    ) -> io::Result<Self> {
        let tls = UnbufferedClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut this = Self { tls, partial: Vec::new(), ended: false };
        loop {
            let plain = this.decrypt_in_place(&mut this.incoming(buffers)?, outgoing)?;
            outgoing.send_all(tcp).await?;
            if plain > 0 {
                return Err(malformed("the server speaks before it is asked"));
            }
            if !this.tls.is_handshaking() {
                return Ok(this);
            }
            this.receive(tcp, buffers).await?;
        }
    }

    /// Puts what comes next to what is to be decrypted. No buffer is held while nothing comes.
    async fn receive(&mut self, tcp: &TcpStream, buffers: &Buffers) -> io::Result<()> {
        loop {
            tcp.readable().await?;
            let mut incoming = self.incoming(buffers)?;
            match tcp.try_read(incoming.room()) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    incoming.filled(read);
                    self.keep(&incoming, GAP);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the peer said goodbye.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// A buffer to read into, which begins with what is left of the last.
    pub(super) fn incoming(&self, buffers: &Buffers) -> io::Result<Incoming> {
        let mut buffer = buffers.lend();
        let filled = GAP + self.partial.len();
        let room = buffer.get_mut(GAP..filled).filter(|room| room.len() < GAP * 8);
        room.ok_or_else(|| malformed("a message of TLS is too long"))?
            .copy_from_slice(&self.partial);
        Ok(Incoming { buffer, filled })
    }

    /// The plaintext of what came, possibly none. What rustls answers by itself is in `outgoing`.
    pub(super) fn decrypt(
        &mut self,
        mut incoming: Incoming,
        outgoing: &mut Outgoing,
    ) -> io::Result<Bytes> {
        let plain = self.decrypt_in_place(&mut incoming, outgoing)?;
        Ok(incoming.buffer.freeze(plain))
    }

    fn decrypt_in_place(
        &mut self,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
    ) -> io::Result<usize> {
        let (mut used, mut plain) = (GAP, 0);
        loop {
            let (front, rest) = incoming.buffer[..incoming.filled].split_at_mut(used);
            let UnbufferedStatus { mut discard, state, .. } = self.tls.process_tls_records(rest);
            let waits = match state.map_err(invalid)? {
                ConnectionState::ReadTraffic(mut records) => {
                    while let Some(record) = records.next_record() {
                        let record = record.map_err(invalid)?;
                        discard += record.discard;
                        let end = plain + record.payload.len();
                        let room = front.get_mut(plain..end);
                        room.ok_or_else(|| malformed("a record is longer than it came as"))?
                            .copy_from_slice(record.payload);
                        plain = end;
                    }
                    false
                }
                ConnectionState::EncodeTlsData(mut message) => {
                    outgoing.encode(&mut message)?;
                    false
                }
                // What was encoded is in `outgoing`, and goes before anything else.
                ConnectionState::TransmitTlsData(sent) => {
                    sent.done();
                    false
                }
                ConnectionState::PeerClosed => {
                    self.ended = true;
                    false
                }
                _ => true,
            };
            used += discard;
            if waits {
                self.keep(incoming, used);
                return Ok(plain);
            }
        }
    }

    fn keep(&mut self, incoming: &Incoming, used: usize) {
        self.partial.clear();
        self.partial.extend_from_slice(&incoming.buffer[used..incoming.filled]);
    }

    /// Encrypts as much of `plain` as there is room for; returns how much that was.
    pub(super) fn encrypt(&mut self, plain: &[u8], outgoing: &mut Outgoing) -> io::Result<usize> {
        loop {
            let UnbufferedStatus { discard, state, .. } =
                self.tls.process_tls_records(&mut self.partial);
            let taken = match state.map_err(invalid)? {
                ConnectionState::WriteTraffic(mut writer) => {
                    let fits = outgoing.plaintext_room().min(plain.len());
                    let room = outgoing.room();
                    let encrypted =
                        writer.encrypt(&plain[..fits], room).map_err(io::Error::other)?;
                    outgoing.filled(encrypted);
                    Some(fits)
                }
                // A new key among others.
                ConnectionState::EncodeTlsData(mut message) => {
                    outgoing.encode(&mut message)?;
                    None
                }
                ConnectionState::TransmitTlsData(sent) => {
                    sent.done();
                    None
                }
                ConnectionState::PeerClosed => {
                    self.ended = true;
                    None
                }
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            self.partial.drain(..discard);
            if let Some(taken) = taken {
                return Ok(taken);
            }
        }
    }

    pub(super) fn say_goodbye(&mut self, outgoing: &mut Outgoing) {
        let UnbufferedStatus { state, .. } = self.tls.process_tls_records(&mut self.partial);
        // In any other state nothing can be said any more.
        if let Ok(ConnectionState::WriteTraffic(mut writer)) = state
            && let Ok(encrypted) = writer.queue_close_notify(outgoing.room())
        {
            outgoing.filled(encrypted);
        }
    }
}

impl Incoming {
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    pub(super) fn filled(&mut self, read: usize) {
        self.filled += read;
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("ended", &self.ended).finish_non_exhaustive()
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn malformed(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
