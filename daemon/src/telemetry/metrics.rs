//! The counters and histograms of the contract, in a registry of their own.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::counters::ByDirection;
use super::{Error, Snapshot, snapshot};
use crate::base::{Direction, Measure, Observe};
use crate::model::{FailureClass, JobKind};

/// From a cached HEAD to an UploadPart with 5 GiB on a slow link.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0,
];
/// From 5 MiB on a fast link to 5 GiB on a slow one.
const PART_BUCKETS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0];
/// From an NVMe write to a disk in trouble.
const FLUSH_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The classes of failures that are tried again.
const TRIED_AGAIN: [FailureClass; 4] = [
    FailureClass::Transient,
    FailureClass::Throttled,
    FailureClass::Corrupt,
    FailureClass::Credentials,
];

/// What becomes of notices, as `notify` counts them.
const DELIVERED: [&str; 6] = ["delivered", "failed", "dropped", "expired", "lost", "gone"];

/// All that is counted. Cheap to record into, from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    version: String,
    bytes: ByDirection<IntCounterVec>,
    parts_in_flight: ByDirection<IntGaugeVec>,
    part_duration: Histogram,
    requests: Requests,
    flush_duration: Histogram,
    verification_failures: IntCounterVec,
    jobs_finished: IntCounterVec,
    webhooks: IntCounterVec,
}

/// What is counted of requests and of waiting to send them.
#[derive(Debug)]
struct Requests {
    total: IntCounterVec,
    duration: HistogramVec,
    retries: IntCounterVec,
    throttled: IntCounterVec,
    rate_wait: CounterVec,
}

impl Requests {
    fn new(registry: &Registry) -> Result<Self, Error> {
        let duration = HistogramOpts::new(
            "causeway_s3_request_duration_seconds",
            "Time from sending an S3 request to its answer.",
        )
        .buckets(REQUEST_BUCKETS.to_vec());
        let rate_wait = Opts::new(
            "causeway_rate_limit_wait_seconds_total",
            "Time spent waiting for a configured limit.",
        );
        Ok(Self {
            total: counters(
                registry,
                "causeway_s3_requests_total",
                "S3 requests by outcome: ok, or the class of the failure.",
                &["remote", "operation", "outcome"],
            )?,
            duration: registered(registry, HistogramVec::new(duration, &["remote", "operation"])?)?,
            retries: counters(
                registry,
                "causeway_retries_total",
                "Operations tried again, by the class of the failure.",
                &["remote", "class"],
            )?,
            throttled: counters(
                registry,
                "causeway_throttled_total",
                "Answers that asked to slow down.",
                &["remote"],
            )?,
            rate_wait: registered(registry, CounterVec::new(rate_wait, &["remote", "kind"])?)?,
        })
    }
}

impl Metrics {
    /// `version` is the daemon's, for `causeway_build_info`.
    ///
    /// # Errors
    /// Only where a name of ours is not legal.
    pub fn new(version: impl Into<String>) -> Result<Self, Error> {
        let registry = Registry::new();
        let in_flight = Opts::new("causeway_parts_in_flight", "Parts under way.");
        let in_flight = IntGaugeVec::new(in_flight, &["remote", "direction"])?;
        let metrics = Self {
            version: version.into(),
            bytes: ByDirection::new(counters(
                &registry,
                "causeway_bytes_total",
                "Object bytes read from or written to a remote.",
                &["remote", "direction"],
            )?),
            parts_in_flight: ByDirection::new(registered(&registry, in_flight)?),
            part_duration: histogram(
                &registry,
                "causeway_part_duration_seconds",
                "Time from asking for a part to its acknowledgement by the target.",
                PART_BUCKETS,
            )?,
            requests: Requests::new(&registry)?,
            flush_duration: histogram(
                &registry,
                "causeway_ledger_flush_duration_seconds",
                "Time the ledger waited for the disk.",
                FLUSH_BUCKETS,
            )?,
            verification_failures: counters(
                &registry,
                "causeway_verification_failures_total",
                "Proofs that did not hold, by the stage that found it.",
                &["stage"],
            )?,
            jobs_finished: counters(
                &registry,
                "causeway_jobs_finished_total",
                "Jobs that came to their end.",
                &["kind", "outcome"],
            )?,
            webhooks: counters(
                &registry,
                "causeway_webhook_deliveries_total",
                "Notices to webhooks by what became of them; failed ones are tried again.",
                &["webhook", "outcome"],
            )?,
            registry,
        };
        metrics.preset();
        Ok(metrics)
    }

    /// Everything in Prometheus' text format, the states as `snapshot` has them.
    ///
    /// # Errors
    /// Only where a name of ours is not legal.
    pub fn render(&self, snapshot: &Snapshot) -> Result<String, Error> {
        let mut families = self.registry.gather();
        families.extend(snapshot::families(&self.version, snapshot)?);
        Ok(TextEncoder::new().encode_to_string(&families)?)
    }

    /// Answers of this remote that asked to slow down.
    pub fn throttled(&self, remote: &str) -> u64 {
        self.requests.throttled.with_label_values(&[remote]).get()
    }

    /// Shows from the start, as 0, what alerts are made on: a counter that first appears as 1 has not
    /// increased in the eyes of `increase()`.
    fn preset(&self) {
        for stage in ["part", "sealing", "verifying"] {
            self.verification_failures.with_label_values(&[stage]);
        }
        for kind in JobKind::ALL {
            for outcome in ["succeeded", "failed", "cancelled"] {
                self.jobs_finished.with_label_values(&[kind.as_str(), outcome]);
            }
        }
    }

    /// The same for a webhook that is configured.
    pub fn expect_webhook(&self, webhook: &str) {
        for outcome in DELIVERED {
            self.webhooks.with_label_values(&[webhook, outcome]);
        }
    }

    /// The same for a remote that is configured.
    pub fn expect(&self, remote: &str) {
        self.requests.throttled.with_label_values(&[remote]);
        for class in TRIED_AGAIN {
            self.requests.retries.with_label_values(&[remote, class.as_str()]);
        }
        for kind in ["read_bandwidth", "write_bandwidth", "requests"] {
            self.requests.rate_wait.with_label_values(&[remote, kind]);
        }
        for direction in [Direction::Read, Direction::Write] {
            self.bytes.with(remote, direction, |_| ());
            self.parts_in_flight.with(remote, direction, |_| ());
        }
    }
}

impl Observe for Metrics {
    fn record(&self, measure: Measure<'_>) {
        let seconds = |time: Duration| time.as_secs_f64();
        match measure {
            Measure::Bytes { remote, direction, bytes } => {
                self.bytes.with(remote, direction, |counter| counter.inc_by(bytes));
            }
            Measure::PartsInFlight { remote, direction, change } => {
                self.parts_in_flight.with(remote, direction, |gauge| gauge.add(change));
            }
            Measure::Part { elapsed } => self.part_duration.observe(seconds(elapsed)),
            Measure::Request { remote, operation, outcome, elapsed } => {
                self.requests.total.with_label_values(&[remote, operation, outcome]).inc();
                let duration = self.requests.duration.with_label_values(&[remote, operation]);
                duration.observe(seconds(elapsed));
            }
            Measure::Retry { remote, class } => {
                self.requests.retries.with_label_values(&[remote, class.as_str()]).inc();
            }
            Measure::Throttled { remote } => {
                self.requests.throttled.with_label_values(&[remote]).inc();
            }
            Measure::RateWait { remote, kind, waited } => {
                self.requests.rate_wait.with_label_values(&[remote, kind]).inc_by(seconds(waited));
            }
            Measure::LedgerFlush { elapsed } => self.flush_duration.observe(seconds(elapsed)),
            Measure::VerificationFailure { stage } => {
                self.verification_failures.with_label_values(&[stage]).inc();
            }
            Measure::JobFinished { kind, outcome } => {
                self.jobs_finished.with_label_values(&[kind, outcome]).inc();
            }
            Measure::Webhook { webhook, outcome, count } => {
                self.webhooks.with_label_values(&[webhook, outcome]).inc_by(count);
            }
        }
    }
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, Error> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
) -> Result<Histogram, Error> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, Histogram::with_opts(options)?)
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
