//! The arguments, as clap reads them. What they mean is in `run`.

mod common;
mod examples;
mod image;
mod preflight;
mod repeats;
mod screen;
mod select;
mod submit;
mod tls;
mod values;

use std::path::PathBuf;

use causeway::endpoint;
use causeway::v1::JobState;
use clap::{
    ArgGroup, ArgMatches, Args, ColorChoice, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};

pub use common::Course;
pub use image::{Many, MigrateJob, RestoreJob, StoreJob};
pub use preflight::Preflight;
pub use screen::Top;
pub use select::{Cancel, Select, filter};
pub use submit::Submit;
use tls::Tls;
pub use values::{Filter, Pair};

/// Carries large S3 objects and machine images between AWS partitions.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, after_help = examples::MAIN, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// What was typed, once clap has read it by this command.
    pub fn of(command: &mut clap::Command, matches: &ArgMatches) -> Result<Self, clap::Error> {
        repeats::check(command, matches)?;
        tls::check(command, matches)?;
        Self::from_arg_matches(matches)
    }
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Where the daemon listens: `unix:/path`, `https://HOST:PORT`, or `http://127.0.0.1:PORT`
    #[arg(long, global = true, env = "CAUSEWAY_ENDPOINT", default_value = endpoint::DEFAULT)]
    #[arg(value_name = "ENDPOINT", help_heading = "Global options")]
    pub endpoint: String,
    /// For people, or for scripts: one JSON object, or one a line for lists and streams
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table)]
    #[arg(value_name = "FORMAT", help_heading = "Global options")]
    pub output: Format,
    /// Colours: on a terminal, always, or never; NO_COLOR in the environment means never
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto)]
    #[arg(value_name = "WHEN", help_heading = "Global options")]
    pub color: ColorChoice,
    #[command(flatten)]
    pub tls: Tls,
}

impl Global {
    /// What to say besides, where the daemon cannot be reached.
    pub fn hint(&self) -> Option<&'static str> {
        self.tls.hint(&self.endpoint)
    }
}

/// Who reads stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submit one transfer, a manifest of many, or every object below a prefix
    #[command(after_help = examples::SUBMIT)]
    Submit(Box<Submit>),
    /// Store an image as an object in a bucket of its Region
    #[command(after_help = examples::STORE)]
    Store {
        #[command(flatten)]
        job: Box<StoreJob>,
        #[command(flatten)]
        course: Course,
    },
    /// Make an image of a stored object
    #[command(after_help = examples::RESTORE)]
    Restore {
        #[command(flatten)]
        job: Box<RestoreJob>,
        #[command(flatten)]
        course: Course,
    },
    /// Carry an image to another remote: store it, transfer the object, restore it, write its alias
    #[command(after_help = examples::MIGRATE, override_usage = examples::MIGRATE_USAGE)]
    #[command(mut_args(image::many))]
    Migrate {
        #[command(flatten)]
        job: Box<MigrateJob>,
        #[command(flatten)]
        many: Many,
        #[command(flatten)]
        course: Course,
    },
    /// Try each right and setting that a job will need, both sides; change nothing that lasts
    #[command(after_help = examples::PREFLIGHT)]
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Preflight(Box<Preflight>),
    /// Act on the aliases that jobs wrote
    #[command(after_help = examples::ALIAS)]
    Alias {
        #[command(subcommand)]
        command: AliasCommand,
    },
    /// List jobs, newest first
    #[command(after_help = examples::JOBS)]
    Jobs(Jobs),
    /// Show everything known of one job, its parts included
    #[command(after_help = examples::SHOW)]
    Show { job: String },
    /// Follow jobs until they end; without ids, all jobs that have not ended
    #[command(after_help = examples::WATCH)]
    Watch(Watch),
    /// Show jobs, remotes and the chosen job's parts on a whole screen, live; keys act on jobs
    #[command(after_help = examples::TOP)]
    Top(Top),
    /// Stop starting parts; what is done is kept
    #[command(after_help = examples::PAUSE)]
    Pause(Select),
    /// Put paused jobs back into the queue
    #[command(after_help = examples::RESUME)]
    Resume(Select),
    /// End jobs and abort their uploads at the target
    #[command(after_help = examples::CANCEL)]
    Cancel(Cancel),
    /// Put failed or cancelled jobs back into the queue; a failed one continues from its parts
    #[command(after_help = examples::RETRY)]
    Retry(Select),
    /// Change the priority of jobs that have not ended
    #[command(after_help = examples::REPRIORITIZE)]
    Reprioritize(Reprioritize),
    /// Show or change the limits of remotes
    #[command(after_help = examples::LIMITS, args_conflicts_with_subcommands = true)]
    Limits(Limits),
    /// Print the receipt of a job that succeeded, as JSON
    #[command(after_help = examples::RECEIPT)]
    Receipt { job: String },
    /// Show the daemon: version, queue, remotes with identity, credential expiry and rates
    #[command(after_help = examples::STATUS)]
    Status,
    /// Take no new work and finish what runs
    #[command(after_help = examples::DRAIN)]
    Drain {
        /// Take work again
        #[arg(long)]
        undo: bool,
    },
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages, one a command, into a directory that exists
    #[command(hide = true, after_help = examples::MAN)]
    Man {
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Put back what a job's alias held before it, where it still names the job's image
    #[command(after_help = examples::ALIAS)]
    Rollback { job: String },
}

#[derive(Debug, Args)]
pub struct Jobs {
    /// Only jobs in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',')]
    #[arg(value_parser = values::word::<JobState>())]
    pub states: Vec<JobState>,
    /// Only jobs with this label; may be repeated, and then all must match
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<Pair>,
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u64,
    /// Continue where a list of before ended
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub page_token: String,
}

#[derive(Debug, Args)]
pub struct Watch {
    /// Which jobs
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,
    /// Instead of ids: all jobs with this label, and those count too that failed or were cancelled
    /// before; may be repeated, and then all must match
    #[arg(long = "label", value_name = "KEY=VALUE", conflicts_with = "jobs")]
    pub labels: Vec<Pair>,
}

#[derive(Debug, Args)]
pub struct Reprioritize {
    /// The new priority, -100 to 100; higher runs first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i32).range(-100..=100))]
    pub priority: i32,
    #[command(flatten)]
    pub select: Select,
}

#[derive(Debug, Args)]
pub struct Limits {
    #[command(subcommand)]
    pub command: Option<LimitsCommand>,
}

#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// Show the limits in force
    #[command(after_help = examples::LIMITS)]
    Show {
        /// Of this remote only
        remote: Option<String>,
    },
    /// Change limits of one remote at once; what is not named stays
    #[command(after_help = examples::LIMITS_SET)]
    Set(SetLimits),
    /// Go back to the configuration's limits of one remote, and to its schedule
    #[command(after_help = examples::LIMITS_RESET)]
    Reset { remote: String },
}

#[derive(Debug, Args)]
// A group of its own: the one that derive makes would count `remote` and `persist` as limits.
#[command(group = ArgGroup::new("limit").required(true).multiple(true)
    .args(["read_bandwidth", "write_bandwidth", "requests_per_second"]))]
pub struct SetLimits {
    pub remote: String,
    /// E.g. `600MiB/s`, `5Gbit/s`, or `unlimited`
    #[arg(long, value_name = "RATE", value_parser = causeway::units::parse_rate)]
    pub read_bandwidth: Option<u64>,
    /// E.g. `600MiB/s`, `5Gbit/s`, or `unlimited`
    #[arg(long, value_name = "RATE", value_parser = causeway::units::parse_rate)]
    pub write_bandwidth: Option<u64>,
    /// A whole number, or `unlimited`
    #[arg(long, value_name = "N", value_parser = values::requests)]
    pub requests_per_second: Option<u32>,
    /// Keep what is named across restarts of the daemon, for the time outside of the schedule's entries
    #[arg(long)]
    pub persist: bool,
}

#[cfg(test)]
mod tests;
