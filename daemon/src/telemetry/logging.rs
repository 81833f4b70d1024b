//! The log: one line an event on standard error, with a filter that can be changed while running.
//!
//! # Invariants
//! - Libraries say nothing below INFO, whatever the filter: what they debug are requests with their headers,
//!   and those hold session tokens and signatures.

use std::io::{self, IsTerminal as _};

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::Error;

/// How an event is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Changes the filter of the log.
#[derive(Debug, Clone)]
pub struct ReloadHandle(reload::Handle<EnvFilter, Registry>);

impl ReloadHandle {
    /// Puts another filter in force, at once. On an error the old one stays.
    ///
    /// # Errors
    /// Where `filter` is not one, or the log is gone.
    pub fn set(&self, filter: &str) -> Result<(), Error> {
        Ok(self.0.reload(parse(filter)?)?)
    }
}

/// Makes the log of this process.
///
/// # Errors
/// Where `filter` is not one, or the process has a log already.
pub fn init(filter: &str, format: LogFormat) -> Result<ReloadHandle, Error> {
    let (log, handle) = subscriber(filter, format, io::stderr, io::stderr().is_terminal())?;
    log.try_init()?;
    Ok(handle)
}

/// Whether `filter` can be a log filter.
///
/// # Errors
/// Where it cannot.
pub fn check_filter(filter: &str) -> Result<(), Error> {
    parse(filter).map(drop)
}

pub(super) fn subscriber<W>(
    filter: &str,
    format: LogFormat,
    writer: W,
    colour: bool,
) -> Result<(impl Subscriber + Send + Sync + use<W>, ReloadHandle), Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
        LogFormat::Text => lines.with_ansi(colour).boxed(),
    };
    let lines = lines.with_filter(filter_fn(may_be_said));
    Ok((tracing_subscriber::registry().with(filter).with(lines), ReloadHandle(handle)))
}

fn may_be_said(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::INFO || event.target().starts_with("causewayd")
}

fn parse(filter: &str) -> Result<EnvFilter, Error> {
    let build = EnvFilter::builder().parse(filter);
    build.map_err(|source| Error::Filter { filter: filter.chars().take(120).collect(), source })
}
