//! One request and the head of its answer, on one connection, in the task of whoever awaits it: no
//! frame crosses a channel or wakes another task.
//!
//! # Invariants
//! - The answer is read while the body is still being sent: one that comes early is given at once.
//! - No frame of the body is asked for while the connection does not take the one before.
//! - Nothing that was taken waits to be sent while the body has no more at hand.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_types::body::SdkBody;
use bytes::{Buf as _, Bytes};
use http_body::Body as _;

use super::Error;
use super::head::{Answered, Collecting, Outbound};
use super::wire::Wire;

/// The body of a request on its way.
struct Upload<'a> {
    body: &'a mut SdkBody,
    /// The head, then frames: what of them was not taken yet.
    frame: Bytes,
    /// Bytes of the body that are still to come.
    left: u64,
    /// Whether the body gave anything.
    is_begun: bool,
    is_sent: bool,
    /// Why no more can be sent. The answer may be there all the same.
    broken: Option<io::Error>,
}

/// What a connection answered.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answered: Answered,
    /// What came behind the head.
    pub(super) unread: Bytes,
    /// Whether the whole request was sent.
    pub(super) is_sent: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: Error,
    /// Whether anything of an answer came.
    pub(super) is_begun: bool,
    /// Whether the server may have the whole request.
    pub(super) is_sent: bool,
    /// Whether the body has given anything, and cannot give it again.
    pub(super) is_body_begun: bool,
}

/// Sends `request` with `body`, and waits for the head of the answer. To drop it midway leaves a
/// connection that is good for nothing.
pub(super) async fn exchange(
    wire: &mut Wire,
    request: &Outbound,
    body: &mut SdkBody,
) -> Result<Outcome, Box<Failed>> {
    let mut upload = Upload {
        body,
        frame: request.head.clone(),
        left: request.body_len,
        is_begun: false,
        is_sent: false,
        broken: None,
    };
    let mut head = Collecting::default();
    let result = poll_fn(|cx| {
        if let Poll::Ready(Err(error)) = upload.poll(wire, cx) {
            return Poll::Ready(Err(error));
        }
        loop {
            let frame = match ready!(wire.poll_read(cx)) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Poll::Ready(Err(upload.why().unwrap_or(Error::Incomplete))),
                Err(error) => return Poll::Ready(Err(upload.why().unwrap_or(Error::Read(error)))),
            };
            if let Some(head) = head.push(frame, request.wants_head).transpose() {
                return Poll::Ready(head);
            }
        }
    })
    .await;
    let is_sent = upload.is_sent;
    let failed = |error| {
        let is_begun = head.is_begun();
        Box::new(Failed { error, is_begun, is_sent, is_body_begun: upload.is_begun })
    };
    let (answered, unread) = result.map_err(failed)?;
    Ok(Outcome { answered, unread, is_sent })
}

impl Upload<'_> {
    fn why(&mut self) -> Option<Error> {
        self.broken.take().map(Error::Write)
    }

    /// Ready once nothing more can be sent; an error is the body's own.
    fn poll(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.is_sent && self.broken.is_none() {
            if let Err(error) = ready!(self.poll_step(wire, cx))? {
                self.broken = Some(error);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_step(
        &mut self,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<Result<io::Result<()>, Error>> {
        if !self.frame.is_empty() {
            let taken = ready!(wire.poll_write(cx, &self.frame));
            return Poll::Ready(Ok(taken.map(|taken| self.took(taken))));
        }
        if self.left == 0 {
            // At once: whoever waits for the last byte to be taken waits for this.
            *self.body = SdkBody::empty();
            let flushed = ready!(wire.poll_flush(cx));
            self.is_sent = flushed.is_ok();
            return Poll::Ready(Ok(flushed));
        }
        match Pin::new(&mut *self.body).poll_frame(cx) {
            Poll::Ready(Some(frame)) => {
                let frame = frame.map_err(Error::Body)?;
                self.frame = frame.into_data().unwrap_or_default();
                self.is_begun |= !self.frame.is_empty();
                let left = self.left.checked_sub(self.frame.len() as u64);
                self.left = left.ok_or(Error::Request("its body is longer than its head says"))?;
                Poll::Ready(Ok(Ok(())))
            }
            Poll::Ready(None) => {
                Poll::Ready(Err(Error::Request("its body is shorter than its head says")))
            }
            Poll::Pending => match ready!(wire.poll_flush(cx)) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Ok(Err(error))),
            },
        }
    }

    fn took(&mut self, taken: usize) {
        self.frame.advance(taken);
        if self.frame.is_empty() {
            // At once, so that its buffer is the next one that is lent.
            self.frame = Bytes::new();
        }
    }
}
