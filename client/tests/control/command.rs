//! The command line as a process: stdout, stderr and exit code, which is all that a script sees.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};

use causeway::v1::JobState;
use serde_json::Value;

use crate::server::Served;

pub fn command(endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway"));
    command.args(arguments).env("CAUSEWAY_ENDPOINT", endpoint);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let ran =
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

pub fn run(served: &Served, arguments: &[&str]) -> Ran {
    ran(command(&served.endpoint(), arguments).output().expect("it runs"))
}

pub fn run_with_input(served: &Served, arguments: &[&str], input: &str) -> Ran {
    let mut child =
        command(&served.endpoint(), arguments).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("all of it is read");
    ran(output)
}

pub fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Reads stderr up to a line that contains the text.
fn wait_for(child: &mut Child, text: &str) -> BufReader<std::process::ChildStderr> {
    let mut reader = BufReader::new(child.stderr.take().expect("piped"));
    read_up_to(&mut reader, text);
    reader
}

pub fn read_up_to(reader: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(reader.read_line(&mut line).expect("readable") > 0, "ended before `{text}`");
    }
}

#[test]
fn submit_prints_the_id_alone() {
    let served = Served::start();
    let ran = run(&served, &["submit", "c:b/manual.bin", "gov:b/", "--label", "a=b"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "J00001\n"), "{}", ran.err);
    let ran = run(&served, &["submit", "c:b/manual.bin", "gov:b/", "--output", "json"]);
    let object = &objects(&ran.out)[0];
    assert_eq!(object["job_id"], "J00002");
    assert_eq!(object["state"], "queued");
    assert_eq!(object["existed"], false);
}

#[test]
fn submit_with_wait_ends_as_the_job_does() {
    let served = Served::start();
    let ran = run(&served, &["submit", "c:b/ok.bin", "gov:b/", "--wait"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out, "J00001 succeeded: 100 B, blake3 af13, verified by s3-checksum\n");
    assert!(ran.err.contains("transferring"), "{}", ran.err);

    let ran = run(&served, &["submit", "c:b/bad.bin", "gov:b/", "--wait", "--output", "json"]);
    assert_eq!(ran.code, Some(1));
    let lines = objects(&ran.out);
    assert_eq!(lines.len(), 1, "one object: {}", ran.out);
    assert_eq!(lines[0]["state"], "failed");
    assert!(ran.err.contains("failed J00002 bad.bin: s3:GetObject"), "{}", ran.err);
}

/// An upgrade of the daemon in the middle of a transfer is none of the script's business.
#[test]
fn submit_with_wait_survives_a_crash_of_the_daemon() {
    let mut served = Served::start();
    let mut child = command(&served.endpoint(), &["submit", "c:b/hang.bin", "gov:b/", "--wait"])
        .spawn()
        .expect("it runs");
    let mut err = wait_for(&mut child, "transferring");
    served.kill();
    served.fake.end("J00001", JobState::Succeeded);
    read_up_to(&mut err, "trying again");
    served.restart();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("J00001 succeeded"));
}

#[test]
fn ctrl_c_ends_the_wait_and_not_the_job() {
    let served = Served::start();
    let mut child = command(&served.endpoint(), &["submit", "c:b/hang.bin", "gov:b/", "--wait"])
        .spawn()
        .expect("it runs");
    let mut err = wait_for(&mut child, "transferring");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("kill runs").success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut err, &mut rest).expect("readable");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(rest.contains("the jobs go on: `causeway watch J00001`"), "{rest}");
    assert_eq!(served.fake.state().jobs[0].state(), JobState::Running);
}

#[test]
fn a_manifest_reports_each_fault_by_its_line_and_takes_the_rest() {
    let served = Served::start();
    let text = "{\"source\":\"c:b/a\",\"target\":\"gov:b/\"}\n\
        {\"source\":\"c:b/a\",\"traget\":\"gov:b/\"}\n\
        {\"source\":\"nowhere:b/a\",\"target\":\"gov:b/\"}\n\
        {\"source\":\"c:b/d\",\"target\":\"gov:b/\",\"priority\":3}\n";
    let ran = run_with_input(&served, &["submit", "--manifest", "-", "--priority", "9"], text);
    assert_eq!(ran.code, Some(6));
    assert!(ran.err.contains("error: line 2: column "), "{}", ran.err);
    assert!(ran.err.contains("error: line 3: no remote `nowhere`"), "{}", ran.err);
    assert!(ran.err.contains("2 accepted (0 were there already), 2 refused"), "{}", ran.err);
    let priorities: Vec<i32> = served.fake.state().jobs.iter().map(|job| job.priority).collect();
    assert_eq!(priorities, [9, 3]);

    let ran = run_with_input(&served, &["submit", "--manifest", "-", "--output", "json"], text);
    let mut lines: Vec<(u64, bool)> = objects(&ran.out)
        .iter()
        .map(|line| (line["line"].as_u64().expect("a number"), line["error"].is_null()))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [(1, true), (2, false), (3, false), (4, true)]);
}

/// A script that comes back after a drain must not take it for a fault of its lines, nor the other way round.
#[test]
fn many_submissions_that_are_refused_for_one_reason_end_with_its_code() {
    let served = Served::start();
    let manifest = |sources: &[&str]| {
        let lines = sources.iter().map(|source| format!("{source},gov:b/\n"));
        let text = format!("source,target\n{}", lines.collect::<String>());
        let ran = run_with_input(&served, &["submit", "--manifest", "-"], &text);
        assert!(ran.err.contains(" refused\n"), "{}", ran.err);
        ran.code
    };
    let broken = "c:b/a,gov:b/,one-too-many";
    assert_eq!(manifest(&["c:b/a", "nobody:b/a", "nobody:b/b"]), Some(5), "one went in");
    assert_eq!(manifest(&["nobody:b/a", "nowhere:b/a", "nobody:b/b"]), Some(6));
    assert_eq!(manifest(&["c:b/a", "c:b/b"]), Some(0), "not one was refused");
    served.fake.state().draining = true;
    assert_eq!(manifest(&["c:b/a", "c:b/b"]), Some(3));
    assert_eq!(manifest(&["c:b/a", broken, "c:b/b"]), Some(6), "a line of them is broken");
    let ran = run(&served, &["submit", "--recursive", "c:b/p/", "gov:b/"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("error: object 1: draining"), "{}", ran.err);
}

/// Code 3 says that trying again may help: of the whole file, that is each accepted line a second time.
#[test]
fn a_manifest_that_went_in_by_half_says_what_to_repeat() {
    let served = Served::start();
    let text = "source,target\nc:b/a,gov:b/\nc:b/b,gov:b/\nc:b/c,gov:b/\n";
    let manifest = |arguments: &[&str]| {
        let arguments = [&["submit", "--manifest", "-"][..], arguments].concat();
        run_with_input(&served, &arguments, text)
    };
    let advice = "with idempotency keys, or only what was refused: the rest went in\n";
    served.fake.state().drain_after = Some(1);
    let ran = manifest(&["--dry-run"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(!ran.err.contains(advice), "nothing went in: {}", ran.err);

    served.fake.state().draining = false;
    served.fake.state().drain_after = Some(1);
    let ran = manifest(&[]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.err.contains("1 accepted (0 were there already), 2 refused\n"), "{}", ran.err);
    assert!(ran.err.contains(advice), "{}", ran.err);
    assert_eq!(served.fake.state().jobs.len(), 1);

    let ran = manifest(&[]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(!ran.err.contains(advice), "all of it may be repeated: {}", ran.err);
}

#[test]
fn a_manifest_may_be_csv_and_long_and_mostly_broken() {
    let served = Served::start();
    let mut text = String::from("source,target,labels\n");
    for number in 2..=5_001 {
        let line = if number % 5 == 0 { "c:b/a,gov:b/,n=1" } else { "c:b/a,gov:b/" };
        let _ = writeln!(text, "{line}");
    }
    let ran = run_with_input(&served, &["submit", "--manifest", "-"], &text);
    assert_eq!(ran.code, Some(6));
    assert_eq!(ran.out.lines().count(), 1_000);
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("error: line ")).count(), 4_000);
    assert_eq!(served.fake.state().jobs.len(), 1_000);
}

#[test]
fn a_manifest_with_wait_gives_one_outcome_a_line() {
    let served = Served::start();
    let text = "source,target,idempotency_key\nc:b/ok.bin,gov:b/,k\nc:b/ok.bin,gov:b/,k\n\
        c:b/bad.bin,gov:b/,\n";
    let arguments = &["submit", "--manifest", "-", "--wait", "--output", "json"];
    let ran = run_with_input(&served, arguments, text);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let mut lines: Vec<_> = objects(&ran.out)
        .into_iter()
        .map(|line| {
            (line["line"].as_u64(), line["existed"].as_bool(), line["job"]["state"].clone())
        })
        .collect();
    lines.sort_by_key(|line| line.0);
    let expected = [
        (Some(2), Some(false), "succeeded".into()),
        (Some(3), Some(true), "succeeded".into()),
        (Some(4), Some(false), "failed".into()),
    ];
    assert_eq!(lines, expected);
    // Who ends the wait early has to know which jobs there are.
    assert!(ran.err.contains("job J00001  c:b/ok.bin -> gov:b/\n"), "{}", ran.err);
}

/// Its stdin gives the text, and then fails: the other end leaves with something unread.
fn run_with_a_stdin_that_breaks(served: &Served, arguments: &[&str], input: &str) -> Ran {
    let (mut other, mut stdin) = UnixStream::pair().expect("a pair");
    stdin.write_all(b"x").expect("room");
    other.write_all(input.as_bytes()).expect("room");
    drop(other);
    let mut command = command(&served.endpoint(), arguments);
    ran(command.stdin(OwnedFd::from(stdin)).output().expect("it runs"))
}

/// Thirty jobs were made, no id was told, and code 2 says that nothing was done.
#[test]
fn a_manifest_that_cannot_be_read_on_tells_of_all_that_was_taken() {
    let served = Served::start();
    let text = "{\"source\":\"c:b/ok.bin\",\"target\":\"gov:b/\"}\n".repeat(30);
    for (has_wait, taken) in [(false, 30), (true, 60)] {
        let mut arguments = vec!["submit", "--manifest", "-"];
        arguments.extend(has_wait.then_some("--wait"));
        let ran = run_with_a_stdin_that_breaks(&served, &arguments, &text);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert_eq!(ran.out.lines().count(), 30, "{}", ran.out);
        let cause =
            "error: the manifest cannot be read on; 30 lines were accepted: Connection reset";
        assert!(ran.err.contains(cause), "{}", ran.err);
        assert!(!ran.err.contains("may have been taken"), "it is known: {}", ran.err);
        assert_eq!(served.fake.state().jobs.len(), taken);
    }
    served.fake.state().draining = true;
    let ran = run_with_a_stdin_that_breaks(&served, &["submit", "--manifest", "-"], &text);
    assert_eq!(ran.code, Some(3), "nothing was taken, and may be later: {}", ran.err);
}

#[test]
fn a_manifest_that_cannot_be_read_at_all_is_usage() {
    let served = Served::start();
    let ran = run(&served, &["submit", "--manifest", env!("CARGO_MANIFEST_DIR")]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let cause = "error: the manifest cannot be read; nothing of it was submitted: Is a directory";
    assert!(ran.err.starts_with(cause), "{}", ran.err);
    assert!(!ran.err.contains("idempotency"), "there is nothing to repeat: {}", ran.err);
    // A fault of its own is not sent either.
    let ran = run_with_a_stdin_that_breaks(&served, &["submit", "--manifest", "-"], "{}\n");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
}

#[test]
fn a_prefix_is_submitted_object_by_object() {
    let served = Served::start();
    let ran = run(&served, &["submit", "--recursive", "c:b/p/", "gov:b/", "--wait"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 2);
}

#[test]
fn a_watch_in_json_is_one_event_a_line_and_ends_with_the_jobs() {
    let served = Served::start();
    let ran = run(&served, &["submit", "c:b/ok.bin", "gov:b/"]);
    let ran = run(&served, &["watch", ran.out.trim(), "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = objects(&ran.out);
    let last = events.iter().rfind(|event| event["event"] == "job").expect("a job");
    assert_eq!(last["job"]["state"], "succeeded");
    let ran = run(&served, &["watch"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    assert!(ran.err.contains("nothing to watch"), "{}", ran.err);
}

#[test]
fn exit_codes_are_those_of_the_contract() {
    let mut served = Served::start();
    let refused = run(&served, &["submit", "nowhere:b/a", "gov:b/"]);
    assert_eq!(refused.code, Some(6));
    assert_eq!(refused.err, "error: refused: no remote `nowhere`\n");
    assert_eq!(run(&served, &["submit", "nobody:b/a", "gov:b/"]).code, Some(5));
    for arguments in [&["show", "J404"][..], &["watch", "J404"], &["pause", "J404"]] {
        assert_eq!(run(&served, arguments).code, Some(4), "{arguments:?}");
    }
    assert_eq!(run(&served, &["submit"]).code, Some(2));
    assert_eq!(run(&served, &["submit", "--manifest", "/nonexistent"]).code, Some(2));
    let arguments = ["status", "--endpoint", "http://10.0.0.1:1"];
    assert_eq!(run(&served, &arguments).code, Some(2));
    run(&served, &["submit", "c:b/hang.bin", "gov:b/"]);
    assert_eq!(run(&served, &["receipt", "J00001"]).code, Some(6));
    let one_of_two = run(&served, &["pause", "J00001", "J404"]);
    assert_eq!(one_of_two.code, Some(4));
    assert!(one_of_two.err.starts_with("error: no job `J404`\n"), "{}", one_of_two.err);
    served.kill();
    let unreachable = run(&served, &["status"]);
    assert_eq!(unreachable.code, Some(3));
    assert!(unreachable.err.starts_with("error: cannot reach the daemon at unix:"));
    assert!(unreachable.err.contains("is causewayd running"), "{}", unreachable.err);
}

#[test]
fn everything_else_prints_what_it_got() {
    let served = Served::start();
    for _ in 0..5 {
        run(&served, &["submit", "c:b/manual.bin", "gov:b/"]);
    }
    let ran = run(&served, &["jobs", "--limit", "3"]);
    assert!(ran.out.starts_with("JOB     STATE"), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), 4);
    assert!(ran.err.contains("--page-token 3"), "{}", ran.err);
    let ran = run(&served, &["jobs", "--limit", "0", "--output", "json"]);
    assert_eq!(objects(&ran.out).len(), 5);
    let ran = run(&served, &["show", "J00001"]);
    assert!(ran.out.contains("\n  #>\n"), "{}", ran.out);
    let ran = run(&served, &["show", "J00001", "--output", "json"]);
    assert_eq!(objects(&ran.out)[0]["parts"][0]["state"], "done");
    let ran = run(&served, &["cancel", "J00001", "--output", "json"]);
    assert_eq!(objects(&ran.out)[0]["state"], "cancelled");
    let ran = run(&served, &["reprioritize", "--priority", "-5", "J00002"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "J00002  priority -5\n"));
    let ran = run(&served, &["status"]);
    assert!(ran.out.contains("jobs        3 queued"), "{}", ran.out);
    let ran = run(&served, &["submit", "c:b/a", "gov:b/", "--dry-run", "--output", "json"]);
    assert_eq!(objects(&ran.out)[0]["parts"], 3);
    let ran = run(&served, &["limits", "set", "gov", "--write-bandwidth", "unlimited"]);
    let why = "paused by schedule entry 2, until 1970-01-01T00:01:00.000Z";
    let line = format!("gov     1 B/s  unlimited  unlimited  {why}");
    assert!(ran.out.contains(&line), "{}", ran.out);
    assert!(ran.err.contains("in force until 1970-01-01T00:01:00.000Z"), "{}", ran.err);
    assert_eq!(served.fake.state().limits[0].write_bandwidth, Some(0));
    let ran = run(&served, &["limits", "reset", "gov"]);
    assert!(ran.code == Some(0) && ran.out.contains(&line), "{}", ran.out);
    assert_eq!(served.fake.state().limits_reset, ["gov"]);
    let ran = run(&served, &["drain"]);
    assert_eq!(ran.out, "draining: 1 jobs still run\n");
    assert_eq!(run(&served, &["completions", "bash"]).code, Some(0));
}

/// A typing error in a prefix must not look like work that was done.
#[test]
fn a_prefix_without_an_object_is_no_success() {
    let served = Served::start();
    let ran = run(&served, &["submit", "--recursive", "c:b/nothing/", "gov:b/"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("error: no object below the prefix is to be carried"), "{}", ran.err);
}

/// A script is not asked, and a question would hang it.
#[test]
fn without_a_terminal_a_cancel_does_what_it_is_told() {
    let served = Served::start();
    for _ in 0..3 {
        run(&served, &["submit", "c:b/manual.bin", "gov:b/"]);
    }
    let ran = run(&served, &["cancel", "--all"]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 3), "{}", ran.err);
    assert!(!ran.err.contains("[y/N]"), "{}", ran.err);
}

#[test]
fn colours_are_for_terminals_or_for_who_asks_for_them() {
    let served = Served::start();
    run(&served, &["submit", "c:b/hang.bin", "gov:b/"]);
    let missing = &["show", "J404"][..];
    for arguments in [&["jobs"][..], &["jobs", "--color", "never"], &["jobs", "--color", "auto"]] {
        assert!(!run(&served, arguments).out.contains('\x1b'), "{arguments:?}");
    }
    assert!(!run(&served, missing).err.contains('\x1b'));
    assert!(run(&served, &["jobs", "--color", "always"]).out.contains("\x1b["));
    let ran = run(&served, &["--color", "always", "show", "J404"]);
    assert!(ran.err.contains("\x1b[1;31merror:\x1b[0m"), "{}", ran.err);
    // JSON is for programs, whatever is asked.
    let ran = run(&served, &["jobs", "--color", "always", "--output", "json"]);
    assert!(!ran.out.contains('\x1b'));
    for (choice, is_coloured) in [("always", true), ("never", false)] {
        let help = run(&served, &["--color", choice, "jobs", "--help"]);
        assert_eq!(help.out.contains("\x1b["), is_coloured, "{choice}");
    }
}

#[test]
fn a_screen_needs_a_terminal_and_says_what_does_not() {
    let served = Served::start();
    for arguments in [&["top"][..], &["top", "--output", "json"]] {
        let ran = run(&served, arguments);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
        assert!(ran.err.contains("use `causeway watch --output json`"), "{}", ran.err);
    }
}

/// Each of them stands before a different door.
#[test]
fn who_cannot_reach_the_daemon_is_told_what_to_do() {
    let mut served = Served::start();
    served.kill();
    let ran = run(&served, &["status"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("there is no such socket: is causewayd running"), "{}", ran.err);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let ran = run(&served, &["status", "--endpoint", &endpoint]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("nobody listens there"), "{}", ran.err);
    assert!(!ran.err.contains("https"), "{}", ran.err);
    // A daemon with [control.tls] does not understand who speaks plainly.
    let with_tls = |endpoint: &str| {
        let mut command = command(endpoint, &["status"]);
        self::ran(command.env("CAUSEWAY_TLS_CA", "ca.pem").output().expect("it runs"))
    };
    let ran = with_tls(&endpoint);
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("write --endpoint https://HOST:PORT"), "{}", ran.err);
    let ran = with_tls(&served.endpoint());
    assert!(ran.code == Some(3) && !ran.err.contains("https"), "{}", ran.err);
    served.restart();
    assert_eq!(with_tls(&served.endpoint()).code, Some(0), "a socket has no use for it");
    let ran = run(&served, &["status", "--tls-ca", "ca.pem"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("--tls-ca is for https, and the endpoint is unix:"), "{}", ran.err);
}
