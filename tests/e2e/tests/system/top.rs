//! `causeway top` in a real terminal of 80 columns and 24 lines.

use std::process::Command;

use anyhow::{Result, ensure};
use e2e::{LogCheck, World, binary};
use sandbox::{Action, Fault};

use crate::terminal::Terminal;

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";

fn command(world: &World) -> String {
    let endpoint = world.config.control_endpoint();
    format!("{} --endpoint {endpoint} top", binary("causeway").display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_seen_and_paused_and_resumed_by_keys_at_80x24() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(2_500))]);
    let id = world.submit(&[SOURCE, TARGET, "--label", "batch=7"]).await?;
    let terminal = Terminal::open(&world.path(""))?;
    terminal.press(&[&command(&world), "Enter"])?;
    let screen = terminal.shows("transferring")?;
    let short = &id[id.len() - 8..];
    for text in ["causewayd ", "commercial", "gov", "1 running", short, "ami-0abc.bin", "? help"] {
        ensure!(screen.contains(text), "no {text}:\n{screen}");
    }
    ensure!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");

    terminal.press(&["p"])?;
    world.until(&id, |job| job["state"] == "paused").await?;
    terminal.shows("1 paused")?;
    // A refusal is told, and nothing else happens.
    terminal.press(&["p"])?;
    terminal.until("the refusal", |screen| screen.contains("error: ") && screen.contains(short))?;

    terminal.press(&["Enter"])?;
    let detail = terminal.until("the parts", |s| s.contains(" parts of ") && s.contains(&id))?;
    ensure!(detail.contains("batch=7") && detail.contains(SOURCE), "{detail}");
    terminal.press(&["+"])?;
    world.until(&id, |job| job["priority"] == 10).await?;
    terminal.press(&["r"])?;
    world.until(&id, |job| job["state"] != "paused").await?;

    // One key cancels nothing.
    terminal.press(&["c"])?;
    terminal.shows("any other key: no")?;
    terminal.press(&["n"])?;
    terminal.shows("nothing was cancelled")?;
    terminal.press(&["c"])?;
    terminal.shows("any other key: no")?;
    terminal.press(&["y"])?;
    world.until(&id, |job| job["state"] == "cancelled").await?;
    terminal.press(&["q"])?;
    terminal.is_given_back(0)?;
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_may_be_dragged_small_and_the_daemon_may_go_and_come_back() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(2_500))]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    let short = id[id.len() - 8..].to_owned();
    let terminal = Terminal::open(&world.path(""))?;
    terminal.press(&[&command(&world), "Enter"])?;
    terminal.shows(&short)?;
    for (width, height) in [("40", "10"), ("20", "3"), ("200", "50"), ("80", "24")] {
        terminal.tmux(&["resize-window", "-x", width, "-y", height])?;
        terminal.press(&["?"])?;
        terminal.press(&["?"])?;
        terminal.until("the job again", |screen| {
            screen.contains(&short) && !screen.contains("any key")
        })?;
    }
    daemon.kill()?;
    let screen = terminal.shows("LOST for ")?;
    ensure!(screen.contains(&short), "the last picture stays:\n{screen}");
    let daemon = world.start().await?;
    terminal.until("found again", |s| !s.contains("LOST") && s.contains(&short))?;
    terminal.press(&["q"])?;
    terminal.is_given_back(0)?;
    daemon.kill()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_given_back_to_a_signal_and_to_the_shell() -> Result<()> {
    let world = World::new().await?;
    let daemon = world.start().await?;
    let terminal = Terminal::open(&world.path(""))?;
    terminal.press(&[&command(&world), "Enter"])?;
    terminal.shows("causewayd ")?;
    terminal.press(&["C-z"])?;
    terminal.shows("Stopped")?;
    terminal.press(&["clear; fg", "Enter"])?;
    terminal.shows("no jobs: ")?;
    Command::new("kill").args(["-TERM", &terminal.client()?.to_string()]).status()?;
    terminal.shows("ended by signal 15")?;
    terminal.is_given_back(143)?;
    daemon.stop(LogCheck::Clean).await
}
