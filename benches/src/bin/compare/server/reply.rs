//! What is answered.

use std::fmt::Write as _;

/// An answer, before it is bytes.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    headers: String,
    pub body: Payload,
}

/// What an answer carries.
#[derive(Debug, Default)]
pub enum Payload {
    #[default]
    Empty,
    Text(String),
    /// Bytes of an object.
    Object {
        index: u64,
        start: u64,
        len: u64,
    },
    /// The head of an answer of so many bytes.
    HeadOnly(u64),
}

/// Why a request is refused.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// 200 with an XML document whose root is `root`.
    pub fn xml(root: &str, inside: &str) -> Self {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inside}</{root}>"
        );
        Self::new(200).with("content-type", "application/xml").carrying(Payload::Text(text))
    }

    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        // Writing to a String cannot fail.
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    pub fn carrying(self, body: Payload) -> Self {
        Self { body, ..self }
    }

    /// The answer to HEAD: as it would be to GET, without the body.
    pub fn bodiless(self, is_head: bool) -> Self {
        let len = self.len();
        if is_head { self.carrying(Payload::HeadOnly(len)) } else { self }
    }

    fn len(&self) -> u64 {
        match &self.body {
            Payload::Empty => 0,
            Payload::Text(text) => text.len() as u64,
            Payload::Object { len, .. } | Payload::HeadOnly(len) => *len,
        }
    }

    /// The head, as it is sent. Without a date: nobody here has another clock.
    pub fn head(&self) -> String {
        let reason = match self.status {
            200..300 => "OK",
            _ => "Refused",
        };
        let length = match self.status {
            204 => String::new(),
            _ => format!("content-length: {}\r\n", self.len()),
        };
        format!(
            "HTTP/1.1 {} {reason}\r\nserver: compare\r\nx-amz-request-id: COMPARE\r\n\
             {length}{}\r\n",
            self.status, self.headers
        )
    }
}

impl Refusal {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, code, message } = refusal;
        let text = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Reply::new(status).with("content-type", "application/xml").carrying(Payload::Text(text))
    }
}
