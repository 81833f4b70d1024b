//! What processes cost, seen from outside: CPU by what the kernel accounts, memory by looking every
//! 20 ms at all processes of a tool together.

use std::ops::Sub;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// CPU time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cpu {
    pub user_s: f64,
    pub system_s: f64,
}

impl Cpu {
    pub fn total_s(self) -> f64 {
        self.user_s + self.system_s
    }

    fn plus(self, other: Self) -> Self {
        Self { user_s: self.user_s + other.user_s, system_s: self.system_s + other.system_s }
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { user_s: self.user_s - before.user_s, system_s: self.system_s - before.system_s }
    }
}

/// A window of measuring.
#[derive(Debug)]
pub struct Meter {
    begun: Instant,
    standing: Vec<u32>,
    before: Cpu,
    watched: Arc<Watched>,
    sampler: JoinHandle<()>,
}

/// What the sampler shares.
#[derive(Debug, Default)]
struct Watched {
    pids: Mutex<Vec<u32>>,
    peak_bytes: AtomicU64,
    over: AtomicBool,
}

/// What a window cost.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub wall: Duration,
    pub cpu: Cpu,
    pub peak_bytes: u64,
}

impl Meter {
    /// Begins. What the processes `standing` use from now on counts, and what children use that end
    /// before [`Meter::end`].
    pub fn begin(standing: &[u32]) -> anyhow::Result<Self> {
        let watched = Arc::new(Watched::default());
        watched.pids.lock().unwrap_or_else(PoisonError::into_inner).extend(standing);
        let sampled = Arc::clone(&watched);
        let sampler = std::thread::spawn(move || sample(&sampled));
        let before = of_processes(standing)?.plus(of_children()?);
        Ok(Self { begun: Instant::now(), standing: standing.to_vec(), before, watched, sampler })
    }

    /// Counts the memory of a child and of its children.
    pub fn watch(&self, pid: u32) {
        self.watched.pids.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
    }

    /// Ends; all children have been waited for.
    pub fn end(self) -> anyhow::Result<Usage> {
        let wall = self.begun.elapsed();
        let cpu = of_processes(&self.standing)?.plus(of_children()?) - self.before;
        self.watched.over.store(true, Ordering::Relaxed);
        self.sampler.thread().unpark();
        // A sampler that panicked has found no peak, and none is what is told.
        let _ = self.sampler.join();
        Ok(Usage { wall, cpu, peak_bytes: self.watched.peak_bytes.load(Ordering::Relaxed) })
    }
}

fn sample(watched: &Watched) {
    while !watched.over.load(Ordering::Relaxed) {
        let pids = watched.pids.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bytes = pids.into_iter().map(resident_with_children).sum();
        watched.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Resident bytes of a process and its descendants; none of those that have ended.
pub fn resident_with_children(pid: u32) -> u64 {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
    let pages = read("statm").ok().and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    let children = read(&format!("task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    pages.unwrap_or(0) * 4096 + children.map(resident_with_children).sum::<u64>()
}

/// The most that a process ever had resident, in bytes.
pub fn peak_of(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// CPU time of running processes, all of their threads, in the kernel's ticks of 10 ms.
pub fn of_processes(pids: &[u32]) -> anyhow::Result<Cpu> {
    let ticks = sysconf(SysconfVar::CLK_TCK)?.and_then(|ticks| u32::try_from(ticks).ok());
    let ticks = f64::from(ticks.context("no CLK_TCK")?);
    let mut cpu = Cpu::default();
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in parentheses, may hold anything.
        let (_, fields) = stat.rsplit_once(") ").context("not a stat file")?;
        let field = |index: usize| -> anyhow::Result<f64> {
            Ok(fields.split(' ').nth(index).context("a short stat file")?.parse()?)
        };
        let (user, system) = (field(11)? / ticks, field(12)? / ticks);
        cpu = cpu.plus(Cpu { user_s: user, system_s: system });
    }
    Ok(cpu)
}

/// CPU time of the children that have ended, and of theirs.
fn of_children() -> anyhow::Result<Cpu> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| {
        use nix::sys::time::TimeValLike as _;
        Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0)).as_secs_f64()
    };
    Ok(Cpu { user_s: seconds(usage.user_time()), system_s: seconds(usage.system_time()) })
}
