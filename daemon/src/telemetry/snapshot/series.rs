//! The snapshot as metrics. Made anew each time: two scrapes at once see two whole sets.
//!
//! # Invariants
//! - Every label's values are bounded: remotes and their directions, kinds, reasons and states by the
//!   configuration and the program, jobs by those that the snapshot lists.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec, Opts};

use super::Snapshot;
use crate::base::Direction;
use crate::model::{JobState, WaitReason};
use crate::telemetry::Error;

/// All families of a snapshot, those without a series left out.
pub(in crate::telemetry) fn families(
    version: &str,
    snapshot: &Snapshot,
) -> Result<Vec<MetricFamily>, Error> {
    let build = gauges("causeway_build_info", "1, with the version.", &["version"])?;
    build.with_label_values(&[version]).set(1);
    let mut families = build.collect();
    families.extend(process(snapshot)?);
    families.extend(jobs(snapshot)?);
    families.extend(progress(snapshot)?);
    families.extend(remotes(snapshot)?);
    families.extend(limits(snapshot)?);
    families.extend(images(snapshot)?);
    families.extend(webhooks(snapshot)?);
    Ok(families)
}

fn process(snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let mut families = Vec::new();
    for (name, help, value) in [
        (
            "causeway_start_timestamp_seconds",
            "When the daemon started, in seconds since 1970.",
            Duration::from_millis(snapshot.started_at.0),
        ),
        (
            "causeway_queue_oldest_seconds",
            "The longest that a job has waited in the queue since it last came into it.",
            snapshot.queue_oldest,
        ),
    ] {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value.as_secs_f64());
        families.extend(gauge.collect());
    }
    for (name, help, value) in [
        ("causeway_queue_depth", "Jobs that wait for a worker.", snapshot.queue_depth),
        (
            "causeway_memory_budget_bytes",
            "The bound on buffered object bytes.",
            snapshot.memory_budget,
        ),
        ("causeway_memory_used_bytes", "Buffered object bytes.", snapshot.memory_used),
        (
            "causeway_draining",
            "1 while no new work is taken because somebody asked for that.",
            snapshot.draining.into(),
        ),
        (
            "causeway_ledger_writable",
            "1 where the ledger has not failed and has room for new work.",
            snapshot.data_dir.writable.into(),
        ),
    ] {
        families.extend(gauge(name, help, value)?);
    }
    if let Some((free, size)) = snapshot.data_dir.space {
        let (name, help) = ("causeway_data_dir_free_bytes", "Free bytes where the ledger is.");
        families.extend(gauge(name, help, free)?);
        let (name, help) = ("causeway_data_dir_size_bytes", "All bytes where the ledger is.");
        families.extend(gauge(name, help, size)?);
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
    let waiting = gauges(
        "causeway_jobs_waiting",
        "Running jobs that wait, by what they wait for.",
        &["reason"],
    )?;
    for reason in WaitReason::ALL {
        waiting.with_label_values(&[reason.as_str()]).set(0);
    }
    for (reason, count) in &snapshot.jobs_waiting {
        waiting.with_label_values(&[reason.as_str()]).set(signed(*count));
    }
    Ok([states, waiting].iter().flat_map(collected).collect())
}

fn progress(snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let done = gauges("causeway_job_bytes_done", "Bytes done of an active job.", &["job"])?;
    let total = gauges("causeway_job_bytes_total", "Bytes of an active job.", &["job"])?;
    let idle = GaugeVec::new(
        Opts::new(
            "causeway_job_idle_seconds",
            "How long an active job has moved no byte without a limit, a quota, a schedule, \
             credentials or EC2 to wait for.",
        ),
        &["job"],
    )?;
    for progress in &snapshot.active_jobs {
        let job = progress.job.to_string();
        done.with_label_values(&[&job]).set(signed(progress.done));
        idle.with_label_values(&[&job]).set(progress.idle.as_secs_f64());
        if let Some(bytes) = progress.total {
            total.with_label_values(&[&job]).set(signed(bytes));
        }
    }
    Ok([collected(&done), collected(&total), collected(&idle)].concat())
}

fn remotes(snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let up = gauges(
        "causeway_remote_up",
        "0 where a remote's credentials do not work, or its identity is not the one expected or has yet to be told; else 1.",
        &["remote"],
    )?;
    let paused = gauges(
        "causeway_schedule_paused",
        "1 while a remote's schedule lets nothing pass.",
        &["remote"],
    )?;
    for remote in &snapshot.remotes {
        up.with_label_values(&[&remote.name]).set(remote.up.into());
        paused.with_label_values(&[&remote.name]).set(remote.paused.into());
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
    Ok([collected(&up), collected(&paused), collected(&expiry)].concat())
}

fn limits(snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let parts = gauges(
        "causeway_concurrency_limit",
        "Parts that may be in flight, as adapted to the remote.",
        &["remote", "direction"],
    )?;
    for limit in &snapshot.concurrency_limits {
        let labels = [limit.remote.as_str(), limit.direction.as_str()];
        parts.with_label_values(&labels).set(signed(limit.parts));
    }
    let bandwidth = gauges(
        "causeway_bandwidth_limit_bytes_per_second",
        "The bandwidth limit in force; no series where there is none.",
        &["remote", "direction"],
    )?;
    let requests = gauges(
        "causeway_requests_limit_per_second",
        "The limit of requests in force; no series where there is none.",
        &["remote"],
    )?;
    for remote in &snapshot.remotes {
        let limits = &remote.limits;
        for (direction, limit) in
            [(Direction::Read, limits.read_bandwidth), (Direction::Write, limits.write_bandwidth)]
        {
            if let Some(limit) = limit {
                let labels = [remote.name.as_str(), direction.as_str()];
                bandwidth.with_label_values(&labels).set(signed(limit.0));
            }
        }
        if let Some(limit) = limits.requests_per_second {
            requests.with_label_values(&[&remote.name]).set(limit.into());
        }
    }
    Ok([parts, bandwidth, requests].iter().flat_map(collected).collect())
}

fn images(snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let used = gauges(
        "causeway_image_quota_used_gb",
        "The sizes of the image tasks in progress, as far as they are known.",
        &["remote", "kind"],
    )?;
    let limit = gauges(
        "causeway_image_quota_limit_gb",
        "The quota as configured: from it on no further image task is asked for.",
        &["remote", "kind"],
    )?;
    for quota in &snapshot.image_quotas {
        let labels = [quota.remote.as_str(), quota.kind];
        used.with_label_values(&labels).set(signed(quota.gb));
        limit.with_label_values(&labels).set(signed(quota.limit_gb));
    }
    Ok([used, limit].iter().flat_map(collected).collect())
}

fn webhooks(snapshot: &Snapshot) -> Result<Vec<MetricFamily>, Error> {
    let pending = gauges(
        "causeway_webhooks_pending",
        "Notices that wait for a webhook to take them.",
        &["webhook"],
    )?;
    for (webhook, notices) in &snapshot.webhooks_pending {
        pending.with_label_values(&[webhook]).set(signed(*notices));
    }
    Ok(collected(&pending))
}

fn gauge(name: &str, help: &str, value: u64) -> Result<Vec<MetricFamily>, Error> {
    let gauge = IntGauge::new(name, help)?;
    gauge.set(signed(value));
    Ok(gauge.collect())
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
