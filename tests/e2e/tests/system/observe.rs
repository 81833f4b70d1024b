//! What others see of the daemon: reflection, metrics, health, the socket, the audit log.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use e2e::{LogCheck, World, images, venv};
use tokio::process::Command;

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";

/// A reflection client that none of us wrote, as `grpcurl list` would.
const REFLECT: &str = "
import sys, grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
# grpcio names a Unix socket's path as the authority, which no HTTP/2 server takes; others say localhost.
channel = grpc.insecure_channel(sys.argv[1], options=[('grpc.default_authority', 'localhost')])
services = ProtoReflectionDescriptorDatabase(channel).get_services()
print('\\n'.join(services))
";

/// Prometheus's own parser of its text format.
const PARSE: &str = "
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        print(sample.name, sample.value, sep='\\t')
";

#[tokio::test(flavor = "multi_thread")]
async fn a_reflection_client_sees_the_services() -> Result<()> {
    let world = World::new().await?;
    let daemon = world.start().await?;
    let output = Command::new(venv("python"))
        .args(["-c", REFLECT, &world.config.control_endpoint()])
        .output()
        .await?;
    let services = String::from_utf8(output.stdout)?;
    eprintln!("{services}{}", String::from_utf8_lossy(&output.stderr));
    for service in ["causeway.v1.Control", "grpc.health.v1.Health"] {
        ensure!(services.lines().any(|line| line == service), "no {service}: {services}");
    }
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_pass_a_parser_and_tell_what_moved() -> Result<()> {
    let world = World::new().await?;
    world.put("ami-0abc.bin", images(40 << 20)).await?;
    let daemon = world.start().await?;
    world.carry(&[SOURCE, TARGET]).await?;
    let answer = daemon.get("/metrics").await?;
    let (head, text) = answer.split_once("\r\n\r\n").context("no body")?;
    ensure!(head.contains("text/plain"), "{head}");
    let file = world.path("metrics");
    std::fs::write(&file, text)?;
    let parsed = Command::new(venv("python"))
        .args(["-c", PARSE])
        .stdin(std::fs::File::open(&file)?)
        .output()
        .await?;
    ensure!(parsed.status.success(), "{}\n{text}", String::from_utf8_lossy(&parsed.stderr));
    let parsed = String::from_utf8(parsed.stdout)?;
    for name in [
        "causeway_bytes_total",
        "causeway_jobs",
        "causeway_jobs_finished_total",
        "causeway_parts_in_flight",
        "causeway_part_duration_seconds_count",
        "causeway_s3_requests_total",
        "causeway_s3_request_duration_seconds_count",
        "causeway_concurrency_limit",
        "causeway_memory_budget_bytes",
        "causeway_memory_used_bytes",
        "causeway_queue_depth",
        "causeway_queue_oldest_seconds",
        "causeway_ledger_flush_duration_seconds_count",
        "causeway_build_info",
    ] {
        ensure!(parsed.lines().any(|line| line.starts_with(&format!("{name}\t"))), "no {name}");
    }
    let value = |series: &str| -> Result<f64> {
        let line = text
            .lines()
            .find(|line| line.starts_with(series))
            .with_context(|| series.to_owned())?;
        Ok(line.rsplit(' ').next().context("no value")?.parse()?)
    };
    let carried = value("causeway_bytes_total{direction=\"write\",remote=\"gov\"}")?;
    ensure!(carried == f64::from(40 << 20), "{carried} bytes");
    // What is over has given back what it took.
    ensure!(value("causeway_memory_used_bytes")? == 0.0, "memory is still reserved");
    ensure!(
        value("causeway_parts_in_flight{direction=\"write\",remote=\"gov\"}")? == 0.0,
        "parts in flight"
    );
    ensure!(
        !text.contains("causeway_job_bytes_done{"),
        "the series of an ended job is still there"
    );
    ensure!(daemon.get("/healthz").await?.starts_with("HTTP/1.1 200"), "not healthy");
    ensure!(daemon.get("/nowhere").await?.starts_with("HTTP/1.1 404"), "not 404");
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_its_owners_alone_and_the_audit_log_names_who_acted() -> Result<()> {
    let world = World::new().await?;
    world.put("ami-0abc.bin", images(1 << 20)).await?;
    let daemon = world.start().await?;
    let mode = std::fs::metadata(world.path("control.sock"))?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    world.carry(&[SOURCE, TARGET]).await?;
    daemon.stop(LogCheck::Clean).await?;
    let audit = std::fs::read_to_string(world.audit_log())?;
    let uid = format!("uid:{}", nix::unistd::getuid());
    let submitted = audit.lines().find(|line| line.contains("\"submitted\"")).context("no line")?;
    ensure!(submitted.contains(&uid) && submitted.contains("ami-0abc.bin"), "{submitted}");
    ensure!(audit.contains("\"succeeded\"") && audit.contains("blake3"), "{audit}");
    Ok(())
}

/// Whoever reads the logs, the ledger's answers or the metrics learns no secret.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_anywhere_to_be_read() -> Result<()> {
    let world = World::new().await?;
    world.put("ami-0abc.bin", images(20 << 20)).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    let shown = world.causeway(&["show", &id]).await?;
    let texts = [
        daemon.log(),
        daemon.get("/metrics").await?,
        std::fs::read_to_string(world.audit_log())?,
        shown.stdout,
    ];
    for endpoint in [&world.commercial, &world.gov] {
        let secret = &endpoint.credentials().secret_access_key;
        ensure!(!texts.iter().any(|text| text.contains(secret.as_str())), "a secret is readable");
    }
    daemon.stop(LogCheck::Clean).await
}
