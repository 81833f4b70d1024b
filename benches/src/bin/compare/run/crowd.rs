//! One transfer that does not end, alone and beside a crowd of clients, in turns: what the crowd costs it,
//! and how long the API takes to answer meanwhile.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use causeway::Client;
use causeway::v1;
use causeway::watch::Options;
use serde_json::json;
use tokio::time::{interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::causeway::{Causeway, Daemon};
use super::figures::Spread;
use super::ground::Ground;
use super::usage;
use super::work::{Work, WorkName, gib};

/// Who is in the crowd, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Seconds of each phase
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    phase: u64,
    /// Pairs of phases: one alone, one beside the crowd
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// Clients that follow the running job
    #[arg(long, default_value_t = 190)]
    watching: u64,
    /// Clients that follow every job
    #[arg(long, default_value_t = 10)]
    watching_all: u64,
    /// Clients that submit, one job a second each
    #[arg(long, default_value_t = 20)]
    submitting: u64,
    /// Requests that the flooding client always has in progress
    #[arg(long, default_value_t = 64)]
    flooding: u64,
    /// What each side is limited to, such as 300MiB/s, as a link would; absent: the machine is the limit
    #[arg(long, value_name = "RATE")]
    link: Option<String>,
    /// Write the figures there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where causeway and causewayd are; beside this program without
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Bytes that the object declares.
const SIZE: u64 = 5_000_000_000_000;
/// Between two questions of the one whose answers are timed.
const ASKED_EVERY: Duration = Duration::from_millis(10);
const WARM_UP: Duration = Duration::from_secs(5);

/// One phase.
#[derive(Debug)]
struct Phase {
    gib_per_s: f64,
    daemon_cpu_s_per_s: f64,
    /// What the clients use, the one among them that asks how long an answer takes. Elsewhere than here they
    /// have processors of their own.
    clients_cpu_s_per_s: f64,
    /// How long each Get took, in milliseconds.
    gets: Vec<f64>,
    submitted: u64,
    flooded: u64,
    events: u64,
}

/// Measures, prints, and fails where a promise does not hold.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let scratch = tempfile::Builder::new().prefix("crowd-").tempdir()?;
    let causeway = Causeway::new(&super::programs(arguments.programs.as_deref())?)?;
    let ground = Ground::new(Work { size: SIZE, ..Work::new(WorkName::Big, 1) }, scratch.path())?;
    std::fs::create_dir_all(&ground.directory)?;
    // Takes connections and never answers: what the crowd submits stays in the queue, but for a few.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let more = format!(
        "[remotes.silent]\nregion = \"us-east-1\"\ns3_endpoint = \"http://{}\"\npath_style = true\n\
         credentials = {{ access_key_id = \"AKIAEXAMPLE\", secret_access_key = \"example\" }}\n",
        silent.local_addr()?
    );
    let daemon = causeway.start_with(&ground, &more)?;
    for remote in ["source", "target"] {
        if let Some(link) = &arguments.link {
            let limits =
                ["limits", "set", remote, "--read-bandwidth", link, "--write-bandwidth", link];
            ask(causeway.client(&daemon).args(limits))?;
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (alone, beside) = runtime.block_on(phases(&daemon, arguments))?;
    ask(causeway.client(&daemon).args(["cancel", "--all"]))?;
    let peak_mib = gib(usage::peak_of(daemon.id())? << 10);
    daemon.stop()?;
    report(arguments, &alone, &beside, peak_mib)
}

fn ask(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("cannot run causeway")?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {told}");
    Ok(())
}

async fn phases(
    daemon: &Daemon,
    arguments: &Arguments,
) -> anyhow::Result<(Vec<Phase>, Vec<Phase>)> {
    let client = Client::connect(daemon.control()).await?;
    let request = submission("source:source/object-000000.bin", "target:target/", 100);
    let job = client.submit(request).await?.job.context("no job")?.id;
    sleep(WARM_UP).await;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        alone.push(phase(daemon, arguments, &job, None).await?);
        let crowd = Crowd::gather(daemon, arguments, &job).await?;
        beside.push(phase(daemon, arguments, &job, Some(&crowd)).await?);
        drop(crowd);
        // What the crowd left in the queue waits behind the one transfer; it is taken back.
        let waiting =
            v1::JobFilter { states: vec![v1::JobState::Queued.into()], ..Default::default() };
        let selection = v1::Selection { filter: Some(waiting), ..Default::default() };
        client.act(causeway::client::Action::Cancel, selection).await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok((alone, beside))
}

async fn phase(
    daemon: &Daemon,
    arguments: &Arguments,
    job: &str,
    crowd: Option<&Crowd>,
) -> anyhow::Result<Phase> {
    let client = Client::connect(daemon.control()).await?;
    let counted = || crowd.map_or([0; 3], Crowd::counted);
    let (begun, before) = (Instant::now(), counted());
    let used = |process| usage::of_processes(&[process]);
    let clients = std::process::id();
    let (bytes, cpu, cpu_clients) = (daemon.bytes_written()?, used(daemon.id())?, used(clients)?);
    let (mut gets, mut turn) = (Vec::new(), interval(ASKED_EVERY));
    while begun.elapsed() < Duration::from_secs(arguments.phase) {
        turn.tick().await;
        let asked = Instant::now();
        client.get(job, false).await?;
        gets.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    let bytes = daemon.bytes_written()? - bytes;
    let (cpu, cpu_clients) = (used(daemon.id())? - cpu, used(clients)? - cpu_clients);
    let (took, after) = (begun.elapsed().as_secs_f64(), counted());
    let phase = Phase {
        gib_per_s: gib(bytes) / took,
        daemon_cpu_s_per_s: cpu.total_s() / took,
        clients_cpu_s_per_s: cpu_clients.total_s() / took,
        gets,
        submitted: after[0] - before[0],
        flooded: after[1] - before[1],
        events: after[2] - before[2],
    };
    eprintln!(
        "{}: {:.3} GiB/s, daemon {:.2} CPU, clients {:.2} CPU, Get p99 {:.1} ms; {} submitted, {} flooded, \
         {} events",
        if crowd.is_some() { "beside" } else { "alone " },
        phase.gib_per_s,
        phase.daemon_cpu_s_per_s,
        phase.clients_cpu_s_per_s,
        percentile(&phase.gets, 99),
        phase.submitted,
        phase.flooded,
        phase.events,
    );
    Ok(phase)
}

/// Clients at work, each on a connection of its own, until this is dropped.
struct Crowd {
    _tasks: Vec<AbortOnDropHandle<()>>,
    /// Submitted by scripts, submitted by the flood, events that were read.
    counted: Arc<[AtomicU64; 3]>,
}

impl Crowd {
    async fn gather(daemon: &Daemon, arguments: &Arguments, job: &str) -> anyhow::Result<Self> {
        let counted = Arc::new([const { AtomicU64::new(0) }; 3]);
        let mut tasks = Vec::new();
        let mut add = |task| tasks.push(AbortOnDropHandle::new(task));
        for at in 0..arguments.watching + arguments.watching_all {
            let client = Client::connect(daemon.control()).await?;
            let job_ids = if at < arguments.watching { vec![job.to_owned()] } else { Vec::new() };
            let request = v1::WatchRequest { job_ids, ..Default::default() };
            add(tokio::spawn(watch(client, request, Arc::clone(&counted))));
        }
        for at in 0..arguments.submitting {
            let client = Client::connect(daemon.control()).await?;
            add(tokio::spawn(submit(client, at, Arc::clone(&counted))));
        }
        let client = Client::connect(daemon.control()).await?;
        for _ in 0..arguments.flooding {
            add(tokio::spawn(flood(client.clone(), Arc::clone(&counted))));
        }
        // They all come at once; what is measured is what follows.
        sleep(Duration::from_secs(2)).await;
        Ok(Self { _tasks: tasks, counted })
    }

    fn counted(&self) -> [u64; 3] {
        [0, 1, 2].map(|at: usize| self.counted[at].load(Ordering::Relaxed))
    }
}

async fn watch(client: Client, request: v1::WatchRequest, counted: Arc<[AtomicU64; 3]>) {
    let mut watch = client.watch(request, Options::default());
    while watch.next().await.is_ok() {
        counted[2].fetch_add(1, Ordering::Relaxed);
    }
}

/// A script: one job a second, not all of them in the same moment.
async fn submit(client: Client, at: u64, counted: Arc<[AtomicU64; 3]>) {
    sleep(Duration::from_millis(at * 50)).await;
    let mut turn = interval(Duration::from_secs(1));
    loop {
        turn.tick().await;
        if client.submit(waiting_job()).await.is_ok() {
            counted[0].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A loop that forgot to wait.
async fn flood(client: Client, counted: Arc<[AtomicU64; 3]>) {
    loop {
        if client.submit(waiting_job()).await.is_ok() {
            counted[1].fetch_add(1, Ordering::Relaxed);
        } else {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A job that stays in the queue: what the crowd asks for must not itself be carried.
fn waiting_job() -> v1::SubmitRequest {
    submission("silent:source/absent.bin", "silent:target/absent.bin", -100)
}

fn submission(source: &str, target: &str, priority: i32) -> v1::SubmitRequest {
    let (source, target) = (source.to_owned(), target.to_owned());
    let transfer = v1::TransferSpec { source, target, ..Default::default() };
    v1::SubmitRequest { transfer: Some(transfer), priority, ..Default::default() }
}

fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(f64::NAN)
}

fn report(
    arguments: &Arguments,
    alone: &[Phase],
    beside: &[Phase],
    peak_mib: f64,
) -> anyhow::Result<()> {
    let spread = |phases: &[Phase], figure: fn(&Phase) -> f64| {
        Spread::of(phases.iter().map(figure)).context("no phase")
    };
    let ratios = alone.iter().zip(beside).map(|(alone, beside)| beside.gib_per_s / alone.gib_per_s);
    let ratio = Spread::of(ratios).context("no phase")?;
    let p99 = |phases: &[Phase]| {
        let all: Vec<f64> = phases.iter().flat_map(|phase| phase.gets.clone()).collect();
        percentile(&all, 99)
    };
    let gib_per_s = |phases| spread(phases, |phase| phase.gib_per_s);
    println!("GiB/s alone {}, beside {}: {ratio}", gib_per_s(alone)?, gib_per_s(beside)?);
    println!("p99 of Get alone {:.1} ms, beside the crowd {:.1} ms", p99(alone), p99(beside));
    println!("most resident {peak_mib:.0} MiB");
    if let Some(path) = &arguments.json {
        let phases = |phases: &[Phase]| -> Vec<serde_json::Value> {
            let one = |phase: &Phase| {
                json!({
                    "gib_per_s": phase.gib_per_s,
                    "daemon_cpu_s_per_s": phase.daemon_cpu_s_per_s,
                    "clients_cpu_s_per_s": phase.clients_cpu_s_per_s,
                    "get_p99_ms": percentile(&phase.gets, 99),
                    "submitted": phase.submitted,
                    "flooded": phase.flooded,
                    "events": phase.events,
                })
            };
            phases.iter().map(one).collect()
        };
        let all = json!({ "alone": phases(alone), "beside": phases(beside), "peak_mib": peak_mib });
        std::fs::write(path, serde_json::to_string_pretty(&all)?)?;
    }
    anyhow::ensure!(p99(beside) < 50.0, "p99 of Get is 50 ms or more");
    anyhow::ensure!(ratio.median >= 0.95, "the crowd slows the transfer by more than 5 %");
    Ok(())
}
