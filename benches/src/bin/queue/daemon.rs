//! The real daemon, as a process, between two remotes that take connections and never answer: what is
//! submitted stays queued, but for the one job that waits for them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Clock ticks a second, in `/proc`: fixed on Linux, whatever the kernel's own.
const TICKS: u64 = 100;

/// Where a daemon lives.
pub struct Site {
    pub data: PathBuf,
    config: PathBuf,
    log: PathBuf,
    telemetry: SocketAddr,
    socket: PathBuf,
    /// Nobody answers here.
    _silent: TcpListener,
}

impl Site {
    pub fn new(dir: &Path) -> Result<Self> {
        let silent = TcpListener::bind("127.0.0.1:0")?;
        let telemetry = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (data, socket) = (dir.join("data"), dir.join("s"));
        let remote = format!(
            "s3_endpoint = \"http://{}\"\npath_style = true\n\
             credentials = {{ access_key_id = \"AKIAEXAMPLE\", secret_access_key = \"example\" }}\n",
            silent.local_addr()?
        );
        let text = format!(
            "data_dir = {data:?}\n[control]\nlisten = \"unix:{}\"\n\
             [telemetry]\nlisten = \"{telemetry}\"\nlog_format = \"text\"\n\
             [transfer]\nmax_active_jobs = 1\n\
             [remotes.one]\nregion = \"us-east-1\"\n{remote}\
             [remotes.two]\nregion = \"us-gov-west-1\"\n{remote}",
            socket.display()
        );
        let config = dir.join("causewayd.toml");
        fs::write(&config, text)?;
        Ok(Self { data, config, log: dir.join("log"), telemetry, socket, _silent: silent })
    }

    /// The client, told where the daemon is.
    pub fn client(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("causeway")?);
        command.arg("--endpoint").arg(format!("unix:{}", self.socket.display())).args(arguments);
        Ok(command)
    }
}

fn binary(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// A daemon that runs. Dropped, it is killed.
pub struct Daemon {
    child: Child,
    /// From the start of the process to `/readyz`.
    pub started_in: Duration,
}

impl Daemon {
    pub fn start(site: &Site) -> Result<Self> {
        let log = fs::File::options().create(true).append(true).open(&site.log)?;
        let begin = Instant::now();
        let child = Command::new(binary("causewayd")?)
            .args(["run", "--drain-timeout", "1", "--config"])
            .arg(&site.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("causewayd cannot be started: benches/queue builds it first")?;
        let mut daemon = Self { child, started_in: Duration::ZERO };
        while !is_ready(site.telemetry) {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("causewayd ended at start: {status}: see {}", site.log.display());
            }
            ensure!(begin.elapsed() < Duration::from_secs(600), "causewayd is not ready");
            thread::sleep(Duration::from_millis(5));
        }
        daemon.started_in = begin.elapsed();
        Ok(daemon)
    }

    /// A figure of its `/proc/PID/status` in MiB.
    pub fn memory(&self, name: &str) -> Result<f64> {
        memory(self.child.id(), name)
    }

    /// The time it has had on a processor.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(self.child.id())
    }

    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and its end.
    pub fn stop(mut self) -> Result<()> {
        let told = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(told.success(), "kill: {told}");
        let status = self.child.wait()?;
        ensure!(status.success(), "causewayd ended with {status}");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_ready(telemetry: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(telemetry)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// A figure of `/proc/PID/status` in MiB.
pub fn memory(pid: u32, name: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such figure")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib / 1024.0)
}

/// The time a process has had on a processor.
pub fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
    let ticks = ticks(11).zip(ticks(12)).context("no times")?;
    Ok(Duration::from_millis((ticks.0 + ticks.1) * 1_000 / TICKS))
}
