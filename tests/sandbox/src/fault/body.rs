//! A body that counts its bytes and suffers its faults at the byte they are written for.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use s3s::StdError;
use tokio::time::Sleep;

use crate::lock::lock;
use crate::wire::{Fate, Severed};

/// hyper writes what it has while the body is not ready: so long do the bytes before a cut get to
/// leave.
const FLUSH: Duration = Duration::from_millis(20);

/// Something that happens when `at` bytes have passed.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: u64,
    pub(crate) effect: Effect,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect {
    Reset,
    Close,
    Stall(Duration),
    Flip,
}

/// A body under a script.
#[derive(Debug)]
pub(crate) struct Scripted<B> {
    inner: B,
    events: VecDeque<Event>,
    /// Bytes yielded.
    position: u64,
    /// The rest of a frame that was split at an event.
    rest: Bytes,
    waiting: Option<Pin<Box<Sleep>>>,
    /// How the connection ends once `waiting` is over.
    ending: Option<Severed>,
    flip: bool,
    fate: Arc<Fate>,
    counter: Arc<AtomicU64>,
}

impl<B> Scripted<B> {
    pub(crate) fn new(
        inner: B,
        events: Vec<Event>,
        fate: Arc<Fate>,
        counter: Arc<AtomicU64>,
    ) -> Self {
        Self {
            inner,
            events: events.into(),
            position: 0,
            rest: Bytes::new(),
            waiting: None,
            ending: None,
            flip: false,
            fate,
            counter,
        }
    }

    /// Starts the events that are due. True when one of them makes the body wait.
    fn start_events(&mut self) -> bool {
        while let Some(event) = self.events.pop_front_if(|event| event.at <= self.position) {
            let wait = match event.effect {
                Effect::Flip => {
                    self.flip = true;
                    continue;
                }
                Effect::Stall(time) => time,
                Effect::Reset => {
                    self.ending = Some(Severed::Reset);
                    FLUSH
                }
                Effect::Close => {
                    self.ending = Some(Severed::Closed);
                    FLUSH
                }
            };
            self.waiting = Some(Box::pin(tokio::time::sleep(wait)));
            return true;
        }
        false
    }

    /// Cuts a frame at the next event and flips the bit that is due.
    fn pass(&mut self, mut data: Bytes) -> Bytes {
        if let Some(event) = self.events.front() {
            let left = usize::try_from(event.at - self.position).unwrap_or(usize::MAX);
            if left < data.len() {
                self.rest = data.split_off(left);
            }
        }
        if std::mem::take(&mut self.flip) {
            data = flipped(&data, 0);
        }
        self.position += data.len() as u64;
        self.counter.fetch_add(data.len() as u64, Ordering::Relaxed);
        data
    }
}

/// A copy with one bit of the byte at `index` wrong.
pub(crate) fn flipped(data: &Bytes, index: usize) -> Bytes {
    let mut copy = BytesMut::from(data.as_ref());
    if let Some(byte) = copy.get_mut(index) {
        *byte ^= 1;
    }
    copy.freeze()
}

impl<B> Body for Scripted<B>
where
    B: Body<Data = Bytes> + Unpin,
    StdError: From<B::Error>,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = self.get_mut();
        loop {
            if let Some(waiting) = &mut this.waiting {
                ready!(waiting.as_mut().poll(cx));
                this.waiting = None;
            }
            if let Some(severed) = this.ending {
                this.fate.sever(severed);
                return Poll::Ready(Some(Err("the script cut this body".into())));
            }
            if this.start_events() {
                continue;
            }
            if !this.rest.is_empty() {
                let rest = std::mem::take(&mut this.rest);
                return Poll::Ready(Some(Ok(Frame::data(this.pass(rest)))));
            }
            return match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let frame = frame.map_data(|data| this.pass(data));
                    Poll::Ready(Some(Ok(frame)))
                }
                Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
                None => Poll::Ready(None),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.ending.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// Where a request body goes when the operation drops it unread.
pub(crate) type Leftover = Arc<Mutex<Option<Incoming>>>;

/// A request body that is handed back when it is dropped: an error that is answered while the client
/// still sends would break the connection, and the client would never read the error.
#[derive(Debug)]
pub(crate) struct Returned {
    inner: Option<Incoming>,
    leftover: Leftover,
    /// Copies what passes, for a server that stores the framing.
    tee: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Returned {
    pub(crate) fn new(
        inner: Incoming,
        leftover: Leftover,
        tee: Option<Arc<Mutex<Vec<u8>>>>,
    ) -> Self {
        Self { inner: Some(inner), leftover, tee }
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        *lock(&self.leftover) = self.inner.take();
    }
}

impl Body for Returned {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if let (Some(Ok(frame)), Some(tee)) = (&frame, &self.tee)
            && let Some(data) = frame.data_ref()
        {
            lock(tee).extend_from_slice(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
