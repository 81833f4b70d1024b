//! Yields a content's bytes as frames, ready for a socket.
//!
//! Memory and computed bytes are handed out as slices, never copied. A file is read on the blocking
//! pool, one frame ahead of the socket.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::JoinHandle;

use super::{Content, StoredFile};

/// Large enough that a system call costs little beside it, small enough to stay in cache.
const FRAME_BYTES: u64 = 512 * 1024;

/// A stream of frames; see [`Content::read`].
#[derive(Debug)]
pub struct Reader {
    leaves: VecDeque<(Content, Range<u64>)>,
    /// Bytes not yielded yet.
    remaining: u64,
    /// The file read under way.
    pending: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reader {
    pub(super) fn new(leaves: Vec<(Content, Range<u64>)>, remaining: u64) -> Self {
        Self { leaves: leaves.into(), remaining, pending: None }
    }

    /// Takes the next frame's worth off the front leaf.
    fn next_step(&mut self) -> Option<Step> {
        loop {
            let (content, range) = self.leaves.front_mut()?;
            if range.is_empty() {
                self.leaves.pop_front();
                continue;
            }
            let start = range.start;
            let step = match content {
                Content::Memory(bytes) => Step::ready(slice(bytes, start, range.end)),
                Content::File { file, offset, .. } => Step::Read {
                    file: Arc::clone(file),
                    at: *offset + start,
                    len: FRAME_BYTES.min(range.end - start),
                },
                Content::Synthetic { source, offset, .. } => {
                    Step::ready(source.piece(*offset + start, range.end - start))
                }
                Content::Dropped { .. } => {
                    Step::Ready(Err(io::Error::other("the sink dropped these bytes")))
                }
                Content::Joined(_) => Step::Ready(Err(io::Error::other("a leaf cannot be joined"))),
            };
            range.start += step.len();
            return Some(step);
        }
    }

    fn start_read(&mut self, file: Arc<StoredFile>, at: u64, len: u64) {
        self.pending = Some(tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; usize::try_from(len).map_err(io::Error::other)?];
            file.file.read_exact_at(&mut buffer, at)?;
            Ok(buffer.into())
        }));
    }

    /// Starts the next read before the socket asks for it, so that disk and socket overlap.
    fn read_ahead(&mut self) {
        if matches!(self.leaves.front(), Some((Content::File { .. }, range)) if !range.is_empty())
            && let Some(Step::Read { file, at, len }) = self.next_step()
        {
            self.start_read(file, at, len);
        }
    }

    fn yielded(&mut self, frame: io::Result<Bytes>) -> Poll<Option<io::Result<Bytes>>> {
        match &frame {
            Ok(bytes) => self.remaining -= bytes.len() as u64,
            Err(_) => self.leaves.clear(),
        }
        Poll::Ready(Some(frame))
    }
}

/// The next frame, or how to get it.
enum Step {
    Ready(io::Result<Bytes>),
    Read { file: Arc<StoredFile>, at: u64, len: u64 },
}

impl Step {
    fn ready(bytes: Bytes) -> Self {
        Self::Ready(Ok(bytes))
    }

    fn len(&self) -> u64 {
        match self {
            Self::Ready(Ok(bytes)) => bytes.len() as u64,
            Self::Ready(Err(_)) => 0,
            Self::Read { len, .. } => *len,
        }
    }
}

fn slice(bytes: &Bytes, start: u64, end: u64) -> Bytes {
    let end = end.min(start + FRAME_BYTES);
    // Both bounds lie inside `bytes`, whose length is a usize.
    let bound = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    bytes.slice(bound(start)..bound(end))
}

impl Stream for Reader {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(read) = &mut this.pending {
                let joined = std::task::ready!(Pin::new(read).poll(cx));
                this.pending = None;
                this.read_ahead();
                return this.yielded(joined.unwrap_or_else(|panic| Err(io::Error::other(panic))));
            }
            match this.next_step() {
                None => return Poll::Ready(None),
                Some(Step::Ready(frame)) => return this.yielded(frame),
                Some(Step::Read { file, at, len }) => this.start_read(file, at, len),
            }
        }
    }
}

/// What s3s wants of a response body: errors in its type, and the length known.
#[derive(Debug)]
pub(crate) struct Blob(pub(crate) Reader);

impl Stream for Blob {
    type Item = Result<Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map_err(Into::into)
    }
}

impl ByteStream for Blob {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.0.remaining)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
