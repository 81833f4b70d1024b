//! How the queue behaves from 10^3 to 10^6 jobs: submission by manifest, listing, claiming, memory, the
//! start with a full queue, and the rebuild of it from the audit log. See `benches/queue`.

#![expect(
    clippy::disallowed_methods,
    reason = "there is no runtime whose thread a pause would block"
)]

mod client;
mod daemon;
mod ledger;
mod report;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use daemon::{Daemon, Site};
use report::Row;

const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

struct Arguments {
    sizes: Vec<u64>,
    dir: Option<PathBuf>,
    json: Option<PathBuf>,
    keep: bool,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let dir = arguments.dir.clone().unwrap_or_else(|| "target/queue".into());
    let mut rows = Vec::new();
    for jobs in &arguments.sizes {
        let place = dir.join(jobs.to_string());
        remove(&place)?;
        fs::create_dir_all(&place)?;
        rows.push(measure(*jobs, &fs::canonicalize(&place)?)?);
        report::print(&rows);
        if !arguments.keep {
            remove(&place)?;
        }
    }
    if let Some(path) = &arguments.json {
        let file = File::create(path)?;
        serde_json::to_writer_pretty(file, &rows.iter().map(Row::json).collect::<Vec<_>>())?;
    }
    report::hold(&rows)
}

fn arguments() -> Result<Arguments> {
    let mut found = Arguments { sizes: SIZES.to_vec(), dir: None, json: None, keep: false };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        if name == "--keep" {
            found.keep = true;
            continue;
        }
        let value = given.next().with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--sizes" => {
                let sizes = value.split(',').map(str::parse).collect::<Result<_, _>>();
                found.sizes = sizes.context("--sizes 1000,10000")?;
            }
            "--dir" => found.dir = Some(value.into()),
            "--json" => found.json = Some(value.into()),
            _ => bail!("usage: benches/queue [--sizes N,…] [--dir DIR] [--json FILE] [--keep]"),
        }
    }
    Ok(found)
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Everything for one number of jobs, in the empty directory `dir`.
fn measure(jobs: u64, dir: &Path) -> Result<Row> {
    let mut row = Row::new(jobs);
    let site = Site::new(dir)?;
    let manifest = write_manifest(dir, jobs)?;
    let daemon = Daemon::start(&site)?;
    client::submit(&site, &daemon, &manifest, jobs, &mut row)?;
    client::ask(&site, jobs, &mut row)?;
    row.set("daemon_cpu_us_per_job", daemon.cpu()?.as_secs_f64() * 1e6 / jobs as f64);
    row.set("daemon_hwm_mib", daemon.memory("VmHWM")?);
    ensure!(submitted_lines(&site.data)? == jobs, "each accepted job has a line in the audit log");

    daemon.kill()?;
    let daemon = Daemon::start(&site)?;
    row.set("start_after_kill_s", daemon.started_in.as_secs_f64());
    row.set("start_cpu_s", daemon.cpu()?.as_secs_f64());
    client::count(&site, jobs)?;
    row.set("start_hwm_mib", daemon.memory("VmHWM")?);
    daemon.stop()?;
    let daemon = Daemon::start(&site)?;
    row.set("start_after_stop_s", daemon.started_in.as_secs_f64());
    daemon.stop()?;
    row.set("disk_mib", disk_mib(&site.data)?);

    ledger::claim(&site.data, jobs, &mut row)?;

    fs::remove_dir_all(site.data.join("ledger"))?;
    let daemon = Daemon::start(&site)?;
    row.set("rebuild_s", daemon.started_in.as_secs_f64());
    row.set("rebuild_cpu_s", daemon.cpu()?.as_secs_f64());
    row.set("rebuild_hwm_mib", daemon.memory("VmHWM")?);
    client::count(&site, jobs)?;
    daemon.kill()?;
    Ok(row)
}

/// One job in a thousand has a label that the others have not.
fn write_manifest(dir: &Path, jobs: u64) -> Result<PathBuf> {
    let path = dir.join("manifest.jsonl");
    let mut file = BufWriter::new(File::create(&path)?);
    for one in 0..jobs {
        let label = if one % 1_000 == 0 { r#","labels":{"rare":"yes"}"# } else { "" };
        writeln!(
            file,
            r#"{{"source":"one:images/nightly/ami-{one:017x}.bin","target":"two:landing/nightly/ami-{one:017x}.bin"{label}}}"#
        )?;
    }
    file.into_inner()?.sync_all()?;
    Ok(path)
}

fn submitted_lines(data: &Path) -> Result<u64> {
    let mut lines = 0;
    for found in fs::read_dir(data.join("audit"))? {
        for line in BufReader::new(File::open(found?.path())?).lines() {
            lines += u64::from(line?.contains(r#""event":"submitted""#));
        }
    }
    Ok(lines)
}

fn disk_mib(dir: &Path) -> Result<f64> {
    let mut mib = 0.0;
    for found in fs::read_dir(dir)? {
        let path = found?.path();
        mib += match path.is_dir() {
            true => disk_mib(&path)?,
            false => path.metadata()?.blocks() as f64 / 2048.0,
        };
    }
    Ok(mib)
}
