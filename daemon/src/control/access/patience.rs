//! How long the other end of a connection has let one of its streams wait.
//!
//! HTTP/2 has a window for each stream. Who never opens it, or never ends what it asks, takes every byte of the
//! socket and answers each ping, and yet holds an answer, a question, or one of the places of those who ask a side,
//! for ever: nothing of it is polled any more, so that no timeout of its own can end it. So what is waited for is
//! written down here, and the connection, which is polled, looks.
//!
//! A request of many messages may be silent for days, but only between two of them: what has come of one is held
//! until the rest comes.

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
        let wait = self.wait();
        wait.begin();
        Body::new(Awaited { body, awaits: Awaits::Room, wait })
    }

    /// A request of one message: the other end is waited for until it is whole.
    pub(super) fn question(self: &Arc<Self>, body: Body) -> Body {
        let wait = self.wait();
        wait.begin();
        Body::new(Awaited { body, awaits: Awaits::End, wait })
    }

    /// A request of many messages: the other end is waited for within one, until that is whole.
    pub(super) fn questions(self: &Arc<Self>, body: Body) -> Body {
        Body::new(Awaited { body, awaits: Awaits::Rest(Framing::default()), wait: self.wait() })
    }

    /// One that does not wait yet.
    fn wait(self: &Arc<Self>) -> Wait {
        let mut waits = self.lock();
        waits.last += 1;
        Wait { of: Arc::clone(self), id: waits.last }
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

    /// Begins, or goes on as it began.
    fn go_on(&self) {
        self.of.lock().since.entry(self.id).or_insert_with(Instant::now);
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

enum Awaits {
    Room,
    End,
    Rest(Framing),
}

/// What comes before each message: a byte of flags, and its length in four.
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>
const HEAD_BYTES: usize = 5;

/// How far the framing of a request of many messages has come.
#[derive(Debug, Default, PartialEq, Eq)]
struct Framing {
    /// Bytes of a message's head.
    head: usize,
    /// Bytes that follow it and have not come, once it is whole.
    missing: usize,
}

impl Framing {
    /// Goes on by `bytes`. Whether a message ended among them.
    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut ended = false;
        loop {
            if self.head == HEAD_BYTES {
                let Some((_, rest)) = bytes.split_at_checked(self.missing) else {
                    self.missing -= bytes.len();
                    return ended;
                };
                (*self, bytes, ended) = (Self::default(), rest, true);
            }
            let Some((byte, rest)) = bytes.split_first() else { return ended };
            if self.head > 0 {
                self.missing = (self.missing << 8) | usize::from(*byte);
            }
            self.head += 1;
            bytes = rest;
        }
    }

    fn is_within_a_message(&self) -> bool {
        self.head > 0
    }
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
        let Self { body, awaits, wait } = &mut *self;
        let polled = Pin::new(body).poll_frame(context);
        match (awaits, &polled) {
            // Until it is asked for the next, there is no room for this one.
            (Awaits::Room, Poll::Ready(Some(Ok(_)))) => wait.begin(),
            (Awaits::Rest(framing), Poll::Ready(Some(Ok(frame)))) => {
                if frame.data_ref().is_some_and(|bytes| framing.pass(bytes)) {
                    wait.end();
                }
            }
            // While nobody asks, it is not the other end that is waited for.
            (Awaits::Rest(framing), Poll::Pending) if framing.is_within_a_message() => wait.go_on(),
            (Awaits::End | Awaits::Rest(_), Poll::Pending)
            | (Awaits::End, Poll::Ready(Some(Ok(_)))) => {}
            // Now it is the other end that waits.
            (Awaits::Room, _) | (_, Poll::Ready(None | Some(Err(_)))) => wait.end(),
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
    use proptest::prelude::*;
    use tokio_stream::wrappers::ReceiverStream;

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

    /// From its first bytes on, however many follow, and never between two.
    #[tokio::test(start_paused = true)]
    async fn a_message_of_many_waits_until_it_is_whole() {
        let patience = Arc::<Patience>::default();
        let (sent, came) = tokio::sync::mpsc::channel(1);
        let frames = ReceiverStream::new(came)
            .map(|bytes: &'static [u8]| Ok::<_, Status>(Frame::data(Bytes::from_static(bytes))));
        let mut questions = patience.questions(Body::new(StreamBody::new(frames)));
        assert!(futures::poll!(questions.frame()).is_pending());
        let steps: [(&'static [u8], u32); 8] = [
            (b"\0\0\0\0", 1),
            (b"\x03a", 2),
            (b"b", 3),
            (b"c", 0),
            (b"\0\0\0\0\0", 0),
            (b"\0\0\0\0\x01a\0", 1),
            (b"\0\0\0\x01b\0\0\0\0\x02", 1),
            (b"ab", 0),
        ];
        for (bytes, minutes) in steps {
            sent.send(bytes).await.expect("it is read");
            questions.frame().await.expect("a frame").expect("no error");
            assert!(futures::poll!(questions.frame()).is_pending());
            tokio::time::advance(MINUTE).await;
            assert_eq!(patience.longest(), minutes * MINUTE, "{bytes:?}");
        }
        sent.send(b"\0").await.expect("it is read");
        questions.frame().await.expect("a frame").expect("no error");
        tokio::time::advance(MINUTE).await;
        assert_eq!(patience.longest(), Duration::ZERO, "nobody has asked for the rest");
        drop(sent);
        assert!(questions.frame().await.is_none());
        assert_eq!(patience.longest(), Duration::ZERO, "there is no rest");
    }

    proptest! {
        #[test]
        fn where_any_bytes_are_cut_makes_no_difference(
            frames in prop::collection::vec(
                prop::collection::vec(prop_oneof![8 => Just(0_u8), 1 => 1_u8..9], 0..30),
                0..30,
            ),
            flood in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let (mut whole, mut cut) = (Framing::default(), Framing::default());
            let ended = whole.pass(&frames.concat());
            let ends = frames.iter().filter(|frame| cut.pass(frame)).count();
            prop_assert_eq!((&whole, ended), (&cut, ends > 0));
            whole.pass(&flood);
        }
    }
}
