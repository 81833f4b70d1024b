//! How the documents' host becomes a directory of a test: what is typed instead of what stands there, what has to be
//! so before, what a command has to say, and what stands for systemd.

/// What stands in a document, and what is typed instead.
pub const SUBSTITUTIONS: &[(&str, &str)] = &[
    // The host's directories, the ports, and the names that DNS would have.
    ("/etc/", "{root}/etc/"),
    ("/var/", "{root}/var/"),
    ("/run/causeway/", "{root}/run/causeway/"),
    ("127.0.0.1:9464", "{telemetry}"),
    ("0.0.0.0:7443", "{control}"),
    ("https://bastion.example.org:7443", "https://{control}"),
    ("https://hooks.example.com/causeway", "{webhook}"),
    ("\"hooks.example.com\"", "\"127.0.0.0/8:*\""),
    // The daemon's user is whoever runs the test.
    ("sudo ", ""),
    ("runuser -u causeway -- ", ""),
    ("-o causeway -g causeway ", ""),
    ("-g causeway ", ""),
    // Any job's id, and the words that stand for something.
    ("01JD3Z6W4Q8R5T7V9X0Y1A2B3C", "{job}"),
    ("01K7Z3M8Q4T5V6W7X8Y9Z0A1B2", "{job}"),
    (" JOB", " {job}"),
    (" SRC DST", " commercial:images/known.bin gov:landing/known.bin"),
    (" DIR", " {root}/backup"),
    // The demo as its users run it, but for its size and its build.
    ("cargo run --release -p sandbox -- demo", "sandbox demo --no-build --size 64MiB"),
];

/// What has to be so before such a command.
pub const BEFORE: &[(&str, Arrange)] = &[
    ("install -m 640 -g causeway server.key", Arrange::Tls),
    ("causeway limits\n", Arrange::Socket),
    ("'\"event\":\"refused\"'", Arrange::Refusal),
    ("causeway retry JOB", Arrange::Jobs),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrange {
    /// The configuration has what OPERATIONS says of mutual TLS.
    Tls,
    /// It has the socket again.
    Socket,
    /// Somebody came who may not.
    Refusal,
    /// A job that failed, and one that takes minutes.
    Jobs,
}

/// Which job a command of the runbook is about, by its state; others are about one that succeeded.
pub const ABOUT: &[(&str, &str)] = &[
    ("causeway pause JOB", "running"),
    ("causeway resume JOB", "paused"),
    ("causeway reprioritize JOB", "running"),
    ("causeway retry JOB", "failed"),
    ("causeway show JOB", "failed"),
];

/// What a command has to say besides ending well.
pub const SAYS: &[(&str, &str)] = &[
    ("causewayd check", ": good"),
    ("causewayd audit verify", "the audit log is whole"),
    ("causewayd backup", "backed up"),
    ("causewayd restore", "restored"),
    ("causewayd --version", "causewayd 0"),
    ("causeway status", "us-gov-west-1"),
    ("causeway receipt", "\"blake3\""),
    ("causeway show", "commercial:images/"),
    ("causeway preflight", "passed"),
    ("--wait", "succeeded"),
    ("--print-policy", "\"Statement\""),
    ("submit --manifest", ", 0 refused"),
    ("causeway migrate commercial: ", "golden-"),
    ("causeway limits", "gov"),
    ("curl -s 127.0.0.1:9464/readyz", "ready"),
    ("promtool test rules", "SUCCESS"),
    ("sandbox -- demo", "blake3"),
    ("grep '\"event\":\"refused\"'", "\"actor\""),
];

/// Stands for a configuration that is where the daemon looks by itself.
pub const CAUSEWAYD: &str = r#"#!/bin/bash
case "$*" in -* | *--config*) exec {causewayd} "$@" ;; esac
exec {causewayd} "$@" --config {root}/etc/causeway/causewayd.toml
"#;

/// Stands for systemd: one daemon, known by a file with its process id.
pub const SYSTEMCTL: &str = r#"#!/bin/bash
set -eu
[ "${*: -1}" = causewayd ] || { echo "no such unit: $*" >&2; exit 5; }
pid=$(cat {root}/pid 2>/dev/null || true)
is_running() { [ -n "$pid" ] && grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$pid/status"; }
start() {
    if is_running; then return; fi
    {root}/bin/causewayd run >>{root}/causewayd.log 2>&1 </dev/null &
    pid=$!
    echo "$pid" >{root}/pid
    for _ in $(seq 600); do
        if curl -sf {telemetry}/readyz >/dev/null; then return; fi
        is_running || { tail -n 3 {root}/causewayd.log >&2; exit 1; }
        sleep 0.05
    done
    exit 1
}
stop() {
    if is_running; then kill "$pid"; fi
    while is_running; do sleep 0.05; done
}
case $1 in
start | enable) start ;;
stop) stop ;;
restart) stop && start ;;
reload) is_running && kill -HUP "$pid" ;;
*) echo "no such command: $1" >&2 && exit 2 ;;
esac
"#;
