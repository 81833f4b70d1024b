//! The audit log: JSON Lines, one for each accepted submission, each act of a person, each upload that
//! was begun or is about to be published, and each end of a job.
//!
//! It is the second copy: the queue can be made again from it ([`rebuild`](super::rebuild)). Nothing in
//! it is ever changed or removed. It is cut into segments by size; the chain goes on across them.
//!
//! # Crash consistency
//! A line is written after the change it tells of is on disk, and before anyone is told of it. In
//! between, its entry waits in the database's outbox, written in the same transaction as the
//! change; at open whatever is missing here is appended from there. So the log holds exactly the
//! durable changes.
//!
//! # Invariants
//! - Lines are whole: a torn one is cut off at open, and after a failed append.
//! - The log is never ahead of the database. Where it is, the database lost something.

pub(super) mod chain;
mod entry;
pub(super) mod segment;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;
use crate::integrity;
pub(super) use entry::{Entry, Standing, Text, UNSEEN_MAX, step};
use segment::{Segment, last_line};

/// A segment that is larger than this is followed by a new one.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;

/// The open log.
#[derive(Debug)]
pub(super) struct Audit {
    dir: PathBuf,
    segment_bytes: u64,
    /// The last segment.
    file: File,
    /// Its bytes of whole lines.
    len: u64,
    prev: [u8; 32],
    last_seq: u64,
    /// A failed append may have left bytes behind `len`.
    torn: bool,
}

impl Audit {
    /// Opens the log in `dir`, cutting off a line that a crash left torn. Blocks.
    pub(super) fn open(dir: &Path, segment_bytes: u64) -> Result<Self, Error> {
        let failed = |error| Error::Audit(std::sync::Arc::new(error));
        let segments = segment::list(dir).map_err(failed)?;
        let newest = segments.last().cloned().unwrap_or_else(|| Segment::new(dir, 1));
        let file = open_file(&newest).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        let (len, mut last) = last_line(&file, found).map_err(failed)?;
        if len < found {
            tracing::warn!(cut_bytes = found - len, "the audit log ended in a torn line");
            file.set_len(len).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        // A segment was begun and a crash came before its first line.
        if let (true, [.., before, _]) = (last.is_empty(), segments.as_slice()) {
            let before = File::open(&before.path).map_err(failed)?;
            let found = before.metadata().map_err(failed)?.len();
            last = last_line(&before, found).map_err(failed)?.1;
        }
        let last_seq = if last.is_empty() { 0 } else { seq_of(&last)? };
        let (dir, prev) = (dir.to_owned(), integrity::blake3(&last));
        Ok(Self { dir, segment_bytes, file, len, prev, last_seq, torn: false })
    }

    /// The number of the last line; 0 where there is none.
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Returns once the entries that are not in the log yet are in it, and on disk. Blocks.
    ///
    /// # Errors
    /// None of them is in the log then; the same entries may be handed in again.
    pub(super) fn append(&mut self, entries: &[Text]) -> io::Result<()> {
        let mut lines = Vec::new();
        let (mut prev, mut last_seq) = (self.prev, self.last_seq);
        let mut first = None;
        for entry in entries.iter().filter(|entry| entry.seq > self.last_seq) {
            prev = chain::write_line(&mut lines, entry, prev)?;
            last_seq = entry.seq;
            first.get_or_insert(entry.seq);
        }
        let Some(first) = first else { return Ok(()) };
        self.cut()?;
        if self.len >= self.segment_bytes {
            self.rotate(first)?;
        }
        self.torn = true;
        let mut file = &self.file;
        file.write_all(&lines)?;
        // After a failed sync the kernel may hold pages for clean that are not on disk: the cut and
        // the next append write them again.
        file.sync_data()?;
        self.torn = false;
        self.len += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        (self.prev, self.last_seq) = (prev, last_seq);
        Ok(())
    }

    /// Goes on in a new segment, whose name is on disk before its first line.
    fn rotate(&mut self, first: u64) -> io::Result<()> {
        let file = open_file(&Segment::new(&self.dir, first))?;
        File::open(&self.dir)?.sync_all()?;
        file.set_len(0)?;
        (self.file, self.len) = (file, 0);
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        Ok(())
    }
}

fn open_file(segment: &Segment) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).open(&segment.path)
}

fn seq_of(line: &[u8]) -> Result<u64, Error> {
    #[derive(Deserialize)]
    struct Tail {
        seq: u64,
    }
    let tail: Tail = serde_json::from_slice(line).map_err(|_| {
        Error::corrupt("the last line of the audit log: put the log back with 'causewayd restore'")
    })?;
    Ok(tail.seq)
}

#[cfg(test)]
mod tests;
