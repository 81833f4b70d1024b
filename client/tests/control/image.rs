//! The image jobs on the command line, as a process.

use causeway::v1::JobKind;
use serde_json::json;

use crate::command::{objects, run, run_with_input};
use crate::server::Served;

const ROAD: [&str; 6] = ["com:ami-ok", "gov:", "--via", "east", "--landing", "west"];

fn migrate<'a>(image: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["migrate", image], &ROAD[1..], more].concat()
}

#[test]
fn each_image_command_makes_a_job_of_its_kind() {
    let served = Served::start();
    let ran = run(&served, &["store", "com:ami-1", "com:images/", "--label", "a=b"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "J00001\n"), "{}", ran.err);
    assert_eq!(run(&served, &["restore", "gov:images/ami-1.bin"]).out, "J00002\n");
    let ran = run(&served, &migrate("com:ami-1", &["--output", "json"]));
    let object = &objects(&ran.out)[0];
    assert_eq!((&object["kind"], &object["existed"]), (&json!("migrate"), &json!(false)));
    assert_eq!(object["migrate"]["landing"], "west");
    assert_eq!(object["transfer"], json!(null));
    let kinds: Vec<JobKind> = served.fake.state().jobs.iter().map(|job| job.kind()).collect();
    assert_eq!(kinds, [JobKind::Store, JobKind::Restore, JobKind::Migrate]);
    let ran = run(&served, &["jobs"]);
    assert!(ran.out.contains("queued  migrate"), "{}", ran.out);
    assert!(ran.out.contains("gov:images/ami-1.bin  gov:\n"), "{}", ran.out);
}

#[test]
fn a_migration_with_wait_tells_each_stage_and_ends_as_the_job_does() {
    let served = Served::start();
    let ran = run(&served, &migrate("com:ami-ok", &["--wait"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let expected = "J00001 succeeded: com:ami-ok -> gov:ami-9, alias /golden/web, 1 difference, \
        blake3 af13, verified by s3-checksum\n";
    assert_eq!(ran.out, expected);
    for line in ["storing done in 1m 01s", "restoring done in 4s"] {
        let line = format!("J00001  com:ami-ok  {line}");
        assert!(ran.err.lines().any(|told| told == line), "`{line}` in {}", ran.err);
    }
    assert_eq!(run(&served, &migrate("com:ami-bad", &["--wait"])).code, Some(1));
}

#[test]
fn show_and_receipt_tell_what_came_of_an_image() {
    let served = Served::start();
    run(&served, &migrate("com:ami-ok", &["--wait"]));
    let ran = run(&served, &["show", "J00001"]);
    assert!(ran.out.contains("\nnew image     gov:ami-9 golden-9, 30 GiB"), "{}", ran.out);
    assert!(ran.out.contains("BootMode  uefi  -\n"), "{}", ran.out);
    let ran = run(&served, &["show", "J00001", "--output", "json"]);
    assert_eq!(objects(&ran.out)[0]["image"]["alias"]["version"], 3);
    let ran = run(&served, &["receipt", "J00001", "--output", "json"]);
    let receipt = &objects(&ran.out)[0];
    assert_eq!(receipt["image"]["restored"]["image_id"], "ami-9");
    assert_eq!(receipt["image"]["stages"][1]["finished_at"], "1970-01-01T00:01:05.000Z");
}

#[test]
fn an_alias_is_put_back_or_refused_with_the_contracts_exit_code() {
    let served = Served::start();
    run(&served, &migrate("com:ami-ok", &["--wait"]));
    let ran = run(&served, &["alias", "rollback", "J00001"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "/golden/web names ami-8 again\n"));
    let ran = run(&served, &["alias", "rollback", "J00001", "--output", "json"]);
    assert_eq!(objects(&ran.out)[0]["rolled_back"], true);
    run(&served, &["store", "com:ami-1", "com:images/"]);
    assert_eq!(run(&served, &["alias", "rollback", "J00002"]).code, Some(6));
    assert_eq!(run(&served, &["alias", "rollback", "J404"]).code, Some(4));
}

#[test]
fn a_preflight_prints_its_checks_and_fails_with_one_of_them() {
    let served = Served::start();
    let ran = run(&served, &["preflight", "c:b/k", "gov:b/k"]);
    let expected = "ok    source  gov  s3:PutObject  tried\n\
        warn  target  gov  s3:PutObject  tried\n\
        \x20                                remedy: look at it\n";
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected), "{}", ran.err);
    assert_eq!(ran.err, "1 passed, 1 warned, 0 failed, 0 skipped\n");
    let bad = ["preflight", "restore", "gov:b/bad.bin", "--output", "json"];
    let ran = run(&served, &bad);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let checks = objects(&ran.out);
    assert_eq!(
        (&checks[0]["outcome"], &checks[1]["outcome"]),
        (&json!("passed"), &json!("failed"))
    );
    assert_eq!((&checks[0]["remedy"], &checks[1]["remedy"]), (&json!(null), &json!("allow it")));
}

#[test]
fn a_dry_run_of_an_image_job_is_its_preflight_and_makes_no_job() {
    let served = Served::start();
    let ran = run(&served, &migrate("com:ami-bad", &["--dry-run", "--repair"]));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.out.contains("FAIL  target"), "{}", ran.out);
    let state = served.fake.state();
    assert!(state.jobs.is_empty());
    let spec = state.preflights[0].migrate.clone().expect("a migration");
    assert!(spec.restored.expect("there").repair);
}

/// A policy that goes into a file must be the only thing on stdout.
#[test]
fn policies_are_documents_on_stdout_and_headings_on_stderr() {
    let served = Served::start();
    let document = "{\n  \"Version\": \"2012-10-17\"\n}\n";
    let arguments = ["preflight", "store", "com:ami-bad", "com:b/", "--print-policy"];
    let ran = run(&served, &arguments);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), document, ""));
    let ran = run(&served, &["preflight", "c:b/k", "gov:b/k", "--print-policy"]);
    assert_eq!(ran.out, document.repeat(2));
    assert_eq!(ran.err, "source gov:\ntarget gov:\n");
    let both = ["preflight", "c:b/k", "gov:b/k", "--print-policy", "--output", "json"];
    let lines = objects(&run(&served, &both).out);
    let line = json!({
        "side": "source", "remote": "gov", "policy": { "Version": "2012-10-17" },
    });
    assert_eq!((lines.len(), &lines[0]), (2, &line));
}

#[test]
fn a_manifest_of_migrations_reports_each_fault_by_its_line_and_takes_the_rest() {
    let served = Served::start();
    let text = "image,target,landing,repair\ncom:ami-1,gov:,,\ncom:ami-2,gov:,other,true\n\
        com:ami-3,gov:,,maybe\nnowhere:ami-4,gov:,,\n";
    let arguments = ["migrate", "--manifest", "-", "--via", "east", "--landing", "west"];
    let ran = run_with_input(&served, &arguments, text);
    assert_eq!(ran.code, Some(6));
    assert_eq!(ran.out, "J00001  com:ami-1 -> gov:\nJ00002  com:ami-2 -> gov:\n");
    assert!(ran.err.contains("error: line 4: repair: `maybe`"), "{}", ran.err);
    assert!(ran.err.contains("error: line 5: no remote `nowhere`"), "{}", ran.err);
    let landings: Vec<String> = {
        let state = served.fake.state();
        let spec = |job: &causeway::v1::Job| job.migrate.clone().expect("a migration");
        state.jobs.iter().map(|job| spec(job).landing).collect()
    };
    assert_eq!(landings, ["west", "other"]);
}

#[test]
fn the_newest_images_are_shown_and_migrated() {
    let served = Served::start();
    let choose = |more: &[&'static str]| {
        let choice = ["--filter", "name=golden-*", "--latest", "2"];
        migrate("com:", &[&choice[..], more].concat())
    };
    let ran = run(&served, &choose(&["--dry-run"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.out.starts_with("#  IMAGE     NAME      SIZE    CREATED\n1  ami-0-ok"),
        "{}",
        ran.out
    );
    let ran = run(&served, &choose(&["--dry-run", "--output", "json"]));
    assert_eq!(objects(&ran.out)[1]["image_id"], "ami-1-ok");
    assert!(served.fake.state().jobs.is_empty(), "only chosen");

    let ran = run(&served, &choose(&["--wait", "--idempotency-key", "nightly:"]));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    assert!(ran.err.starts_with("#  IMAGE"), "{}", ran.err);
    let ran = run(&served, &choose(&["--idempotency-key", "nightly:"]));
    assert!(ran.err.contains("2 accepted (2 were there already), 0 refused"), "{}", ran.err);
}

#[test]
fn a_choice_of_no_image_is_an_error_and_not_a_success() {
    let served = Served::start();
    let ran = run(&served, &migrate("com:", &["--filter", "name=none", "--latest", "1"]));
    assert_eq!(ran.code, Some(4));
    assert_eq!(ran.err, "error: no image of the account of `com` matches the filters\n");
    let ran = run(&served, &migrate("com:", &[]));
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("`com:` names no image: write `com:ami-"), "{}", ran.err);
}
