//! Bodies: what is read, and what is sent. Frames go through as they come.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;

use super::chunked::Chunked;
use super::target::{Checksum, PartBytes, PartError, PartFrames};
use super::{Error, Exchange, Frames};
use crate::remote;

/// The frames of an answer, which must give exactly `len` bytes. `asked` says what was asked.
pub(super) fn exactly<S, E>(mut frames: S, len: u64, asked: Exchange) -> Frames
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: std::error::Error + 'static,
{
    let mut left = len;
    let mut over = false;
    Box::pin(futures::stream::poll_fn(move |cx| {
        if over {
            return Poll::Ready(None);
        }
        let told = |message| Box::new(Exchange { message, ..asked.clone() });
        let item = match ready!(frames.poll_next_unpin(cx)) {
            Some(Ok(bytes)) => match left.checked_sub(bytes.len() as u64) {
                Some(rest) => {
                    left = rest;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                None => Some(Err(Error::BadAnswer(told("more bytes than asked for".to_owned())))),
            },
            Some(Err(error)) => Some(Err(remote::Fault::silent(asked.clone(), &error).into())),
            None if left > 0 => {
                let message = format!("the body ended {left} bytes early");
                Some(Err(Error::Unanswered(told(message))))
            }
            None => None,
        };
        over = true;
        Poll::Ready(item)
    }))
}

/// What ended a part's body before its time.
type Fault<E> = Arc<Mutex<Option<PartError<E>>>>;

/// The body of an UploadPart, or of a PutObject.
pub(super) struct PartBody<E> {
    /// Behind a mutex only because a body has to be `Sync`; it is never locked.
    source: Mutex<PartSource<E>>,
    len: u64,
    given: u64,
    /// Given by the source, and not by this.
    frame: Bytes,
    /// With a checksum behind it, it is framed.
    framing: Option<Chunked>,
    fault: Fault<E>,
    sent: Option<oneshot::Sender<()>>,
}

struct PartSource<E> {
    frames: PartFrames<E>,
    checksum: Option<Checksum>,
}

/// What is left with the sender of a [`PartBody`].
pub(super) struct PartWatch<E> {
    fault: Fault<E>,
    sent: oneshot::Receiver<()>,
}

impl<E> PartWatch<E> {
    /// Returns when the last byte was taken, or the body was dropped.
    pub(super) async fn sent(&mut self) {
        let _ = (&mut self.sent).await;
    }

    /// Why the body ended before its time, if it did.
    pub(super) fn fault(&self) -> Option<PartError<E>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The body's own message to the HTTP client: the real fault is kept for the caller.
#[derive(Debug, thiserror::Error)]
#[error("the part's body ended with an error of its own")]
pub(super) struct Faulted;

impl<E> PartBody<E> {
    /// The body of `part`; `with_checksum` as a trailer.
    pub(super) fn new(part: PartBytes<E>, with_checksum: bool) -> (Self, PartWatch<E>) {
        let fault = Fault::default();
        let (sender, sent) = oneshot::channel();
        let watch = PartWatch { fault: Arc::clone(&fault), sent };
        let PartBytes { len, frames, crc64nvme } = part;
        let body = Self {
            source: Mutex::new(PartSource { frames, checksum: Some(crc64nvme) }),
            len,
            given: 0,
            frame: Bytes::new(),
            framing: with_checksum.then(|| Chunked::new(len)),
            fault,
            sent: Some(sender),
        };
        (body, watch)
    }

    /// Bytes on the wire.
    pub(super) fn wire_len(&self) -> u64 {
        if self.framing.is_some() { Chunked::encoded_len(self.len) } else { self.len }
    }

    /// What stands behind the last byte, once.
    fn end(&mut self) -> Option<Bytes> {
        let source = self.source.get_mut().unwrap_or_else(PoisonError::into_inner);
        let crc64nvme = source.checksum.take()?;
        self.framing.as_ref().map(|framing| framing.end(crc64nvme()))
    }

    fn fail(&self, fault: PartError<E>) -> Poll<Option<Result<Frame<Bytes>, Faulted>>> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        Poll::Ready(Some(Err(Faulted)))
    }
}

impl<E: Send + 'static> http_body::Body for PartBody<E> {
    type Data = Bytes;
    type Error = Faulted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Faulted>>> {
        let this = self.get_mut();
        let data = |bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        if let Some(border) = this.framing.as_mut().and_then(Chunked::border) {
            return data(border);
        }
        while this.frame.is_empty() && this.given < this.len {
            let source = this.source.get_mut().unwrap_or_else(PoisonError::into_inner);
            this.frame = match ready!(source.frames.poll_next_unpin(cx)) {
                Some(Ok(bytes)) => bytes,
                Some(Err(error)) => return this.fail(PartError::Body(error)),
                None => {
                    let fault = PartError::Length { expected: this.len, found: this.given };
                    return this.fail(fault);
                }
            };
            this.given = this.given.saturating_add(this.frame.len() as u64);
            if this.given > this.len {
                return this.fail(PartError::Length { expected: this.len, found: this.given });
            }
        }
        if this.frame.is_empty() {
            this.sent.take();
            return this.end().map_or(Poll::Ready(None), data);
        }
        data(match &mut this.framing {
            Some(framing) => framing.data(&mut this.frame),
            None => std::mem::take(&mut this.frame),
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.wire_len())
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::model::FailureClass;

    fn frames(list: &[&'static [u8]]) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Unpin {
        let items: Vec<_> = list.iter().map(|frame| Ok(Bytes::from_static(frame))).collect();
        stream::iter(items)
    }

    /// A body that breaks off must not pass for a short object.
    #[tokio::test]
    async fn a_body_gives_what_was_asked_for_or_an_error() {
        let whole: Vec<_> =
            exactly(frames(&[b"ab", b"cd"]), 4, Exchange::default()).collect().await;
        assert_eq!(whole.len(), 2, "frames are not coalesced");
        assert!(whole.iter().all(Result::is_ok));

        let short: Vec<_> = exactly(frames(&[b"ab"]), 4, Exchange::default()).collect().await;
        let error = short[1].as_ref().expect_err("two bytes are missing");
        assert_eq!(error.class(), FailureClass::Transient);

        let long: Vec<_> = exactly(frames(&[b"ab", b"cd"]), 3, Exchange::default()).collect().await;
        assert!(matches!(long[1], Err(Error::BadAnswer(_))));
    }
}
