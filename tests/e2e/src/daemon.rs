//! The real daemon, as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::binary;

/// A daemon that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
    telemetry: SocketAddr,
}

/// What the log may say.
#[derive(Debug, Clone, Copy)]
pub enum LogCheck<'a> {
    /// Neither WARN nor ERROR.
    Clean,
    /// WARN and ERROR only on lines that hold one of these.
    Expected(&'a [&'a str]),
}

impl Daemon {
    /// Waits until it takes work.
    pub async fn ready(self) -> Result<Self> {
        let mut daemon = self;
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("causewayd ended at start: {status}\n{}", daemon.log());
            }
            if daemon.get("/readyz").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(daemon);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("causewayd is not ready after a minute\n{}", daemon.log());
    }

    /// Starts a daemon and waits for nothing.
    pub fn spawn(
        config: &Path,
        log: &Path,
        telemetry: SocketAddr,
        env: &[(&str, &str)],
    ) -> Result<Self> {
        let file = std::fs::File::options().create(true).append(true).open(log)?;
        let child = Command::new(binary("causewayd"))
            .args(["run", "--config"])
            .arg(config)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("causewayd cannot be started: tests/run builds it first")?;
        Ok(Self { child, log: log.to_owned(), telemetry })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// One answer of the telemetry port, headers and all.
    pub async fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.telemetry).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Waits until `/readyz` refuses for this reason.
    pub async fn is_not_ready(&self, why: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let answer = self.get("/readyz").await?;
            if answer.starts_with("HTTP/1.1 503") && answer.contains(why) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("/readyz does not say `{why}`: {answer}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Everything it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log holds this text.
    pub async fn says(&self, text: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.log().contains(text) {
            if Instant::now() > deadline {
                bail!("causewayd does not say `{text}`\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The most memory it ever had resident, in KiB.
    pub fn resident_max_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM")?;
        Ok(line.split_whitespace().nth(1).context("no figure")?.parse()?)
    }

    /// SIGKILL: as a power cut, but for what the kernel has.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("causewayd does not end\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM, and its end: exit 0, and a log that says nothing unexpected.
    pub async fn stop(mut self, check: LogCheck<'_>) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let status = self.wait().await?;
        let log = self.log();
        if !status.success() {
            bail!("causewayd ended with {status}\n{log}");
        }
        let expected: &[&str] = match check {
            LogCheck::Clean => &[],
            LogCheck::Expected(expected) => expected,
        };
        let loud = |line: &&str| line.contains(" WARN ") || line.contains("ERROR ");
        let unexpected = |line: &&str| !expected.iter().any(|text| line.contains(text));
        let lines: Vec<_> = log.lines().filter(loud).filter(unexpected).collect();
        if !lines.is_empty() {
            bail!("the log says what was not expected:\n{}", lines.join("\n"));
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already: then there is nothing to kill, and nothing to say.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
