//! A real terminal of 80 columns and 24 lines: tmux's, with a shell that has job control.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a shell in it. The server is this test's own, and ends with it.
pub struct Terminal {
    socket: String,
}

impl Terminal {
    pub fn open(dir: &Path) -> Result<Self> {
        let socket = dir.join("tmux.sock").display().to_string();
        let terminal = Self { socket };
        let shell =
            ["env", "PS1=prompt> ", "LC_ALL=C.UTF-8", "bash", "--norc", "--noprofile", "-i"];
        terminal
            .tmux(&[&["-f/dev/null", "new-session", "-d", "-x80", "-y24"][..], &shell].concat())?;
        terminal.shows("prompt>")?;
        Ok(terminal)
    }

    pub fn tmux(&self, arguments: &[&str]) -> Result<String> {
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
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.tmux(&[&["send-keys"], keys].concat()).map(drop)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the daemon and the client have processes of their own"
    )]
    pub fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> Result<String> {
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

    pub fn shows(&self, text: &str) -> Result<String> {
        self.until(text, |screen| screen.contains(text))
    }

    /// The client runs below the shell.
    pub fn client(&self) -> Result<i32> {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"])?;
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", shell.trim()]).output()?;
        let children = String::from_utf8(children.stdout)?;
        children.trim().parse().with_context(|| format!("not one child: {children:?}"))
    }

    /// Back in the shell, with echo, the cursor and the first screen as they were.
    pub fn is_given_back(&self, code: i32) -> Result<()> {
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
