//! The tools by name.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use super::causeway::Causeway;
use super::floor::{Connections, Floor};
use super::ground::Ground;
use super::hops::{Between, Manner, TwoHops};
use super::rclone::Rclone;
use super::usage::Usage;
use super::work::Work;

/// Every tool, in the order of the table. The AWS CLI's CRT client does no pipes: with `-` the CLI falls
/// back to its classic client.
const ALL: [&str; 10] = [
    "causeway",
    "hyper",
    "hyper-same",
    "unbuffered",
    "rclone",
    "s5cmd",
    "s5cmd-disk",
    "aws",
    "aws-disk",
    "aws-crt-disk",
];

/// One way to do the work.
pub trait Tool {
    fn name(&self) -> &str;

    /// Whether it is somebody else's program.
    fn is_peer(&self) -> bool;

    /// How it is set for a work; `None` when it cannot do it.
    fn settings(&self, work: &Work) -> Option<String>;

    /// Does the work once.
    fn run(&self, ground: &Ground, is_warm_up: bool) -> anyhow::Result<Measured>;
}

/// What a run cost.
#[derive(Debug)]
pub struct Measured {
    pub usage: Usage,
    /// What else there is to say, by name.
    pub notes: serde_json::Map<String, serde_json::Value>,
}

impl From<Usage> for Measured {
    fn from(usage: Usage) -> Self {
        Self { usage, notes: serde_json::Map::new() }
    }
}

/// Where programs are.
#[derive(Debug, Clone)]
pub struct Places {
    pub programs: PathBuf,
    pub peers: Option<PathBuf>,
}

impl Places {
    pub fn peer(&self, name: &str) -> anyhow::Result<PathBuf> {
        let peers = self.peers.as_ref().context("--peers says where they are installed")?;
        let path = peers.join(name);
        anyhow::ensure!(path.exists(), "there is no {}", path.display());
        Ok(path)
    }
}

/// What each program that is installed says of its version.
pub fn versions(places: &Places) -> serde_json::Map<String, serde_json::Value> {
    let asked = [
        ("causewayd", "--version"),
        ("rclone", "version"),
        ("s5cmd", "version"),
        ("aws", "--version"),
        ("aws2", "--version"),
    ];
    let version = |(name, argument): (&str, &str)| {
        let program = places.peer(name).unwrap_or_else(|_| places.programs.join(name));
        let output = Command::new(program).arg(argument).output().ok()?;
        let told = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
        Some((name.to_owned(), told.into()))
    };
    asked.into_iter().filter_map(version).collect()
}

/// The tools of these names, or all that are installed.
pub fn chosen(
    names: &[String],
    places: &Places,
    connections: Option<u64>,
) -> anyhow::Result<Vec<Box<dyn Tool>>> {
    let given = connections.map_or(Connections::Best, Connections::Given);
    let hops = |name, program: &str, manner, between| -> anyhow::Result<Box<dyn Tool>> {
        Ok(Box::new(TwoHops { name, program: places.peer(program)?, manner, between }))
    };
    let tool = |name: &str| -> anyhow::Result<Box<dyn Tool>> {
        Ok(match name {
            "causeway" => Box::new(Causeway::new(&places.programs)?),
            "hyper" => Box::new(Floor::new("hyper", "relay-hyper", given)),
            "hyper-same" => {
                Box::new(Floor::new("hyper-same", "relay-hyper", Connections::AsCauseway))
            }
            "unbuffered" => Box::new(Floor::new("unbuffered", "relay-unbuffered", given)),
            "rclone" => Box::new(Rclone::new(places)?),
            "s5cmd" => hops("s5cmd", "s5cmd", Manner::S5cmd, Between::Pipe)?,
            "s5cmd-disk" => hops("s5cmd-disk", "s5cmd", Manner::S5cmd, Between::Disk)?,
            "aws" => hops("aws", "aws", Manner::Aws("classic"), Between::Pipe)?,
            "aws-disk" => hops("aws-disk", "aws", Manner::Aws("classic"), Between::Disk)?,
            "aws-crt-disk" => hops("aws-crt-disk", "aws2", Manner::Aws("crt"), Between::Disk)?,
            other => anyhow::bail!("no tool is called {other}; there are {}", ALL.join(", ")),
        })
    };
    if !names.is_empty() {
        return names.iter().map(|name| tool(name)).collect();
    }
    let installed = ALL.into_iter().filter_map(|name| match tool(name) {
        Ok(tool) => Some(tool),
        Err(error) => {
            eprintln!("{name} is left out: {error}");
            None
        }
    });
    Ok(installed.collect())
}
