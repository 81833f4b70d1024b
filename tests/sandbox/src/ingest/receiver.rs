//! Where an upload's bytes go: memory, a file, or nowhere.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use s3s::{S3Error, S3Result, s3_error};
use tokio::task::JoinHandle;

use crate::content::synthetic::{BLOCK_BYTES, Synthetic};
use crate::content::{Content, StoredFile};
use crate::store::bucket::Sink;

/// Bytes that go to disk in one trip to the blocking pool.
const BATCH_BYTES: usize = 1 << 20;

/// A body up to this size that is found nowhere in a sink's object is kept as a stray: a client may
/// probe with a tiny upload that it aborts. Completing it is refused.
const STRAY_BYTES_MAX: u64 = 1024;
/// Where in the object a stray is said to stand.
const NOWHERE: u64 = u64::MAX;

/// Takes frames in order and becomes a content.
#[derive(Debug)]
pub(crate) enum Receiver {
    Memory(Vec<u8>),
    File(Spool),
    Drop,
    Compare(Comparison),
}

impl Receiver {
    /// Into a file below `directory`, or into memory without one; a sink overrides both.
    ///
    /// # Errors
    /// `InternalError` when the file cannot be made.
    pub(crate) fn new(directory: Option<&Path>, sink: Option<&Sink>, name: &str) -> S3Result<Self> {
        match (sink, directory) {
            (Some(Sink { compare: Some(source) }), _) => {
                Ok(Self::Compare(Comparison::new(source.clone())))
            }
            (Some(Sink { compare: None }), _) => Ok(Self::Drop),
            (None, Some(directory)) => {
                let spool = Spool::create(&directory.join(name));
                Ok(Self::File(spool.map_err(S3Error::internal_error)?))
            }
            (None, None) => Ok(Self::Memory(Vec::new())),
        }
    }

    /// Has these bytes and gets no more.
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        Self::Memory(bytes)
    }

    pub(crate) async fn write(&mut self, frame: Bytes) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => bytes.extend_from_slice(&frame),
            Self::File(spool) => spool.write(frame).await?,
            Self::Drop => {}
            Self::Compare(comparison) => comparison.write(&frame),
        }
        Ok(())
    }

    /// The content, and the offset a comparison found it at.
    pub(crate) async fn finish(self, len: u64) -> S3Result<(Content, Option<u64>)> {
        match self {
            Self::Memory(bytes) => Ok((Content::Memory(bytes.into()), None)),
            Self::File(spool) => {
                let file = spool.finish().await.map_err(S3Error::internal_error)?;
                Ok((Content::File { file, offset: 0, len }, None))
            }
            Self::Drop => Ok((Content::Dropped { len }, None)),
            Self::Compare(comparison) => comparison.finish(len),
        }
    }
}

/// A file that is written one batch behind the socket.
#[derive(Debug)]
pub(crate) struct Spool {
    file: Arc<StoredFile>,
    batch: Vec<Bytes>,
    batched: usize,
    pending: Option<JoinHandle<io::Result<()>>>,
}

impl Spool {
    fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        let file = Arc::new(StoredFile { file, owned: Some(path.to_owned()) });
        Ok(Self { file, batch: Vec::new(), batched: 0, pending: None })
    }

    async fn write(&mut self, frame: Bytes) -> io::Result<()> {
        self.batched += frame.len();
        self.batch.push(frame);
        if self.batched >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits for the batch before and sends this one off: at most two are in memory.
    async fn flush(&mut self) -> io::Result<()> {
        if let Some(pending) = self.pending.take() {
            pending.await.map_err(io::Error::other)??;
        }
        let batch = std::mem::take(&mut self.batch);
        self.batched = 0;
        let file = Arc::clone(&self.file);
        self.pending = Some(tokio::task::spawn_blocking(move || {
            batch.iter().try_for_each(|frame| (&file.file).write_all(frame))
        }));
        Ok(())
    }

    async fn finish(mut self) -> io::Result<Arc<StoredFile>> {
        self.flush().await?;
        if let Some(pending) = self.pending.take() {
            pending.await.map_err(io::Error::other)??;
        }
        Ok(self.file)
    }
}

/// Compares what comes with an object that is known, wherever in it the bytes say they belong.
#[derive(Debug)]
pub(crate) struct Comparison {
    source: Synthetic,
    /// The first bytes, until there are enough to tell the offset.
    start: Vec<u8>,
    offset: Option<u64>,
    /// Bytes compared so far.
    position: u64,
    wrong: Option<u64>,
}

impl Comparison {
    fn new(source: Synthetic) -> Self {
        Self { source, start: Vec::new(), offset: None, position: 0, wrong: None }
    }

    fn write(&mut self, frame: &[u8]) {
        let Some(offset) = self.offset else {
            self.start.extend_from_slice(frame);
            self.offset = self.source.offset_of(&self.start);
            if self.offset.is_some() {
                let start = std::mem::take(&mut self.start);
                self.write(&start);
            } else if self.start.len() as u64 > BLOCK_BYTES {
                self.wrong = Some(0);
                self.start.clear();
            }
            return;
        };
        if self.wrong.is_none() && !self.source.matches(offset + self.position, frame) {
            self.wrong = Some(self.position);
        }
        self.position += frame.len() as u64;
    }

    fn finish(mut self, len: u64) -> S3Result<(Content, Option<u64>)> {
        if self.offset.is_none() && !self.start.is_empty() {
            // Too short for a head: it can only be the end of the object.
            let start = std::mem::take(&mut self.start);
            let end = self.source.size().checked_sub(len);
            self.offset = end.filter(|end| self.source.matches(*end, &start));
            match self.offset {
                Some(_) => self.write(&start),
                None if len <= STRAY_BYTES_MAX => {
                    return Ok((Content::Memory(start.into()), Some(NOWHERE)));
                }
                None => self.wrong = Some(0),
            }
        }
        if let Some(at) = self.wrong {
            return Err(s3_error!(
                BadDigest,
                "these are not the bytes the sink compares with: the difference begins at or after \
                 byte {at} of the body"
            ));
        }
        let offset = self.offset.unwrap_or(0);
        Ok((Content::Synthetic { source: self.source, offset, len }, Some(offset)))
    }
}
