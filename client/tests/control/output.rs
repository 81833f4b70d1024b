//! A stdout that takes nothing, takes it late, or is gone: what was done is told all the same, and nothing is lost.

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use causeway::v1::JobState;

use crate::command::{Ran, command, objects, ran};
use crate::server::Served;

/// Runs it with a stdout that takes nothing, as on a full disk.
fn run_on_a_full_disk(served: &Served, arguments: &[&str]) -> Ran {
    let full = File::options().write(true).open("/dev/full").expect("Linux");
    ran(command(&served.endpoint(), arguments).stdout(full).output().expect("it runs"))
}

/// It was usage, and the id of a job that ran was nowhere.
#[test]
fn jobs_that_stdout_cannot_tell_of_are_told_on_stderr() {
    let served = Served::start();
    for (number, format) in [(1, "table"), (2, "json")] {
        let arguments = ["submit", "c:b/manual.bin", "gov:b/", "--output", format];
        let ran = run_on_a_full_disk(&served, &arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(ran.err.contains(&format!("the job was taken: J0000{number}\n")), "{}", ran.err);
        assert!(ran.err.contains("error: cannot write the output: No space left"), "{}", ran.err);
    }
    assert_eq!(run_on_a_full_disk(&served, &["jobs"]).code, Some(1));
    let ran = run_on_a_full_disk(&served, &["submit", "--recursive", "c:b/p/", "gov:b/"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    for text in ["\njob J00004  c:b/p/b-ok.bin -> gov:b/\n", "2 accepted"] {
        assert!(ran.err.contains(text), "{}", ran.err);
    }
    assert!(!ran.err.contains("what follows"), "nothing does: {}", ran.err);
}

/// Of thousands of lines, no more are taken than can be told, and it is told where that ends.
#[test]
fn a_manifest_whose_outcomes_cannot_be_written_goes_no_further() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("m.jsonl");
    let line = "{\"source\":\"c:b/a\",\"target\":\"gov:b/\"}\n";
    std::fs::write(&path, line.repeat(5_000)).expect("written");
    let path = path.to_str().expect("UTF-8");
    for format in ["table", "json"] {
        let served = Served::start();
        let arguments = ["submit", "--manifest", path, "--output", format];
        let ran = run_on_a_full_disk(&served, &arguments);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        let taken = served.fake.state().jobs.len();
        assert!((1..1_000).contains(&taken), "{taken}");
        let told = ran.err.lines().filter(|line| line.starts_with("job J")).count();
        assert_eq!(told, taken, "{}", ran.err);
        let end = format!("answered up to line {taken}; what follows was not submitted\n");
        assert!(ran.err.contains(&end), "{}", ran.err);
        assert!(ran.err.contains("error: cannot write the output"), "{}", ran.err);
    }
}

/// Who had waited would take the jobs for ended.
#[test]
fn a_wait_that_stdout_ends_says_that_the_jobs_go_on() {
    let served = Served::start();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("m.csv");
    std::fs::write(&path, "source,target\nc:b/ok.bin,gov:b/\nc:b/hang.bin,gov:b/\n")
        .expect("written");
    let path = path.to_str().expect("UTF-8");
    let ran = run_on_a_full_disk(&served, &["submit", "--manifest", path, "--wait"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("jobs that have not ended go on: `causeway watch`\n"), "{}", ran.err);
    assert!(!ran.err.contains("not submitted"), "both were: {}", ran.err);
    assert_eq!(served.fake.state().jobs[1].state(), JobState::Running);
}

/// `submit --manifest … | less`: for minutes nobody reads on, and the daemon asks whether anybody is there. On one
/// thread with the write that waited, nobody answered, and all that was on its way was lost.
#[test]
#[expect(clippy::disallowed_methods, reason = "the client has a process of its own")]
fn a_stdout_that_stands_still_costs_no_connection_and_leaves_few_jobs_untold() {
    let served = Served::impatient();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("m.jsonl");
    let line = "{\"source\":\"c:b/a\",\"target\":\"gov:b/\"}\n";
    std::fs::write(&path, line.repeat(5_000)).expect("written");
    let path = path.to_str().expect("UTF-8");
    let arguments = ["submit", "--manifest", path, "--output", "json"];
    let child = command(&served.endpoint(), &arguments).spawn().expect("it runs");
    let taken = || served.fake.state().jobs.len();
    let mut before = 0;
    while before == 0 || taken() > before {
        before = taken();
        // Longer than the server's patience.
        std::thread::sleep(Duration::from_secs(2));
    }
    // In the pipe, and unanswered.
    assert!(before < 2_000, "{before} are taken");
    let ran = ran(child.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(objects(&ran.out).len(), 5_000);
}

/// `causeway jobs | head -1`: the reader leaves first.
#[test]
fn a_closed_stdout_is_no_panic() {
    let served = Served::start();
    let mut text = String::new();
    for _ in 0..200 {
        text.push_str("{\"source\":\"c:b/a\",\"target\":\"gov:b/\"}\n");
    }
    let mut child = command(&served.endpoint(), &["submit", "--manifest", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).expect("read");
    drop(stdin);
    let done = ran(child.wait_with_output().expect("it ends"));
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(served.fake.state().jobs.len(), 200, "what was submitted goes in all the same");

    let mut child =
        command(&served.endpoint(), &["jobs", "--limit", "0"]).spawn().expect("it runs");
    drop(child.stdout.take());
    assert_eq!(ran(child.wait_with_output().expect("it ends")).code, Some(0));
}
