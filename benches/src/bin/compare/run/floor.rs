//! The floors as tools.

use std::process::Command;

use super::ground::{Ground, Side};
use super::pipeline;
use super::tools::{Measured, Tool};
use super::work::{Work, WorkName};

/// How many pairs of connections a floor uses.
#[derive(Debug, Clone, Copy)]
pub enum Connections {
    /// As many as a sweep found best.
    Best,
    Given(u64),
    /// As many as causeway had parts in flight.
    AsCauseway,
}

/// A floor.
#[derive(Debug)]
pub struct Floor {
    name: &'static str,
    subcommand: &'static str,
    connections: Connections,
}

const PART_SIZE: u64 = 16 << 20;

impl Floor {
    pub fn new(name: &'static str, subcommand: &'static str, connections: Connections) -> Self {
        Self { name, subcommand, connections }
    }
}

impl Tool for Floor {
    fn name(&self) -> &str {
        self.name
    }

    fn is_peer(&self) -> bool {
        false
    }

    fn settings(&self, work: &Work) -> Option<String> {
        let connections = match self.connections {
            Connections::Given(connections) => connections.to_string(),
            Connections::Best => best(work).to_string(),
            Connections::AsCauseway if work.name == WorkName::Slow => "causeway's".to_owned(),
            Connections::AsCauseway => return None,
        };
        Some(format!("{connections} connections, parts of {} MiB", PART_SIZE >> 20))
    }

    fn run(&self, ground: &Ground, _is_warm_up: bool) -> anyhow::Result<Measured> {
        let connections = match self.connections {
            Connections::Given(connections) => connections,
            Connections::Best => best(&ground.work),
            Connections::AsCauseway => {
                ground.parts_in_flight.get().unwrap_or_else(|| best(&ground.work))
            }
        };
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(self.subcommand)
            .args(side("source", &ground.source))
            .args(side("target", &ground.target))
            .args(["--objects", &ground.work.objects.to_string()])
            .args(["--size", &ground.work.size.to_string()])
            .args(["--part-size", &PART_SIZE.to_string()])
            .args(["--connections", &connections.to_string()]);
        let meter = ground.meter(&[])?;
        pipeline::run(vec![vec![command]], 1, &meter, &ground.directory.join("log"))?;
        let mut measured = Measured::from(meter.end()?);
        measured.notes.insert("connections".to_owned(), connections.into());
        Ok(measured)
    }
}

fn best(work: &Work) -> u64 {
    match work.name {
        WorkName::Big | WorkName::Many => 4,
        WorkName::Small => 8,
        WorkName::Slow => 32,
    }
}

fn side(name: &str, side: &Side) -> [String; 6] {
    [
        format!("--{name}"),
        format!("127.0.0.1:{}", side.port),
        format!("--{name}-ca"),
        side.ca.display().to_string(),
        format!("--{name}-key"),
        side.access_key_id.clone(),
    ]
}
