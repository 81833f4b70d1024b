//! `causewayd.toml`: its schema, its defaults, and every rule that a value has to keep.
//!
//! # Invariants
//! - A [`Config`] is whole and consistent: whoever gets one checks nothing again.
//! - All faults are reported at once, each with its key's path; an unknown key is a fault.
//! - No message repeats a value that could be a secret, a broken line of the file among them.

mod door;
mod fault;
mod overrides;
mod remotes;
mod schedule;
mod schema;
mod section;
#[cfg(test)]
mod tests;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize as _;
use toml::de::DeTable;

use crate::base::{Limits, Schedule};
use crate::control;
use crate::model::{AllowedHosts, ByteCount, IfExists, RemoteName, Verify};
use crate::notify::Webhook;
use crate::remote::{self, Credentials};
use crate::telemetry::LogFormat;

pub use fault::{Fault, Faults};

use section::Context;

/// What the daemon is told, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// The ledger and the audit log.
    pub data_dir: PathBuf,
    /// Where presigned sources and webhooks may be.
    pub allowed_hosts: AllowedHosts,
    /// Where the gRPC service listens, and for whom.
    pub control: control::Settings,
    pub telemetry: Telemetry,
    pub transfer: Transfer,
    /// At least one.
    pub remotes: BTreeMap<RemoteName, RemoteConfig>,
    /// At hosts that are allowed.
    pub webhooks: Vec<Webhook>,
}

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct Telemetry {
    pub listen: SocketAddr,
    /// A legal log filter.
    pub log: String,
    pub log_format: LogFormat,
}

/// `[transfer]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// At least 1 MiB for each of `max_parts_in_flight`.
    pub memory_budget: ByteCount,
    /// That go in parts, at once; small ones take a slot each besides.
    pub max_active_jobs: u32,
    pub max_parts_in_flight: u32,
    /// How long a failed job keeps what it uploaded, for a retry.
    pub failed_upload_retention: Duration,
    /// What a job gets that does not say.
    pub verify: Verify,
    /// What a job gets that does not say.
    pub if_exists: IfExists,
}

/// `[remotes.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteConfig {
    /// Of a known partition.
    pub region: String,
    pub credentials: Credentials,
    /// Twelve digits.
    pub expected_account: Option<String>,
    pub fips: bool,
    pub dual_stack: bool,
    pub path_style: bool,
    pub s3_endpoint: Option<String>,
    pub sts_endpoint: Option<String>,
    pub ec2_endpoint: Option<String>,
    pub ssm_endpoint: Option<String>,
    /// A file of certificates that can be used.
    pub ca_bundle: Option<PathBuf>,
    pub limits: Limits,
    /// Windows of time with limits of their own.
    pub schedule: Schedule,
    pub quotas: Quotas,
}

/// EC2's in-progress quotas, per account and Region. Configuration, because AWS changes them.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-store-restore.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    pub store_in_progress_gb: u32,
    pub restore_in_progress_gb: u32,
    pub image_size_gb: u32,
}

impl Config {
    /// What of `other` a running daemon does not take over, by its key.
    pub fn needs_restart(&self, other: &Self) -> Vec<String> {
        let mut changed = Vec::new();
        let mut note = |key: &str, is_same: bool| {
            if !is_same {
                changed.push(key.to_owned());
            }
        };
        let (control, telemetry) = (&self.control, &self.telemetry);
        note("data_dir", self.data_dir == other.data_dir);
        note("control.listen", control.listen == other.control.listen);
        note("control.tls", control.tls.is_some() == other.control.tls.is_some());
        let paced = control.submissions_per_second == other.control.submissions_per_second;
        note("control.submissions_per_second", paced);
        note("telemetry.listen", telemetry.listen == other.telemetry.listen);
        note("telemetry.log_format", telemetry.log_format == other.telemetry.log_format);
        note("transfer", self.transfer == other.transfer);
        note("webhooks", self.webhooks == other.webhooks);
        let limited = |remote: &RemoteConfig, as_in: &RemoteConfig| RemoteConfig {
            limits: as_in.limits,
            schedule: as_in.schedule.clone(),
            ..remote.clone()
        };
        for name in self.remotes.keys().chain(other.remotes.keys()).collect::<BTreeSet<_>>() {
            let both = self.remotes.get(name).zip(other.remotes.get(name));
            let is_same = both.is_some_and(|(before, now)| limited(before, now) == *now);
            note(&format!("remotes.{name}"), is_same);
        }
        changed
    }
}

impl RemoteConfig {
    /// The same, as the remote named `name` is built from it, with `limits` in force.
    pub fn options(&self, name: RemoteName, limits: Limits) -> remote::Options {
        remote::Options {
            name,
            region: self.region.clone(),
            credentials: self.credentials.clone(),
            expected_account: self.expected_account.clone(),
            fips: self.fips,
            dual_stack: self.dual_stack,
            path_style: self.path_style,
            s3_endpoint: self.s3_endpoint.clone(),
            sts_endpoint: self.sts_endpoint.clone(),
            ec2_endpoint: self.ec2_endpoint.clone(),
            ssm_endpoint: self.ssm_endpoint.clone(),
            ca_bundle: self.ca_bundle.clone(),
            limits,
        }
    }
}

impl Config {
    /// Reads the file, with the variables of `environment` that begin with `CAUSEWAY__` over it.
    ///
    /// # Errors
    /// Every fault there is. Where the file cannot be read, or is not TOML, that alone.
    pub fn load(
        file: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Faults> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| only(file, format!("cannot be read: {error}")))?;
        // Absolute, so that the daemon may change its directory.
        let file = std::path::absolute(file)
            .map_err(|error| only(file, format!("has no absolute path: {error}")))?;
        let directory = file.parent().unwrap_or(Path::new("/"));
        let table = parse(&text).map_err(|problem| only(&file, problem))?;
        Self::from_table(table, directory.to_owned(), environment)
    }

    fn from_table(
        mut table: toml::Table,
        directory: PathBuf,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let variables = overrides::apply(&mut table, environment, &mut faults);
        let context = Context::new(faults, variables, directory);
        let config = schema::read(&context, table);
        let faults = context.into_faults();
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }
}

/// The file as a table, or where and why it is none. No value of it is in the reason: it may be a secret. The
/// parser's own message quotes the line, so only its position and its reason are kept, and a number without room
/// is quoted by the reason itself.
fn parse(text: &str) -> Result<toml::Table, String> {
    let document = DeTable::parse(text).map_err(|error| {
        let reason = error.message().lines().next().unwrap_or_default();
        format!("{} is not TOML: {reason}", position(text, &error))
    })?;
    // What is TOML is a table, but for numbers that have no room.
    toml::Table::deserialize(toml::Deserializer::from(document)).map_err(|error| {
        let position = position(text, &error);
        format!("{position} has a number beyond 64 bits: put what is meant as a text in quotes")
    })
}

fn position(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

fn only(file: &Path, problem: String) -> Faults {
    let mut faults = Faults::default();
    faults.add(file.display().to_string(), problem);
    faults
}
