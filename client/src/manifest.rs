//! Manifests: many jobs of one kind in one file, JSON Lines or CSV, read line by line.
//!
//! A record is one physical line in both formats, so that a fault names the line an editor shows, and a
//! stray quote costs one line and not the rest of the file. A key with a line break goes into JSON.
//!
//! # Invariants
//! - Memory is bounded by one line of [`LINE_BYTES_MAX`], whatever the file holds.
//! - Every line that is not blank gives exactly one [`Line`], with its number from 1; only a CSV header
//!   gives none, or, when it is wrong, the last. So does the first line of a JSON array, or of an object that
//!   goes over many.

mod columns;
mod entry;
mod migration;
mod transfer;

use std::io::{self, BufRead, Read};
use std::path::Path;

use columns::Columns;
use entry::Entry;
use migration::Migration;
use transfer::Transfer;

use crate::v1::SubmitRequest;

/// Twice what the longest legal submission takes (a source of 16 KiB, 16 labels, 10 tags), and room.
pub const LINE_BYTES_MAX: usize = 128 << 10;

/// How a manifest is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated, with a header line.
    Csv,
}

impl Format {
    /// From the file's extension, where that says it.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            _ => None,
        }
    }

    /// From the first line that is not blank: no CSV header of ours starts with a brace.
    fn sniff(line: &str) -> Self {
        match line.starts_with('{') {
            true => Self::JsonLines,
            false => Self::Csv,
        }
    }
}

/// One line of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// From 1, as editors count.
    pub number: u64,
    /// The submission, or what is wrong with the line.
    pub outcome: Result<SubmitRequest, String>,
}

/// Reads a manifest as an iterator of lines. Ends after the first I/O error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// What a line does not say itself.
    defaults: SubmitRequest,
    format: Option<Format>,
    columns: Option<Columns>,
    /// A line that is not blank was there.
    begun: bool,
    number: u64,
    buffer: Vec<u8>,
    finished: bool,
}

impl<R: BufRead> Reader<R> {
    /// Without a format, the first line decides. A line's own fields override the defaults; its labels
    /// and tags are added to theirs. The lines are migrations where the defaults are, else transfers.
    pub fn new(input: R, format: Option<Format>, defaults: SubmitRequest) -> Self {
        Self {
            input,
            defaults,
            format,
            columns: None,
            begun: false,
            number: 0,
            buffer: Vec::new(),
            finished: false,
        }
    }

    /// Reads one line into the buffer, without its end. `Some(false)` when it is too long.
    fn read_line(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let limit = LINE_BYTES_MAX as u64 + 2;
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let mut is_whole = true;
        if self.buffer.ends_with(b"\n") {
            self.buffer.pop();
            if self.buffer.ends_with(b"\r") {
                self.buffer.pop();
            }
        } else if read as u64 == limit {
            is_whole = false;
            skip_line(&mut self.input)?;
        }
        // Spreadsheets put a byte order mark first.
        if self.number == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.buffer.drain(..3);
        }
        Ok(Some(is_whole && self.buffer.len() <= LINE_BYTES_MAX))
    }

    /// What is wrong with the file, where the buffer begins a JSON array or an object that goes over many lines. Of
    /// such an array, the last element stands on its line as an object would: it alone would be taken.
    fn misshapen(&mut self, is_whole: bool) -> Option<&'static str> {
        if self.begun || self.format == Some(Format::Csv) {
            return None;
        }
        let text = String::from_utf8_lossy(&self.buffer);
        let text = text.trim();
        self.begun = !text.is_empty() || !is_whole;
        if text.starts_with('[') {
            return Some(entry::ARRAY);
        }
        (is_whole && entry::is_unfinished(text)).then_some(entry::UNFINISHED)
    }

    /// What the line in the buffer stands for; `None` for a blank line and a header.
    fn parse(&mut self) -> Option<Result<SubmitRequest, String>> {
        let Ok(line) = std::str::from_utf8(&self.buffer) else {
            return Some(Err("not UTF-8".to_owned()));
        };
        let text = line.trim();
        if text.is_empty() {
            return None;
        }
        let format = *self.format.get_or_insert_with(|| Format::sniff(text));
        if format == Format::Csv && self.columns.is_none() {
            let columns = match self.defaults.migrate {
                Some(_) => Columns::from_header::<Migration>(text),
                None => Columns::from_header::<Transfer>(text),
            };
            // A wrong header makes every line mean something else: nothing of the file is taken.
            self.finished = columns.is_err();
            return match columns {
                Ok(columns) => {
                    self.columns = Some(columns);
                    None
                }
                Err(fault) => Some(Err(fault)),
            };
        }
        // A key may end with white space, and the last cell of a line may be one.
        let text = if self.columns.is_some() { line } else { text };
        Some(match self.defaults.migrate {
            Some(_) => request::<Migration>(text, self.columns.as_ref(), &self.defaults),
            None => request::<Transfer>(text, self.columns.as_ref(), &self.defaults),
        })
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.finished {
            let outcome = match self.read_line() {
                Ok(None) => break,
                Ok(Some(is_whole)) => match self.misshapen(is_whole) {
                    Some(fault) => {
                        // As with a wrong header: nothing of the file is taken.
                        self.finished = true;
                        Some(Err(fault.to_owned()))
                    }
                    None if is_whole => self.parse(),
                    None => Some(Err(format!("longer than {} KiB", LINE_BYTES_MAX >> 10))),
                },
                Err(error) => {
                    self.finished = true;
                    return Some(Err(error));
                }
            };
            if let Some(outcome) = outcome {
                return Some(Ok(Line { number: self.number, outcome }));
            }
        }
        None
    }
}

/// The submission that a line stands for: by columns in CSV, else as JSON.
fn request<E: Entry>(
    text: &str,
    columns: Option<&Columns>,
    defaults: &SubmitRequest,
) -> Result<SubmitRequest, String> {
    let entry: E = match columns {
        Some(columns) => columns.entry(text)?,
        None => entry::from_json(text)?,
    };
    entry.into_request(defaults)
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let (used, ended) = {
            let chunk = input.fill_buf()?;
            match chunk.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (chunk.len(), chunk.is_empty()),
            }
        };
        input.consume(used);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
