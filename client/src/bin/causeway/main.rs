//! The command line of causeway: reads arguments, asks the daemon, prints the answer.
//!
//! # Invariants
//! - What scripts read goes to stdout; progress, notes and errors go to stderr.
//! - The exit code is one of the contract's, or 130 after Ctrl-C in a command that waits.
//! - A closed stdout ends the output, never the program with a panic.

mod cli;
mod ends;
mod print;
mod run;
mod table;

mod follow;

use std::process::ExitCode;

use causeway::{Error, Exit};
use clap::Parser;

use cli::Cli;
use follow::Interrupted;

/// What shells report for a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One thread is enough for a client, and leaves the cores to the daemon beside it.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run::run(cli)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => failed(&error),
    }
}

/// Says what went wrong and what to do next.
fn failed(error: &anyhow::Error) -> ExitCode {
    if error.is::<Interrupted>() {
        print::note(error);
        return ExitCode::from(INTERRUPTED);
    }
    print::error(format_args!("{error:#}"));
    let Some(known) = error.chain().find_map(|cause| cause.downcast_ref::<Error>()) else {
        // Files and values that the arguments name are wrong: that is usage.
        return ExitCode::from(Exit::Usage.code());
    };
    if let Some(remedy) = known.remedy() {
        print::note(format_args!("  {remedy}"));
    }
    ExitCode::from(known.exit_code().code())
}
