//! The bytes of one range, hashed and counted on their way, resumed where a read broke off.
//!
//! A read fault inside a range is mended here, under the same upload body: a new ranged GET begins at
//! the first byte that did not arrive, so a broken link costs no byte twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pulse::{Phase, Pulse};
use super::{Fault, LiveTransfer, Transfer};
use crate::base::{Backoff, Direction, Flow, Measure, Pace, SharedObserver};
use crate::blob::{Error, Frames, PartBytes, Source};
use crate::integrity::PartHasher;
use crate::model::{ByteRange, Failure, FailureClass, PartDigest, PinnedObject, Side};

/// No byte for this long: the connection is dead, whatever TCP thinks.
const READ_STALL: Duration = Duration::from_secs(20);
/// Resumes in a row without one byte in between. Few and quick: the target waits with its body open.
const RESUMES_MAX: u32 = 4;
const RESUME: Backoff =
    Backoff { first: Duration::from_millis(100), widest: Duration::from_secs(3) };

/// Why the bytes could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Source(#[from] Error),
    #[error("the source sent no byte for {} s", READ_STALL.as_secs())]
    Stalled,
    #[error("the source sends this part much slower than the job's others")]
    Outpaced,
}

impl ReadError {
    pub(super) fn class(&self) -> FailureClass {
        match self {
            Self::Source(error) => error.class(),
            Self::Stalled | Self::Outpaced => FailureClass::Transient,
        }
    }

    /// What becomes of the transfer when no retry mends it.
    pub(super) fn into_fault(self, side: Side, failure: Failure) -> Fault {
        match self {
            Self::Source(error) => Fault::of_request(&error, side),
            Self::Stalled | Self::Outpaced => Fault::failed(failure),
        }
    }
}

/// What is read: one version of an object, at one side of the transfer.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) side: Side,
    pub(super) object: Arc<dyn Source>,
    pub(super) pinned: Arc<PinnedObject>,
    /// As people know it.
    pub(super) resource: String,
}

impl Origin {
    /// The error, told to a person.
    pub(super) fn failure(&self, error: &ReadError) -> Failure {
        match error {
            ReadError::Source(error) => error.to_failure(self.side),
            ReadError::Stalled | ReadError::Outpaced => {
                let remedy = "it is asked for again; if it stays, check the link";
                Failure::new(error.class(), error.to_string(), remedy)
                    .on(self.side, self.object.name().parse().ok())
                    .at("s3:GetObject", self.resource.clone())
            }
        }
    }
}

impl Transfer {
    /// The source object, at the version that was pinned.
    pub(super) fn origin(&self, pinned: Arc<PinnedObject>) -> Origin {
        let resource = self.spec.source.to_string();
        Origin { side: Side::Source, object: Arc::clone(&self.source), pinned, resource }
    }
}

/// What the reader leaves behind when its stream is dropped, whoever drops it.
#[derive(Debug)]
pub(super) struct Trace {
    hasher: Mutex<PartHasher>,
    /// Bytes handed on.
    pub(super) bytes: Arc<AtomicU64>,
    pub(super) pulse: Pulse,
    /// Tells the reader to go on with a fresh connection.
    pub(super) reopen: Notify,
}

impl Trace {
    pub(super) fn new(object_size: u64, range: ByteRange, bytes: Arc<AtomicU64>) -> Arc<Self> {
        let hasher = Mutex::new(PartHasher::new(object_size, range));
        Arc::new(Self { hasher, bytes, pulse: Pulse::new(), reopen: Notify::new() })
    }

    pub(super) fn sent(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The digest, once all bytes have passed.
    pub(super) fn digest(&self) -> Result<PartDigest, crate::integrity::Error> {
        self.lock().clone().finish()
    }

    fn update(&self, frame: &Bytes) {
        self.lock().update(frame);
        self.bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
    }

    // Uncontended: one reader feeds it, and whoever takes the digest comes after.
    fn lock(&self) -> MutexGuard<'_, PartHasher> {
        self.hasher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads one range.
pub(super) struct Reader {
    origin: Origin,
    /// What is still to come.
    rest: ByteRange,
    frames: Option<Frames>,
    /// What a limit does not let pass at once of the frame that came last.
    held: Bytes,
    resumes: u32,
    /// Where the bytes go to, when they go anywhere.
    target: Option<Arc<Pace>>,
    trace: Arc<Trace>,
    live: Arc<LiveTransfer>,
    flow: Arc<Flow>,
    asked_at: Instant,
    observer: SharedObserver,
}

impl Reader {
    /// A reader of `range` for this transfer. With `target` the bytes are paced on their way there.
    pub(super) fn new(
        transfer: &Transfer,
        origin: Origin,
        range: ByteRange,
        target: Option<Arc<Pace>>,
        trace: Arc<Trace>,
    ) -> Self {
        Self {
            origin,
            rest: range,
            frames: None,
            held: Bytes::new(),
            resumes: 0,
            target,
            trace,
            live: Arc::clone(&transfer.live),
            flow: Arc::clone(transfer.seat.flow()),
            asked_at: Instant::now(),
            observer: Arc::clone(&transfer.observer),
        }
    }

    /// As the part of an upload, `len` bytes long.
    pub(super) fn into_part(self, len: u64) -> PartBytes<ReadError> {
        let trace = Arc::clone(&self.trace);
        let crc64nvme = Box::new(move || trace.lock().crc64nvme());
        let frames = futures::stream::unfold(self, |mut reader| async move {
            reader.trace.pulse.beat(Phase::Reading);
            let next = reader.next().await;
            let more = reader.rest.len > 0;
            reader.trace.pulse.beat(if more { Phase::Writing } else { Phase::Answer });
            next.map(|frame| (frame, reader))
        });
        PartBytes { len, frames: Box::pin(frames), crc64nvme }
    }

    /// The next frame; `None` after the last byte.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, ReadError>> {
        while self.rest.len > 0 {
            let error = match self.frame().await {
                Ok(frame) => {
                    self.passed(&frame).await;
                    return Some(Ok(frame));
                }
                Err(error) => error,
            };
            self.frames = None;
            self.resumes += 1;
            let class = error.class();
            let hopeful = matches!(class, FailureClass::Transient | FailureClass::Throttled);
            if !hopeful || self.resumes > RESUMES_MAX {
                // Nothing follows an error: the stream ends here.
                self.rest.len = 0;
                return Some(Err(error));
            }
            let measure = Measure::Retry { remote: self.origin.object.name(), class };
            self.observer.record(measure);
            let failure = self.origin.failure(&error);
            tracing::debug!(%failure, at = self.rest.start, "resuming the read");
            self.live.trouble(failure.to_string());
            tokio::time::sleep(RESUME.delay(self.resumes)).await;
        }
        None
    }

    /// One frame from the open GET, or from a new one.
    async fn frame(&mut self) -> Result<Bytes, ReadError> {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            return Ok(self.cut(held));
        }
        let frames = match &mut self.frames {
            Some(frames) => frames,
            closed => closed.insert(self.origin.object.read(&self.origin.pinned, self.rest).await?),
        };
        let next = tokio::select! {
            biased;
            next = tokio::time::timeout(READ_STALL, frames.next()) => {
                next.map_err(|_| ReadError::Stalled)?
            }
            () = self.trace.reopen.notified() => return Err(ReadError::Outpaced),
        };
        match next {
            Some(frame) => Ok(self.cut(frame?)),
            // The frames end with an error when they are short, so this is a source without manners.
            None => Err(ReadError::Stalled),
        }
    }

    /// Never more than was asked for, whatever the server sends, and no more at once than either side's
    /// limit takes well.
    fn cut(&mut self, mut frame: Bytes) -> Bytes {
        frame.truncate(usize::try_from(self.rest.len).unwrap_or(usize::MAX));
        let read = self.origin.object.pace().piece(Direction::Read);
        let write = self.target.as_ref().and_then(|target| target.piece(Direction::Write));
        if let Some(piece) = read.into_iter().chain(write).min() {
            let piece = usize::try_from(piece).unwrap_or(usize::MAX).min(frame.len());
            self.held = frame.split_off(piece);
        }
        frame
    }

    async fn passed(&mut self, frame: &Bytes) {
        let bytes = frame.len() as u64;
        if bytes == 0 {
            return;
        }
        self.resumes = 0;
        if self.trace.sent() == 0 {
            self.flow.began(self.asked_at.elapsed());
        }
        self.rest = self.rest.skip(bytes);
        self.trace.update(frame);
        self.origin.object.pace().bytes(Direction::Read, bytes).await;
        if let Some(target) = &self.target {
            target.bytes(Direction::Write, bytes).await;
        }
        self.live.passed(bytes);
        self.flow.passed(bytes);
    }
}
