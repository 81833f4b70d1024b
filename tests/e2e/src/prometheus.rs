//! Debian's Prometheus, as it stands in `deploy/prometheus`, beside a real daemon.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// How often it scrapes and evaluates: two orders faster than people's, so that a test is short.
const INTERVAL: &str = "250ms";

/// A Prometheus that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    at: SocketAddr,
}

/// One file of the repository's `deploy`.
pub fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

/// A program of Debian's package: where `tests/run` unpacks it, else the system's.
pub fn prometheus_program(name: &str) -> PathBuf {
    let unpacked = "../.prometheus/usr/bin";
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(unpacked).join(name);
    if unpacked.exists() { unpacked } else { name.into() }
}

impl Prometheus {
    /// Starts it in `dir` with the example's configuration and rules, to scrape these. Waits until it answers.
    pub async fn start(dir: &Path, targets: &[SocketAddr]) -> Result<Self> {
        let targets: Vec<String> = targets.iter().map(|at| format!("\"{at}\"")).collect();
        let rules = deployed("prometheus/causeway.rules.yml").canonicalize()?;
        let config = std::fs::read_to_string(deployed("prometheus/prometheus.yml"))?
            .replace("15s", INTERVAL)
            .replace("causeway.rules.yml", &rules.display().to_string())
            .replace("\"127.0.0.1:9464\"", &targets.join(", "));
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config)?;
        let at = free_port()?;
        let log = std::fs::File::create(dir.join("prometheus.log"))?;
        let child = Command::new(prometheus_program("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
            .arg(format!("--web.listen-address={at}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("prometheus cannot be started: tests/run installs it first")?;
        let mut prometheus = Self { child, at };
        let deadline = Instant::now() + Duration::from_secs(30);
        while prometheus.get("query", "1").await.is_err() {
            if let Some(status) = prometheus.child.try_wait()? {
                let log = std::fs::read_to_string(dir.join("prometheus.log"))?;
                bail!("prometheus ended at start: {status}\n{log}");
            }
            ensure!(Instant::now() < deadline, "prometheus does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(prometheus)
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// What an expression gives now: a series each.
    pub async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let data = self.get("query", expression).await?;
        Ok(data["result"].as_array().context("no series")?.clone())
    }

    /// Whether an expression gives a number at all, in one series at least.
    pub async fn has_number(&self, expression: &str) -> Result<bool> {
        let number = |series: &Value| {
            let value = series["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
            value.is_some_and(|value| !value.is_nan())
        };
        Ok(self.query(expression).await?.iter().any(number))
    }

    /// The values of a label among the series that an expression gives.
    pub async fn label_values(&self, expression: &str, label: &str) -> Result<Vec<String>> {
        let series = self.query(expression).await?;
        let values = series.iter().filter_map(|series| series["metric"][label].as_str());
        let mut values: Vec<String> = values.map(str::to_owned).collect();
        values.sort();
        values.dedup();
        Ok(values)
    }

    /// All rules, as they were last evaluated.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let data = self.get("rules", "").await?;
        let groups = data["groups"].as_array().context("no groups")?;
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        Ok(rules.flatten().cloned().collect())
    }

    async fn get(&self, what: &str, query: &str) -> Result<Value> {
        let output = tokio::process::Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "20", "--get"])
            .args(["--data-urlencode", &format!("query={query}")])
            .arg(format!("{}/api/v1/{what}", self.url()))
            .output()
            .await?;
        let answer: Value = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("no answer from prometheus: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        ensure!(answer["status"] == "success", "{query}\n{answer}");
        Ok(answer["data"].clone())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already: then there is nothing to kill, and nothing to say.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port where nothing listens, this moment.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
