//! What manifests mean, and what bytes from anywhere must not do.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::v1::{IfExists, ServerSideEncryption, TransferSpec, Verify};

mod migrations;

fn read(bytes: &[u8]) -> Vec<Line> {
    read_with(bytes, SubmitRequest::default())
}

fn read_with(bytes: &[u8], defaults: SubmitRequest) -> Vec<Line> {
    Reader::new(Cursor::new(bytes), None, defaults).map(|line| line.expect("no I/O")).collect()
}

fn fault(bytes: &[u8]) -> (u64, String) {
    let lines = read(bytes);
    let line = lines.into_iter().find(|line| line.outcome.is_err()).expect("a fault");
    (line.number, line.outcome.expect_err("a fault"))
}

#[test]
fn a_json_line_with_every_field() {
    let text = br#"{"source":"c:b/k","target":"g:b/k","priority":-5,"verify":"readback",
        "if_exists":"skip","part_size":"256MiB","storage_class":"STANDARD_IA","sse":"aws:kms",
        "sse_kms_key_id":"alias/x","tags":{"a":"1"},"labels":{"l":"2"},"expect_blake3":"00",
        "idempotency_key":"k1","notify":["ops","web"]}"#;
    let one_line: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\n').collect();
    let expected = SubmitRequest {
        transfer: Some(TransferSpec {
            source: "c:b/k".into(),
            target: "g:b/k".into(),
            verify: Verify::Readback.into(),
            if_exists: IfExists::Skip.into(),
            part_size: Some(256 << 20),
            storage_class: Some("STANDARD_IA".into()),
            sse: ServerSideEncryption::AwsKms.into(),
            sse_kms_key_id: Some("alias/x".into()),
            tags: [("a".to_owned(), "1".to_owned())].into(),
            expect_blake3: Some("00".into()),
        }),
        priority: -5,
        labels: [("l".to_owned(), "2".to_owned())].into(),
        idempotency_key: Some("k1".into()),
        notify: vec!["ops".into(), "web".into()],
        ..Default::default()
    };
    assert_eq!(read(&one_line), [Line { number: 1, outcome: Ok(expected) }]);
}

#[test]
fn csv_means_the_same_as_json() {
    let csv = b"source,target,priority,part_size,tags,labels\n\
        c:b/k,g:b/k,7,5242880,a=1;b=x=y,\n\
        \"c:b/with,comma\",\"g:b/a \"\"quoted\"\" one\",,,,\n";
    let json = br#"{"source":"c:b/k","target":"g:b/k","priority":7,"part_size":5242880,"tags":{"a":"1","b":"x=y"}}
{"source":"c:b/with,comma","target":"g:b/a \"quoted\" one"}"#;
    let outcomes =
        |lines: Vec<Line>| lines.into_iter().map(|line| line.outcome).collect::<Vec<_>>();
    assert_eq!(outcomes(read(csv)), outcomes(read(json)));
    assert_eq!(read(csv).iter().map(|line| line.number).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_line_overrides_the_defaults_and_adds_to_their_labels() {
    let defaults = SubmitRequest {
        transfer: Some(TransferSpec { verify: Verify::Checksum.into(), ..Default::default() }),
        priority: 9,
        labels: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "1".to_owned())].into(),
        dry_run: true,
        ..Default::default()
    };
    let text = br#"{"source":"s","target":"t","priority":1,"labels":{"b":"2"}}"#;
    let lines = read_with(text, defaults);
    let request = lines[0].outcome.as_ref().expect("good");
    assert_eq!((request.priority, request.dry_run), (1, true));
    assert_eq!(request.transfer.as_ref().expect("there").verify(), Verify::Checksum);
    assert_eq!(request.labels.get("a").map(String::as_str), Some("1"));
    assert_eq!(request.labels.get("b").map(String::as_str), Some("2"));
}

/// The line's number is what people search for in a file of a hundred thousand.
#[test]
fn a_broken_line_is_reported_by_its_number_and_the_others_go_in() {
    let mut text = String::new();
    for number in 1..=10_000 {
        match number {
            7_812 => text.push_str("{\"source\":\"c:b/k\",\"target\":\n"),
            5_000 => text.push('\n'),
            _ => text.push_str("{\"source\":\"c:b/k\",\"target\":\"g:b/k\"}\r\n"),
        }
    }
    let lines = read(text.as_bytes());
    assert_eq!(lines.len(), 9_999);
    let faults: Vec<_> = lines.iter().filter(|line| line.outcome.is_err()).collect();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].number, 7_812);
}

#[test]
fn faults_say_what_is_wrong() {
    for (text, number, part) in [
        ("{\"source\":\"a\",\"target\":\"b\",\"verfy\":\"auto\"}", 1, "unknown field `verfy`"),
        ("{\"source\":\"a\"}", 1, "missing field `target`"),
        ("{\"source\":\"a\",\"target\":\"b\",\"verify\":\"never\"}", 1, "auto, checksum, readback"),
        ("{\"source\":\"a\",\"target\":\"b\",\"priority\":101}", 1, "-100 and 100"),
        ("{\"source\":\"a\",\"target\":\"b\",\"part_size\":\"5G\"}", 1, "is not a size"),
        ("{\"source\":\"a\",\"target\":\"b\",\"part_size\":-1}", 1, "part_size: -1"),
        ("{\"source\":\"\",\"target\":\"b\"}", 1, "must not be empty"),
        ("[{\"source\":\"a\"}]", 1, "one object a line"),
        ("{\n", 1, "`jq -c . FILE`"),
        ("{\"source\":\"a\",\"target\":\"b\"}\n{\"source\":\n", 2, "does not end on its line"),
        ("{\"source\":\"a\",\"target\":\"b\"}\n5\n", 2, "not a JSON object"),
        ("{\"source\":\"a\",\"target\":\"b\"}\na,b\n", 2, "not a JSON object"),
        ("{\"source\":\"a\",\"target\":\"b\",\"priority\":\"9\"}", 1, "expected a whole number"),
        ("{\"source\":\"a\",\"target\":\"b\",\"notify\":5}", 1, "nor a list of names"),
        ("source,target,priority\na,b,5000000000\n", 2, "expected a whole number"),
        ("source,target\na,b\na,b,c\n", 3, "3 fields, but the header names 2"),
        ("source,target\n\"a,b\n", 2, "does not end on its line"),
        ("source,target,tags\na,b,=1\n", 2, "`=1` is not KEY=VALUE"),
        ("source,target,tags\na,b,k=1;k=2\n", 2, "`k` is there twice"),
        ("source,target,priority\na,b,high\n", 2, "priority: `high` is not a whole number"),
        ("source,target,part_size\na,b,5G\n", 2, "is not a size"),
        ("source,target\n,b\n", 2, "must not be empty"),
        ("source,colour\na,b\n", 1, "unknown column `colour`"),
        ("source,priority\na,1\n", 1, "no column `target`"),
        ("source,target,source\n", 1, "twice"),
    ] {
        let (line, message) = fault(text.as_bytes());
        assert_eq!(line, number, "{text}");
        assert!(message.contains(part), "{text}: {message}");
        for ours in ["struct", "enum", "Transfer", "Names", "i32", "EOF"] {
            assert!(!message.contains(ours), "{text}: {message}");
        }
    }
    assert_eq!(fault(b"{\"source\":\"\xff\"}"), (1, "not UTF-8".to_owned()));
}

/// Its signature is a password, and a fault ends in logs.
#[test]
fn no_part_of_a_url_in_place_of_a_header_is_repeated() {
    for url in [
        "https://h/b/k?X-Amz-Signature=5ec7e7",
        "\"https://h/b/k?X-Amz-Signature=5ec7e7\"",
        "source,https://h/b/k?X-Amz-Signature=5ec7e7",
        "5ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e75ec7e7",
    ] {
        let (line, message) = fault(format!("{url},gov:b/\n").as_bytes());
        assert_eq!(line, 1);
        assert!(message.contains("the first line is no header"), "{message}");
        for part in ["https", "h/b", "Amz", "5ec7", "gov"] {
            assert!(!message.contains(part), "{part}: {message}");
        }
    }
}

/// A spreadsheet's export: byte order mark, carriage returns, no newline at the end.
#[test]
fn a_spreadsheets_export_reads_well() {
    let lines = read(b"\xef\xbb\xbfsource,target\r\na,b\r\nc,d");
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.outcome.is_ok()), "{lines:?}");
}

#[test]
fn an_endless_line_costs_one_fault_and_bounded_memory() {
    let mut text = vec![b'{'; LINE_BYTES_MAX * 3];
    text.extend_from_slice(b"\n{\"source\":\"a\",\"target\":\"b\"}\n");
    let mut reader = Reader::new(Cursor::new(text), None, SubmitRequest::default());
    let first = reader.next().expect("a line").expect("no I/O");
    assert_eq!((first.number, first.outcome.is_err()), (1, true));
    let second = reader.next().expect("a line").expect("no I/O");
    assert_eq!((second.number, second.outcome.is_ok()), (2, true));
    assert!(reader.buffer.capacity() <= LINE_BYTES_MAX * 4, "{}", reader.buffer.capacity());
}

/// A byte order mark was taken off what had been cut off, and that then fitted.
#[test]
fn a_line_that_is_too_long_is_no_shorter_for_its_byte_order_mark() {
    let text = |spaces: usize| {
        let mut text = b"\xef\xbb\xbf{\"source\":\"a\",\"target\":\"b\"}".to_vec();
        text.resize(text.len() + spaces, b' ');
        text.extend_from_slice(b"and more\n");
        text
    };
    for (spaces, says) in [(10, "trailing"), (LINE_BYTES_MAX, "longer than 128 KiB")] {
        let (number, fault) = fault(&text(spaces));
        assert_eq!(number, 1);
        assert!(fault.contains(says), "{fault}");
    }
}

/// The file of an old spreadsheet, or half of one: what follows was lost without a word.
#[test]
fn a_carriage_return_alone_is_told_and_hides_no_line() {
    for text in ["source,target\ra,b\rc,d\r", "source,target\na,b\rc,d\n"] {
        let (_, fault) = fault(text.as_bytes());
        assert!(fault.contains("carriage return"), "{fault}");
    }
    assert_eq!(read(b"source,target\r\na,\"b\rc\"\r\n").len(), 1, "quoted, it is a key's");
}

/// Its last element stands on its line as an object would, and was submitted while the others were refused.
#[test]
fn of_a_json_array_nothing_is_taken() {
    let object = "{\"source\":\"a\",\"target\":\"b\"}";
    let long = " ".repeat(LINE_BYTES_MAX);
    for (text, number) in [
        (format!("[\n  {object},\n  {object}\n]\n"), 1),
        (format!("\n \n\t[ {object},\n{object}]\n{object}\n"), 3),
        (format!("\u{feff}[{object},\n{object}\n]"), 1),
        (format!("[{long}{object},\n{object}\n]"), 1),
    ] {
        for format in [None, Some(Format::JsonLines)] {
            let reader = Reader::new(Cursor::new(&text), format, SubmitRequest::default());
            let lines: Vec<Line> = reader.map(|line| line.expect("no I/O")).collect();
            assert_eq!(lines.len(), 1, "{text}");
            assert_eq!(lines[0].number, number);
            let fault = lines[0].outcome.as_ref().expect_err("a fault");
            assert!(fault.contains("jq -c '.[]'"), "{fault}");
        }
    }
    let later = read(format!("{object}\n[\n{object}\n").as_bytes());
    let outcomes: Vec<bool> = later.iter().map(|line| line.outcome.is_ok()).collect();
    assert_eq!(outcomes, [true, false, true], "a line of a file that is none");
}

/// What `jq .` prints: each of its thousand lines was a fault of its own.
#[test]
fn an_object_over_many_lines_ends_its_file_with_one_fault() {
    let over_many = "{\n  \"source\": \"a\",\n  \"target\": \"b\"\n}\n";
    for (text, number) in [
        (over_many.to_owned(), 1),
        (format!(" \n{over_many}"), 2),
        ("{\"source\": \"a\",\n\"target\": \"b\"}\n".to_owned(), 1),
    ] {
        let lines = read(text.as_bytes());
        assert_eq!(lines.len(), 1, "{text}");
        assert_eq!(lines[0].number, number);
        assert_eq!(lines[0].outcome, Err(entry::UNFINISHED.to_owned()));
    }
}

/// Two objects, whose keys differ in a blank: the line said the one and the job carried the other.
#[test]
fn white_space_around_a_cell_of_csv_is_the_keys() {
    for end in ["\n", "\r\n", ""] {
        let lines = read(format!("source,target\nc:b/a ,g:b/b \t{end}").as_bytes());
        let transfer = lines[0].outcome.as_ref().expect("good").transfer.as_ref();
        let transfer = transfer.expect("a transfer");
        assert_eq!((transfer.source.as_str(), transfer.target.as_str()), ("c:b/a ", "g:b/b \t"));
    }
    assert_eq!(read(b" source , target \n \t \na,b\n").len(), 1, "a header, a blank line");
    assert!(read(b" \t{\"source\":\"a\",\"target\":\"b\"} \r\n")[0].outcome.is_ok());
}

#[test]
fn extensions_decide_before_the_first_line_does() {
    assert_eq!(Format::of_path(Path::new("a.CSV")), Some(Format::Csv));
    assert_eq!(Format::of_path(Path::new("a.jsonl")), Some(Format::JsonLines));
    assert_eq!(Format::of_path(Path::new("a.txt")), None);
    assert_eq!(Format::of_path(Path::new("-")), None);
}

/// Lines as editors count them: what follows the last newline counts when it is not empty.
fn lines_of(bytes: &[u8]) -> u64 {
    let newlines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    newlines + u64::from(bytes.last().is_some_and(|byte| *byte != b'\n'))
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_lines_count_right(
        bytes in proptest::collection::vec(any::<u8>(), 0..2048),
    ) {
        let mut reader =
            Reader::new(Cursor::new(&bytes), Some(Format::JsonLines), SubmitRequest::default());
        let mut last = 0;
        for line in reader.by_ref() {
            let number = line.expect("no I/O").number;
            prop_assert!(number > last);
            last = number;
        }
        // An array is read no further, nor an object that has no end.
        prop_assert!(reader.finished || reader.number == lines_of(&bytes));
    }

    /// The bytes that matter to the two parsers, so that the search gets past the first character.
    #[test]
    fn near_csv_never_panics(text in "source,target,tags\n[a-c,;=\"\r\n{}\\[\\]:0-9 ]{0,400}") {
        for line in read(text.as_bytes()) {
            prop_assert!(line.number >= 1 && line.number <= lines_of(text.as_bytes()));
        }
    }

    #[test]
    fn good_lines_keep_their_numbers_among_broken_ones(good in proptest::collection::vec(any::<bool>(), 1..60)) {
        let text: String = good
            .iter()
            .map(|good| if *good { "{\"source\":\"a\",\"target\":\"b\"}\n" } else { "{\"source\"}\n" })
            .collect();
        let lines = Reader::new(Cursor::new(text), Some(Format::JsonLines), SubmitRequest::default());
        let outcomes: Vec<bool> = lines.map(|line| line.expect("no I/O").outcome.is_ok()).collect();
        prop_assert_eq!(outcomes, good);
    }
}
