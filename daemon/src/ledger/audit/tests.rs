//! The log as a file, without the ledger above it.

use super::*;

fn entries(range: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let entry = |seq| Entry { seq, ..Entry::new("submitted", "uid:0", None) };
    range.map(entry).collect()
}

/// A disk that was full when a line was half written, and has room again.
#[test]
fn a_failed_append_leaves_no_half_line_and_is_made_up_for() {
    let dir = tempfile::tempdir().expect("room for a test");
    let path = dir.path().join("audit.jsonl");
    let mut audit = Audit::open(&path).expect("a file of our own");
    audit.append(&entries(1..=2)).expect("room");
    let whole = std::fs::read(&path).expect("there");
    (&audit.file).write_all(b"{\"seq\":3,").expect("room");
    audit.torn = true;
    audit.append(&entries(1..=4)).expect("room again");
    let text = std::fs::read(&path).expect("there");
    assert!(text.starts_with(&whole));
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 4, "1 and 2 are not repeated");
    assert_eq!(Audit::open(&path).expect("whole").last_seq(), 4);
}

#[test]
fn the_last_line_is_found_whatever_its_length() {
    let dir = tempfile::tempdir().expect("room for a test");
    let path = dir.path().join("audit.jsonl");
    for len in [0, 1, 65_400, 65_536, 65_600, 300_000_usize] {
        for torn in [0, 1, 70_000] {
            let last = format!("{{\"seq\":7,\"pad\":\"{}\"}}", "x".repeat(len));
            let text = format!("{{\"seq\":6}}\n{last}\n{}", "y".repeat(torn));
            std::fs::write(&path, &text).expect("room for a test");
            let audit = Audit::open(&path).expect("a whole last line");
            assert_eq!(audit.last_seq(), 7, "{len} {torn}");
            assert_eq!(audit.prev, integrity::blake3(last.as_bytes()));
            assert_eq!(audit.len, (text.len() - torn) as u64);
        }
    }
    std::fs::write(&path, "torn from the first byte").expect("room for a test");
    let audit = Audit::open(&path).expect("empty");
    assert_eq!((audit.last_seq(), audit.len), (0, 0));
}
