//! The states that are asked for at every scrape.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec, Opts};

use super::Error;
use crate::base::Direction;
use crate::model::{JobId, JobState, Timestamp};

/// How the daemon stands, this moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// States that are not listed have no job.
    pub jobs: Vec<(JobState, u64)>,
    pub queue_depth: u64,
    /// How long the longest-waiting job has waited; zero with an empty queue.
    pub queue_oldest: Duration,
    /// Bytes.
    pub memory_budget: u64,
    /// Bytes.
    pub memory_used: u64,
    /// Jobs that run now, and no others.
    pub active_jobs: Vec<JobBytes>,
    pub concurrency_limits: Vec<ConcurrencyLimit>,
    pub image_quotas: Vec<QuotaUsed>,
    /// By remote, where the credentials in use expire.
    pub credentials_expiry: Vec<(String, Timestamp)>,
}

/// How far one running job is.
#[derive(Debug, Clone)]
pub struct JobBytes {
    pub job: JobId,
    pub done: u64,
    /// `None` until the source's size is known.
    pub total: Option<u64>,
}

/// How many parts one side may have in flight now.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    pub remote: String,
    pub direction: Direction,
    pub parts: u64,
}

/// What is in progress of one kind of image task.
#[derive(Debug, Clone)]
pub struct QuotaUsed {
    pub remote: String,
    /// `store` or `restore`.
    pub kind: &'static str,
    pub gb: u64,
}

/// The snapshot as metrics. Made anew each time: two scrapes at once see two whole sets.
pub(super) fn families(version: &str, snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let mut families = process(version, snapshot)?;
    families.extend(jobs(snapshot)?);
    families.extend(remotes(snapshot)?);
    Ok(families)
}

fn process(version: &str, snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let build = gauges("causeway_build_info", "1, with the version.", &["version"])?;
    build.with_label_values(&[version]).set(1);
    let oldest = Gauge::new(
        "causeway_queue_oldest_seconds",
        "How long the longest-waiting queued job has waited.",
    )?;
    oldest.set(snapshot.queue_oldest.as_secs_f64());
    let mut families = build.collect();
    families.extend(oldest.collect());
    for (name, help, value) in [
        ("causeway_queue_depth", "Jobs that wait for a worker.", snapshot.queue_depth),
        (
            "causeway_memory_budget_bytes",
            "The bound on buffered object bytes.",
            snapshot.memory_budget,
        ),
        ("causeway_memory_used_bytes", "Buffered object bytes.", snapshot.memory_used),
    ] {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(signed(value));
        families.extend(gauge.collect());
    }
    Ok(families)
}

fn jobs(snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let states = gauges("causeway_jobs", "Jobs by state.", &["state"])?;
    for state in JobState::ALL {
        states.with_label_values(&[state.as_str()]).set(0);
    }
    for (state, count) in &snapshot.jobs {
        states.with_label_values(&[state.as_str()]).set(signed(*count));
    }
    let done = gauges("causeway_job_bytes_done", "Bytes done of an active job.", &["job"])?;
    let total = gauges("causeway_job_bytes_total", "Bytes of an active job.", &["job"])?;
    for bytes in &snapshot.active_jobs {
        let job = bytes.job.to_string();
        done.with_label_values(&[&job]).set(signed(bytes.done));
        if let Some(bytes) = bytes.total {
            total.with_label_values(&[&job]).set(signed(bytes));
        }
    }
    Ok([states, done, total].iter().flat_map(collected).collect())
}

fn remotes(snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let limits = gauges(
        "causeway_concurrency_limit",
        "Parts that may be in flight, as adapted to the remote.",
        &["remote", "direction"],
    )?;
    for limit in &snapshot.concurrency_limits {
        let labels = [limit.remote.as_str(), limit.direction.as_str()];
        limits.with_label_values(&labels).set(signed(limit.parts));
    }
    let quotas = gauges(
        "causeway_image_quota_used_gb",
        "The sizes of the image tasks in progress, as far as they are known.",
        &["remote", "kind"],
    )?;
    for quota in &snapshot.image_quotas {
        quotas.with_label_values(&[quota.remote.as_str(), quota.kind]).set(signed(quota.gb));
    }
    let expiry = GaugeVec::new(
        Opts::new(
            "causeway_credentials_expiry_timestamp_seconds",
            "When a remote's credentials expire, in seconds since 1970.",
        ),
        &["remote"],
    )?;
    for (remote, at) in &snapshot.credentials_expiry {
        expiry.with_label_values(&[remote]).set(Duration::from_millis(at.0).as_secs_f64());
    }
    Ok([collected(&limits), collected(&quotas), collected(&expiry)].concat())
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
    Ok(IntGaugeVec::new(Opts::new(name, help), labels)?)
}

/// What a registry would gather: a family without a single series is left out.
fn collected(collector: &impl Collector) -> Vec<MetricFamily> {
    collector.collect().into_iter().filter(|family| !family.get_metric().is_empty()).collect()
}

/// Prometheus counts in floats; above 2^63 nothing here is meant.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
