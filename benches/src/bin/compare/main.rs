//! The comparison ground: causeway, its peers and two floors carry the same objects between the same
//! two synthetic S3 servers, in turns, and what each costs is measured from outside.
//!
//! `compare run` is the whole of it. The other subcommands are its processes: a server for each side
//! and the floors are processes of their own, so that nobody's cost is counted with another's.

mod relay;
mod run;
mod server;
mod tls;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures causeway beside other tools, on one machine, with nothing but loopback between.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the tools in turns and print what each costs
    Run(run::Arguments),
    /// Let causeway carry one very large object for a while, and watch what it takes
    Endurance(run::endurance::Arguments),
    /// Let one transfer run alone and beside a crowd of clients, in turns
    Crowd(run::crowd::Arguments),
    /// One side: a synthetic S3 server. Commands come on stdin, answers go to stdout, JSON a line
    Serve(server::Arguments),
    /// The floor on tokio and hyper: each GET body is the body of a PUT
    RelayHyper(relay::Arguments),
    /// The floor on blocking threads and rustls's unbuffered API
    RelayUnbuffered(relay::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Endurance(arguments) => run::endurance::run(&arguments),
        Command::Crowd(arguments) => run::crowd::run(&arguments),
        Command::Serve(arguments) => server::run(&arguments),
        Command::RelayHyper(arguments) => relay::hyper::run(&arguments),
        Command::RelayUnbuffered(arguments) => relay::unbuffered::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
