//! Feeds the client's manifest reader, with JSON Lines, CSV or whatever it takes the text for.
//!
//! The first byte of an input chooses the format, the kind of job, and how much is read at once.
//!
//! What must hold:
//! - Each line that is not blank gives one value or one fault, with its number; a CSV header gives none, or,
//!   wrong, the last, as the first line of a JSON array does, or of an object without its end. There are never more than there are lines.
//! - How the text comes, whole or byte by byte, is no difference.
//! - A value names a source and a target and keeps the priority's limits.
#![no_main]

use std::io::{BufReader, Cursor};

use causeway::manifest::{Format, LINE_BYTES_MAX, Line, Reader};
use causeway::v1;
use causeway_fuzz::cut::Cut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Cut(data);
    let how = input.byte();
    let format = [None, Some(Format::JsonLines), Some(Format::Csv)][usize::from(how % 3)];
    let migrates = how & 0x40 != 0;
    let whole = read(input.0, input.0.len().max(1), format, migrates);
    let pieces = read(input.0, 1 + usize::from(how >> 2 & 0xf), format, migrates);
    assert_eq!(whole, pieces);
    judge(input.0, format, &whole, migrates);
});

fn read(text: &[u8], at_once: usize, format: Option<Format>, migrates: bool) -> Vec<Line> {
    let defaults = v1::SubmitRequest {
        transfer: (!migrates).then(Default::default),
        migrate: migrates.then(Default::default),
        priority: 7,
        ..Default::default()
    };
    let input = BufReader::with_capacity(at_once, Cursor::new(text));
    Reader::new(input, format, defaults).map(|line| line.expect("memory can be read")).collect()
}

fn judge(text: &[u8], format: Option<Format>, lines: &[Line], migrates: bool) {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let blank = |line: &&[u8]| {
        let is_short = line.len() <= LINE_BYTES_MAX;
        is_short && std::str::from_utf8(line).is_ok_and(|line| line.trim().is_empty())
    };
    let all: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let full = all.iter().filter(|line| !blank(line)).count();
    assert!(lines.len() <= full, "{} of {full} lines", lines.len());
    assert!(lines.is_sorted_by(|one, next| one.number < next.number), "in order, each once");
    for Line { number, outcome } in lines {
        let line = usize::try_from(number - 1).ok().and_then(|at| all.get(at));
        assert!(line.is_some_and(|line| !blank(line)), "line {number} says something");
        match outcome {
            Ok(request) => judge_value(request, migrates),
            Err(fault) => assert!(!fault.is_empty()),
        }
    }
    // Without a header of CSV there is one for each, but of an array, and of an object that goes over many.
    let first = all.iter().find(|line| !blank(line));
    let first = first.map(|line| String::from_utf8_lossy(line).trim_start().starts_with('['));
    let is_unfinished = match lines {
        [Line { outcome: Err(fault), .. }] => fault.contains("does not end on its line"),
        _ => false,
    };
    if format == Some(Format::JsonLines) && first != Some(true) && !is_unfinished {
        assert_eq!(lines.len(), full);
    }
    if lines.iter().filter(|line| line.outcome.is_ok()).count() > 0 {
        assert!(lines.len() + 1 >= full, "a value ends nothing");
    }
}

fn judge_value(request: &v1::SubmitRequest, migrates: bool) {
    assert!((-100..=100).contains(&request.priority));
    let (source, target) = match (&request.transfer, &request.migrate) {
        (Some(transfer), None) if !migrates => (&transfer.source, &transfer.target),
        (None, Some(migrate)) if migrates => (&migrate.image, &migrate.target),
        _ => panic!("one job, of the kind that was asked for"),
    };
    assert!(!source.is_empty() && !target.is_empty());
}
