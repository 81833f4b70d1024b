//! What each command does: one function a command, from arguments to an exit code.

mod act;
mod daemon;
mod image;
mod jobs;
mod many;
mod preflight;
mod show;
mod submit;
mod watch;

use std::path::Path;

use anyhow::Context as _;
use causeway::client::Action;
use causeway::{Client, Exit};
use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::print::Out;

/// Runs one command.
pub async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let out = &mut Out::new(cli.global.output, cli.global.color);
    match &cli.command {
        Command::Completions { shell } => return completions(out, *shell),
        Command::Man { out } => return man(out),
        _ => {}
    }
    let tls = cli.global.tls.clone().into();
    let client = Client::connect_with(&cli.global.endpoint, &tls).await?;
    match &cli.command {
        Command::Submit(arguments) => submit::submit(&client, out, arguments).await,
        Command::Store { job, course } => submit::one(&client, out, job.request(), *course).await,
        Command::Restore { job, course } => submit::one(&client, out, job.request(), *course).await,
        Command::Migrate { job, many, course } => {
            image::migrate(&client, out, job, many, *course).await
        }
        Command::Preflight(arguments) => preflight::preflight(&client, out, arguments).await,
        Command::Alias { command } => image::alias(&client, out, command).await,
        Command::Jobs(arguments) => jobs::jobs(&client, out, arguments).await,
        Command::Show { job } => show::show(&client, out, job).await,
        Command::Top(arguments) => crate::top::top(&client, out, arguments).await,
        Command::Watch(arguments) => watch::watch(&client, out, arguments).await,
        Command::Pause(select) => act::act(&client, out, Action::Pause, select).await,
        Command::Resume(select) => act::act(&client, out, Action::Resume, select).await,
        Command::Cancel(arguments) => act::cancel(&client, out, arguments).await,
        Command::Retry(select) => act::act(&client, out, Action::Retry, select).await,
        Command::Reprioritize(arguments) => act::reprioritize(&client, out, arguments).await,
        Command::Limits(arguments) => daemon::limits(&client, out, arguments).await,
        Command::Receipt { job } => show::receipt(&client, out, job).await,
        Command::Status => daemon::status(&client, out).await,
        Command::Drain { undo } => daemon::drain(&client, out, *undo).await,
        Command::Completions { shell } => completions(out, *shell),
        Command::Man { out } => man(out),
    }
}

/// Needs no daemon: packages call it while they are built.
fn completions(out: &mut Out, shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "causeway", &mut script);
    out.write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// As the completions: for packages, and without a daemon.
fn man(directory: &Path) -> anyhow::Result<Exit> {
    let written = clap_mangen::generate_to(Cli::command(), directory);
    written.with_context(|| format!("cannot write manual pages into {}", directory.display()))?;
    Ok(Exit::Done)
}
