//! The files of the audit log. Each is named by the number of its first line, so that their names sort
//! as their lines do and a missing one shows.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Read from the end in steps of this, to find the last line.
const STEP_BYTES: u64 = 64 << 10;
/// A line longer than this was not written here.
pub(super) const LINE_BYTES_MAX: u64 = 16 << 20;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ledger) struct Segment {
    /// The number of its first line.
    pub(in crate::ledger) first: u64,
    pub(in crate::ledger) path: PathBuf,
}

impl Segment {
    /// The segment in `dir` that begins with line `first`.
    pub(in crate::ledger) fn new(dir: &Path, first: u64) -> Self {
        Self { first, path: dir.join(format!("audit-{first:020}.jsonl")) }
    }

    /// Its file's name.
    pub(in crate::ledger) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The segments in `dir`, in order. Other files are none of ours.
pub(in crate::ledger) fn list(dir: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for found in fs::read_dir(dir)? {
        let name = found?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("audit-"));
        let number = number.and_then(|name| name.strip_suffix(".jsonl"));
        let Some(Ok(first)) = number.map(str::parse) else { continue };
        segments.push(Segment::new(dir, first));
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// The bytes of a segment up to the end of its last whole line.
pub(in crate::ledger) fn whole_len(file: &File) -> io::Result<u64> {
    Ok(last_line(file, file.metadata()?.len())?.0)
}

/// The bytes up to the end of the last whole line, and that line without its newline.
pub(super) fn last_line(file: &File, found: u64) -> io::Result<(u64, Vec<u8>)> {
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
