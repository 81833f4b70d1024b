//! causeway as its users run it: the daemon with default settings, and the client. The daemon starts
//! with an empty ledger before the window and ends after it; the client is the window.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::ground::{Ground, Side};
use super::pipeline;
use super::tools::{Measured, Tool};
use super::usage;
use super::work::Work;
use crate::server::key;

const PATIENCE: Duration = Duration::from_secs(60);

/// Daemon and client.
#[derive(Debug)]
pub struct Causeway {
    daemon: PathBuf,
    client: PathBuf,
}

impl Causeway {
    pub fn new(programs: &Path) -> anyhow::Result<Self> {
        let (daemon, client) = (programs.join("causewayd"), programs.join("causeway"));
        for path in [&daemon, &client] {
            anyhow::ensure!(path.exists(), "there is no {}", path.display());
        }
        Ok(Self { daemon, client })
    }

    /// A daemon that is ready.
    pub fn start(&self, ground: &Ground) -> anyhow::Result<Daemon> {
        self.start_with(ground, "")
    }

    /// One with more in its configuration.
    pub fn start_with(&self, ground: &Ground, more: &str) -> anyhow::Result<Daemon> {
        Daemon::start(&self.daemon, ground, more)
    }

    /// The client of a daemon.
    pub fn client(&self, daemon: &Daemon) -> Command {
        let mut command = Command::new(&self.client);
        command.args(["--endpoint", &daemon.control]);
        command
    }

    /// One submission, or a manifest of many.
    fn submission(&self, ground: &Ground, daemon: &Daemon) -> anyhow::Result<Command> {
        let mut command = self.client(daemon);
        command.args(["submit", "--wait"]);
        let addresses = |index| {
            let name = key(index);
            (format!("source:source/{name}"), format!("target:target/{name}"))
        };
        if ground.work.objects == 1 {
            let (source, target) = addresses(0);
            command.args([source, target]);
            return Ok(command);
        }
        let manifest = ground.directory.join("manifest.jsonl");
        let mut file = std::io::BufWriter::new(File::create(&manifest)?);
        for (source, target) in (0..ground.work.objects).map(addresses) {
            writeln!(file, "{}", serde_json::json!({ "source": source, "target": target }))?;
        }
        file.flush()?;
        command.arg("--manifest").arg(manifest);
        Ok(command)
    }
}

impl Tool for Causeway {
    fn name(&self) -> &str {
        "causeway"
    }

    fn is_peer(&self) -> bool {
        false
    }

    fn settings(&self, _work: &Work) -> Option<String> {
        Some("defaults; daemon started before, with an empty ledger".to_owned())
    }

    fn run(&self, ground: &Ground, is_warm_up: bool) -> anyhow::Result<Measured> {
        let daemon = self.start(ground)?;
        let command = self.submission(ground, &daemon)?;
        let meter = ground.meter(&[daemon.id()])?;
        let log = ground.directory.join("client.log");
        let work = || pipeline::run(vec![vec![command]], 1, &meter, &log);
        if is_warm_up {
            // Only here: whoever reads the metrics costs the daemon something.
            let (done, most) = most_in_flight(daemon.telemetry, work);
            done?;
            ground.parts_in_flight.set(most);
        } else {
            work()?;
        }
        let mut measured = Measured::from(meter.end()?);
        let peak = usage::peak_of(daemon.id())?;
        measured.notes.insert("daemon_peak_bytes".to_owned(), peak.into());
        measured.notes.insert("parts_in_flight".to_owned(), ground.parts_in_flight.get().into());
        daemon.stop()?;
        Ok(measured)
    }
}

/// A daemon that runs; killed when dropped.
pub struct Daemon {
    child: Child,
    control: String,
    telemetry: SocketAddr,
}

impl Daemon {
    fn start(program: &Path, ground: &Ground, more: &str) -> anyhow::Result<Self> {
        let telemetry = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let directory = ground.directory.display();
        let control = format!("unix:{directory}/control.sock");
        let config = ground.directory.join("causewayd.toml");
        let mut text = format!(
            "data_dir = \"{directory}/data\"\n\
             [control]\nlisten = \"{control}\"\n\
             [telemetry]\nlisten = \"{telemetry}\"\n"
        );
        for (name, side) in [("source", &ground.source), ("target", &ground.target)] {
            text.push_str(&remote(name, side));
        }
        text.push_str(more);
        std::fs::write(&config, text)?;
        let log = File::create(ground.directory.join("causewayd.log"))?;
        let child = Command::new(program)
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start causewayd")?;
        let mut daemon = Self { child, control, telemetry };
        let begun = Instant::now();
        while !get(telemetry, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            let ended = daemon.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(ground.directory.join("causewayd.log"));
                anyhow::bail!("causewayd is not ready ({ended:?}):\n{}", log.unwrap_or_default());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    /// What `causeway --endpoint` takes.
    pub fn control(&self) -> &str {
        &self.control
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes that the target has been sent.
    pub fn bytes_written(&self) -> anyhow::Result<u64> {
        let metrics = get(self.telemetry, "/metrics")?;
        let name = "causeway_bytes_total{direction=\"write\",remote=\"target\"}";
        let line = metrics.lines().find(|line| line.starts_with(name));
        let line = line.context("no causeway_bytes_total")?;
        let (_, value) = line.rsplit_once(' ').context("a metric without a value")?;
        Ok(value.parse()?)
    }

    /// Ends it, as an operator would.
    pub fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "causewayd ended with {status}");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // After `stop` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn remote(name: &str, side: &Side) -> String {
    format!(
        "[remotes.{name}]\nregion = \"{}\"\ns3_endpoint = \"{}\"\npath_style = true\n\
         ca_bundle = \"{}\"\n\
         credentials = {{ access_key_id = \"{}\", secret_access_key = \"{}\" }}\n",
        side.region,
        side.url(),
        side.ca.display(),
        side.access_key_id,
        side.secret_access_key
    )
}

/// Looks at the metrics while `work` is done: the most parts that were in flight on one side.
fn most_in_flight<T>(telemetry: SocketAddr, work: impl FnOnce() -> T) -> (T, Option<u64>) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let look = || {
            let mut most = None;
            while !over.load(Ordering::Relaxed) {
                let metrics = get(telemetry, "/metrics").unwrap_or_default();
                most = most.max(parts_in_flight(&metrics));
                std::thread::park_timeout(Duration::from_millis(100));
            }
            most
        };
        let looker = scope.spawn(look);
        let done = work();
        over.store(true, Ordering::Relaxed);
        (done, looker.join().ok().flatten())
    })
}

fn parts_in_flight(metrics: &str) -> Option<u64> {
    let lines = metrics.lines().filter(|line| line.starts_with("causeway_parts_in_flight{"));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).max()
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}
