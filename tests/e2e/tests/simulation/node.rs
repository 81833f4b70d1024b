//! One daemon without its doors: ledger, remotes, pipeline and scheduler on a runtime of their own, so
//! that dropping the runtime is the daemon's death.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use causewayd::base::{
    CrashPoint, Direction, Limits, Measure, MemoryBudget, Observe, Pace, SharedObserver, Slots,
};
use causewayd::ledger::Ledger;
use causewayd::pipeline::{Pipeline, Remotes};
use causewayd::remote::{Credentials, Options, Remote, Secret};
use causewayd::scheduler::{Reaper, Scheduler};
use sandbox::Endpoint;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

pub const PARTS_MAX: usize = 6;
const JOBS_MAX: usize = 3;
/// Time for tasks to be dropped. None of them does anything that blocks.
const DEATH: Duration = Duration::from_secs(10);

/// Counts bytes, and says when the daemon dies.
#[derive(Debug, Default)]
pub struct Fate {
    /// The point to die at, once it was passed so many times.
    armed: Mutex<Option<(CrashPoint, u32)>>,
    dead: AtomicBool,
    pub written: AtomicU64,
}

impl Fate {
    /// Lets the daemon die when it passes `point` for the `times`-th time, from 0.
    pub fn arm(&self, point: CrashPoint, times: u32) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some((point, times));
    }

    /// Whether the armed point was met.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// The point it died at, or is to die at.
    pub fn point(&self) -> Option<CrashPoint> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).map(|(point, _)| point)
    }
}

impl Observe for Fate {
    fn record(&self, measure: Measure<'_>) {
        if let Measure::Bytes { direction: Direction::Write, bytes, .. } = measure {
            self.written.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn dies_at(&self, point: CrashPoint) -> bool {
        if self.is_dead() {
            return true;
        }
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        match armed.as_mut() {
            Some((at, times)) if *at == point && *times == 0 => {
                self.dead.store(true, Ordering::Release);
                true
            }
            Some((at, times)) if *at == point => {
                *times -= 1;
                false
            }
            _ => false,
        }
    }
}

/// A running daemon.
pub struct Node {
    runtime: Runtime,
    pub ledger: Ledger,
    pub fate: Arc<Fate>,
    remotes: Arc<Remotes>,
    slots: Slots,
    memory: MemoryBudget,
    stop: CancellationToken,
    scheduler: Option<tokio::task::JoinHandle<()>>,
}

impl Node {
    /// Starts a daemon on this directory.
    pub fn start(dir: &Path, commercial: &Endpoint, gov: &Endpoint) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let fate = Arc::new(Fate::default());
        let observer: SharedObserver = Arc::clone(&fate) as _;
        let ledger = Ledger::open(dir, Arc::clone(&observer)).context("the ledger opens")?;
        let mut remotes = BTreeMap::new();
        for (name, endpoint) in [("commercial", commercial), ("gov", gov)] {
            let options = options(name, endpoint)?;
            let remote = runtime.block_on(Remote::build(options, Arc::clone(&observer)))?;
            remotes.insert(name.parse()?, Arc::new(remote));
        }
        let remotes: Arc<Remotes> = Arc::new(remotes);
        let slots = Slots::new(PARTS_MAX);
        let memory = MemoryBudget::new(64 << 20);
        let pipeline = Pipeline {
            ledger: ledger.clone(),
            remotes: Arc::clone(&remotes),
            presigned: Pace::new("presigned", Limits::default(), Arc::clone(&observer)),
            slots: slots.clone(),
            memory: memory.clone(),
            observer,
            parts_max: PARTS_MAX,
        };
        runtime.block_on(ledger.reclaim())?;
        let stop = CancellationToken::new();
        let scheduler = Scheduler::new(pipeline, JOBS_MAX, Duration::from_secs(30));
        let scheduler = Some(runtime.spawn(scheduler.run(stop.clone())));
        Ok(Self { runtime, ledger, fate, remotes, slots, memory, stop, scheduler })
    }

    /// Runs one call to the daemon.
    pub fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// Kills it: nothing that runs gets another word.
    pub fn kill(self) -> u64 {
        let Self { runtime, ledger, fate, .. } = self;
        runtime.shutdown_timeout(DEATH);
        drop(ledger);
        fate.written.load(Ordering::Relaxed)
    }

    /// Stops it as SIGTERM does. Cleans up at the targets first, as if every retention were over.
    pub fn stop(mut self) -> Result<u64> {
        let reaper = Reaper {
            ledger: self.ledger.clone(),
            remotes: Arc::clone(&self.remotes),
            retention: Duration::ZERO,
            landed_after: Duration::ZERO,
        };
        self.stop.cancel();
        let scheduler = self.scheduler.take();
        self.call(async {
            if let Some(scheduler) = scheduler {
                scheduler.await?;
            }
            reaper.look().await.context("cleaning up")
        })?;
        anyhow::ensure!(self.slots.in_flight() == 0, "slots are still taken");
        anyhow::ensure!(self.memory.used() == 0, "memory is still reserved");
        self.call(self.ledger.flush())?;
        Ok(self.kill())
    }
}

fn options(name: &str, endpoint: &Endpoint) -> Result<Options> {
    let credentials = endpoint.credentials();
    Ok(Options {
        name: name.parse()?,
        region: endpoint.region().to_owned(),
        credentials: Credentials::Static {
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: Secret::new(credentials.secret_access_key.clone()),
            session_token: credentials.session_token.clone().map(Secret::new),
        },
        expected_account: None,
        fips: false,
        dual_stack: false,
        path_style: true,
        s3_endpoint: Some(endpoint.url()),
        sts_endpoint: None,
        ca_bundle: None,
        limits: Limits::default(),
    })
}
