//! `causeway top` in a real terminal of 80 columns and 24 lines: tmux's, with a shell that has job control.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{LogCheck, World, binary};
use sandbox::{Action, Fault};

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a shell in it. The server is this test's own, and ends with it.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open(dir: &Path) -> Result<Self> {
        let socket = dir.join("tmux.sock").display().to_string();
        let terminal = Self { socket };
        let shell =
            ["env", "PS1=prompt> ", "LC_ALL=C.UTF-8", "bash", "--norc", "--noprofile", "-i"];
        terminal
            .tmux(&[&["-f/dev/null", "new-session", "-d", "-x80", "-y24"][..], &shell].concat())?;
        terminal.shows("prompt>")?;
        Ok(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("tmux");
        command.args(["-S", &self.socket]).args(arguments).env_remove("TMUX");
        let output = command.output().context("tmux: tests/run installs it")?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "tmux {arguments:?}: {error}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Presses keys by tmux's names: one argument a key, or a text.
    fn press(&self, keys: &[&str]) -> Result<()> {
        self.tmux(&[&["send-keys"], keys].concat()).map(drop)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the daemon and the client have processes of their own"
    )]
    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen()?;
            if is_so(&screen) {
                return Ok(screen);
            }
            if Instant::now() > end {
                bail!("never {what}:\n{screen}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn shows(&self, text: &str) -> Result<String> {
        self.until(text, |screen| screen.contains(text))
    }

    /// The client runs below the shell.
    fn client(&self) -> Result<i32> {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"])?;
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", shell.trim()]).output()?;
        let children = String::from_utf8(children.stdout)?;
        children.trim().parse().with_context(|| format!("not one child: {children:?}"))
    }

    /// Back in the shell, with echo, the cursor and the first screen as they were.
    fn is_given_back(&self, code: i32) -> Result<()> {
        self.shows("prompt>")?;
        self.press(&[
            "echo \"code $?\"; stty -a | tr ' ' '\\n' | grep -cx -e icanon -e echo",
            "Enter",
        ])?;
        let screen = self.until("the settings", |screen| screen.contains("\n2\n"))?;
        ensure!(screen.contains(&format!("code {code}\n")), "{screen}");
        let state = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"])?;
        ensure!(state.trim() == "0 1", "the other screen is on, or the cursor is gone: {state}");
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
    }
}

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
