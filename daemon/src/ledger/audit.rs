//! The audit log: JSON Lines, one for each accepted submission, each act of a person and each end
//! of a job, every one carrying the BLAKE3 of the line before it.
//!
//! It is the second copy: the queue can be made again from it. Nothing in it is ever changed.
//!
//! # Crash consistency
//! A line is written after the change it tells of is on disk, and before anyone is told of it. In
//! between, its entry waits in the database's outbox, written in the same transaction as the
//! change; at open whatever is missing here is appended from there. So the log holds exactly the
//! durable changes.
//!
//! # Invariants
//! - Lines are whole: a torn one is cut off at open, and after a failed append.
//! - No secret is written: a presigned URL stands here without its query.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Error;
use crate::base::clock;
use crate::integrity;
use crate::model::{Address, JobId, Submission, Timestamp};

/// Read from the end in steps of this, to find the last line.
const STEP_BYTES: u64 = 64 << 10;
/// A last line longer than this was not written here.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// One line but for its chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// RFC 3339, UTC.
    at: String,
    /// From 1, without a gap.
    pub(super) seq: u64,
    event: String,
    actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    #[serde(flatten)]
    detail: Map<String, Value>,
}

impl Entry {
    /// An entry of this moment; it is numbered when it is entered.
    pub(super) fn new(event: &str, actor: &str, job: Option<JobId>) -> Self {
        Self {
            at: rfc3339(clock::now()),
            seq: 0,
            event: event.to_owned(),
            actor: actor.to_owned(),
            job,
            detail: Map::new(),
        }
    }

    /// The same with one more field.
    pub(super) fn with<T: Serialize>(mut self, name: &str, value: &T) -> Result<Self, Error> {
        let value = serde_json::to_value(value)
            .map_err(|error| Error::corrupt(format!("{name} has no JSON: {error}")))?;
        self.detail.insert(name.to_owned(), value);
        Ok(self)
    }

    /// The same with the submission whole, but for the secret of a presigned source.
    pub(super) fn with_submission(self, submission: &Submission) -> Result<Self, Error> {
        let mut entry = self.with("submission", submission)?;
        if let Address::Presigned(url) = &submission.spec.source {
            let source =
                entry.detail.get_mut("submission").and_then(|it| it.pointer_mut("/spec/source"));
            let source = source.ok_or_else(|| Error::corrupt("a submission without a source"))?;
            *source = serde_json::json!({ "presigned": url.to_string() });
        }
        Ok(entry)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    /// Hexadecimal BLAKE3 of the line before, without its newline; of no bytes for the first.
    prev: String,
}

/// The open log.
#[derive(Debug)]
pub(super) struct Audit {
    file: File,
    /// Bytes of whole lines.
    len: u64,
    prev: [u8; 32],
    last_seq: u64,
    /// A failed append may have left bytes behind `len`.
    torn: bool,
}

impl Audit {
    /// Opens the log, cutting off a line that a crash left torn. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::Audit(std::sync::Arc::new(error));
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(path);
        let file = file.map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        let (len, last) = last_line(&file, found).map_err(failed)?;
        if len < found {
            tracing::warn!(cut_bytes = found - len, "the audit log ended in a torn line");
            file.set_len(len).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let last_seq = if last.is_empty() { 0 } else { seq_of(&last)? };
        Ok(Self { file, len, prev: integrity::blake3(&last), last_seq, torn: false })
    }

    /// The number of the last line; 0 where there is none.
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Returns once the entries that are not in the log yet are in it, and on disk. Blocks.
    ///
    /// # Errors
    /// None of them is in the log then; the same entries may be handed in again.
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut lines = Vec::new();
        let (mut prev, mut last_seq) = (self.prev, self.last_seq);
        for entry in entries.iter().filter(|entry| entry.seq > self.last_seq) {
            let begin = lines.len();
            serde_json::to_writer(&mut lines, &Line { entry, prev: hex::encode(prev) })?;
            prev = integrity::blake3(&lines[begin..]);
            last_seq = entry.seq;
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.cut()?;
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

    fn cut(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// The bytes up to the end of the last whole line, and that line without its newline.
fn last_line(file: &File, found: u64) -> io::Result<(u64, Vec<u8>)> {
    let mut tail = Vec::new();
    let mut start = found;
    loop {
        let from = start.saturating_sub(STEP_BYTES);
        let mut step = vec![0; usize::try_from(start - from).unwrap_or_default()];
        file.read_exact_at(&mut step, from)?;
        step.append(&mut tail);
        (tail, start) = (step, from);
        let end = tail.iter().rposition(|byte| *byte == b'\n');
        let begin = end.and_then(|end| tail[..end].iter().rposition(|byte| *byte == b'\n'));
        let begin =
            if start == 0 { Some(begin.map_or(0, |at| at + 1)) } else { begin.map(|at| at + 1) };
        match (begin, end) {
            (Some(begin), Some(end)) => {
                let len = start + u64::try_from(end + 1).unwrap_or(u64::MAX);
                return Ok((len, tail[begin..end].to_vec()));
            }
            (Some(_), None) => return Ok((0, Vec::new())),
            (None, _) if found - start > LINE_BYTES_MAX => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its last line has no end"));
            }
            (None, _) => {}
        }
    }
}

fn seq_of(line: &[u8]) -> Result<u64, Error> {
    #[derive(Deserialize)]
    struct Tail {
        seq: u64,
    }
    let tail: Tail = serde_json::from_slice(line).map_err(|_| {
        Error::corrupt("the last line of the audit log; move the file away to begin a new one")
    })?;
    Ok(tail.seq)
}

fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests;
