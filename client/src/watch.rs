//! Following jobs for hours, across restarts of the daemon.
//!
//! # Invariants
//! - No durable change is lost: after a lost connection the stream resumes at the last cursor.
//! - A cursor counts only once the snapshot is complete. Resuming at the cursor of a job in the middle of
//!   a snapshot would skip the jobs behind it.
//! - A gap is never silent: when what follows is a fresh snapshot, [`Event::Reset`] or an `afresh`
//!   [`Event::Restored`] says so first.
//! - Waiting is bounded: delays grow to `backoff_max`, and an outage ends the watch after `give_up_after`.
//! - [`Watch::next`] may be dropped midway: everything under way is kept in the state.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, Sleep};
use tonic::Streaming;

use crate::client::Client;
use crate::error::Error;
use crate::v1::{Job, Progress, WatchEvent, WatchRequest, watch_event};

/// A stream that was silent but stood for so long counts as a good connection.
const STABLE: Duration = Duration::from_secs(10);

/// How patient a watch is.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The first delay before connecting anew; it doubles.
    pub backoff_min: Duration,
    /// The longest delay.
    pub backoff_max: Duration,
    /// The longest outage.
    pub give_up_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            // An upgrade or a reboot of the bastion fits; a daemon that is gone for good ends the watch.
            give_up_after: Duration::from_secs(600),
        }
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum Event {
    /// A job after a durable change, or as part of a snapshot.
    Job(Box<Job>),
    /// Live figures.
    Progress(Box<Progress>),
    /// What follows is a fresh snapshot; changes may have been missed.
    Reset { reason: String },
    /// The snapshot is complete.
    SnapshotEnd,
    /// The connection is lost; it is tried again after `retry_in`.
    Lost { reason: Error, retry_in: Duration },
    /// The connection is back. With `afresh` a new snapshot follows, as after [`Event::Reset`].
    Restored { afresh: bool },
}

enum Link {
    Opening(BoxFuture<'static, Result<Streaming<WatchEvent>, Error>>),
    Open { stream: Box<Streaming<WatchEvent>>, since: Instant, heard: bool },
    Waiting(Pin<Box<Sleep>>),
}

struct Outage {
    since: Instant,
    failures: u32,
}

/// Events of jobs, until dropped.
pub struct Watch {
    client: Client,
    request: WatchRequest,
    options: Options,
    link: Link,
    outage: Option<Outage>,
    in_snapshot: bool,
    /// The newest cursor seen inside a snapshot that is not complete.
    pending_cursor: String,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("request", &self.request).finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) fn new(client: Client, request: WatchRequest, options: Options) -> Self {
        let link = open(&client, &request);
        let in_snapshot = request.cursor.is_empty();
        let pending_cursor = String::new();
        Self { client, request, options, link, outage: None, in_snapshot, pending_cursor }
    }

    /// Where a later watch would resume; empty before the first snapshot is complete.
    pub fn cursor(&self) -> &str {
        &self.request.cursor
    }

    /// The next event. Ends only with an error: the jobs' end is for the caller to see.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            match &mut self.link {
                Link::Opening(opening) => match opening.await {
                    Ok(stream) => {
                        if let Some(event) = self.opened(stream) {
                            return Ok(event);
                        }
                    }
                    Err(reason) => return self.lost(reason),
                },
                Link::Open { stream, heard, .. } => match stream.message().await {
                    Ok(Some(event)) => {
                        *heard = true;
                        self.outage = None;
                        if let Some(event) = self.note(event) {
                            return Ok(event);
                        }
                    }
                    // A daemon that shuts down in good order ends the stream without an error.
                    Ok(None) => {
                        let message = "the daemon ended the stream".to_owned();
                        return self.lost(Error::Unavailable { message });
                    }
                    Err(status) => {
                        let reason = self.client.error(&status);
                        return self.lost(reason);
                    }
                },
                Link::Waiting(sleep) => {
                    sleep.await;
                    self.link = open(&self.client, &self.request);
                }
            }
        }
    }

    fn opened(&mut self, stream: Streaming<WatchEvent>) -> Option<Event> {
        let since = Instant::now();
        self.link = Link::Open { stream: Box::new(stream), since, heard: false };
        self.outage.as_ref()?;
        let afresh = self.request.cursor.is_empty();
        if afresh {
            self.in_snapshot = true;
            self.pending_cursor.clear();
        }
        Some(Event::Restored { afresh })
    }

    /// Decides what a failure means: the end, or another try.
    fn lost(&mut self, reason: Error) -> Result<Event, Error> {
        let now = Instant::now();
        let was_good = match &self.link {
            Link::Open { since, heard, .. } => *heard || now - *since > STABLE,
            Link::Opening(_) | Link::Waiting(_) => false,
        };
        if was_good {
            self.outage = None;
        }
        let outage = self.outage.get_or_insert(Outage { since: now, failures: 0 });
        let doubled = 2_u32.saturating_pow(outage.failures);
        let retry_in =
            (self.options.backoff_min * doubled.min(1 << 16)).min(self.options.backoff_max);
        outage.failures += 1;
        let given_up = now - outage.since + retry_in > self.options.give_up_after;
        self.link = Link::Waiting(Box::pin(tokio::time::sleep(retry_in)));
        if given_up || !reason.is_transient() {
            return Err(reason);
        }
        Ok(Event::Lost { reason, retry_in })
    }

    /// Keeps the cursor and turns the message into an event. `None` for what a newer daemon may send.
    fn note(&mut self, message: WatchEvent) -> Option<Event> {
        let snapshot_ends = matches!(message.event, Some(watch_event::Event::SnapshotEnd(_)));
        if let Some(watch_event::Event::Reset(_)) = message.event {
            self.in_snapshot = true;
            self.request.cursor.clear();
            self.pending_cursor.clear();
        }
        if !message.cursor.is_empty() {
            self.pending_cursor = message.cursor;
        }
        if snapshot_ends {
            self.in_snapshot = false;
        }
        if !self.in_snapshot && !self.pending_cursor.is_empty() {
            self.request.cursor = std::mem::take(&mut self.pending_cursor);
        }
        Some(match message.event? {
            watch_event::Event::Job(job) => Event::Job(Box::new(job)),
            watch_event::Event::Progress(progress) => Event::Progress(Box::new(progress)),
            watch_event::Event::Reset(reset) => Event::Reset { reason: reset.reason },
            watch_event::Event::SnapshotEnd(_) => Event::SnapshotEnd,
        })
    }
}

fn open(client: &Client, request: &WatchRequest) -> Link {
    let (client, request) = (client.clone(), request.clone());
    Link::Opening(Box::pin(async move { client.watch_once(request).await }))
}
