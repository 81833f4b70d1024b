//! Reading the log from its first line, with every line proven: as it was written, in its place, and
//! after the one that it was written after.
//!
//! A line ends with the first 8 bytes of the BLAKE3 of what stands before them, which tells the very
//! line that was changed, and carries the BLAKE3 of the whole line before it, which tells a line that
//! was made up well. What was cut off at the end leaves no trace here: only the ledger knows that.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::entry::{Entry, Text};
use super::segment::{self, LINE_BYTES_MAX, Segment};
use crate::integrity;
use crate::ledger::Error;

const SUM_BYTES: usize = 8;
const SUM_HEAD: &[u8] = b",\"sum\":\"";
const SUM_TAIL: &[u8] = b"\"}";

/// Adds the line of an entry, newline and all; gives the hash that the next one carries. It ends with the
/// hexadecimal BLAKE3 of the line before, without its newline (of no bytes for the first), and its sum.
pub(in crate::ledger) fn write_line(
    lines: &mut Vec<u8>,
    entry: &Text,
    prev: [u8; 32],
) -> io::Result<[u8; 32]> {
    let begin = lines.len();
    // Without the closing brace, which comes last.
    lines.extend_from_slice(entry.json.strip_suffix(b"}").unwrap_or(&entry.json));
    write!(lines, ",\"prev\":\"{}\"", hex::encode(prev))?;
    let sum = sum(&lines[begin..]);
    write!(lines, ",\"sum\":\"{sum}\"}}")?;
    let hash = integrity::blake3(&lines[begin..]);
    lines.push(b'\n');
    Ok(hash)
}

fn sum(text: &[u8]) -> String {
    hex::encode(&integrity::blake3(text)[..SUM_BYTES])
}

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::ledger) struct Walked {
    pub(in crate::ledger) segments: u64,
    pub(in crate::ledger) lines: u64,
    /// The last line; `None` where there is none.
    pub(in crate::ledger) last: Option<Entry>,
    /// Bytes after the last whole line: being written just now, or torn by a crash.
    pub(in crate::ledger) torn_bytes: u64,
}

impl Walked {
    /// The number of the last line; 0 where there is none.
    pub(in crate::ledger) fn last_seq(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.seq)
    }
}

/// Reads every line in order and hands it to `visit`. Blocks; holds one line in memory.
///
/// # Errors
/// [`Error::Chain`] at the first line that is not what was written there; `visit`'s own.
pub(in crate::ledger) fn walk(
    dir: &Path,
    mut visit: impl FnMut(&Entry) -> Result<(), Error>,
) -> Result<Walked, Error> {
    let segments = segment::list(dir).map_err(failed)?;
    let mut walk = Walk { prev: integrity::blake3(b""), found: Walked::default() };
    for (at, segment) in segments.iter().enumerate() {
        walk.segment(segment, at + 1 == segments.len(), &mut visit)?;
    }
    Ok(walk.found)
}

fn failed(error: io::Error) -> Error {
    Error::Audit(Arc::new(error))
}

struct Walk {
    prev: [u8; 32],
    found: Walked,
}

impl Walk {
    fn segment(
        &mut self,
        segment: &Segment,
        is_last: bool,
        visit: &mut impl FnMut(&Entry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let broken = |line, what: String| Error::Chain { segment: segment.name(), line, what };
        let due = self.found.last_seq() + 1;
        if segment.first != due {
            let what = format!(
                "it begins at number {} and {due} is due: lines before it are missing",
                segment.first
            );
            return Err(broken(1, what));
        }
        self.found.segments += 1;
        let mut file = BufReader::new(File::open(&segment.path).map_err(failed)?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let read = file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            if read.map_err(failed)? == 0 {
                break;
            }
            if line.pop_if(|byte| *byte == b'\n').is_none() {
                if !is_last || line.len() as u64 >= LINE_BYTES_MAX - 1 {
                    return Err(broken(number, "it is cut short".into()));
                }
                self.found.torn_bytes = line.len() as u64;
                break;
            }
            let entry = self.proven(&line).map_err(|what| broken(number, what))?;
            visit(&entry)?;
            self.prev = integrity::blake3(&line);
            self.found.lines += 1;
            self.found.last = Some(entry);
        }
        Ok(())
    }

    /// The entry of a line, or what is wrong with it.
    fn proven(&self, line: &[u8]) -> Result<Entry, String> {
        let changed = || "it is not as it was written".to_owned();
        let text = line.strip_suffix(SUM_TAIL).ok_or_else(changed)?;
        let (text, found) =
            text.split_at_checked(text.len().wrapping_sub(SUM_BYTES * 2)).ok_or_else(changed)?;
        let text = text.strip_suffix(SUM_HEAD).ok_or_else(changed)?;
        if found != sum(text).as_bytes() {
            return Err(changed());
        }
        let mut entry: Entry = serde_json::from_slice(line).map_err(|_| changed())?;
        entry.detail.remove("sum");
        let prev = entry.detail.remove("prev");
        let due = self.found.last_seq() + 1;
        if entry.seq != due {
            return Err(format!(
                "it has number {} where {due} is due: lines are missing, or stand in another order",
                entry.seq
            ));
        }
        if prev.as_ref().and_then(|prev| prev.as_str()) != Some(&hex::encode(self.prev)) {
            return Err("the line before it is not the one it was written after".into());
        }
        Ok(entry)
    }
}
