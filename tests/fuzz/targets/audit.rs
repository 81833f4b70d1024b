//! Feeds the audit log's reader, and the rebuilding of the ledger from what it read.
//!
//! The first byte of an input says what follows: segments as they are, or entries, one JSON object a line, that
//! are chained as the log's own; and in how many segments they stand.
//!
//! What must hold:
//! - A log is read to its end or refused at a line; chained entries that were read are all of them.
//! - A ledger opens from it or is refused. One that opened has jobs that can all be read, gives the same ones
//!   when it is opened again, and takes on.
#![no_main]

use std::fs;
use std::path::Path;

use causeway_fuzz::cut::Cut;
use causewayd::ledger::{Filter, Ledger, trial};
use causewayd::model::Job;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Cut(data);
    let how = input.byte();
    let dir = causeway_fuzz::scratch();
    let audit = dir.path().join("audit");
    fs::create_dir(&audit).expect("room");
    if how & 1 == 0 {
        let cut = input.0.len() * usize::from(how >> 1) / 128;
        let (first, second) = input.0.split_at(cut);
        segment(&audit, 1, second);
        if how & 2 != 0 {
            segment(&audit, 1, first);
            segment(&audit, 1 + lines(first), second);
        }
        let _ = trial::walk(&audit);
    } else {
        let entries: Vec<_> =
            input.0.split(|byte| *byte == b'\n').filter(|it| !it.is_empty()).collect();
        segment(&audit, 1, &trial::lines(entries.iter().copied()));
        match trial::walk(&audit) {
            Ok(read) => assert_eq!(read, entries.len() as u64),
            Err(_) => return,
        }
    }
    rebuild(dir.path());
});

fn segment(dir: &Path, first: u64, text: &[u8]) {
    fs::write(dir.join(format!("audit-{first:020}.jsonl")), text).expect("room");
}

fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn rebuild(dir: &Path) {
    let runtime = causeway_fuzz::runtime();
    let Ok(ledger) = trial::open(dir) else { return };
    let jobs = jobs(&ledger);
    runtime
        .block_on(ledger.put_setting("trial", Some("taken".to_owned()), "me"))
        .expect("it takes on");
    runtime.block_on(ledger.close()).expect("on disk");
    let again = trial::open(dir).expect("what it wrote itself");
    assert_eq!(self::jobs(&again), jobs, "the same ones");
    assert_eq!(again.setting("trial").expect("readable").as_deref(), Some("taken"));
}

fn jobs(ledger: &Ledger) -> Vec<Job> {
    let page = ledger.list(&Filter::default(), 1_000, None).expect("all can be read");
    for job in &page.jobs {
        assert_eq!(ledger.get(job.id).expect("there"), *job);
        ledger.parts(job.id).expect("readable");
    }
    let counts = ledger.counts();
    let counted: u64 =
        causewayd::model::JobState::ALL.into_iter().map(|state| counts.of(state)).sum();
    assert!(page.next.is_some() || counted == page.jobs.len() as u64, "each is counted once");
    page.jobs
}
