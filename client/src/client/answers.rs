//! The answers to many submissions.
//!
//! # Invariants
//! - Of a stream of requests, at most [`UNANSWERED_MAX`] are sent beyond those whose answers the caller has taken:
//!   what is with the daemon and was told to nobody has a bound, however long the caller stands still.
//! - Their answers are taken off the connection by a task with room for all of them: the daemon cuts off who keeps
//!   a stream waiting, and a caller who stands still does not.
//! - Who stops, or drops the answers, sends nothing more.
//! - An end that the daemon did not tell is an error, never the end.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::Streaming;

use crate::error::Error;
use crate::v1::{SubmitManyRequest, SubmitManyResponse};

/// Twice what the daemon writes at once: while one batch is on its way to the disk, the next is there.
const UNANSWERED_MAX: usize = 512;

/// An answer, or with `None` the end of all.
type Read = Result<Option<SubmitManyResponse>, Error>;

/// The answers to many submissions.
#[derive(Debug)]
pub struct Answers {
    answers: mpsc::Receiver<Read>,
    /// Of a stream of requests, until it is stopped.
    sending: Option<Sending>,
}

impl Answers {
    pub(super) fn new(
        endpoint: String,
        inner: Streaming<SubmitManyResponse>,
        sending: Option<Sending>,
    ) -> Self {
        let (sender, answers) = mpsc::channel(UNANSWERED_MAX);
        tokio::spawn(read(endpoint, inner, sender));
        Self { answers, sending }
    }

    /// The next answer; `None` after the last. Safe to drop midway.
    pub async fn next(&mut self) -> Result<Option<SubmitManyResponse>, Error> {
        let answer = self.answers.recv().await.unwrap_or(Err(Error::Incomplete { field: "end" }));
        if let (Ok(Some(_)), Some(sending)) = (&answer, &self.sending) {
            sending.unanswered.add_permits(1);
        }
        answer
    }

    /// Sends no further request. Those that were sent are answered, and then comes the end. What the daemon
    /// finds by itself, below a prefix, goes on.
    pub fn stop(&mut self) {
        self.sending = None;
    }
}

/// What holds a stream of requests. Dropped, it ends the stream.
#[derive(Debug)]
pub(super) struct Sending {
    unanswered: Arc<Semaphore>,
    _held: oneshot::Sender<()>,
}

/// The requests, pulled only while few are unanswered, and what holds them.
pub(super) fn paced(
    requests: impl Stream<Item = SubmitManyRequest> + Send + 'static,
) -> (impl Stream<Item = SubmitManyRequest> + Send + 'static, Sending) {
    let unanswered = Arc::new(Semaphore::new(UNANSWERED_MAX));
    let (held, stopped) = oneshot::channel();
    let start = (Box::pin(requests), Arc::clone(&unanswered));
    let paced = stream::unfold(start, |(mut requests, unanswered)| async move {
        unanswered.acquire().await.ok()?.forget();
        let request = requests.next().await?;
        Some((request, (requests, unanswered)))
    });
    // tonic asks again after the end, which an unfold answers with a panic.
    (paced.take_until(stopped).fuse(), Sending { unanswered, _held: held })
}

/// Reads until the end, an error, or until nobody takes the answers any more.
async fn read(
    endpoint: String,
    mut inner: Streaming<SubmitManyResponse>,
    answers: mpsc::Sender<Read>,
) {
    loop {
        let read = tokio::select! {
            () = answers.closed() => return,
            read = inner.message() => read,
        };
        let read = read.map_err(|status| Error::from_status(&endpoint, &status));
        let is_last = !matches!(read, Ok(Some(_)));
        if answers.send(read).await.is_err() || is_last {
            return;
        }
    }
}
