//! One transfer that is far larger than there is time for: what counts is whether the hundredth
//! gigabyte costs what the first one did, in memory and in CPU.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::causeway::{Causeway, Daemon};
use super::figures::Spread;
use super::ground::Ground;
use super::machine::Machine;
use super::usage;
use super::work::{Work, WorkName, gib};

/// How long, and of what.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Bytes that the object declares; EC2 stores an image of at most this size
    #[arg(long, default_value_t = 5_000_000_000_000, value_name = "BYTES")]
    size: u64,
    /// Seconds between two looks
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    every: u64,
    /// Write every look there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where causeway and causewayd are; beside this program without
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// The daemon at one moment.
#[derive(Debug, Serialize)]
struct Look {
    at_s: f64,
    /// Carried since the beginning.
    gib: f64,
    gib_per_s: f64,
    /// Since the look before.
    cpu_s_per_gib: f64,
    resident_mib: f64,
}

/// Below this much the daemon is still warming up.
const STEADY_FROM_GIB: f64 = 1.0;

/// Carries until the time is over, cancels, and tells what was seen.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let scratch = tempfile::Builder::new().prefix("compare-").tempdir()?;
    let causeway = Causeway::new(&super::programs(arguments.programs.as_deref())?)?;
    let work = Work { size: arguments.size, ..Work::new(WorkName::Big, 1) };
    let ground = Ground::new(work, scratch.path())?;
    std::fs::create_dir_all(&ground.directory)?;
    let daemon = causeway.start(&ground)?;
    ask(causeway
        .client(&daemon)
        .args(["submit", "source:source/object-000000.bin"])
        .arg("target:target/"))?;
    let looks = watch(&daemon, arguments)?;
    ask(causeway.client(&daemon).args(["cancel", "--all"]))?;
    let peak_bytes = usage::peak_of(daemon.id())?;
    daemon.stop()?;

    println!("{}", table(&looks));
    println!("most resident ever: {:.0} MiB", gib(peak_bytes << 10));
    if let Some(path) = &arguments.json {
        let all = serde_json::json!({
            "machine": Machine::this(),
            "object_bytes": arguments.size,
            "peak_bytes": peak_bytes,
            "looks": looks,
        });
        std::fs::write(path, serde_json::to_string_pretty(&all)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn watch(daemon: &Daemon, arguments: &Arguments) -> anyhow::Result<Vec<Look>> {
    let begun = Instant::now();
    let (every, end) =
        (Duration::from_secs(arguments.every), Duration::from_secs(arguments.minutes * 60));
    let (mut looks, mut due) = (Vec::<Look>::new(), every);
    let mut cpu_before = usage::of_processes(&[daemon.id()])?;
    while due <= end {
        std::thread::park_timeout(due.saturating_sub(begun.elapsed()));
        if begun.elapsed() < due {
            continue;
        }
        due += every;
        let cpu = usage::of_processes(&[daemon.id()])?;
        let carried = gib(daemon.bytes_written()?);
        let (at_s, before) = (begun.elapsed().as_secs_f64(), looks.last());
        let (gib_before, at_before) = before.map_or((0.0, 0.0), |look| (look.gib, look.at_s));
        let gained = carried - gib_before;
        anyhow::ensure!(gained > 0.0, "nothing was carried in {} s", arguments.every);
        let look = Look {
            at_s,
            gib: carried,
            gib_per_s: gained / (at_s - at_before),
            cpu_s_per_gib: (cpu - cpu_before).total_s() / gained,
            resident_mib: gib(usage::resident_with_children(daemon.id()) << 10),
        };
        cpu_before = cpu;
        eprintln!("{look:?}");
        looks.push(look);
    }
    Ok(looks)
}

fn ask(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("cannot run causeway")?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {told}");
    Ok(())
}

/// The looks from the first steady one on, in thirds: a trend shows from one to the next.
fn table(looks: &[Look]) -> String {
    let steady: Vec<&Look> = looks.iter().filter(|look| look.gib >= STEADY_FROM_GIB).collect();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "GiB carried",
        "GiB/s",
        "CPU-s/GiB",
        "resident MiB",
    ]);
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for third in steady.chunks(steady.len().div_ceil(3).max(1)) {
        let spread = |figure: fn(&Look) -> f64| {
            let spread = Spread::of(third.iter().map(|look| figure(look)));
            spread.map(|spread| spread.to_string()).unwrap_or_default()
        };
        let (first, last) = (third.first(), third.last());
        let bounds = [first, last].map(|look| look.map_or(0.0, |look| look.gib));
        table.add_row([
            format!("{:.0} to {:.0}", bounds[0], bounds[1]),
            spread(|look| look.gib_per_s),
            spread(|look| look.cpu_s_per_gib),
            spread(|look| look.resident_mib),
        ]);
    }
    table.to_string()
}
