//! The sections of the file, but for the remotes.

use std::net::SocketAddr;
use std::time::Duration;

use toml::Table;

use super::section::{Context, Section, shown};
use super::{Config, Telemetry, Transfer, door, remotes, webhooks};
use crate::model::plan::PUT_OBJECT_MAX;
use crate::model::{AllowedHosts, ByteCount, HostRule, IfExists, Verify};
use crate::telemetry::{LogFormat, check_filter};

/// Buffered bytes that a part in flight needs to make progress.
const PART_MEMORY: ByteCount = ByteCount::mib(1);
/// What an active job holds of an object that is small enough to be read whole.
const JOB_MEMORY: ByteCount = ByteCount(PUT_OBJECT_MAX);
const FAILED_UPLOAD_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
const PARTS_IN_FLIGHT_MAX: u32 = 1024;
const ACTIVE_JOBS_MAX: u32 = 1024;

/// Reads everything. Where there are faults, the result is not to be used.
pub(super) fn read(context: &Context, table: Table) -> Config {
    let mut root = Section::root(context, table);
    let data_dir = root.file("data_dir").unwrap_or_else(|| "/var/lib/causeway".into());
    let allowed_hosts = allowed_hosts(&mut root);
    let control = door::read(context, root.section("control"));
    let telemetry = telemetry(root.section("telemetry"));
    let transfer = transfer(root.section("transfer"));
    let remotes = remotes::read(context, root.section("remotes"));
    let webhooks = webhooks::read(context, root.section("webhooks"), &allowed_hosts);
    root.finish();
    Config { data_dir, allowed_hosts, control, telemetry, transfer, remotes, webhooks }
}

/// A list, also none; or one text, as the environment gives it, with commas.
fn allowed_hosts(root: &mut Section<'_>) -> AllowedHosts {
    let rules = root.texts("allowed_hosts", |text| {
        let rule = |entry: &str| entry.trim().parse::<HostRule>().map_err(|e| e.to_string());
        text.split(',').map(rule).collect()
    });
    rules.map(AllowedHosts::new).unwrap_or_default()
}

pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let problem = || format!("'{}' is no address: expected such as 127.0.0.1:9464", shown(text));
    text.parse().map_err(|_| problem())
}

fn telemetry(mut section: Section<'_>) -> Telemetry {
    let listen = section.parsed("listen", "an address and port", socket_address);
    let log = section.parsed("log", "a text", |text| {
        let problem = |_| format!("'{}' is no log filter: expected such as info", shown(text));
        check_filter(text).map(|()| text.to_owned()).map_err(problem)
    });
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let log_format = section.word("log_format", &formats);
    section.finish();
    Telemetry {
        listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9464))),
        log: log.unwrap_or_else(|| "info".to_owned()),
        log_format: log_format.unwrap_or_default(),
    }
}

fn transfer(mut section: Section<'_>) -> Transfer {
    let verifies =
        [("auto", Verify::Auto), ("checksum", Verify::Checksum), ("readback", Verify::Readback)];
    let if_exists =
        [("fail", IfExists::Fail), ("skip", IfExists::Skip), ("replace", IfExists::Replace)];
    let given = section.has("memory_budget");
    let memory_budget: Option<ByteCount> = section.quantity("memory_budget");
    let jobs = section.number("max_active_jobs", 1..=ACTIVE_JOBS_MAX);
    let parts = section.number("max_parts_in_flight", 1..=PARTS_IN_FLIGHT_MAX);
    let retention = section.parsed("failed_upload_retention", "a text with a unit", duration);
    let transfer = Transfer {
        memory_budget: memory_budget.unwrap_or(ByteCount::mib(256)),
        max_active_jobs: jobs.unwrap_or(8),
        max_parts_in_flight: parts.unwrap_or(64),
        failed_upload_retention: retention.unwrap_or(FAILED_UPLOAD_RETENTION),
        verify: section.word("verify", &verifies).unwrap_or_default(),
        if_exists: section.word("if_exists", &if_exists).unwrap_or_default(),
    };
    // A budget that could not be read has its fault already.
    if memory_budget.is_some() || !given {
        // With less, slots that a side would take stand and wait for memory.
        let (parts, jobs) = (transfer.max_parts_in_flight, transfer.max_active_jobs);
        let needed = ByteCount(u64::from(parts) * PART_MEMORY.0 + u64::from(jobs) * JOB_MEMORY.0);
        if transfer.memory_budget < needed {
            let given = transfer.memory_budget;
            let problem = format!(
                "{given} cannot be met: {parts} parts in flight need {PART_MEMORY} each and {jobs} \
                 active jobs {JOB_MEMORY} each, {needed} together"
            );
            section.fault("memory_budget", &problem);
        }
    }
    section.finish();
    transfer
}

impl Transfer {
    /// What small objects may hold together: the rest of the budget beside a part in each slot. Never less
    /// than one of them needs.
    pub fn held_max(&self) -> ByteCount {
        let parts = u64::from(self.max_parts_in_flight) * PART_MEMORY.0;
        ByteCount(self.memory_budget.0.saturating_sub(parts))
    }
}

/// Such as `12h` or `7d`; a day has 24 hours.
fn duration(text: &str) -> Result<Duration, String> {
    let problem = || format!("'{}' is no length of time: expected such as 12h or 7d", shown(text));
    let span: jiff::Span = text.parse().map_err(|_| problem())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    duration.ok().and_then(|duration| duration.try_into().ok()).ok_or_else(problem)
}
