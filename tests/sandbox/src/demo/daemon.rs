//! The daemon and the client as processes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::DaemonConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// A running causewayd, killed when this is dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    pid: u32,
}

impl Daemon {
    pub(super) fn start(
        program: &Path,
        config: &DaemonConfig,
        work_dir: &Path,
    ) -> anyhow::Result<Self> {
        let log = std::fs::File::create(work_dir.join("causewayd.log"))?;
        let child = Command::new(program)
            .args(["run", "--config"])
            .arg(config.write()?)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start causewayd")?;
        let pid = child.id().context("causewayd has no process id")?;
        Ok(Self { child, pid })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until `/readyz` says 200.
    pub(super) async fn ready(
        &mut self,
        telemetry: SocketAddr,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !is_ready(telemetry).await {
            if let Some(status) = self.child.try_wait()? {
                bail!("causewayd ended before it was ready: {status}");
            }
            if Instant::now() > deadline {
                bail!("causewayd is not ready after {} s", patience.as_secs());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Asks it to end and waits until it has, with exit code 0.
    pub(super) async fn stop(mut self, patience: Duration) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.pid)?), Signal::SIGTERM)?;
        let waited = timeout(patience, self.child.wait()).await;
        let status = waited.context("causewayd does not end")??;
        if !status.success() {
            bail!("causewayd ended with {status}");
        }
        Ok(())
    }
}

async fn is_ready(telemetry: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(telemetry).await?;
        let request =
            format!("GET /readyz HTTP/1.1\r\nHost: {telemetry}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        Ok::<_, std::io::Error>(status.ends_with(b" 200"))
    };
    matches!(timeout(Duration::from_secs(2), ask).await, Ok(Ok(true)))
}

/// The causeway client.
#[derive(Debug)]
pub(super) struct Client<'a> {
    pub(super) program: &'a Path,
    pub(super) endpoint: String,
}

impl Client<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.arg("--endpoint").arg(&self.endpoint).args(arguments).kill_on_drop(true);
        command
    }

    /// Runs it on this terminal.
    pub(super) async fn show(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = self.command(arguments).status().await.context("cannot run causeway")?;
        if !status.success() {
            bail!("causeway {} ended with {status}", arguments[0]);
        }
        Ok(())
    }

    /// Runs it and answers what it prints.
    pub(super) async fn read(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command(arguments);
        command.stderr(Stdio::inherit());
        let output = command.output().await.context("cannot run causeway")?;
        if !output.status.success() {
            bail!("causeway {} ended with {}", arguments[0], output.status);
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    pub(super) async fn newest_job(&self) -> anyhow::Result<String> {
        let line = self.read(&["jobs", "--output", "json", "--limit", "1"]).await?;
        let job: serde_json::Value = serde_json::Deserializer::from_str(&line)
            .into_iter()
            .next()
            .context("the daemon knows of no job")??;
        let id = ["id", "job_id"].into_iter().find_map(|field| job.get(field)?.as_str());
        Ok(id.with_context(|| format!("a job without an id: {line}"))?.to_owned())
    }
}
