//! The heads of request and answer, and where an answer's body ends.
//!
//! # Invariants
//! - An answer whose end is told in two ways that differ is refused: what follows it would be taken for
//!   the next one.
//! - No head is longer than [`HEAD_BYTES_MAX`], interim answers included.

use bytes::{Buf as _, BufMut as _, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, request};
use http_body::Body as _;

use super::Error;
use super::body::Framing;
use aws_smithy_types::body::SdkBody;

const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 128;

/// A request, ready to be sent.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) head: Bytes,
    /// How long its body is.
    pub(super) body_len: u64,
    /// Whether it changes nothing at the server.
    pub(super) is_safe: bool,
    /// Whether its answer has a head only.
    pub(super) wants_head: bool,
}

impl Outbound {
    /// # Errors
    /// Where its body has no length, or two.
    pub(super) fn new(request: &request::Parts, body: &SdkBody) -> Result<Self, Error> {
        let body_len = body_len(&request.headers, body.size_hint().exact())?;
        let mut head = Vec::with_capacity(2 << 10);
        head.put_slice(request.method.as_str().as_bytes());
        head.put_u8(b' ');
        let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
        if !target.starts_with('/') {
            head.put_u8(b'/');
        }
        head.put_slice(target.as_bytes());
        head.put_slice(b" HTTP/1.1\r\n");
        if !request.headers.contains_key(HOST) {
            line(&mut head, &HOST, host(&request.uri).as_bytes());
        }
        let others = request.headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH);
        for (name, value) in others {
            line(&mut head, name, value.as_bytes());
        }
        let sends = matches!(request.method, Method::PUT | Method::POST | Method::PATCH);
        if body_len > 0 || sends {
            line(&mut head, &CONTENT_LENGTH, body_len.to_string().as_bytes());
        }
        head.put_slice(b"\r\n");
        Ok(Self {
            head: head.into(),
            body_len,
            is_safe: request.method.is_safe(),
            wants_head: request.method == Method::HEAD,
        })
    }
}

fn line(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    head.put_slice(name.as_str().as_bytes());
    head.put_slice(b": ");
    head.put_slice(value);
    head.put_slice(b"\r\n");
}

/// As it was signed: without the scheme's own port.
fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let own = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    match uri.port_u16().filter(|&port| port != own) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn body_len(headers: &HeaderMap, found: Option<u64>) -> Result<u64, Error> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(Error::Request("its body is to be sent in chunks, which is not done here"));
    }
    let declared = content_length(headers);
    let declared =
        declared.map_err(|_| Error::Request("its head says no length that makes sense"))?;
    match (declared, found) {
        (Some(declared), Some(found)) if declared != found => {
            Err(Error::Request("its body is not as long as its head says"))
        }
        (Some(len), _) | (None, Some(len)) => Ok(len),
        (None, None) => Err(Error::Request("nobody knows how long its body is")),
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the connection may be used again.
    pub(super) keeps: bool,
}

/// Collects the head of an answer from the frames that come.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    held: Vec<u8>,
    /// Bytes of interim answers.
    skipped: usize,
}

impl Collecting {
    /// Whether any byte has come.
    pub(super) fn is_begun(&self) -> bool {
        !self.held.is_empty() || self.skipped > 0
    }

    /// Takes the next bytes; gives the head once it is whole, and what came behind it.
    pub(super) fn push(
        &mut self,
        mut bytes: Bytes,
        wants_head: bool,
    ) -> Result<Option<(Answered, Bytes)>, Error> {
        if !self.held.is_empty() {
            let may_end = bytes.contains(&b'\n');
            self.held.extend_from_slice(&bytes);
            if !may_end && self.held.len() <= HEAD_BYTES_MAX {
                return Ok(None);
            }
            bytes = std::mem::take(&mut self.held).into();
        }
        loop {
            let room = HEAD_BYTES_MAX.saturating_sub(self.skipped);
            let Some((len, answered)) = parse(&bytes[..bytes.len().min(room)], wants_head)? else {
                if bytes.len() >= room {
                    return Err(Error::Answer("its head is too long"));
                }
                self.held = bytes.to_vec();
                return Ok(None);
            };
            bytes.advance(len);
            // RFC 9110, section 15.2: any number of interim answers may come before the one.
            match answered {
                Some(answered) => return Ok(Some((answered, bytes))),
                None => self.skipped += len,
            }
        }
    }
}

/// A head's length and what it says, nothing for an interim one; `None` while it is not whole.
fn parse(bytes: &[u8], wants_head: bool) -> Result<Option<(usize, Option<Answered>)>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let len = match parsed.parse(bytes).map_err(Error::Head)? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(len) => len,
    };
    let malformed = || Error::Answer("its head is malformed");
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(malformed)?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::Answer("it speaks another protocol, which nobody asked for"));
    }
    if status.is_informational() {
        return Ok(Some((len, None)));
    }
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for header in &*parsed.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| malformed())?;
        // Copied: they outlive the frame, whose buffer is to go back.
        let value = HeaderValue::from_bytes(header.value).map_err(|_| malformed())?;
        headers.append(name, value);
    }
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let (framing, is_sure) = framing(&headers, status, version, wants_head)?;
    let keeps = is_sure && keeps(&headers, version);
    Ok(Some((len, Some(Answered { status, headers, framing, keeps }))))
}

/// Where the body ends, and whether everybody on the way agrees on it.
/// <https://www.rfc-editor.org/rfc/rfc9112#section-6.3>
fn framing(
    headers: &HeaderMap,
    status: StatusCode,
    version: Version,
    wants_head: bool,
) -> Result<(Framing, bool), Error> {
    if wants_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((Framing::Length(0), true));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        let is_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !is_chunked || codings.next().is_some() || version != Version::HTTP_11 {
            return Err(Error::Answer("its body is coded in a way that nobody asked for"));
        }
        return Ok((Framing::Chunked(Box::default()), !headers.contains_key(CONTENT_LENGTH)));
    }
    Ok(match content_length(headers)? {
        Some(len) => (Framing::Length(len), true),
        None => (Framing::Close, false),
    })
}

/// What all of the lengths say that are given, in one line or several.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut found = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for text in value.as_bytes().split(|&byte| byte == b',') {
            let text = text.trim_ascii();
            let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            let len = std::str::from_utf8(text).ok().filter(|_| is_number);
            let len = len.and_then(|len| len.parse().ok());
            match (len, found) {
                (None, _) => return Err(Error::Answer("its length is not a number")),
                (Some(len), Some(found)) if len != found => {
                    return Err(Error::Answer("it gives two lengths"));
                }
                _ => found = len,
            }
        }
    }
    Ok(found)
}

fn keeps(headers: &HeaderMap, version: Version) -> bool {
    let says = |word: &str| {
        let values = headers.get_all(CONNECTION).iter();
        values
            .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    };
    !says("close") && (version == Version::HTTP_11 || says("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature is over what the SDK takes the host for: another spelling is another signature.
    #[test]
    fn the_host_is_named_as_it_was_signed() {
        for (uri, named) in [
            ("https://s3.test/a", "s3.test"),
            ("https://s3.test:443/a", "s3.test"),
            ("https://s3.test:80/a", "s3.test:80"),
            ("http://user:word@s3.test:80/a", "s3.test"),
            ("http://s3.test:9000", "s3.test:9000"),
            ("https://[::1]:9000/", "[::1]:9000"),
        ] {
            assert_eq!(host(&uri.parse().expect("a URI")), named);
        }
    }
}
