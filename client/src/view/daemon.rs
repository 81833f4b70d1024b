//! The daemon itself: status, remotes, limits.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{known, must, time, word};
use crate::v1;

/// Limits of one remote; `null` is unlimited.
#[derive(Clone, Debug, Serialize)]
pub struct RemoteLimits {
    pub remote: String,
    /// Bytes a second.
    pub read_bandwidth: Option<u64>,
    /// Bytes a second.
    pub write_bandwidth: Option<u64>,
    pub requests_per_second: Option<u32>,
    /// No job works at the remote.
    pub paused: bool,
    /// Why these are in force.
    pub origin: Option<&'static str>,
    /// With `schedule`: the entry, counted from 1.
    pub schedule_entry: Option<u32>,
    /// When others come into force by themselves.
    pub until: Option<String>,
}

impl From<&v1::RemoteLimits> for RemoteLimits {
    fn from(limits: &v1::RemoteLimits) -> Self {
        Self {
            remote: limits.remote.clone(),
            read_bandwidth: limits.read_bandwidth,
            write_bandwidth: limits.write_bandwidth,
            requests_per_second: limits.requests_per_second,
            paused: limits.paused,
            origin: word::<v1::LimitsOrigin>(limits.origin),
            schedule_entry: limits.schedule_entry,
            until: time(limits.until.as_ref()),
        }
    }
}

/// One remote as the daemon sees it now.
#[derive(Clone, Debug, Serialize)]
pub struct RemoteStatus {
    pub remote: String,
    pub partition: Option<String>,
    pub region: Option<String>,
    pub account: Option<String>,
    pub arn: Option<String>,
    pub endpoint: Option<String>,
    pub credentials_expire_at: Option<String>,
    /// Bytes a second over the last seconds.
    pub read_rate: u64,
    /// Bytes a second over the last seconds.
    pub write_rate: u64,
    pub limits: Option<RemoteLimits>,
    pub read_concurrency: u32,
    pub write_concurrency: u32,
    /// Parts under way, of those.
    pub read_parts_in_flight: u32,
    pub write_parts_in_flight: u32,
    /// Answers that asked to slow down, since the daemon started.
    pub throttled: u64,
    pub problem: Option<String>,
}

impl From<&v1::RemoteStatus> for RemoteStatus {
    fn from(remote: &v1::RemoteStatus) -> Self {
        Self {
            remote: remote.remote.clone(),
            partition: known(&remote.partition),
            region: known(&remote.region),
            account: known(&remote.account),
            arn: known(&remote.arn),
            endpoint: known(&remote.endpoint),
            credentials_expire_at: time(remote.credentials_expire_at.as_ref()),
            read_rate: remote.read_rate,
            write_rate: remote.write_rate,
            limits: remote.limits.as_ref().map(RemoteLimits::from),
            read_concurrency: remote.read_concurrency,
            write_concurrency: remote.write_concurrency,
            read_parts_in_flight: remote.read_parts_in_flight,
            write_parts_in_flight: remote.write_parts_in_flight,
            throttled: remote.throttled,
            problem: known(&remote.problem),
        }
    }
}

/// One webhook as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct WebhookStatus {
    pub webhook: String,
    pub host: String,
    /// Notices that wait to be taken.
    pub pending: u64,
    /// Since the daemon started.
    pub delivered: u64,
    pub last_delivered_at: Option<String>,
    /// Until a delivery works again.
    pub last_error: Option<String>,
    pub last_error_at: Option<String>,
}

impl From<&v1::WebhookStatus> for WebhookStatus {
    fn from(webhook: &v1::WebhookStatus) -> Self {
        Self {
            webhook: webhook.webhook.clone(),
            host: webhook.host.clone(),
            pending: webhook.pending,
            delivered: webhook.delivered,
            last_delivered_at: time(webhook.last_delivered_at.as_ref()),
            last_error: known(&webhook.last_error),
            last_error_at: time(webhook.last_error_at.as_ref()),
        }
    }
}

/// The daemon itself.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub version: String,
    pub uptime_seconds: u64,
    pub started_at: Option<String>,
    pub data_dir: String,
    pub draining: bool,
    pub ready: bool,
    pub not_ready_reason: Option<String>,
    pub queue_depth: u64,
    pub queue_oldest_seconds: u64,
    /// Jobs by state.
    pub jobs: BTreeMap<&'static str, u64>,
    pub parts_in_flight: u32,
    pub memory_budget: u64,
    pub memory_used: u64,
    pub remotes: Vec<RemoteStatus>,
    pub webhooks: Vec<WebhookStatus>,
}

impl From<&v1::StatusResponse> for Status {
    fn from(status: &v1::StatusResponse) -> Self {
        let mut jobs = BTreeMap::new();
        for row in &status.jobs {
            *jobs.entry(must::<v1::JobState>(row.state)).or_default() += row.count;
        }
        Self {
            version: status.version.clone(),
            uptime_seconds: status.uptime_seconds,
            started_at: time(status.started_at.as_ref()),
            data_dir: status.data_dir.clone(),
            draining: status.draining,
            ready: status.ready,
            not_ready_reason: known(&status.not_ready_reason),
            queue_depth: status.queue_depth,
            queue_oldest_seconds: status.queue_oldest_seconds,
            jobs,
            parts_in_flight: status.parts_in_flight,
            memory_budget: status.memory_budget,
            memory_used: status.memory_used,
            remotes: status.remotes.iter().map(RemoteStatus::from).collect(),
            webhooks: status.webhooks.iter().map(WebhookStatus::from).collect(),
        }
    }
}

/// The answer to `drain`.
#[derive(Clone, Debug, Serialize)]
pub struct Drain {
    pub draining: bool,
    pub jobs_running: u32,
}

impl From<&v1::DrainResponse> for Drain {
    fn from(drain: &v1::DrainResponse) -> Self {
        Self { draining: drain.draining, jobs_running: drain.jobs_running }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_counts_jobs_by_the_contracts_words() {
        let status = v1::StatusResponse {
            version: "0.1.0".into(),
            ready: true,
            jobs: vec![
                v1::StateCount { state: v1::JobState::Queued.into(), count: 4 },
                v1::StateCount { state: v1::JobState::Cancelled.into(), count: 1 },
            ],
            remotes: vec![v1::RemoteStatus {
                remote: "gov".into(),
                limits: Some(v1::RemoteLimits {
                    remote: "gov".into(),
                    read_bandwidth: Some(7),
                    origin: v1::LimitsOrigin::Schedule.into(),
                    schedule_entry: Some(2),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            ..Default::default()
        };
        let json = serde_json::to_value(Status::from(&status)).expect("json");
        assert_eq!(json["jobs"], json!({ "queued": 4, "cancelled": 1 }));
        assert_eq!(
            json["remotes"][0]["limits"],
            json!({
                "remote": "gov", "read_bandwidth": 7, "write_bandwidth": null,
                "requests_per_second": null, "paused": false, "origin": "schedule",
                "schedule_entry": 2, "until": null,
            })
        );
        assert_eq!(json["remotes"][0]["account"], json!(null));
        assert_eq!(json["not_ready_reason"], json!(null));
    }
}
