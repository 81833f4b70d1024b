//! The daemons of one seed, one after the other, and what their deaths cost.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use causewayd::model::{Job, JobState, TransferState};
use causewayd::transfer::unrecorded::LANDED_AFTER;
use sandbox::Endpoint;

use super::SeedRun;
use super::cases::PART;
use crate::model::{Case, check_kept};
use crate::node::{Node, PARTS_MAX, Stopped};

/// What a daemon that is stopped in mid-seed leaves failed jobs.
const RETENTION: Duration = Duration::from_secs(3600);
const LANDING_PATIENCE: Duration = Duration::from_secs(30);

pub struct Lives<'a> {
    dir: &'a Path,
    endpoints: [&'a Endpoint; 2],
    /// Whether what a dead daemon sent has landed before the next one begins. Else every other time it
    /// lands while that one is at work.
    patient: bool,
    /// `None` only while it is being replaced.
    node: Option<Node>,
    count: usize,
    /// Bytes that all of them handed to the target.
    pub moved: u64,
    /// The most of them that crashes can have made worthless.
    pub lost_max: u64,
}

impl<'a> Lives<'a> {
    /// The first one.
    pub fn begin(
        dir: &'a Path,
        commercial: &'a Endpoint,
        gov: &'a Endpoint,
        patient: bool,
    ) -> Result<Self> {
        let endpoints = [commercial, gov];
        let mut this =
            Self { dir, endpoints, patient, node: None, count: 0, moved: 0, lost_max: 0 };
        this.start(&[])?;
        Ok(this)
    }

    /// The one that runs.
    pub fn node(&self) -> Result<&Node> {
        self.node.as_ref().context("a daemon is running")
    }

    /// Kills the one that runs, and starts the next on what it left.
    pub fn replace(&mut self, cases: &[Case]) -> Result<()> {
        let node = self.node.take().context("a daemon is running")?;
        let next = self.home(self.count + 1);
        self.moved += node.kill(&next)?;
        self.count += 1;
        if self.patient || self.count.is_multiple_of(2) {
            self.endpoints.into_iter().try_for_each(let_it_land)?;
        }
        let lost = self.start(cases)?;
        self.lost_max += lost;
        Ok(())
    }

    /// Stops it in order, and starts the next; `false` where it died on the way.
    pub fn stop(&mut self, cases: &[Case]) -> Result<bool> {
        let in_order = self.end(RETENTION, LANDED_AFTER)?.is_some();
        if in_order {
            self.start(cases)?;
        }
        Ok(in_order)
    }

    /// Stops the last one, and cleans up as if every time were over: its jobs as it left them.
    pub fn end_all(&mut self) -> Result<Vec<Job>> {
        // No job is at work any more: what is still performed was sent by the dead.
        let is_idle = |endpoint: &Endpoint| {
            endpoint.stats().operations.values().all(|operation| operation.in_flight == 0)
        };
        let landed =
            SeedRun::wait(LANDING_PATIENCE, || Ok(self.endpoints.into_iter().all(is_idle)))?;
        ensure!(landed, "requests of a dead daemon go on");
        self.end(Duration::ZERO, Duration::ZERO)?.context("no crash point is armed")
    }

    /// Stops it in order: its jobs as it left them. `None` where it died on the way.
    fn end(&mut self, retention: Duration, landed_after: Duration) -> Result<Option<Vec<Job>>> {
        let node = self.node.take().context("a daemon is running")?;
        match node.stop(retention, landed_after)? {
            Stopped::InOrder(moved, jobs) => {
                self.moved += moved;
                Ok(Some(jobs))
            }
            Stopped::Died(node) => {
                self.node = Some(*node);
                Ok(None)
            }
        }
    }

    /// Starts one on what is there; the most that the end of the one before it can have cost.
    fn start(&mut self, cases: &[Case]) -> Result<u64> {
        let [commercial, gov] = self.endpoints;
        let mut node = Node::open(&self.home(self.count), commercial, gov)?;
        check_kept(cases, &node.ledger).context("after a restart")?;
        let lost = node.jobs()?.iter().map(in_flight_max).sum();
        node.run()?;
        check_kept(cases, &node.ledger).context("after jobs were taken back")?;
        self.node = Some(node);
        Ok(lost)
    }

    fn home(&self, number: usize) -> PathBuf {
        self.dir.join(number.to_string())
    }
}

/// What can have been on its way for a job that ran when its daemon died: no more than the parts in
/// flight, nor than what is not recorded.
fn in_flight_max(job: &Job) -> u64 {
    if job.state != JobState::Running {
        return 0;
    }
    match &job.transfer {
        TransferState::Uploading { source, .. } => {
            (PARTS_MAX * PART).min(source.size.saturating_sub(job.progress.bytes))
        }
        TransferState::Sealing { source, upload: None, .. } => source.size,
        TransferState::Unplanned
        | TransferState::Planned { .. }
        | TransferState::Sealing { .. }
        | TransferState::Sealed { .. } => 0,
    }
}

/// Waits until whatever a dead daemon sent has arrived.
fn let_it_land(endpoint: &Endpoint) -> Result<()> {
    // Connections are accepted in order: once this one is answered, none of the dead one's is to come.
    let mut last = TcpStream::connect(endpoint.address())?;
    last.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    last.read_to_end(&mut Vec::new())?;
    drop(last);
    let landed = SeedRun::wait(LANDING_PATIENCE, || Ok(endpoint.stats().connections_open == 0))?;
    ensure!(landed, "connections of a dead daemon stay open");
    Ok(())
}
