//! `watch` as a process: which jobs it counts, and what its events tell.

use std::io::{BufReader, Read as _};
use std::process::{Child, ChildStdout, Command};

use causeway::v1::JobState;
use serde_json::Value;

use crate::command::{command, objects, read_up_to, run};
use crate::server::Served;

fn submit(served: &Served, name: &str, label: &str, more: &[&str]) {
    let source = format!("c:b/{name}.bin");
    run(served, &[&["submit", &source, "gov:b/", "--label", label], more].concat());
}

/// The events about a job in this state.
fn told(events: &[Value], id: &str, state: &str) -> usize {
    let is_told = |event: &&Value| event["job"]["job_id"] == id && event["job"]["state"] == state;
    events.iter().filter(is_told).count()
}

/// A watch that has told what there is.
fn watching(served: &Served, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = command(&served.endpoint(), arguments).spawn().expect("it runs");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    read_up_to(&mut out, "snapshot_end");
    (child, out)
}

/// A batch whose jobs had all failed looked done, and scripts went on.
#[test]
fn a_watch_by_label_counts_what_failed_before_it() {
    let served = Served::start();
    for (name, label) in [
        ("bad", "batch=7"),
        ("ok", "batch=7"),
        ("bad", "batch=7"),
        ("bad", "batch=8"),
        ("bad", "batch=7"),
    ] {
        submit(&served, name, label, &["--wait"]);
    }
    let ran = run(&served, &["watch", "--label", "batch=7"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    for (id, count) in [("J00001", 1), ("J00002", 0), ("J00003", 1), ("J00004", 0), ("J00005", 1)] {
        assert_eq!(
            ran.err.matches(&format!("failed {id} bad.bin: ")).count(),
            count,
            "{}",
            ran.err
        );
    }
    assert!(ran.err.contains("0 succeeded, 3 failed, 0 cancelled\n3 had ended before"));
    let ran = run(&served, &["watch", "--label", "batch=7", "--output", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let events = objects(&ran.out);
    assert_eq!(told(&events, "J00001", "failed"), 1, "{}", ran.out);
    assert_eq!(told(&events, "J00004", "failed"), 0, "{}", ran.out);
    let ran = run(&served, &["watch", "--label", "batch=9"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("nothing to watch"), "{}", ran.err);
}

#[test]
fn a_job_that_fails_under_the_watch_is_counted_once() {
    let served = Served::start();
    submit(&served, "hang", "batch=7", &[]);
    let arguments = ["watch", "--label", "batch=7", "--output", "json"];
    let (child, mut out) = watching(&served, &arguments);
    served.fake.end("J00001", JobState::Failed);
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("readable");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(told(&objects(&rest), "J00001", "failed"), 1, "{rest}");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!err.contains("had ended before"), "{err}");
}

/// Without the label, the watch that is suggested follows everybody's jobs.
#[test]
fn ctrl_c_names_the_watch_that_goes_on() {
    let served = Served::start();
    submit(&served, "hang", "batch=7", &[]);
    let arguments = ["watch", "--label", "batch=7", "--output", "json"];
    let (child, _out) = watching(&served, &arguments);
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("`causeway watch --label batch=7` follows them again"), "{err}");
}

/// What was counted of it before is taken back.
#[test]
fn a_job_that_is_retried_under_the_watch_counts_by_its_last_end() {
    let both = ["J00001", "J00002"];
    for names in [&both[..0], &both[..]] {
        let served = Served::start();
        submit(&served, "hang", "batch=7", &[]);
        submit(&served, "hang", "batch=7", &[]);
        let arguments = [&["watch", "--output", "json"], names].concat();
        let (child, mut out) = watching(&served, &arguments);
        served.fake.end("J00001", JobState::Failed);
        read_up_to(&mut out, "\"state\":\"failed\"");
        served.fake.change("J00001", |job| {
            job.state = JobState::Queued.into();
            job.failure = None;
        });
        served.fake.end("J00002", JobState::Succeeded);
        served.fake.end("J00001", JobState::Succeeded);
        let output = child.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{err}");
        assert!(err.contains("2 succeeded, 0 failed, 0 cancelled"), "{err}");
    }
}

/// The daemon reads an id in either case and answers with its own: the watch waited for ever for the other.
#[test]
fn a_job_may_be_named_in_small_letters() {
    let served = Served::start();
    submit(&served, "ok", "batch=7", &["--wait"]);
    let id = "01K7Z3M8Q4T5V6W7X8Y9Z0A1B2";
    served.fake.change("J00001", |job| job.id = id.to_owned());
    let ran = run(&served, &["watch", &id.to_ascii_lowercase()]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains(&format!("succeeded {id} ok.bin")), "{}", ran.err);
}

/// It ended while the daemon was away, the cursor was too old, and the daemon was not ready at once.
#[test]
fn an_end_that_had_to_be_asked_for_is_an_event_too() {
    let mut served = Served::start();
    submit(&served, "hang", "batch=7", &[]);
    let arguments = ["watch", "--output", "json"];
    let (child, mut out) = watching(&served, &arguments);
    served.kill();
    served.fake.end("J00001", JobState::Succeeded);
    served.fake.state().oldest_cursor = usize::MAX;
    served.fake.state().gets_refused = 2;
    served.restart();
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("readable");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let events = objects(&rest);
    assert_eq!(told(&events, "J00001", "succeeded"), 1, "{rest}");
    assert_eq!(served.fake.state().gets_refused, 0);
    let lost = events.iter().filter(|event| event["reason"] == "not now: starting").count();
    assert_eq!(lost, 2, "{rest}");
}

/// Whatever that job does, the one that is waited for would never end.
#[test]
fn an_answer_about_another_job_ends_the_watch() {
    let mut served = Served::start();
    submit(&served, "hang", "batch=7", &[]);
    let mut child =
        command(&served.endpoint(), &["watch", "--output", "json"]).spawn().expect("it runs");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    read_up_to(&mut out, "snapshot_end");
    served.kill();
    served.fake.end("J00001", JobState::Succeeded);
    served.fake.state().oldest_cursor = usize::MAX;
    served.fake.state().got_as = Some("J00009".to_owned());
    served.restart();
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{err}");
    assert!(err.contains("the daemon's answer has no job of the id that was asked for"), "{err}");
}
