//! One request as HTTP has it: its head, and a body that is hashed and dropped.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};
use percent_encoding::percent_decode_str;

use super::chunked::Dechunker;

const HEADERS_MAX: usize = 64;
/// The longest text that is kept: CompleteMultipartUpload of 10,000 parts.
const TEXT_MAX: usize = 16 << 20;
const CRC64NVME: &str = "x-amz-checksum-crc64nvme";

/// A request's head.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    /// Empty at the service itself.
    pub bucket: String,
    /// Empty at the bucket itself.
    pub key: String,
    query: Vec<(String, String)>,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// Parses a head and answers its length; `None` while it is not whole.
    pub fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(len) = parsed.parse(bytes).map_err(io::Error::other)? else {
            return Ok(None);
        };
        let target = parsed.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let header = |header: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(header.value).trim().to_owned();
            (header.name.to_ascii_lowercase(), value)
        };
        let request = Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            bucket: decoded(bucket),
            key: decoded(key),
            query: query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect(),
            headers: parsed.headers.iter().map(header).collect(),
        };
        Ok(Some((request, len)))
    }

    /// A header's value; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter's value, empty where it has none.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether the client waits to be told to send the body.
    pub fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    /// Whether the connection ends with this request.
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The body to come.
    pub fn body(&self) -> Body {
        let is = |name: &str, word: &str| {
            self.header(name).is_some_and(|value| value.to_ascii_lowercase().contains(word))
        };
        let length = self.header("content-length").and_then(|value| value.parse().ok());
        let framing = match is("transfer-encoding", "chunked") {
            true => Framing::Chunked(Dechunker::new()),
            false => Framing::Length(length.unwrap_or(0)),
        };
        let declared = self.header(CRC64NVME).map(str::to_owned);
        Body {
            framing,
            aws: is("content-encoding", "aws-chunked").then(Dechunker::new),
            len_declared: self
                .header("x-amz-decoded-content-length")
                .and_then(|value| value.parse().ok()),
            sum: Sum {
                len: 0,
                crc: Digest::new(CrcAlgorithm::Crc64Nvme),
                text: (self.method == "POST").then(Vec::new),
            },
            declared,
        }
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(name), decoded(value))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What tells where a body ends.
#[derive(Debug)]
enum Framing {
    /// So many bytes before its end.
    Length(u64),
    Chunked(Dechunker),
}

/// A body on its way.
#[derive(Debug)]
pub struct Body {
    framing: Framing,
    aws: Option<Dechunker>,
    len_declared: Option<u64>,
    sum: Sum,
    /// The checksum that the head names.
    declared: Option<String>,
}

/// What is left of the bytes.
#[derive(Debug)]
struct Sum {
    len: u64,
    crc: Digest,
    /// The bytes themselves, of requests whose body is XML.
    text: Option<Vec<u8>>,
}

/// A body that was received whole.
#[derive(Debug)]
pub struct Received {
    pub len: u64,
    pub crc64nvme: u64,
    /// Empty unless the request is a POST.
    pub text: String,
    /// The client's CRC64NVME, in a header or a trailer.
    pub declared: Option<String>,
    /// Whether the framing ended as it should, at the length that was declared.
    pub is_whole: bool,
}

impl Body {
    /// Whether all of it has been taken.
    pub fn is_done(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(dechunker) => dechunker.is_done(),
        }
    }

    /// Takes the next bytes; answers how many of them are the body's.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { framing, aws, sum, .. } = self;
        let mut take = |data: &[u8]| match aws {
            Some(dechunker) => dechunker.push(data, |data| sum.take(data)).map(drop),
            None => sum.take(data),
        };
        match framing {
            Framing::Length(left) => {
                let now = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= now as u64;
                take(&bytes[..now])?;
                Ok(now)
            }
            Framing::Chunked(dechunker) => dechunker.push(bytes, take),
        }
    }

    /// What was received.
    pub fn finish(self) -> Received {
        let trailers = self.aws.into_iter().flat_map(|dechunker| dechunker.trailers);
        let trailer = trailers.into_iter().find(|(name, _)| name == CRC64NVME);
        Received {
            len: self.sum.len,
            crc64nvme: self.sum.crc.finalize(),
            text: String::from_utf8_lossy(&self.sum.text.unwrap_or_default()).into_owned(),
            declared: self.declared.or(trailer.map(|(_, value)| value)),
            is_whole: self.len_declared.is_none_or(|len| len == self.sum.len),
        }
    }
}

impl Sum {
    fn take(&mut self, data: &[u8]) -> io::Result<()> {
        self.len += data.len() as u64;
        self.crc.update(data);
        match &mut self.text {
            Some(text) if text.len() + data.len() > TEXT_MAX => {
                Err(io::Error::other("the text is too long"))
            }
            Some(text) => {
                text.extend_from_slice(data);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// A CRC64NVME as S3 writes it.
pub fn crc_text(crc: u64) -> String {
    STANDARD.encode(crc.to_be_bytes())
}
