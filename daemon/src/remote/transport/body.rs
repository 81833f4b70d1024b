//! The body of an answer: it owns the connection, and gives it back when it is over.
//!
//! # Invariants
//! - A body that breaks off is an error, never an end.
//! - A connection is used again only where the whole request was sent, the whole answer came, and not a
//!   byte behind it.
//! - One frame is held at most; nothing is read before it is asked for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Error;
use super::chunked::Chunked;
use super::pool::Place;
use super::wire::Wire;

/// What tells where a body ends.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes before its end.
    Length(u64),
    Chunked(Box<Chunked>),
    /// Where the connection ends.
    Close,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// Came, and was not given yet.
    unread: Bytes,
    /// Nothing once it is over, or has failed.
    wire: Option<Wire>,
    /// Where the connection goes back to, if it may.
    place: Option<Place>,
}

impl Framing {
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_over(),
            Self::Close => false,
        }
    }

    /// The next of the body's bytes in `input`.
    pub(super) fn next(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Error> {
        let data = match self {
            Self::Length(left) => {
                let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= fits as u64;
                input.split_to(fits)
            }
            Self::Chunked(chunked) => {
                let data = chunked.next(input)?.unwrap_or_default();
                // So that the end is seen along with the last data, where it came along.
                chunked.skip(input)?;
                data
            }
            Self::Close => std::mem::take(input),
        };
        Ok(Some(data).filter(|data| !data.is_empty()))
    }
}

impl Body {
    /// `unread` came behind the head. With a `place`, the connection goes back there.
    pub(super) fn new(framing: Framing, unread: Bytes, wire: Wire, place: Option<Place>) -> Self {
        let mut this = Self { framing, unread, wire: Some(wire), place };
        this.leave_if_over();
        this
    }

    /// Gives the connection back, or closes it, as soon as the last byte was taken.
    fn leave_if_over(&mut self) {
        if self.framing.is_over()
            && let Some(wire) = self.wire.take()
            && let Some(place) = self.place.take()
            && self.unread.is_empty()
        {
            place.put(wire);
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            let data = self.framing.next(&mut self.unread);
            self.leave_if_over();
            if let Some(data) = data.transpose() {
                return Poll::Ready(Some(data));
            }
            let Some(wire) = &mut self.wire else { return Poll::Ready(None) };
            match ready!(wire.poll_read(cx)).map_err(Error::Read)? {
                Some(bytes) => self.unread = bytes,
                None if matches!(self.framing, Framing::Close) => self.wire = None,
                None => return Poll::Ready(Some(Err(Error::Incomplete))),
            }
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let data = ready!(this.poll_data(cx));
        if matches!(data, Some(Err(_))) {
            // What is left of it means nothing any more.
            this.wire = None;
            this.unread = Bytes::new();
            this.framing = Framing::Length(0);
        }
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.wire.is_none() && self.unread.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            Framing::Chunked(_) | Framing::Close => SizeHint::default(),
        }
    }
}
