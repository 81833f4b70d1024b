//! One daemon without its doors: ledger, remotes, pipeline and scheduler on a runtime of their own.
//!
//! It dies as by SIGKILL: its tasks go no further, its ledger flushes nothing any more, and the next
//! daemon begins on a copy of the files as they are then. What was committed and not flushed is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use causewayd::base::{Limits, MemoryBudget, Pace, SharedObserver, Slots};
use causewayd::egress::Egress;
use causewayd::ledger::{Filter, Ledger};
use causewayd::model::{Job, JobState};
use causewayd::pipeline::{Pipeline, Quotas, Remotes};
use causewayd::remote::Remote;
use causewayd::scheduler::{Reaper, Scheduler};
use causewayd::transfer::Probes;
use e2e::remote_options;
use sandbox::Endpoint;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fate::Fate;

/// Parts in flight, of one job and of all.
pub const PARTS_MAX: u64 = 4;
const JOBS_MAX: usize = 3;
/// Time for tasks to be dropped. None of them does anything that blocks.
const DEATH: Duration = Duration::from_secs(10);
/// More than the jobs of a seed.
const JOBS_LISTED: usize = 1000;

/// A running daemon.
pub struct Node {
    runtime: Runtime,
    pub ledger: Ledger,
    pub fate: Arc<Fate>,
    home: PathBuf,
    pipeline: Pipeline,
    stop: CancellationToken,
    scheduler: Option<JoinHandle<()>>,
}

/// How a stop ended.
pub enum Stopped {
    /// In order: the bytes it moved, and its jobs as it left them.
    InOrder(u64, Vec<Job>),
    /// It met its crash point on the way.
    Died(Box<Node>),
}

impl Node {
    /// Opens what a daemon left in `home`. Nothing runs before [`Node::run`].
    pub fn open(home: &Path, commercial: &Endpoint, gov: &Endpoint) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let fate = Arc::new(Fate::default());
        let observer: SharedObserver = Arc::clone(&fate) as _;
        let ledger = Ledger::open(home, Arc::clone(&observer)).context("the ledger opens")?;
        let mut remotes = Remotes::new();
        for (name, endpoint) in [("commercial", commercial), ("gov", gov)] {
            let options = remote_options(name, endpoint)?;
            let remote = runtime.block_on(Remote::build(options, Arc::clone(&observer)))?;
            remotes.insert(name.parse()?, Arc::new(remote));
        }
        let parts_max = usize::try_from(PARTS_MAX)?;
        let pipeline = Pipeline {
            ledger: ledger.clone(),
            remotes: Arc::new(remotes),
            presigned: Pace::new("presigned", Limits::default(), Arc::clone(&observer)),
            slots: Slots::new(parts_max),
            quotas: Quotas::new(BTreeMap::new()),
            egress: Egress::default(),
            memory: MemoryBudget::new(64 << 20),
            observer,
            probes: Probes::default(),
            parts_max,
        };
        let (home, stop) = (home.to_owned(), CancellationToken::new());
        Ok(Self { runtime, ledger, fate, home, pipeline, stop, scheduler: None })
    }

    /// Takes back what the daemon before it ran, and works.
    pub fn run(&mut self) -> Result<()> {
        self.call(self.ledger.reclaim()).context("taking jobs back")?;
        ensure!(self.jobs()?.iter().all(is_unleased), "a job is leased, and nothing runs");
        let scheduler = Scheduler::new(self.pipeline.clone(), JOBS_MAX, Duration::from_secs(30));
        self.scheduler = Some(self.runtime.spawn(scheduler.run(self.stop.clone())));
        Ok(())
    }

    /// Runs one call to the daemon.
    pub fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// All its jobs, the oldest first.
    pub fn jobs(&self) -> Result<Vec<Job>> {
        let mut jobs = self.ledger.list(&Filter::default(), JOBS_LISTED, None)?.jobs;
        jobs.reverse();
        Ok(jobs)
    }

    /// Kills it, and leaves in `next` what is on disk then. Gives the bytes it moved.
    pub fn kill(self, next: &Path) -> Result<u64> {
        self.fate.kill();
        // A turn of the flusher that had begun may still end. Once one is refused, none follows.
        self.call(async { while self.ledger.flush().await.is_ok() {} });
        let Self { runtime, ledger, fate, home, pipeline, .. } = self;
        runtime.shutdown_timeout(DEATH);
        copy_dir(&home, next).context("copying what is on disk")?;
        // Only now does sled write what it still held, to files that nobody reads any more.
        drop((pipeline, ledger));
        fs::remove_dir_all(&home)?;
        Ok(fate.written.load(Ordering::Relaxed))
    }

    /// Stops it as SIGTERM does, and checks that nothing is held any more. Then cleans up at the
    /// targets: failed jobs keep what they uploaded for `retention`, and what may land late is looked for
    /// after `landed_after`.
    pub fn stop(mut self, retention: Duration, landed_after: Duration) -> Result<Stopped> {
        self.stop.cancel();
        let scheduler = self.scheduler.take().context("it was not stopped before")?;
        let alive = self.call(async {
            tokio::select! {
                ended = scheduler => ended.map(|()| self.fate.disarm()),
                () = self.fate.died() => Ok(false),
            }
        })?;
        if !alive {
            return Ok(Stopped::Died(Box::new(self)));
        }
        let slots = self.pipeline.slots.in_flight();
        ensure!(slots == 0, "{slots} slots are still taken");
        let memory = self.pipeline.memory.used();
        ensure!(memory == 0, "{memory} bytes are still reserved");
        let (ledger, remotes) = (self.ledger.clone(), Arc::clone(&self.pipeline.remotes));
        let reaper = Reaper { ledger, remotes, retention, landed_after };
        self.call(reaper.look()).context("cleaning up")?;
        let jobs = self.jobs()?;
        for job in &jobs {
            ensure!(is_unleased(job), "it is still leased: {job:#?}");
        }
        self.call(self.ledger.clone().close()).context("closing the ledger")?;
        self.runtime.shutdown_timeout(DEATH);
        Ok(Stopped::InOrder(self.fate.written.load(Ordering::Relaxed), jobs))
    }
}

fn is_unleased(job: &Job) -> bool {
    job.lease.is_none() && job.state != JobState::Running
}

/// Copies a directory with all that is in it.
fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
