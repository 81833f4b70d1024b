//! Every field's fault, in the words that a person reads.

use super::*;
use crate::model::{Encryption, IfExists};

const DEFAULTS: Defaults = Defaults { verify: Verify::Auto, if_exists: IfExists::Fail };
/// 2026-01-02T03:30:00Z, within the hour that [`PRESIGNED`] is good for.
const NOW: Timestamp = Timestamp(1_767_324_600_000);
const PRESIGNED: &str = "https://images.s3.amazonaws.com/golden/ami%201.bin?X-Amz-Date=20260102T030405Z\
                         &X-Amz-Expires=3600&X-Amz-Signature=s3cret";

fn transfer() -> v1::TransferSpec {
    v1::TransferSpec {
        source: "com:images/golden/ami-1.bin".to_owned(),
        target: "gov:vault/ami-1.bin".to_owned(),
        ..Default::default()
    }
}

fn request(transfer: v1::TransferSpec) -> v1::SubmitRequest {
    v1::SubmitRequest { transfer: Some(transfer), ..Default::default() }
}

fn read(request: v1::SubmitRequest) -> Result<Submission, String> {
    submission(request, DEFAULTS, NOW).map_err(|invalid| invalid.to_string())
}

/// The transfer after `change` must be refused with all of `words`, and without the signature.
fn refused(change: impl FnOnce(&mut v1::TransferSpec), words: &[&str]) {
    let mut asked = transfer();
    change(&mut asked);
    let shown = format!("{asked:?}");
    let fault = read(request(asked)).expect_err(&shown);
    for word in words {
        assert!(fault.contains(word), "'{word}' is not in: {fault}");
    }
    assert!(!fault.contains("s3cret"), "{fault}");
    assert!(fault.chars().count() < 500, "{fault}");
}

fn pairs(count: usize) -> HashMap<String, String> {
    (0..count).map(|n| (format!("key-{n}"), "value".to_owned())).collect()
}

fn pair(key: &str, value: &str) -> HashMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

#[test]
fn a_bare_request_takes_the_configuration_s_defaults() {
    let read = read(request(transfer())).expect("legal");
    let spec = read.spec.expect("a transfer");
    assert_eq!(spec.source.to_string(), "com:images/golden/ami-1.bin");
    assert_eq!(spec.target.to_string(), "gov:vault/ami-1.bin");
    assert_eq!((spec.verify, spec.if_exists), (Verify::Auto, IfExists::Fail));
    assert_eq!(read.left_open, LeftOpen { verify: true, if_exists: true });
    assert_eq!((read.priority, spec.part_size, spec.encryption), (0, None, None));
}

#[test]
fn every_field_is_kept() {
    let mut asked = request(v1::TransferSpec {
        verify: v1::Verify::Checksum.into(),
        if_exists: v1::IfExists::Skip.into(),
        part_size: Some(64 << 20),
        storage_class: Some("GLACIER".to_owned()),
        sse: v1::ServerSideEncryption::AwsKms.into(),
        sse_kms_key_id: Some("alias/images".to_owned()),
        tags: pair("team", "images"),
        expect_blake3: Some("ab".repeat(32)),
        ..transfer()
    });
    asked.priority = -100;
    asked.labels = pair("batch", "7");
    asked.idempotency_key = Some("k".repeat(128));
    let read = read(asked).expect("legal");
    let spec = read.spec.expect("a transfer");
    assert_eq!((spec.verify, spec.if_exists), (Verify::Checksum, IfExists::Skip));
    assert_eq!(spec.part_size, Some(64 << 20));
    assert_eq!(spec.storage_class.as_deref(), Some("GLACIER"));
    let key_id = Some("alias/images".to_owned());
    assert_eq!(spec.encryption, Some(Encryption::Kms { key_id }));
    assert_eq!(spec.tags.get("team").map(String::as_str), Some("images"));
    assert_eq!(spec.expect_blake3, Some([0xab; 32]));
    assert_eq!((read.priority, read.labels.len()), (-100, 1));
    assert_eq!(read.idempotency_key.map(|key| key.len()), Some(128));
}

#[test]
fn a_target_prefix_gets_the_source_s_base_name() {
    for (source, target, expected) in [
        ("com:images/golden/ami-1.bin", "gov:vault/", "gov:vault/ami-1.bin"),
        ("com:images/golden/ami-1.bin", "gov:vault/in/", "gov:vault/in/ami-1.bin"),
        (PRESIGNED, "gov:vault/in/", "gov:vault/in/ami 1.bin"),
    ] {
        let asked = v1::TransferSpec { source: source.into(), target: target.into(), ..transfer() };
        assert_eq!(
            read(request(asked)).expect("legal").spec.expect("a transfer").target.to_string(),
            expected
        );
    }
    let nameless = |asked: &mut v1::TransferSpec| {
        asked.source = "https://host/?X-Amz-Signature=s3cret".into();
        asked.target = "gov:vault/".into();
    };
    refused(nameless, &["transfer.target", "no name to append", "name the key in full"]);
}

#[test]
fn an_address_that_does_not_parse_is_named_with_its_fault() {
    refused(|t| t.source.clear(), &["transfer.source", "is empty"]);
    refused(|t| t.source = "images/a".into(), &["transfer.source: 'images/a' is not an address"]);
    refused(|t| t.source = "com:images/".into(), &["transfer.source", "is a prefix", "one object"]);
    refused(|t| t.source = "com:ami-0abc".into(), &["transfer.source", "is an image"]);
    refused(|t| t.target = "gov:V/a".into(), &["transfer.target", "'V' is not a bucket name"]);
    refused(|t| t.target = "https://host/a?X=s3cret".into(), &["transfer.target", "a URL cannot"]);
    refused(|t| t.target = format!("gov:vault/{}", "k".repeat(2048)), &["transfer.target", "2058"]);
    refused(|t| t.target = transfer().source, &["transfer.target", "is the source itself"]);
    assert!(read(v1::SubmitRequest::default()).expect_err("no transfer").starts_with("transfer:"));
}

/// A copied URL that lost its scheme is no URL any more, and its signature a secret still.
#[test]
fn a_signature_is_never_repeated() {
    for source in [
        "images.s3.amazonaws.com/a.bin?X-Amz-Signature=s3cret",
        "ttps:images/a.bin/b?X-Amz-Signature=s3cret:x",
        "IMAGES/a?X-Amz-Signature=s3cret:x/y",
        "com:IMAGES?X-Amz-Signature=s3cret/k",
        "com:images?X-Amz-Signature=s3cret",
        "http://images/a?X-Amz-Signature=s3cret",
    ] {
        let asked =
            v1::TransferSpec { source: source.into(), target: "gov:vault/".into(), ..transfer() };
        if let Err(fault) = read(request(asked)) {
            assert!(!fault.contains("s3cret"), "{fault}");
        }
    }
    let expired = |t: &mut v1::TransferSpec| t.source = PRESIGNED.replace("3600", "60");
    refused(expired, &["transfer.source", "/golden/ami%201.bin?REDACTED", "expired", "sign a new"]);
}

#[test]
fn figures_and_names_out_of_range_are_refused_with_the_range() {
    for size in [0, 1, (5 << 20) - 1, (5 << 20) + 1, (5 << 30) + (1 << 20)] {
        let range = "a multiple of 1 MiB from 5 MiB to 5 GiB";
        refused(|t| t.part_size = Some(size), &["transfer.part_size", &size.to_string(), range]);
    }
    for class in ["", "standard", "COLD"] {
        let words = &["transfer.storage_class", class, "STANDARD_IA"];
        refused(|t| t.storage_class = Some(class.into()), words);
    }
    for digest in ["", "abc", &"g".repeat(64), &"a".repeat(66)] {
        refused(|t| t.expect_blake3 = Some(digest.into()), &["transfer.expect_blake3", "b3sum"]);
    }
    let archived = |t: &mut v1::TransferSpec| {
        t.storage_class = Some("DEEP_ARCHIVE".into());
        t.verify = v1::Verify::Readback.into();
    };
    refused(archived, &["transfer.verify", "DEEP_ARCHIVE", "use CHECKSUM"]);
    let empty_key = |t: &mut v1::TransferSpec| {
        t.sse = v1::ServerSideEncryption::AwsKms.into();
        t.sse_kms_key_id = Some(String::new());
    };
    refused(empty_key, &["transfer.sse_kms_key_id", "is not a KMS key"]);
}

#[test]
fn tags_keep_to_the_limits_of_s3() {
    refused(|t| t.tags = pairs(11), &["transfer.tags", "11 tags", "at most 10"]);
    refused(|t| t.tags = pair("", "v"), &["transfer.tags", "1 to 128 characters"]);
    refused(|t| t.tags = pair(&"k".repeat(129), "v"), &["transfer.tags", "1 to 128 characters"]);
    refused(|t| t.tags = pair("k", &"v".repeat(257)), &["transfer.tags: 'k'", "256 characters"]);
    refused(|t| t.tags = pair("AWS:x", "v"), &["transfer.tags: 'AWS:x'", "keeps for itself"]);
    let mut asked = transfer();
    asked.tags = pair(&"ü".repeat(128), &"ü".repeat(256));
    assert!(read(request(asked)).is_ok(), "S3 counts characters, not bytes");
}

#[test]
fn how_to_queue_keeps_to_our_own_limits() {
    let refused = |change: fn(&mut v1::SubmitRequest), word: &str| {
        let mut asked = request(transfer());
        change(&mut asked);
        let fault = read(asked).expect_err(word);
        assert!(fault.contains(word), "'{word}' is not in: {fault}");
    };
    refused(|r| r.priority = 101, "priority: 101 is out of range: use -100 to 100");
    refused(|r| r.priority = i32::MIN, "priority: -2147483648 is out of range");
    refused(|r| r.labels = pairs(17), "labels: 17 are given: use at most 16");
    refused(|r| r.labels = pair("", "v"), "1 to 63 bytes");
    refused(|r| r.labels = pair(&"k".repeat(64), "v"), "1 to 63 bytes");
    refused(|r| r.labels = pair("k", &"v".repeat(256)), "labels: 'k' has a value of more than 255");
    refused(|r| r.idempotency_key = Some(String::new()), "idempotency_key: '' is 0 bytes long");
    refused(|r| r.idempotency_key = Some("k".repeat(129)), "is 129 bytes long: use 1 to 128");
}
