//! The command line of causeway: reads arguments, asks the daemon, prints the answer.
//!
//! # Invariants
//! - What scripts read goes to stdout; progress, notes and errors go to stderr.
//! - The exit code is one of the contract's, or 130 after Ctrl-C in a command that waits. That of usage says
//!   that nothing was done: what was done and cannot be told has another.
//! - A terminal or a pipe that stands still holds up no connection.
//! - A closed stdout ends the output, never the program with a panic.

mod cli;
mod ends;
mod print;
mod run;
mod table;

mod follow;
mod top;

use std::ffi::OsString;
use std::process::ExitCode;

use causeway::{Error, Exit};
use clap::{ColorChoice, CommandFactory as _};

use cli::Cli;
use follow::Interrupted;
use print::Unwritable;
use top::Stopped;

/// What shells report for a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let mut command = Cli::command().color(early_choice());
    let matches = command.get_matches_mut();
    let cli = Cli::of(&mut command, &matches).unwrap_or_else(|error| error.exit());
    let colour = print::wants_colour(cli.global.color, &std::io::stderr());
    let hint = cli.global.hint();
    // The command runs on this thread, where it may wait for a person to read or to answer. The connection has
    // one of its own: the daemon cuts off who does not answer its pings.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into(), hint, colour),
    };
    match runtime.block_on(run::run(cli)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => failed(&error, hint, colour),
    }
}

/// The choice of colours for clap itself: its own errors are printed before it has read ours.
fn early_choice() -> ColorChoice {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let asked = |word: &str| {
        let is_pair = |pair: &[OsString]| pair[0] == "--color" && pair[1] == word;
        let whole = OsString::from(format!("--color={word}"));
        arguments.contains(&whole) || arguments.windows(2).any(is_pair)
    };
    match (asked("never"), asked("always")) {
        (true, _) => ColorChoice::Never,
        (false, true) => ColorChoice::Always,
        (false, false) => ColorChoice::Auto,
    }
}

/// Says what went wrong and what to do next; with the hint where it is the daemon that cannot be reached.
fn failed(error: &anyhow::Error, hint: Option<&str>, colour: bool) -> ExitCode {
    if error.is::<Interrupted>() {
        print::note(error);
        return ExitCode::from(INTERRUPTED);
    }
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        print::note(stopped);
        return ExitCode::from(128 + stopped.0);
    }
    print::error(format_args!("{error:#}"), colour);
    if error.chain().any(|cause| cause.is::<Unwritable>()) {
        return ExitCode::from(Exit::JobFailed.code());
    }
    let Some(known) = error.chain().find_map(|cause| cause.downcast_ref::<Error>()) else {
        // Files and values that the arguments name are wrong: that is usage.
        return ExitCode::from(Exit::Usage.code());
    };
    if let Some(remedy) = known.remedy() {
        print::note(format_args!("  {remedy}"));
    }
    let is_lost = matches!(known, Error::Unreachable { .. } | Error::TimedOut { .. });
    if let Some(hint) = hint.filter(|_| is_lost) {
        print::note(format_args!("  {hint}"));
    }
    ExitCode::from(known.exit_code().code())
}
