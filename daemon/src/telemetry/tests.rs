//! What a scraper, a supervisor and a reader of the log see.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::base::{Direction, Limits, Measure, Observe as _};
use crate::model::{Bandwidth, FailureClass, JobId, JobState, Timestamp, WaitReason};

/// Every family: those of the contract, and those added since.
const NAMES: &[(&str, &str)] = &[
    ("causeway_bandwidth_limit_bytes_per_second", "gauge"),
    ("causeway_build_info", "gauge"),
    ("causeway_bytes_total", "counter"),
    ("causeway_concurrency_limit", "gauge"),
    ("causeway_credentials_expiry_timestamp_seconds", "gauge"),
    ("causeway_data_dir_free_bytes", "gauge"),
    ("causeway_data_dir_size_bytes", "gauge"),
    ("causeway_draining", "gauge"),
    ("causeway_image_quota_limit_gb", "gauge"),
    ("causeway_image_quota_used_gb", "gauge"),
    ("causeway_job_bytes_done", "gauge"),
    ("causeway_job_bytes_total", "gauge"),
    ("causeway_job_idle_seconds", "gauge"),
    ("causeway_jobs", "gauge"),
    ("causeway_jobs_finished_total", "counter"),
    ("causeway_jobs_waiting", "gauge"),
    ("causeway_ledger_flush_duration_seconds", "histogram"),
    ("causeway_ledger_writable", "gauge"),
    ("causeway_memory_budget_bytes", "gauge"),
    ("causeway_memory_used_bytes", "gauge"),
    ("causeway_part_duration_seconds", "histogram"),
    ("causeway_parts_in_flight", "gauge"),
    ("causeway_queue_depth", "gauge"),
    ("causeway_queue_oldest_seconds", "gauge"),
    ("causeway_rate_limit_wait_seconds_total", "counter"),
    ("causeway_remote_up", "gauge"),
    ("causeway_requests_limit_per_second", "gauge"),
    ("causeway_retries_total", "counter"),
    ("causeway_s3_request_duration_seconds", "histogram"),
    ("causeway_s3_requests_total", "counter"),
    ("causeway_schedule_paused", "gauge"),
    ("causeway_start_timestamp_seconds", "gauge"),
    ("causeway_throttled_total", "counter"),
    ("causeway_verification_failures_total", "counter"),
    ("causeway_webhook_deliveries_total", "counter"),
    ("causeway_webhooks_pending", "gauge"),
];

fn record_one_of_each(metrics: &Metrics) {
    let (remote, direction, elapsed) = ("gov", Direction::Write, Duration::from_millis(1500));
    for measure in [
        Measure::Bytes { remote, direction, bytes: 400 },
        Measure::Bytes { remote, direction, bytes: 24 },
        Measure::PartsInFlight { remote, direction, change: 3 },
        Measure::PartsInFlight { remote, direction, change: -1 },
        Measure::Part { elapsed },
        Measure::Request { remote, operation: "UploadPart", outcome: "ok", elapsed },
        Measure::Retry { remote, class: FailureClass::Transient },
        Measure::Throttled { remote },
        Measure::RateWait { remote, kind: "requests", waited: elapsed },
        Measure::LedgerFlush { elapsed },
        Measure::VerificationFailure { stage: "part" },
        Measure::JobFinished { kind: "transfer", outcome: "failed" },
        Measure::Webhook { webhook: "ops", outcome: "dropped", count: 7 },
    ] {
        metrics.record(measure);
    }
}

fn job() -> JobId {
    JobId::from_parts(Timestamp(1_767_326_645_000), 7)
}

fn snapshot() -> Snapshot {
    Snapshot {
        jobs: vec![(JobState::Running, 2)],
        queue_depth: 5,
        queue_oldest: Duration::from_millis(2500),
        memory_budget: 1 << 28,
        memory_used: 4096,
        started_at: Timestamp(1_767_326_000_000),
        draining: true,
        jobs_waiting: vec![(WaitReason::Quota, 3)],
        data_dir: DataDir { space: Some((1 << 30, 1 << 40)), writable: true },
        active_jobs: vec![JobProgress {
            job: job(),
            done: 10,
            total: Some(20),
            idle: Duration::from_millis(1500),
        }],
        remotes: vec![RemoteState {
            name: "gov".into(),
            up: false,
            paused: true,
            limits: Limits {
                read_bandwidth: Some(Bandwidth(625_000_000)),
                write_bandwidth: None,
                requests_per_second: Some(2000),
            },
        }],
        concurrency_limits: vec![ConcurrencyLimit {
            remote: "gov".into(),
            direction: Direction::Read,
            parts: 64,
        }],
        image_quotas: vec![QuotaUsed {
            remote: "gov".into(),
            kind: "restore",
            gb: 300,
            limit_gb: 600,
        }],
        credentials_expiry: vec![("gov".into(), Timestamp(1_767_326_645_500))],
        webhooks_pending: vec![("ops".into(), 3)],
    }
}

/// The exposition read back: the type of each family and the value of each series. Refuses what
/// Prometheus would refuse.
fn parse(text: &str) -> (BTreeMap<String, String>, BTreeMap<String, f64>) {
    let (mut types, mut helped, mut series) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a name and a text");
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a type");
            assert!(helped.contains(name), "HELP comes first: {line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else {
            let (key, value) = line.rsplit_once(' ').expect("a series and a value");
            let name = key.split('{').next().expect("a name");
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|family| types.get(family).is_some_and(|kind| kind == "histogram"));
            assert!(types.contains_key(name) || of_histogram, "no TYPE: {line}");
            let value = value.parse().expect("a number");
            assert!(series.insert(key.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    (types, series)
}

#[test]
fn every_name_of_the_contract_is_exposed_with_its_type_and_labels() {
    let metrics = Metrics::new("1.2.3").expect("legal names");
    record_one_of_each(&metrics);
    let (types, series) = parse(&metrics.render(&snapshot()).expect("legal names"));
    let expected = NAMES.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned()));
    assert_eq!(types, expected.collect());
    let job = job();
    for (key, value) in [
        ("causeway_build_info{version=\"1.2.3\"}", 1.0),
        ("causeway_bytes_total{direction=\"write\",remote=\"gov\"}", 424.0),
        ("causeway_parts_in_flight{direction=\"write\",remote=\"gov\"}", 2.0),
        ("causeway_part_duration_seconds_sum", 1.5),
        ("causeway_part_duration_seconds_bucket{le=\"1\"}", 0.0),
        ("causeway_part_duration_seconds_bucket{le=\"2.5\"}", 1.0),
        ("causeway_s3_requests_total{operation=\"UploadPart\",outcome=\"ok\",remote=\"gov\"}", 1.0),
        (
            "causeway_s3_request_duration_seconds_count{operation=\"UploadPart\",remote=\"gov\"}",
            1.0,
        ),
        ("causeway_retries_total{class=\"transient\",remote=\"gov\"}", 1.0),
        ("causeway_throttled_total{remote=\"gov\"}", 1.0),
        ("causeway_rate_limit_wait_seconds_total{kind=\"requests\",remote=\"gov\"}", 1.5),
        ("causeway_ledger_flush_duration_seconds_count", 1.0),
        ("causeway_verification_failures_total{stage=\"part\"}", 1.0),
        ("causeway_verification_failures_total{stage=\"sealing\"}", 0.0),
        ("causeway_jobs_finished_total{kind=\"transfer\",outcome=\"failed\"}", 1.0),
        ("causeway_jobs_finished_total{kind=\"transfer\",outcome=\"succeeded\"}", 0.0),
        ("causeway_jobs{state=\"running\"}", 2.0),
        ("causeway_jobs{state=\"paused\"}", 0.0),
        ("causeway_queue_oldest_seconds", 2.5),
        ("causeway_memory_used_bytes", 4096.0),
        ("causeway_concurrency_limit{direction=\"read\",remote=\"gov\"}", 64.0),
        ("causeway_credentials_expiry_timestamp_seconds{remote=\"gov\"}", 1_767_326_645.5),
        ("causeway_image_quota_used_gb{kind=\"restore\",remote=\"gov\"}", 300.0),
        ("causeway_image_quota_limit_gb{kind=\"restore\",remote=\"gov\"}", 600.0),
        ("causeway_start_timestamp_seconds", 1_767_326_000.0),
        ("causeway_draining", 1.0),
        ("causeway_ledger_writable", 1.0),
        ("causeway_data_dir_free_bytes", 1_073_741_824.0),
        ("causeway_data_dir_size_bytes", 1_099_511_627_776.0),
        ("causeway_jobs_waiting{reason=\"quota\"}", 3.0),
        ("causeway_jobs_waiting{reason=\"rate\"}", 0.0),
        ("causeway_remote_up{remote=\"gov\"}", 0.0),
        ("causeway_schedule_paused{remote=\"gov\"}", 1.0),
        (
            "causeway_bandwidth_limit_bytes_per_second{direction=\"read\",remote=\"gov\"}",
            625_000_000.0,
        ),
        ("causeway_requests_limit_per_second{remote=\"gov\"}", 2000.0),
        (&format!("causeway_job_idle_seconds{{job=\"{job}\"}}"), 1.5),
        ("causeway_webhook_deliveries_total{outcome=\"dropped\",webhook=\"ops\"}", 7.0),
        ("causeway_webhooks_pending{webhook=\"ops\"}", 3.0),
        (&format!("causeway_job_bytes_done{{job=\"{job}\"}}"), 10.0),
        (&format!("causeway_job_bytes_total{{job=\"{job}\"}}"), 20.0),
    ] {
        assert_eq!(series.get(key), Some(&value), "{key}");
    }
}

/// A slow UploadPart was 120 s at the most, whatever it took: the quantiles end where the buckets do.
#[test]
fn a_request_may_take_as_long_as_a_part() {
    let metrics = Metrics::new("1.2.3").expect("legal names");
    let elapsed = Duration::from_secs(400);
    let operation = "UploadPart";
    metrics.record(Measure::Request { remote: "gov", operation, outcome: "ok", elapsed });
    let (_, series) = parse(&metrics.render(&Snapshot::default()).expect("legal names"));
    for (le, value) in [("300", 0.0), ("600", 1.0), ("1800", 1.0)] {
        let labels = format!("operation=\"UploadPart\",remote=\"gov\",le=\"{le}\"");
        let key = format!("causeway_s3_request_duration_seconds_bucket{{{labels}}}");
        assert_eq!(series.get(&key), Some(&value), "{key}");
    }
}

/// What is not limited has no series, rather than a limit of 0.
#[test]
fn an_absent_limit_and_an_unknown_size_have_no_series() {
    let metrics = Metrics::new("1").expect("legal names");
    let mut snapshot = snapshot();
    snapshot.active_jobs[0].total = None;
    snapshot.data_dir.space = None;
    let text = metrics.render(&snapshot).expect("legal names");
    let limit = "causeway_bandwidth_limit_bytes_per_second{direction=\"write\"";
    assert!(!text.contains(limit), "{text}");
    assert!(!text.contains("causeway_job_bytes_total{"), "{text}");
    assert!(!text.contains("causeway_data_dir"), "{text}");
}

/// A counter that first appears as 1 has not increased in the eyes of `increase()`.
#[test]
fn what_alerts_are_made_on_is_there_before_it_first_happens() {
    let metrics = Metrics::new("1").expect("legal names");
    metrics.expect("gov");
    metrics.expect_webhook("ops");
    let (_, series) = parse(&metrics.render(&Snapshot::default()).expect("legal names"));
    for key in [
        "causeway_throttled_total{remote=\"gov\"}",
        "causeway_retries_total{class=\"transient\",remote=\"gov\"}",
        "causeway_rate_limit_wait_seconds_total{kind=\"write_bandwidth\",remote=\"gov\"}",
        "causeway_bytes_total{direction=\"write\",remote=\"gov\"}",
        "causeway_jobs_finished_total{kind=\"migrate\",outcome=\"failed\"}",
        "causeway_verification_failures_total{stage=\"verifying\"}",
        "causeway_webhook_deliveries_total{outcome=\"delivered\",webhook=\"ops\"}",
        "causeway_webhook_deliveries_total{outcome=\"gone\",webhook=\"ops\"}",
    ] {
        assert_eq!(series.get(key), Some(&0.0), "{key}");
    }
}

#[test]
fn the_series_of_a_job_end_with_the_job() {
    let metrics = Metrics::new("1").expect("legal names");
    let render = |snapshot| metrics.render(&snapshot).expect("legal names");
    assert!(render(snapshot()).contains(&job().to_string()));
    let after = render(Snapshot::default());
    assert!(!after.contains("job="), "{after}");
    parse(&after);
}

/// A version or remote with odd characters must not break the whole exposition.
#[test]
fn labels_are_escaped() {
    let metrics = Metrics::new("1\"\\\n").expect("legal names");
    let text = metrics.render(&Snapshot::default()).expect("legal names");
    assert!(text.contains(r#"causeway_build_info{version="1\"\\\n"} 1"#), "{text}");
    parse(&text);
}

#[test]
fn many_threads_count_into_the_same_series() {
    let metrics = Metrics::new("1").expect("legal names");
    std::thread::scope(|scope| {
        for remote in ["a", "b", "a", "b"] {
            let metrics = &metrics;
            scope.spawn(move || {
                for _ in 0..1000 {
                    metrics.record(Measure::Bytes { remote, direction: Direction::Read, bytes: 3 });
                }
            });
        }
    });
    let (_, series) = parse(&metrics.render(&Snapshot::default()).expect("legal names"));
    for remote in ["a", "b"] {
        let key = format!("causeway_bytes_total{{direction=\"read\",remote=\"{remote}\"}}");
        assert_eq!(series.get(&key), Some(&6000.0));
    }
}

async fn request(listener: &std::net::SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(listener).await.expect("it listens");
    let head = format!("{head} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers and closes");
    answer
}

#[tokio::test]
async fn scrapers_and_supervisors_get_their_answers_until_it_stops() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("bound");
    let ready = Arc::new(Mutex::new(Err("the ledger is opening".to_owned())));
    let endpoints = Endpoints {
        metrics: Arc::new(Metrics::new("1").expect("legal names")),
        snapshot: Arc::new(snapshot),
        ready: {
            let ready = Arc::clone(&ready);
            Arc::new(move || {
                let answer = ready.lock().expect("not poisoned").clone();
                Box::pin(std::future::ready(answer))
            })
        },
    };
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, endpoints, stop.clone()));

    let metrics = request(&at, "GET /metrics").await;
    let (head, body) = metrics.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    parse(body);

    assert!(request(&at, "GET /healthz").await.starts_with("HTTP/1.1 200 "));
    let unready = request(&at, "GET /readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
    assert!(unready.ends_with("the ledger is opening\n"), "{unready}");
    *ready.lock().expect("not poisoned") = Ok(());
    assert!(request(&at, "GET /readyz").await.starts_with("HTTP/1.1 200 "));
    assert!(request(&at, "GET /").await.starts_with("HTTP/1.1 404 "));
    let post = request(&at, "POST /metrics").await;
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("allow: GET"), "{post}");

    // A connection that says nothing must not keep the daemon from stopping.
    let _silent = TcpStream::connect(at).await.expect("it listens");
    stop.cancel();
    server.await.expect("it returns");
    assert!(TcpStream::connect(at).await.is_err());
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().expect("not poisoned"));
        String::from_utf8(bytes).expect("text")
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_filter_changes_while_running() {
    let lines = Lines::default();
    let writer = lines.clone();
    let (log, handle) =
        logging::subscriber("info", LogFormat::Json, move || writer.clone(), false).expect("legal");
    tracing::subscriber::with_default(log, || {
        tracing::debug!("quiet");
        tracing::info!(remote = "gov", "heard");
        let event: serde_json::Value = serde_json::from_str(&lines.take()).expect("one JSON line");
        assert_eq!(event["message"], "heard");
        assert_eq!(event["remote"], "gov");

        assert!(handle.set("no=such=filter").is_err());
        tracing::debug!("still quiet");
        assert_eq!(lines.take(), "");

        handle.set("debug").expect("legal");
        tracing::debug!("now heard");
        assert!(lines.take().contains("now heard"));
        tracing::debug!(target: "aws_smithy_runtime", "x-amz-security-token: hunter2");
        assert_eq!(lines.take(), "", "a library's headers");
        tracing::info!(target: "aws_smithy_runtime", "heard as well");
        assert!(lines.take().contains("heard as well"));
    });
}

#[test]
fn a_text_log_is_for_people() {
    let lines = Lines::default();
    let writer = lines.clone();
    let (log, _) =
        logging::subscriber("info", LogFormat::Text, move || writer.clone(), false).expect("legal");
    tracing::subscriber::with_default(log, || tracing::info!(bytes = 7, "carried"));
    assert!(lines.take().contains("carried bytes=7"));
    assert!(check_filter("info,causewayd::ledger=trace").is_ok());
    let error = check_filter("causewayd=loud").expect_err("no level").to_string();
    assert!(error.contains("loud"), "{error}");
}
