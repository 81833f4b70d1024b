//! HTTP/1.1 on a blocking TLS connection, as much as a relay needs.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls_pki_types::ServerName;

use crate::tls::{Stream, trusting};

/// One side, as a relay reaches it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub tls: Arc<ClientConfig>,
    /// What stands for a signature.
    pub authorization: String,
}

impl Endpoint {
    pub fn new(address: SocketAddr, ca: &Path, key: &str) -> anyhow::Result<Self> {
        let authorization = format!("AWS4-HMAC-SHA256 Credential={key}/none");
        Ok(Self { address, tls: trusting(ca)?, authorization })
    }

    pub fn name(&self) -> ServerName<'static> {
        self.address.ip().into()
    }

    pub fn connect(&self) -> anyhow::Result<Client> {
        let socket = TcpStream::connect(self.address)?;
        let end = UnbufferedClientConnection::new(Arc::clone(&self.tls), self.name())?;
        Ok(Client {
            stream: Stream::new(socket, end)?,
            authorization: self.authorization.clone(),
            pending: Vec::new(),
        })
    }
}

/// One connection.
pub struct Client {
    stream: Stream<UnbufferedClientConnection>,
    authorization: String,
    /// Received, and not yet of any answer.
    pending: Vec<u8>,
}

/// An answer that was received whole.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub etag: String,
    pub text: String,
}

struct Head {
    answer: Answer,
    len: u64,
}

impl Client {
    /// A request with a text, and its answer.
    pub fn ask(&mut self, method: &str, path: &str, text: &str) -> anyhow::Result<Answer> {
        self.begin(method, path, "", text.len() as u64)?;
        self.write(text.as_bytes())?;
        self.answer()
    }

    /// Sends a request's head, with lines of its own; `len` bytes are to follow.
    pub fn begin(&mut self, method: &str, path: &str, lines: &str, len: u64) -> io::Result<()> {
        let authorization = &self.authorization;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: {authorization}\r\n\
             content-length: {len}\r\n{lines}\r\n"
        );
        self.stream.write(head.as_bytes())
    }

    /// Sends bytes of the body, as soon as there are enough of them.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write(bytes)
    }

    /// Sends what is left and takes the answer.
    pub fn answer(&mut self) -> anyhow::Result<Answer> {
        let mut text = Vec::new();
        let mut answer = self.answer_into(|bytes| {
            text.extend_from_slice(bytes);
            Ok(())
        })?;
        answer.text = String::from_utf8_lossy(&text).into_owned();
        Ok(answer)
    }

    /// Sends what is left and gives the answer's body to `take` as it comes.
    pub fn answer_into(
        &mut self,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> anyhow::Result<Answer> {
        self.stream.flush()?;
        let Head { answer, mut len } = self.head()?;
        let begun = std::mem::take(&mut self.pending);
        anyhow::ensure!(begun.len() as u64 <= len, "the server says more than it was asked");
        len -= begun.len() as u64;
        take(&begun)?;
        while len > 0 {
            let open = self.stream.receive(|plain| {
                let left = len.checked_sub(plain.len() as u64);
                len = left.ok_or_else(|| io::Error::other("a body that is too long"))?;
                take(plain)
            })?;
            anyhow::ensure!(open || len == 0, "the connection ended {len} bytes early");
        }
        Ok(answer)
    }

    fn head(&mut self) -> anyhow::Result<Head> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut parsed = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(used) = parsed.parse(&self.pending)? {
                let header = |name: &str| {
                    let found = parsed.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
                    found.and_then(|found| str::from_utf8(found.value).ok()).unwrap_or_default()
                };
                let etag = header("etag").to_owned();
                let len = header("content-length").parse().unwrap_or(0);
                let status = parsed.code.unwrap_or_default();
                self.pending.drain(..used);
                return Ok(Head { answer: Answer { status, etag, text: String::new() }, len });
            }
            let pending = &mut self.pending;
            let open = self.stream.receive(|plain| {
                pending.extend_from_slice(plain);
                Ok(())
            })?;
            anyhow::ensure!(open, "the connection ended before an answer");
        }
    }
}
