//! The sections of the file, but for the remotes.

use std::net::SocketAddr;
use std::time::Duration;

use toml::Table;

use super::section::{Context, Section, shown};
use super::{Config, Telemetry, Transfer, remotes};
use crate::control::Listen;
use crate::model::plan::PUT_OBJECT_MAX;
use crate::model::{ByteCount, IfExists, Verify};
use crate::telemetry::{LogFormat, check_filter};

/// `sockaddr_un` has 108 bytes, the last one a zero.
const UNIX_PATH_BYTES_MAX: usize = 107;
/// Buffered bytes that a part in flight needs to make progress.
const PART_MEMORY: ByteCount = ByteCount::mib(1);
/// What an active job holds of an object that is small enough to be read whole.
const JOB_MEMORY: ByteCount = ByteCount(PUT_OBJECT_MAX);
const FAILED_UPLOAD_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
const PARTS_IN_FLIGHT_MAX: u32 = 1024;
const ACTIVE_JOBS_MAX: u32 = 1024;

const NO_TLS: &str = "TLS on the control port is not part of this version: \
    listen on unix:PATH or on loopback, and remove this table";
const NO_ACCESS: &str = "access by identity is not part of this version: \
    who may open the socket may do everything; remove this table";

/// Reads everything. Where there are faults, the result is not to be used.
pub(super) fn read(context: &Context, table: Table) -> Config {
    let mut root = Section::root(context, table);
    let data_dir = root.file("data_dir").unwrap_or_else(|| "/var/lib/causeway".into());
    let control = control(context, root.section("control"));
    let telemetry = telemetry(root.section("telemetry"));
    let transfer = transfer(root.section("transfer"));
    let remotes = remotes::read(context, root.section("remotes"));
    root.finish();
    Config { data_dir, control, telemetry, transfer, remotes }
}

fn control(context: &Context, mut section: Section<'_>) -> Listen {
    let listen = section.parsed("listen", "a text", |text| listen(context, text));
    section.refuse("tls", NO_TLS);
    section.refuse("access", NO_ACCESS);
    section.finish();
    listen.unwrap_or_else(|| Listen::Unix("/run/causeway/control.sock".into()))
}

fn listen(context: &Context, text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let is_empty = path.is_empty();
        let path = context.resolve(path);
        let bytes = path.as_os_str().len();
        return if is_empty || path.file_name().is_none() {
            Err("'unix:' is followed by no path".to_owned())
        } else if bytes > UNIX_PATH_BYTES_MAX {
            Err(format!("the socket's path has {bytes} bytes: at most {UNIX_PATH_BYTES_MAX} work"))
        } else {
            Ok(Listen::Unix(path))
        };
    }
    let address = socket_address(text).map_err(|problem| format!("{problem} or unix:PATH"))?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{address} is not on loopback: that needs [control.tls], which is not part of this \
             version; use unix:PATH or 127.0.0.1:{}",
            address.port()
        ));
    }
    Ok(Listen::Tcp(address))
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
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
        // Small objects take memory first and then a slot, parts the other way round: with less than
        // this each could wait for the other.
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

/// Such as `12h` or `7d`; a day has 24 hours.
fn duration(text: &str) -> Result<Duration, String> {
    let problem = || format!("'{}' is no length of time: expected such as 12h or 7d", shown(text));
    let span: jiff::Span = text.parse().map_err(|_| problem())?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    duration.ok().and_then(|duration| duration.try_into().ok()).ok_or_else(problem)
}
