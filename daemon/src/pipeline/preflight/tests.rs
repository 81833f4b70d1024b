//! Preflights of servers that say no, say nothing, or make no sense, and what is judged of answers. A good day,
//! and each thing broken in turn, is tested against the sandbox in `tests/e2e`.

use std::sync::Arc;

use tempfile::TempDir;

use super::report::Report;
use super::*;
use crate::base::NoObserver;
use crate::blob::tests::server::{self, Asked, http, refusal, scripted};
use crate::blob::{LifecycleRule, When};
use crate::model::{CheckOutcome, Timestamp};
use crate::remote::Options;

/// A pipeline whose one remote, `commercial`, is at a scripted server.
struct World {
    pipeline: Pipeline,
    asked: Asked,
    _dir: TempDir,
}

impl World {
    async fn new(script: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let (endpoint, asked) = scripted(None, script).await;
        let options = Options { region: "us-east-2".to_owned(), ..server::options(&endpoint) };
        let remote = Remote::build(options, Arc::new(NoObserver)).await.expect("legal");
        let dir = TempDir::new().expect("a directory");
        let pipeline = Pipeline::of_one(remote, dir.path());
        Self { pipeline, asked, _dir: dir }
    }
}

fn transfer() -> Submission {
    let source = Address::Object(server::address("golden/a.bin"));
    Submission::new(TransferSpec::new(source, server::address("golden/b.bin")))
}

fn shown(checks: &[Check]) -> String {
    let lines = checks.iter().map(|check| {
        let (side, name) = (check.side.as_str(), check.name);
        format!("{side} {name} {:?}: {}; {}\n", check.outcome, check.detail, check.remedy)
    });
    lines.collect()
}

fn assert_each_says_what_to_do(checks: &[Check]) {
    let shown = shown(checks);
    assert!(!checks.is_empty());
    for check in checks {
        let must = matches!(check.outcome, CheckOutcome::Failed | CheckOutcome::Warning);
        assert!(!must || !check.remedy.is_empty(), "{}: {shown}", check.name);
        assert!(!check.detail.is_empty() && !check.detail.contains('\n'), "{shown}");
        assert!(!shown.contains(server::SECRET_KEY), "{shown}");
    }
}

#[tokio::test]
async fn a_server_that_denies_everything_has_each_right_named() {
    let world = World::new(|head| match head.starts_with("HEAD") {
        true => http("403 Forbidden", &[], ""),
        false => refusal("403 Forbidden", "AccessDenied"),
    })
    .await;
    let (checks, policies) = world.pipeline.preflight(&transfer()).await;
    assert_each_says_what_to_do(&checks);
    let shown = shown(&checks);
    for (name, right) in [
        ("source bucket Failed", "s3:ListBucket"),
        ("source source object Failed", "s3:GetObject"),
        ("target target key Failed", "s3:GetObject"),
        ("target open uploads Warning", "s3:ListBucketMultipartUploads"),
        ("target upload Failed", "s3:PutObject"),
        ("target default encryption Skipped", "s3:GetEncryptionConfiguration"),
        ("target public access Skipped", "s3:GetBucketPublicAccessBlock"),
        ("target lifecycle Skipped", "s3:GetLifecycleConfiguration"),
    ] {
        let line = shown.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name}: {shown}"));
        let (_, remedy) = line.split_once("; ").expect("a remedy");
        assert!(remedy.contains(right), "{line}");
    }
    assert_eq!(policies.len(), 2);
}

/// Proxies, captive portals, servers that die midway.
#[tokio::test]
async fn answers_that_make_no_sense_are_checks_that_failed() {
    for status in ["200 OK", "302 Found", "404 Not Found"] {
        for body in ["", "\0 no XML", "<html>Welcome to the airport!</html>", "<Error><Code>"] {
            let world = World::new(move |_| http(status, &[], body)).await;
            let (checks, _) = world.pipeline.preflight(&transfer()).await;
            assert_each_says_what_to_do(&checks);
            let failed = checks.iter().filter(|check| check.outcome == CheckOutcome::Failed);
            assert!(failed.count() > 0, "{status} {body}: {}", shown(&checks));
        }
    }
}

#[tokio::test]
async fn credentials_that_are_not_taken_are_told_once_a_side() {
    let world = World::new(|head| match head.starts_with("HEAD") {
        true => http("400 Bad Request", &[], ""),
        false => refusal("400 Bad Request", "ExpiredToken"),
    })
    .await;
    let (checks, _) = world.pipeline.preflight(&transfer()).await;
    assert_each_says_what_to_do(&checks);
    let failed: Vec<_> =
        checks.iter().filter(|check| check.outcome == CheckOutcome::Failed).collect();
    assert_eq!(failed.len(), 2, "{}", shown(&checks));
    assert!(failed.iter().all(|check| check.remedy.contains("credentials")), "{}", shown(&checks));
    assert_eq!(checks.iter().filter(|check| check.name == "the rest").count(), 2);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_told_by_how_much() {
    let date = "Date: Fri, 02 Jan 2026 03:04:05 GMT";
    let world = World::new(move |_| http("403 Forbidden", &[date], "")).await;
    let (checks, _) = world.pipeline.preflight(&transfer()).await;
    let clocks: Vec<_> = checks.iter().filter(|check| check.name == "clock").collect();
    assert_eq!(clocks.len(), 2);
    for clock in clocks {
        assert_eq!(clock.outcome, CheckOutcome::Failed, "{clock:?}");
        assert!(clock.remedy.contains("chrony") && clock.detail.contains("ahead of"), "{clock:?}");
    }
}

/// A paused clock: what would take a minute is over at once.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_not_waited_for_for_ever() {
    let world = World::new(|_| String::new()).await;
    let begun = Instant::now();
    let (checks, policies) = world.pipeline.preflight(&transfer()).await;
    assert!(begun.elapsed() <= Duration::from_secs(60), "{:?}", begun.elapsed());
    assert_each_says_what_to_do(&checks);
    assert_eq!(policies.len(), 2, "they depend on nobody's answer");
    let failed = checks.iter().filter(|check| check.outcome == CheckOutcome::Failed);
    assert!(failed.count() >= 2, "{}", shown(&checks));
}

/// The control service drops what it does for a client that hung up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_upload_is_aborted_also_when_whoever_asked_is_gone() {
    let (gone, waits) = std::sync::mpsc::channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    let world = World::new(move |head| {
        if head.contains("partNumber=") {
            // It is answered once whoever asked is gone. Blocked in any other way, this thread would keep the
            // task that it woke last to itself, which may be the one that this test waits for.
            let _ = tokio::task::block_in_place(|| waits.lock().expect("not poisoned").recv());
            return http("200 OK", &["ETag: \"e\""], "");
        }
        match head {
            head if head.starts_with("POST") => http(
                "200 OK",
                &[],
                "<InitiateMultipartUploadResult><UploadId>u</UploadId>\
                 </InitiateMultipartUploadResult>",
            ),
            head if head.starts_with("HEAD") => http("404 Not Found", &[], ""),
            head if head.contains("list-type") => http("200 OK", &[], "<ListBucketResult/>"),
            head if head.contains("?uploads") => {
                http("200 OK", &[], "<ListMultipartUploadsResult/>")
            }
            _ => refusal("404 Not Found", "NoSuchKey"),
        }
    })
    .await;
    let asked = Arc::clone(&world.asked);
    let saw = move |start: &str, word: &str| {
        let asked = asked.lock().expect("not poisoned");
        asked.iter().any(|head| head.starts_with(start) && head.contains(word))
    };
    let pipeline = world.pipeline.clone();
    let preflight = tokio::spawn(async move { pipeline.preflight(&transfer()).await });
    until(|| saw("PUT", "partNumber=")).await;
    preflight.abort();
    assert!(preflight.await.is_err(), "it was not over yet");
    assert!(!saw("DELETE", ""), "it has not come so far yet");
    drop(gone);
    until(|| saw("DELETE", "uploadId=u")).await;
}

async fn until(seen: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if seen() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("ten seconds have passed");
}

#[test]
fn a_clock_is_judged_by_how_far_it_is_off() {
    for (ahead, outcome) in [
        (None, CheckOutcome::Skipped),
        (Some(0), CheckOutcome::Passed),
        (Some(-59_999), CheckOutcome::Passed),
        (Some(60_000), CheckOutcome::Warning),
        (Some(-299_999), CheckOutcome::Warning),
        (Some(300_000), CheckOutcome::Failed),
        (Some(i64::MIN + 1), CheckOutcome::Failed),
    ] {
        let name = "commercial".parse().expect("a name");
        let mut report = Report::new(Side::Source, name, Instant::now());
        side::judge(&mut report, ahead);
        let checks = report.into_checks();
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].outcome, outcome, "{ahead:?}: {}", checks[0].detail);
    }
}

#[test]
fn a_lifecycle_rule_strikes_within_a_week_and_below_its_prefix_alone() {
    let day = 24 * 3600 * 1000;
    let now = Timestamp(100 * day);
    let rule = |prefix: &str| LifecycleRule {
        id: "tidy".to_owned(),
        prefix: prefix.to_owned(),
        ..LifecycleRule::default()
    };
    let strikes = |rule: LifecycleRule| bucket::strikes(&[rule], "golden/a.bin", now).join("; ");
    let expiring = |prefix, when| LifecycleRule { expires: Some(when), ..rule(prefix) };
    for (rule, words) in [
        (LifecycleRule { aborts_uploads: Some(6), ..rule("") }, "abort an upload after 6 days"),
        (LifecycleRule { aborts_uploads: Some(7), ..rule("") }, ""),
        (expiring("golden/", When::Days(1)), "will delete the object after 1 days"),
        (expiring("golden/", When::Days(30)), ""),
        (expiring("gold/", When::Days(1)), ""),
        (expiring("golden/a.bin.old", When::Days(1)), ""),
        (expiring("", When::At(Timestamp(90 * day))), "delete the object at"),
        (expiring("", When::At(Timestamp(106 * day))), "delete the object at"),
        (expiring("", When::At(Timestamp(107 * day))), ""),
        (
            LifecycleRule { is_narrowed: true, ..expiring("", When::Days(2)) },
            "'tidy' may delete the object",
        ),
        (
            LifecycleRule { moves: vec![(When::Days(0), "GLACIER".to_owned())], ..rule("") },
            "move the object to GLACIER after 0 days",
        ),
    ] {
        let found = strikes(rule.clone());
        assert_eq!(found.is_empty(), words.is_empty(), "{rule:?}: {found}");
        assert!(found.contains(words), "{rule:?}: {found}");
    }
}
