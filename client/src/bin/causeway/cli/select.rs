//! Which jobs an action is for: ids, or a filter, or all. Never more than one of them, because
//! `cancel --all 01K…` could be read in two ways and one of them hurts.

use causeway::v1::{JobFilter, JobState, Selection};
use clap::Args;

use super::values::{self, Pair};

#[derive(Debug, Args)]
#[group(id = "selection", required = true, multiple = true, args = ["jobs", "labels", "states", "all"])]
pub struct Select {
    /// Which jobs
    #[arg(value_name = "JOB", conflicts_with_all = ["labels", "states", "all"])]
    pub jobs: Vec<String>,
    /// All jobs with this label; may be repeated, and then all must match
    #[arg(long = "label", value_name = "KEY=VALUE", conflicts_with = "all")]
    pub labels: Vec<Pair>,
    /// All jobs in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', conflicts_with = "all")]
    #[arg(value_parser = values::word::<JobState>())]
    pub states: Vec<JobState>,
    /// Every job for which the action is legal
    #[arg(long)]
    pub all: bool,
}

/// Whose jobs, and whether that was meant.
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    pub select: Select,
    /// Do not ask: on a terminal, --all, --state and --label are asked about
    #[arg(long, short)]
    pub yes: bool,
}

impl Select {
    /// Whether it is for jobs that nobody named.
    pub fn is_many(&self) -> bool {
        self.jobs.is_empty()
    }

    pub fn selection(&self) -> Selection {
        let filtered = !self.labels.is_empty() || !self.states.is_empty();
        Selection {
            job_ids: self.jobs.clone(),
            filter: filtered.then(|| filter(&self.states, &self.labels)),
            all: self.all,
        }
    }
}

/// The API's filter; without states and labels it matches every job.
pub fn filter(states: &[JobState], labels: &[Pair]) -> JobFilter {
    JobFilter {
        states: states.iter().map(|state| i32::from(*state)).collect(),
        kinds: Vec::new(),
        labels: Pair::map(labels),
    }
}
