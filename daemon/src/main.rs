//! `causewayd`: the daemon's command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use causewayd::app;
use clap::{Parser, Subcommand};

/// Carries S3 objects from one AWS partition to another, durably and with proof.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT. SIGHUP reloads limits and the log filter.
    #[command(after_help = "Example:\n  causewayd run --config /etc/causeway/causewayd.toml")]
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/causeway/causewayd.toml")]
        config: PathBuf,
        /// Seconds that the parts in flight get to finish when the daemon is told to stop.
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        drain_timeout: u64,
    },
    /// Validate the configuration and exit: 0 when it is good, 78 with every fault when it is not.
    #[command(after_help = "Example:\n  causewayd check --config ./causewayd.toml")]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/causeway/causewayd.toml")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check { config } => app::check(&config).map_err(app::Error::from).map(|_| {
            println!("{}: good", config.display());
        }),
        Command::Run { config, drain_timeout } => run(config, Duration::from_secs(drain_timeout)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causewayd: {}", with_sources(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(config: PathBuf, drain_timeout: Duration) -> Result<(), app::Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(app::Error::Host)?;
    let result = runtime.block_on(app::run(config, drain_timeout));
    // Whatever still blocks a thread, name resolution say, does not hold up the exit.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// The error and what caused it, in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
