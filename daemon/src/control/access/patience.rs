//! How long the other end of a connection has let one of its streams wait.
//!
//! HTTP/2 has a window for each stream. Who never opens it, or never ends what it asks, takes every byte of the
//! socket and answers each ping, and yet holds an answer, a question, or one of the places of those who ask a side,
//! for ever: nothing of it is polled any more, so that no timeout of its own can end it. So what is waited for is
//! written down here, and the connection, which is polled, looks.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

/// What the streams of one connection wait for, and since when: at most two a stream.
#[derive(Debug, Default)]
pub(super) struct Patience(Mutex<Waits>);

#[derive(Debug, Default)]
struct Waits {
    last: u64,
    since: BTreeMap<u64, Instant>,
}

impl Patience {
    /// For how long the one that has waited longest has.
    pub(super) fn longest(&self) -> Duration {
        let since = self.lock().since.values().min().copied();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// An answer: the other end is waited for until it has room for the next of it.
    pub(super) fn answer(self: &Arc<Self>, body: Body) -> Body {
        Body::new(Awaited { body, awaits: Awaits::Room, wait: self.begin() })
    }

    /// A request of one message: the other end is waited for until it is whole.
    pub(super) fn question(self: &Arc<Self>, body: Body) -> Body {
        Body::new(Awaited { body, awaits: Awaits::End, wait: self.begin() })
    }

    fn begin(self: &Arc<Self>) -> Wait {
        let mut waits = self.lock();
        waits.last += 1;
        let id = waits.last;
        waits.since.insert(id, Instant::now());
        Wait { of: Arc::clone(self), id }
    }

    /// Plain data that every holder leaves whole.
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits, or has waited. Dropped, it waits no more.
struct Wait {
    of: Arc<Patience>,
    id: u64,
}

impl Wait {
    fn begin(&self) {
        self.of.lock().since.insert(self.id, Instant::now());
    }

    fn end(&self) {
        self.of.lock().since.remove(&self.id);
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Room,
    End,
}

struct Awaited {
    body: Body,
    awaits: Awaits,
    wait: Wait,
}

impl HttpBody for Awaited {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match (self.awaits, &polled) {
            // Until it is asked for the next, there is no room for this one.
            (Awaits::Room, Poll::Ready(Some(Ok(_)))) => self.wait.begin(),
            // Now it is the other end that waits.
            (Awaits::Room, _) | (Awaits::End, Poll::Ready(None | Some(Err(_)))) => self.wait.end(),
            (Awaits::End, _) => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Gives one frame, and then waits for as long as one likes.
    fn once() -> Body {
        let frame = Ok::<_, Status>(Frame::data(Bytes::from_static(b"a")));
        Body::new(StreamBody::new(stream::iter([frame]).chain(stream::pending())))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_while_it_is_not_asked_for_and_no_longer() {
        let patience = Arc::<Patience>::default();
        let mut answer = patience.answer(once());
        tokio::time::advance(MINUTE).await;
        assert_eq!(patience.longest(), MINUTE, "not once");
        answer.frame().await.expect("a frame").expect("no error");
        assert_eq!(patience.longest(), Duration::ZERO);
        tokio::time::advance(MINUTE).await;
        assert_eq!(patience.longest(), MINUTE, "not since");
        assert!(futures::poll!(answer.frame()).is_pending());
        tokio::time::advance(MINUTE).await;
        assert_eq!(patience.longest(), Duration::ZERO, "it is we who say nothing");
        drop(patience.answer(once()));
        assert_eq!(patience.lock().since.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_until_it_is_whole() {
        let patience = Arc::<Patience>::default();
        let mut question = patience.question(once());
        question.frame().await.expect("a frame").expect("no error");
        assert!(futures::poll!(question.frame()).is_pending());
        tokio::time::advance(MINUTE).await;
        assert_eq!(patience.longest(), MINUTE);
        let mut empty = patience.question(Body::empty());
        assert!(empty.frame().await.is_none());
        drop(question);
        assert_eq!(patience.longest(), Duration::ZERO);
    }
}
