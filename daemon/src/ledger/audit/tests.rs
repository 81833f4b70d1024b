//! The log as files, without the ledger above it.

use std::io::Write as _;

use super::chain::walk;
use super::*;

fn entries(range: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let entry = |seq| Entry { seq, ..Entry::new("submitted", "uid:0", None) };
    range.map(entry).collect()
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("room for a test")
}

fn open(dir: &Path) -> Audit {
    Audit::open(dir, SEGMENT_BYTES).expect("a directory of our own")
}

fn texts(seqs: std::ops::RangeInclusive<u64>) -> Vec<Text> {
    entries(seqs).iter().map(|entry| entry.text().expect("plain data")).collect()
}

fn first(dir: &Path) -> PathBuf {
    Segment::new(dir, 1).path
}

/// A log of `lines` lines, some three a segment.
fn segmented(dir: &Path, lines: u64) -> Vec<Segment> {
    let mut audit = Audit::open(dir, 500).expect("a directory of our own");
    for seq in 1..=lines {
        audit.append(&texts(seq..=seq)).expect("room");
    }
    segment::list(dir).expect("readable")
}

/// A disk that was full when a line was half written, and has room again.
#[test]
fn a_failed_append_leaves_no_half_line_and_is_made_up_for() {
    let dir = dir();
    let mut audit = open(dir.path());
    audit.append(&texts(1..=2)).expect("room");
    let whole = std::fs::read(first(dir.path())).expect("there");
    (&audit.file).write_all(b"{\"seq\":3,").expect("room");
    audit.torn = true;
    audit.append(&texts(1..=4)).expect("room again");
    let text = std::fs::read(first(dir.path())).expect("there");
    assert!(text.starts_with(&whole));
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 4, "1 and 2 are not repeated");
    assert_eq!(open(dir.path()).last_seq(), 4);
}

#[test]
fn the_last_line_is_found_whatever_its_length() {
    let dir = dir();
    let path = first(dir.path());
    for len in [0, 1, 65_400, 65_536, 65_600, 300_000_usize] {
        for torn in [0, 1, 70_000] {
            let last = format!("{{\"seq\":7,\"pad\":\"{}\"}}", "x".repeat(len));
            let text = format!("{{\"seq\":6}}\n{last}\n{}", "y".repeat(torn));
            std::fs::write(&path, &text).expect("room for a test");
            let audit = open(dir.path());
            assert_eq!(audit.last_seq(), 7, "{len} {torn}");
            assert_eq!(audit.prev, integrity::blake3(last.as_bytes()));
            assert_eq!(audit.len, (text.len() - torn) as u64);
        }
    }
    std::fs::write(&path, "torn from the first byte").expect("room for a test");
    let audit = open(dir.path());
    assert_eq!((audit.last_seq(), audit.len), (0, 0));
}

#[test]
fn the_chain_goes_on_across_segments_and_restarts() {
    let dir = dir();
    for round in 0..5 {
        let mut audit = Audit::open(dir.path(), 500).expect("a directory of our own");
        for seq in round * 4 + 1..=round * 4 + 4 {
            audit.append(&texts(seq..=seq)).expect("room");
        }
    }
    let segments = segment::list(dir.path()).expect("readable");
    assert!(segments.len() > 4, "{segments:?}");
    let names: Vec<_> = segments.iter().map(Segment::name).collect();
    assert!(names.is_sorted(), "names sort as lines do: {names:?}");
    let mut seen = Vec::new();
    let walked = walk(dir.path(), |entry| {
        seen.push(entry.seq);
        Ok(())
    });
    let walked = walked.expect("whole");
    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
    assert_eq!((walked.lines, walked.last_seq()), (20, 20));
    assert_eq!(walked.segments, segments.len() as u64);
}

/// A crash between the new segment's name and its first line.
#[test]
fn a_segment_that_was_only_begun_is_gone_on_with() {
    let dir = dir();
    segmented(dir.path(), 7);
    std::fs::write(Segment::new(dir.path(), 8).path, "").expect("room for a test");
    let mut audit = Audit::open(dir.path(), 500).expect("a directory of our own");
    assert_eq!(audit.last_seq(), 7);
    audit.append(&texts(8..=9)).expect("room");
    assert_eq!(walk(dir.path(), |_| Ok(())).expect("whole").last_seq(), 9);
}

fn broken(dir: &Path) -> (String, u64, String) {
    match walk(dir, |_| Ok(())) {
        Err(Error::Chain { segment, line, what }) => (segment, line, what),
        other => panic!("it was not told: {other:?}"),
    }
}

#[test]
fn an_edit_anywhere_is_named_with_its_segment_and_line() {
    let dir = dir();
    let segments = segmented(dir.path(), 10);
    for segment in &segments {
        let whole = std::fs::read_to_string(&segment.path).expect("there");
        for (at, line) in whole.lines().enumerate() {
            let begin: usize = whole.lines().take(at).map(|line| line.len() + 1).sum();
            for offset in (0..line.len()).step_by(7) {
                let mut bytes = whole.clone().into_bytes();
                bytes[begin + offset] ^= 1;
                std::fs::write(&segment.path, bytes).expect("room for a test");
                let (name, number, _) = broken(dir.path());
                assert_eq!((name, number), (segment.name(), at as u64 + 1));
            }
        }
        std::fs::write(&segment.path, whole).expect("room for a test");
    }
    walk(dir.path(), |_| Ok(())).expect("as it was");
}

/// A line that was made up well, sum and all, is told by the one after it.
#[test]
fn a_forged_line_is_told_by_its_successor() {
    let dir = dir();
    let mut audit = open(dir.path());
    audit.append(&texts(1..=3)).expect("room");
    let path = first(dir.path());
    let whole = std::fs::read_to_string(&path).expect("there");
    let mut lines: Vec<&str> = whole.lines().collect();
    let mut forged = Vec::new();
    let entry = Entry { seq: 1, ..Entry::new("submitted", "uid:666", None) };
    chain::write_line(&mut forged, &entry.text().expect("plain data"), integrity::blake3(b""))
        .expect("plain data");
    let forged = String::from_utf8(forged).expect("JSON");
    lines[0] = forged.trim_end();
    std::fs::write(&path, lines.join("\n") + "\n").expect("room for a test");
    let (_, line, what) = broken(dir.path());
    assert_eq!(line, 2);
    assert!(what.contains("not the one it was written after"), "{what}");
}

#[test]
fn cuts_gaps_and_another_order_are_told() {
    let dir = dir();
    let segments = segmented(dir.path(), 10);
    let middle = &segments[1];
    let whole = std::fs::read_to_string(&middle.path).expect("there");
    let lines: Vec<&str> = whole.lines().collect();
    assert!(lines.len() >= 3, "{whole}");
    let with = |lines: Vec<&str>| lines.join("\n") + "\n";
    let swapped = {
        let mut lines = lines.clone();
        lines.swap(0, 1);
        with(lines)
    };
    let mut missing = lines.clone();
    missing.remove(1);
    let twice = [&lines[..2], &lines[1..]].concat();
    for (text, at) in [(swapped, 1), (with(missing), 2), (with(twice), 3)] {
        std::fs::write(&middle.path, text).expect("room for a test");
        let (name, line, what) = broken(dir.path());
        assert_eq!((name, line), (middle.name(), at), "{what}");
    }
    // Its last line, which only the next segment tells.
    std::fs::write(&middle.path, with(lines[..lines.len() - 1].to_vec())).expect("room");
    let (name, line, what) = broken(dir.path());
    assert_eq!((name, line), (segments[2].name(), 1));
    assert!(what.contains("missing"), "{what}");
    std::fs::write(&middle.path, &whole[..whole.len() - 1]).expect("room for a test");
    assert!(broken(dir.path()).2.contains("cut short"));
    std::fs::remove_file(&middle.path).expect("there");
    assert_eq!(broken(dir.path()).0, segments[2].name());
}

/// What is being written is not yet a line, and no fault.
#[test]
fn a_torn_end_is_told_and_is_no_fault() {
    let dir = dir();
    let segments = segmented(dir.path(), 4);
    let last = segments.last().expect("there are some");
    let mut file = File::options().append(true).open(&last.path).expect("there");
    file.write_all(b"{\"at\":").expect("room");
    let walked = walk(dir.path(), |_| Ok(())).expect("whole");
    assert_eq!((walked.lines, walked.torn_bytes), (4, 6));
}
