//! Processes that a tool is made of: one, or several with pipes between.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use super::usage::Meter;

/// Commands, each of which reads what the one before it writes.
pub type Pipeline = Vec<Command>;

/// Runs pipelines, some at a time, to their ends. What they say is kept in `log`.
pub fn run(
    pipelines: Vec<Pipeline>,
    at_once: usize,
    meter: &Meter,
    log: &Path,
) -> anyhow::Result<()> {
    let mut running: std::collections::VecDeque<Vec<Child>> = Default::default();
    for pipeline in pipelines {
        if running.len() == at_once
            && let Some(oldest) = running.pop_front()
        {
            wait(oldest, log)?;
        }
        running.push_back(start(pipeline, meter, log)?);
    }
    running.into_iter().try_for_each(|children| wait(children, log))
}

fn start(pipeline: Pipeline, meter: &Meter, log: &Path) -> anyhow::Result<Vec<Child>> {
    let log = File::options().create(true).append(true).open(log)?;
    let (last, mut children) = (pipeline.len().saturating_sub(1), Vec::<Child>::new());
    for (index, mut command) in pipeline.into_iter().enumerate() {
        let before = children.last_mut().and_then(|child| child.stdout.take());
        command.stdin(before.map_or(Stdio::null(), Stdio::from)).stderr(log.try_clone()?);
        match index == last {
            true => command.stdout(log.try_clone()?),
            false => command.stdout(Stdio::piped()),
        };
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        meter.watch(child.id());
        children.push(child);
    }
    Ok(children)
}

fn wait(children: Vec<Child>, log: &Path) -> anyhow::Result<()> {
    let mut failed = None;
    for mut child in children {
        let status = child.wait()?;
        if !status.success() {
            failed.get_or_insert(status);
        }
    }
    let Some(status) = failed else { return Ok(()) };
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(20)..].join("\n");
    anyhow::bail!("{status}; it says:\n{tail}")
}
