//! The ground that a tool runs on: two servers, scratch space, and the check that everything arrived.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use super::report::Run;
use super::tools::Tool;
use super::usage::{self, Meter};
use super::work::Work;
use crate::server::{Ready, Report, SOURCE_BUCKET, TARGET_BUCKET};

/// Two servers and a place for files.
#[derive(Debug)]
pub struct Ground {
    pub work: Work,
    pub source: Side,
    pub target: Side,
    /// Emptied before every run.
    pub directory: PathBuf,
    /// The most parts that causeway had in flight in its unmeasured run.
    pub parts_in_flight: Cell<Option<u64>>,
}

/// One server, as tools reach it.
#[derive(Debug)]
pub struct Side {
    pub region: &'static str,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub ca: PathBuf,
    pub port: u16,
    /// The same on port 443, where that is allowed.
    also: Option<SocketAddr>,
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Ground {
    pub fn new(work: Work, directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(Self {
            source: Side::start(SOURCE_BUCKET, "us-east-1", "127.0.0.2", &work, directory)?,
            target: Side::start(TARGET_BUCKET, "us-gov-west-1", "127.0.0.3", &work, directory)?,
            work,
            directory: directory.join("tool"),
            parts_in_flight: Cell::new(None),
        })
    }

    /// Lets a tool do the work, and checks it.
    pub fn run(&mut self, tool: &dyn Tool, is_warm_up: bool) -> anyhow::Result<Run> {
        if self.directory.exists() {
            std::fs::remove_dir_all(&self.directory)?;
        }
        std::fs::create_dir_all(&self.directory)?;
        for side in [&mut self.source, &mut self.target] {
            let _: Report = side.ask("clear")?;
        }
        let servers = [self.source.process.id(), self.target.process.id()];
        let before = usage::of_processes(&servers)?;
        let measured = tool.run(self, is_warm_up)?;
        let servers = usage::of_processes(&servers)? - before;

        let (source, target): (Report, Report) =
            (self.source.ask("report")?, self.target.ask("report")?);
        let arrived = target.objects_right;
        anyhow::ensure!(
            arrived == self.work.objects && target.faults.is_empty(),
            "{arrived} of {} objects arrived; faults: {:?}",
            self.work.objects,
            target.faults
        );
        Ok(Run::new(tool.name(), &self.work, measured, servers, source, target))
    }

    /// A meter of a tool's processes, of which `standing` run before and after.
    pub fn meter(&self, standing: &[u32]) -> anyhow::Result<Meter> {
        Meter::begin(standing)
    }
}

impl Side {
    fn start(
        bucket: &'static str,
        region: &'static str,
        also: &str,
        work: &Work,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let ca = directory.join(format!("{bucket}-ca.pem"));
        let access_key_id = format!("AKIDOFTHE{}", bucket.to_uppercase());
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["serve", "--side", bucket, "--access-key-id", &access_key_id])
            .args(["--also", also, "--ca"])
            .arg(&ca)
            .args(["--objects", &work.objects.to_string(), "--size", &work.size.to_string()])
            .args(["--first-byte-ms", &work.first_byte_ms.to_string()]);
        if let Some(rate) = work.connection_bytes_per_second {
            command.args(["--connection-bytes-per-second", &rate.to_string()]);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let commands = process.stdin.take().context("no stdin")?;
        let mut answers = BufReader::new(process.stdout.take().context("no stdout")?);
        let Ready { port, also } = read(&mut answers)?;
        let secret_access_key = format!("secret-of-the-{bucket}-and-of-nobody-else");
        Ok(Self {
            region,
            access_key_id,
            secret_access_key,
            ca,
            port,
            also,
            process,
            commands,
            answers,
        })
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The same without a port in it.
    pub fn url_without_port(&self) -> anyhow::Result<String> {
        let also = self.also.context("port 443 of loopback is taken, or not for everybody")?;
        Ok(format!("https://{}", also.ip()))
    }

    /// The environment in which AWS's tools reach this side, and no other.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_access_key.clone()),
            ("AWS_REGION", self.region.to_owned()),
            ("AWS_DEFAULT_REGION", self.region.to_owned()),
            ("AWS_CA_BUNDLE", self.ca.display().to_string()),
            ("SSL_CERT_FILE", self.ca.display().to_string()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    fn ask<T: DeserializeOwned>(&mut self, command: &str) -> anyhow::Result<T> {
        writeln!(self.commands, "{command}")?;
        read(&mut self.answers)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to be done.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read<T: DeserializeOwned>(answers: &mut BufReader<ChildStdout>) -> anyhow::Result<T> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    serde_json::from_str(&line).with_context(|| format!("a server says {line:?}"))
}
