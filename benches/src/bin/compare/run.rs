//! Runs the tools in turns on the same work, checks after each run that everything arrived, and says
//! what it cost.

mod causeway;
pub mod crowd;
pub mod endurance;
mod figures;
mod floor;
mod ground;
mod hops;
mod machine;
mod pipeline;
mod rclone;
mod report;
mod tools;
mod usage;
mod work;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use ground::Ground;
use report::{Outcome, Row};
use tools::Tool;
use work::{Work, WorkName};

/// What to run.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Measured runs of each tool
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Which work
    #[arg(long, value_enum, value_delimiter = ',')]
    #[arg(default_values_t = [WorkName::Big, WorkName::Many, WorkName::Small, WorkName::Slow])]
    work: Vec<WorkName>,
    /// Which tools; all of them without
    #[arg(long, value_delimiter = ',', value_name = "TOOL")]
    tools: Vec<String>,
    /// Divide the bytes of large objects, and the number of small ones, for a quick look
    #[arg(long, default_value_t = 1, value_name = "N")]
    shrink: u64,
    /// Write every single run there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where causeway and causewayd are; beside this program without
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Where the peers are installed, as benches/compare does it
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Scratch space, also of the tools that go through a disk
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    scratch: PathBuf,
    /// Connections of the floors, instead of what was found best
    #[arg(long, value_name = "N")]
    connections: Option<u64>,
    /// No unmeasured run before
    #[arg(long)]
    no_warm_up: bool,
}

/// Runs everything that was asked for.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    anyhow::ensure!(arguments.rounds > 0 && arguments.shrink > 0, "nothing to measure");
    let scratch = tempfile::Builder::new().prefix("compare-").tempdir_in(&arguments.scratch)?;
    let programs = programs(arguments.programs.as_deref())?;
    let places = tools::Places { programs, peers: arguments.peers.clone() };
    let tools = tools::chosen(&arguments.tools, &places, arguments.connections)?;

    let mut outcomes = Vec::new();
    for name in &arguments.work {
        let work = Work::new(*name, arguments.shrink);
        let directory = scratch.path().join(name.to_string());
        let mut ground = Ground::new(work, &directory)?;
        let outcome = compare(&mut ground, &tools, arguments)?;
        println!("\n{}", report::table(&outcome));
        outcomes.push(outcome);
    }
    if let Some(path) = &arguments.json {
        report::write(path, arguments.rounds, &tools::versions(&places), &outcomes)?;
    }
    Ok(())
}

/// Where causeway's programs are: where somebody says, or beside this one.
fn programs(said: Option<&Path>) -> anyhow::Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.to_owned());
    said.map(Path::to_owned).or_else(beside).context("where is causeway?")
}

/// One work, all tools in turns.
fn compare(
    ground: &mut Ground,
    tools: &[Box<dyn Tool>],
    arguments: &Arguments,
) -> anyhow::Result<Outcome> {
    let able: Vec<_> = tools.iter().filter(|tool| tool.settings(&ground.work).is_some()).collect();
    if !arguments.no_warm_up {
        for tool in &able {
            ground.run(tool.as_ref(), true).with_context(|| tool.name().to_owned())?;
        }
    }
    let row = |tool: &dyn Tool| Row {
        tool: tool.name().to_owned(),
        is_peer: tool.is_peer(),
        settings: tool.settings(&ground.work).unwrap_or_default(),
        runs: Vec::new(),
    };
    let mut rows: Vec<Row> = able.iter().map(|tool| row(tool.as_ref())).collect();
    for round in 1..=arguments.rounds {
        for (tool, row) in able.iter().zip(&mut rows) {
            let run = ground.run(tool.as_ref(), false).with_context(|| tool.name().to_owned())?;
            eprintln!("{} {round}/{} {run}", ground.work.name, arguments.rounds);
            row.runs.push(run);
        }
    }
    Ok(Outcome { work: ground.work.clone(), rows })
}
