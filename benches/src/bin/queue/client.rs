//! The real client, as a process.

use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::daemon::{self, Daemon, Site};
use crate::report::Row;

/// Times that a question is asked; the middle one counts.
const ASKED: usize = 20;

/// Submits the manifest. Each line is accepted, or this fails.
pub fn submit(
    site: &Site,
    daemon: &Daemon,
    manifest: &Path,
    jobs: u64,
    row: &mut Row,
) -> Result<()> {
    let path = manifest.to_str().context("a path of our own")?;
    let mut command = site.client(&["submit", "--manifest", path])?;
    let before = daemon.cpu()?;
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let (mut resident, mut spent) = (0.0, Duration::ZERO);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        resident = daemon::memory(child.id(), "VmHWM").unwrap_or(resident);
        spent = daemon::cpu(child.id()).unwrap_or(spent);
        thread::sleep(Duration::from_millis(5));
    };
    let took = begin.elapsed();
    ensure!(status.success(), "causeway submit ended with {status}");
    row.set("submit_s", took.as_secs_f64());
    row.set("submits_per_s", jobs as f64 / took.as_secs_f64());
    let busy = daemon.cpu()?.saturating_sub(before);
    row.set("submit_daemon_cpu_us", busy.as_secs_f64() * 1e6 / jobs as f64);
    row.set("submit_client_cpu_us", spent.as_secs_f64() * 1e6 / jobs as f64);
    row.set("client_hwm_mib", resident);
    count(site, jobs)
}

/// Whether all jobs are there, queued or in the one place for a running one.
pub fn count(site: &Site, jobs: u64) -> Result<()> {
    let answer = site.client(&["--output", "json", "status"])?.output()?;
    let status: serde_json::Value = serde_json::from_slice(&answer.stdout)?;
    let of = |state: &str| status["jobs"][state].as_u64().unwrap_or(0);
    let found = of("queued") + of("running");
    ensure!(found == jobs, "{found} of {jobs} jobs are there: {status}");
    Ok(())
}

/// What people ask of a full queue.
pub fn ask(site: &Site, jobs: u64, row: &mut Row) -> Result<()> {
    let questions: [(&'static str, &[&str]); 5] = [
        ("jobs_ms", &["jobs", "--limit", "50"]),
        ("jobs_queued_ms", &["jobs", "--limit", "50", "--state", "queued"]),
        ("jobs_label_ms", &["jobs", "--limit", "1", "--label", "rare=yes"]),
        ("jobs_failed_ms", &["jobs", "--limit", "50", "--state", "failed"]),
        ("status_ms", &["status"]),
    ];
    for (name, arguments) in questions {
        let mut took = Vec::new();
        for _ in 0..ASKED {
            let begin = Instant::now();
            let answer = site.client(arguments)?.output()?;
            took.push(begin.elapsed().as_secs_f64() * 1e3);
            ensure!(answer.status.success(), "{arguments:?} ended with {}", answer.status);
            if name == "jobs_ms" {
                let lines = answer.stdout.iter().filter(|byte| **byte == b'\n').count() as u64;
                ensure!(lines == jobs.min(50) + 1, "{lines} lines for 50 jobs and a heading");
            }
        }
        took.sort_by(f64::total_cmp);
        row.set(name, took[ASKED / 2]);
    }
    Ok(())
}
