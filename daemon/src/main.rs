//! `causewayd`: the daemon's command line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use causewayd::app;
use clap::{CommandFactory as _, Parser, Subcommand};
use mimalloc::MiMalloc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use tokio::runtime::Builder;

/// Chosen by measurement, see ARCHITECTURE.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Carries S3 objects from one AWS partition to another, durably and with proof.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT. SIGHUP reloads limits, the log filter, roles and certificates.
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
    ///
    /// A profile that is in no file that can be read, or whose files do not parse, is a warning: the daemon
    /// starts without it, and the jobs of that remote wait. The files are those that AWS_CONFIG_FILE and
    /// AWS_SHARED_CREDENTIALS_FILE name; else, for a configuration in /etc/causeway, those in
    /// /etc/causeway/aws, where the service looks; else those in the home.
    #[command(after_help = "Example:\n  causewayd check --config ./causewayd.toml")]
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/causeway/causewayd.toml")]
        config: PathBuf,
    },
    /// Copy what the ledger can be made from into a new directory. The daemon may run meanwhile.
    ///
    /// The copy holds the audit log, the secrets of presigned sources that unfinished jobs need, and a
    /// manifest with the BLAKE3 of each file: enough for all jobs, their states, keys, uploads and
    /// receipts. The database itself is left out, since only one process can open it. Keep the copy
    /// as safe as the data directory.
    #[command(after_help = "Example:\n  causewayd backup --to /var/backups/causeway-2026-01-02")]
    Backup {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/causeway/causewayd.toml")]
        config: PathBuf,
        /// A directory that does not exist yet, or is empty.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Make the ledger from a backup, in a data directory that has none. The daemon must be down.
    ///
    /// Every file is compared with the manifest, and the chain of the audit log is verified, before
    /// anything is written. Transfers that were under way go on from the parts that the target has.
    ///
    /// It is for the data directory's owner: what another user wrote there, root too, the daemon could
    /// not open. One that is not there becomes that of whoever restores.
    #[command(after_help = "Example:\n  causewayd restore --from /var/backups/causeway-2026-01-02")]
    Restore {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/causeway/causewayd.toml")]
        config: PathBuf,
        /// What 'causewayd backup' wrote.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Look after the audit log.
    #[command(subcommand)]
    Audit(Audit),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  causewayd completions bash > /etc/bash_completion.d/causewayd"
    )]
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages, one a command, into a directory that exists.
    #[command(hide = true)]
    #[command(after_help = "Example:\n  causewayd man --out /usr/local/share/man/man1")]
    Man {
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Walk the chain of the audit log: 0 when it is whole, 1 with the segment and the line when not.
    ///
    /// Lines that were cut off at the very end can be told only with the ledger, so while no daemon
    /// runs. It is for the data directory's owner: to open the ledger is to write there.
    #[command(after_help = "Example:\n  causewayd audit verify --config ./causewayd.toml")]
    Verify {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "/etc/causeway/causewayd.toml")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    if let Err(error) = keep_private() {
        eprintln!("causewayd: this process cannot be kept from others: {error}");
        return ExitCode::FAILURE;
    }
    let result = match Cli::parse().command {
        Command::Check { config } => check(&config),
        Command::Run { config, drain_timeout } => run(config, Duration::from_secs(drain_timeout)),
        Command::Backup { config, to } => app::backup(&config, &to).map(|said| println!("{said}")),
        Command::Restore { config, from } => {
            app::restore(&config, &from).map(|said| println!("{said}"))
        }
        Command::Audit(Audit::Verify { config }) => {
            app::verify_audit(&config).map(|said| println!("{said}"))
        }
        Command::Completions { shell } => completions(shell),
        Command::Man { out } => {
            clap_mangen::generate_to(Cli::command(), out).map_err(app::Error::Output)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causewayd: {}", with_sources(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Whatever this process writes is its user's alone, the database's own files among it; and its memory,
/// where keys are, goes into no core file and is read by no debugger of another process.
fn keep_private() -> nix::Result<()> {
    umask(Mode::from_bits_truncate(0o077));
    // Where systemd has done it already, its filter may refuse the call.
    if getrlimit(Resource::RLIMIT_CORE)? != (0, 0) {
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    }
    prctl::set_dumpable(false)
}

/// A configuration that the daemon starts with is good, whatever has to be mended before a remote works.
fn check(config: &Path) -> Result<(), app::Error> {
    let runtime = Builder::new_current_thread().build().map_err(app::Error::Host)?;
    for warning in runtime.block_on(app::warnings(config))? {
        eprintln!("causewayd: warning: {warning}");
    }
    println!("{}: good", config.display());
    Ok(())
}

fn run(config: PathBuf, drain_timeout: Duration) -> Result<(), app::Error> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(app::Error::Host)?;
    // Whoever asks something is not to wait behind the hashing and framing of all parts: a thread of its own
    // is woken by the kernel in its turn.
    let doors =
        Builder::new_multi_thread().worker_threads(1).thread_name("doors").enable_all().build();
    let doors = doors.map_err(app::Error::Host)?;
    let result = runtime.block_on(app::run(config, drain_timeout, doors.handle().clone()));
    // Whatever still blocks a thread, name resolution say, does not hold up the exit.
    doors.shutdown_timeout(Duration::from_millis(500));
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

/// Made in memory first: clap panics where its writer fails, and a pipe may close at any time.
fn completions(shell: clap_complete::Shell) -> Result<(), app::Error> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "causewayd", &mut script);
    std::io::stdout().write_all(&script).map_err(app::Error::Output)
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
