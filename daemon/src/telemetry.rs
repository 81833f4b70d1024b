//! What the daemon says of itself: metrics, health, and its log.
//!
//! Counters and histograms are fed by the layers above through [`Observe`](crate::base::Observe).
//! What is a state rather than an event (queue depth, memory in use, jobs by state) is not counted
//! along but asked for at every scrape, as a [`Snapshot`]: a gauge that is never kept cannot go stale,
//! and the series of a job ends with the job.
//!
//! There is no global registry; nothing here is reachable without being handed it.

mod counters;
mod http;
mod logging;
mod metrics;
mod snapshot;
#[cfg(test)]
mod tests;

pub use http::{Endpoints, serve};
pub use logging::{LogFormat, ReloadHandle, check_filter, init};
pub use metrics::Metrics;
pub use snapshot::{ConcurrencyLimit, DataDir, JobProgress, QuotaUsed, RemoteState, Snapshot};

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name or label of ours is not legal: a fault of this program.
    #[error("a metric cannot be made")]
    Metric(#[from] prometheus::Error),
    #[error("'{filter}' is not a log filter")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("a log is already set up")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
    #[error("the log filter cannot be changed")]
    Reload(#[from] tracing_subscriber::reload::Error),
}
