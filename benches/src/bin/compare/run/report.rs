//! What is told: a table for people, JSON for everything else.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::figures::Spread;
use super::machine::Machine;
use super::tools::Measured;
use super::usage::Cpu;
use super::work::{Work, gib};
use crate::server::Report;

/// One run of one tool.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub tool: String,
    pub wall_s: f64,
    pub gib_per_s: f64,
    pub cpu: Cpu,
    pub cpu_s_per_gib: f64,
    pub peak_mib: f64,
    /// What both servers cost meanwhile.
    pub servers_cpu_s_per_gib: f64,
    pub notes: serde_json::Map<String, serde_json::Value>,
    pub source: Report,
    pub target: Report,
}

impl Run {
    pub fn new(
        tool: &str,
        work: &Work,
        measured: Measured,
        servers: Cpu,
        source: Report,
        target: Report,
    ) -> Self {
        let Measured { usage, notes } = measured;
        let wall_s = usage.wall.as_secs_f64();
        Self {
            tool: tool.to_owned(),
            wall_s,
            gib_per_s: work.gib() / wall_s,
            cpu: usage.cpu,
            cpu_s_per_gib: usage.cpu.total_s() / work.gib(),
            peak_mib: gib(usage.peak_bytes << 10),
            servers_cpu_s_per_gib: servers.total_s() / work.gib(),
            notes,
            source,
            target,
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tool, wall_s, gib_per_s, cpu_s_per_gib, peak_mib, .. } = self;
        write!(
            f,
            "{tool}: {wall_s:.2} s, {gib_per_s:.2} GiB/s, {cpu_s_per_gib:.3} CPU-s/GiB, \
             {peak_mib:.0} MiB"
        )
    }
}

/// All runs of one tool.
#[derive(Debug, Serialize)]
pub struct Row {
    pub tool: String,
    pub is_peer: bool,
    pub settings: String,
    pub runs: Vec<Run>,
}

impl Row {
    fn figures(&self, figure: impl Fn(&Run) -> f64) -> Vec<f64> {
        self.runs.iter().map(figure).collect()
    }

    fn spread(&self, figure: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(self.figures(figure))
    }

    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        self.spread(figure).map_or(f64::NAN, |spread| spread.median)
    }
}

/// All tools at one work.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub work: Work,
    pub rows: Vec<Row>,
}

const HEADER: [&str; 9] = [
    "tool",
    "wall s",
    "GiB/s",
    "CPU-s/GiB",
    "user",
    "system",
    "peak MiB",
    "CPU : hyper",
    "servers' CPU-s/GiB",
];

/// Medians, with least and most where they matter.
pub fn table(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(HEADER);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let gib = outcome.work.gib();
    let floor = outcome.rows.iter().find(|row| row.tool == "hyper");
    for row in &outcome.rows {
        let ratio = floor.and_then(|floor| {
            let cpu = |run: &Run| run.cpu_s_per_gib;
            Spread::of_ratios(&row.figures(cpu), &floor.figures(cpu))
        });
        table.add_row([
            row.tool.clone(),
            spread(row.spread(|run| run.wall_s)),
            format!("{:.2}", row.median(|run| run.gib_per_s)),
            spread(row.spread(|run| run.cpu_s_per_gib)),
            format!("{:.2}", row.median(|run| run.cpu.user_s / gib)),
            format!("{:.2}", row.median(|run| run.cpu.system_s / gib)),
            format!("{:.0}", row.median(|run| run.peak_mib)),
            spread(ratio),
            format!("{:.2}", row.median(|run| run.servers_cpu_s_per_gib)),
        ]);
    }
    let settings = outcome.rows.iter().map(|row| format!("- {}: {}\n", row.tool, row.settings));
    format!(
        "{}\n\n{table}\n\n{}{}",
        outcome.work,
        settings.collect::<String>(),
        beside_best_peer(outcome).unwrap_or_default()
    )
}

fn spread(spread: Option<Spread>) -> String {
    spread.map(|spread| spread.to_string()).unwrap_or_default()
}

/// causeway beside the peer that is best by each figure.
fn beside_best_peer(outcome: &Outcome) -> Option<String> {
    let ours = outcome.rows.iter().find(|row| row.tool == "causeway")?;
    let beside = |what: &str, figure: fn(&Run) -> f64| {
        let peers = outcome.rows.iter().filter(|row| row.is_peer);
        let best = peers.min_by(|a, b| a.median(figure).total_cmp(&b.median(figure)))?;
        let ratio = Spread::of_ratios(&ours.figures(figure), &best.figures(figure))?;
        Some(format!("- causeway's {what} : {}'s = {}\n", best.tool, spread(Some(ratio))))
    };
    let lines = [
        beside("wall", |run| run.wall_s),
        beside("CPU", |run| run.cpu_s_per_gib),
        beside("memory", |run| run.peak_mib),
    ];
    Some(lines.into_iter().flatten().collect())
}

/// Everything, for whoever wants to look closer.
pub fn write(
    path: &Path,
    rounds: usize,
    versions: &serde_json::Map<String, serde_json::Value>,
    outcomes: &[Outcome],
) -> anyhow::Result<()> {
    let all = serde_json::json!({
        "machine": Machine::this(),
        "versions": versions,
        "rounds": rounds,
        "outcomes": outcomes,
    });
    let text = serde_json::to_string_pretty(&all)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
