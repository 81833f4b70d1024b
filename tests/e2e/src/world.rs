//! A cloud of two partitions, a work directory, and the programs at work in it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use sandbox::{Action, Attributes, DaemonConfig, Endpoint, EndpointOptions, Fault};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Daemon;

/// Two endpoints, `commercial` with the bucket `images` and `gov` with `landing`, and a place to work.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    pub commercial: Endpoint,
    pub gov: Endpoint,
    pub config: DaemonConfig,
}

/// What a program printed, and how it ended.
#[derive(Debug, Clone)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    pub(crate) fn of(output: std::process::Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Its only JSON object.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not one object: {self:?}"))
    }

    /// Its JSON objects, one a line.
    pub fn lines(&self) -> Result<Vec<Value>> {
        self.stdout.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The same, if it ended with this code.
    pub fn expect_code(self, code: i32) -> Result<Self> {
        ensure!(self.code == code, "exit {} instead of {code}: {self:#?}", self.code);
        Ok(self)
    }
}

impl World {
    /// Two fresh endpoints.
    pub async fn new() -> Result<Self> {
        let commercial = EndpointOptions::commercial().bucket("images");
        Self::of(commercial, EndpointOptions::gov().bucket("landing")).await
    }

    /// Endpoints of one's own choice.
    pub async fn of(commercial: EndpointOptions, gov: EndpointOptions) -> Result<Self> {
        let dir = TempDir::with_prefix("causeway-e2e-")?;
        let commercial = Endpoint::start(commercial).await?;
        let gov = Endpoint::start(gov).await?;
        let config = DaemonConfig::new(dir.path(), &commercial, &gov)?;
        Ok(Self { dir, commercial, gov, config })
    }

    /// A world whose target takes its time, so that a job can be caught while it runs: the image is
    /// `ami-0abc.bin`.
    pub async fn slow() -> Result<(Self, Daemon, Vec<u8>)> {
        let mut world = Self::new().await?;
        world.config.set("transfer.max_parts_in_flight", 2)?;
        let bytes = images(96 << 20);
        world.put("ami-0abc.bin", bytes.clone()).await?;
        world.gov.faults([Fault::on("UploadPart", Action::DelayMs(150))]);
        let daemon = world.start().await?;
        Ok((world, daemon, bytes))
    }

    /// Where this world's files are.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The audit log's first segment, which no test outgrows.
    pub fn audit_log(&self) -> PathBuf {
        self.path("data/audit/audit-00000000000000000001.jsonl")
    }

    /// Writes the configuration and starts the daemon.
    pub async fn start(&self) -> Result<Daemon> {
        self.spawn(&[])?.ready().await
    }

    /// The same without waiting for it: for daemons that are not meant to start.
    pub fn spawn(&self, env: &[(&str, &str)]) -> Result<Daemon> {
        let config = self.config.write()?;
        Daemon::spawn(&config, &self.path("causewayd.log"), self.config.telemetry(), env)
    }

    /// Runs another command of the daemon's program, with this world's configuration, to its end.
    pub async fn causewayd(&self, args: &[&str]) -> Result<Output> {
        self.causewayd_with(&self.config.write()?, args).await
    }

    /// The same with another configuration.
    pub async fn causewayd_with(&self, config: &Path, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary("causewayd"));
        command.args(args).arg("--config").arg(config).kill_on_drop(true);
        Output::of(command.output().await.context("causewayd cannot be started")?)
    }

    /// Runs the client and waits for its end.
    pub async fn causeway(&self, args: &[&str]) -> Result<Output> {
        let output = Command::new(binary("causeway"))
            .arg("--endpoint")
            .arg(self.config.control_endpoint())
            .args(args)
            .env_remove("CAUSEWAY_ENDPOINT")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("causeway cannot be started: tests/run builds it first")?;
        Output::of(output)
    }

    /// The same with `--output json`, which has to end well.
    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        let args: Vec<&str> = ["--output", "json"].iter().chain(args).copied().collect();
        self.causeway(&args).await?.expect_code(0)?.json()
    }

    /// Submits one transfer and answers its id.
    pub async fn submit(&self, args: &[&str]) -> Result<String> {
        let args: Vec<&str> = ["submit"].iter().chain(args).copied().collect();
        let job = self.json(&args).await?;
        Ok(job["job_id"].as_str().with_context(|| format!("no id: {job}"))?.to_owned())
    }

    /// Submits one transfer, waits for its end, and answers its receipt.
    pub async fn carry(&self, args: &[&str]) -> Result<Value> {
        let id = self.submit(args).await?;
        self.causeway(&["watch", &id]).await?.expect_code(0)?;
        self.json(&["receipt", &id]).await
    }

    /// Submits one transfer that has to fail, and answers the job.
    pub async fn fail(&self, args: &[&str]) -> Result<Value> {
        let id = self.submit(args).await?;
        self.causeway(&["watch", &id]).await?.expect_code(1)?;
        self.json(&["show", &id]).await
    }

    /// Polls a job until `seen` says yes.
    pub async fn until(&self, id: &str, seen: impl Fn(&Value) -> bool) -> Result<Value> {
        for _ in 0..3_000 {
            let job = self.json(&["show", id]).await?;
            if seen(&job) {
                return Ok(job);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        anyhow::bail!("a minute has passed: {}", self.json(&["show", id]).await?)
    }

    /// Puts a source object of these bytes.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        self.commercial.put("images", key, bytes, Attributes::default()).await?;
        Ok(())
    }

    /// Polls `causeway show` until its line of what is wrong holds all of `words`; prints the line.
    pub async fn told(&self, id: &str, words: &[&str]) -> Result<String> {
        let mut last = String::new();
        for _ in 0..600 {
            let shown = self.causeway(&["show", id]).await?.expect_code(0)?.stdout;
            let says = |line: &&str| line.starts_with("waits for") || line.starts_with("failure");
            if let Some(line) = shown.lines().find(says) {
                last = line.to_owned();
                if words.iter().all(|word| line.contains(word)) {
                    eprintln!("{line}");
                    return Ok(last);
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        anyhow::bail!("show never told of {words:?}; last: {last}")
    }

    /// Returns once all that a daemon which was killed had sent has been performed. The log of requests is in
    /// the order of their beginnings, so one that ends late changes what is before others.
    pub async fn let_it_land(&self) -> Result<()> {
        for _ in 0..1_500 {
            if self.gov.stats().connections_open == 0 {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        anyhow::bail!("connections of a dead daemon stay open")
    }

    /// The parts that the target said yes to, by number, in the order they came. The daemon's first
    /// upload to a bucket is a probe of one tiny part, which is not counted.
    pub fn parts_acknowledged(&self) -> Vec<u32> {
        let stats = self.gov.stats();
        let yes = stats.logged("UploadPart").filter(|call| call.status == Some(200)).skip(1);
        yes.filter_map(|call| call.part).collect()
    }

    /// Whether the target holds exactly these bytes.
    pub async fn assert_landed(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let object = self.gov.object("landing", key).context("nothing landed")?;
        ensure!(object.bytes().await? == bytes, "other bytes landed at {key}");
        ensure!(self.gov.uploads().is_empty(), "an upload is left over");
        Ok(())
    }
}

/// Bytes that look like an image: a pattern that no shift or swap of parts leaves the same.
pub fn images(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// One of the workspace's programs, beside the running test in the target directory.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let profile = test.ancestors().nth(2).unwrap_or(Path::new("target/release"));
    profile.join(name)
}

/// A program of the tests' Python environment, which `tests/run` makes.
pub fn venv(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin").join(program)
}
