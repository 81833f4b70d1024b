//! What all commands take that make jobs.

use causeway::v1::SubmitRequest;
use clap::Args;

use super::values::Pair;

/// How a job stands in the queue.
#[derive(Clone, Debug, Args)]
pub struct Queueing {
    /// -100 to 100; higher runs first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i32).range(-100..=100))]
    pub priority: i32,
    /// Label of the job, to find it by; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<Pair>,
    /// Makes a repeat of the same submission answer the same job
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Webhook of the daemon's configuration that is told how the job ends; may be repeated
    #[arg(long, value_name = "NAME")]
    pub notify: Vec<String>,
}

impl Queueing {
    /// A request that is yet without a job.
    pub fn request(&self) -> SubmitRequest {
        SubmitRequest {
            priority: self.priority,
            labels: Pair::map(&self.labels),
            idempotency_key: self.idempotency_key.clone(),
            notify: self.notify.clone(),
            ..Default::default()
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Args)]
pub struct Course {
    /// Follow the jobs until they end; exit 1 when one fails or is cancelled
    #[arg(long, conflicts_with = "dry_run")]
    pub wait: bool,
    /// Make no job: print the plan, or for an image job the check list of its preflight
    #[arg(long)]
    pub dry_run: bool,
}
