//! `sandbox demo`: a whole transfer, or with `--migrate` the whole road of an image, with the real daemon and
//! the real client, and a proof that shares nothing with them.
//!
//! # Invariants
//! - It succeeds only if the job did, the receipt says so, and the target's bytes, read again by this
//!   program, are those of the source.
//! - It leaves no process behind, and no file unless asked to.

mod binaries;
mod daemon;
mod image;
mod migrate;
mod proof;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sandbox::{Attributes, Content, DaemonConfig, Endpoint, EndpointOptions, EtagStyle};
use serde_json::Value;

use self::binaries::Binaries;
use self::daemon::{Client, Daemon};
use crate::size;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Size of the image to make.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size::parse)]
    size: u64,
    /// Carry this file instead of an image made here.
    #[arg(long, value_name = "PATH", conflicts_with = "size")]
    file: Option<PathBuf>,
    /// Migrate an image of that size from one EC2 to the other: store, carry, restore, alias.
    #[arg(long, conflicts_with = "file")]
    migrate: bool,
    /// Keep the work directory: the copy, the configuration, the daemon's log.
    #[arg(long)]
    keep: bool,
    /// Where everything goes; needs room for the image and its copy. Default: a temporary directory.
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Use the binaries that lie beside this one as they are.
    #[arg(long)]
    no_build: bool,
}

/// The image's key on both sides, as EC2 names it.
const KEY: &str = "ami-0c0ffee0c0ffee000.bin";
/// How long the daemon may take to be ready, and to stop.
const PATIENCE: Duration = Duration::from_secs(45);

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let binaries = Binaries::find(!arguments.no_build).await?;
    let work_dir = work_dir(arguments.work_dir.as_deref())?;
    let path = work_dir.path().to_owned();
    let outcome = tokio::select! {
        outcome = demonstrate(&arguments, &binaries, &path) => outcome,
        signal = tokio::signal::ctrl_c() => {
            // The daemon is killed with the future that owns it, which ends here.
            signal.context("cannot wait for Ctrl-C")?;
            Err(anyhow::anyhow!("interrupted"))
        }
    };
    if arguments.keep {
        println!("kept       {}", work_dir.keep().display());
    } else if outcome.is_err() {
        show_log(&path);
    }
    outcome
}

/// A directory of its own, even below one that was given: what is removed at the end is only ours.
fn work_dir(parent: Option<&Path>) -> anyhow::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("causeway-demo-");
    let made = match parent {
        Some(parent) => {
            std::fs::create_dir_all(parent)?;
            builder.tempdir_in(parent.canonicalize()?)
        }
        None => builder.tempdir(),
    };
    made.context("cannot make a work directory")
}

fn show_log(work_dir: &Path) {
    if let Ok(log) = std::fs::read_to_string(work_dir.join("causewayd.log")) {
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("\nthe daemon's last words (all of them with --keep):");
        for line in &lines[lines.len().saturating_sub(20)..] {
            eprintln!("  {line}");
        }
    }
}

async fn demonstrate(
    arguments: &Arguments,
    binaries: &Binaries,
    work_dir: &Path,
) -> anyhow::Result<()> {
    match arguments.migrate {
        true => migrate::run(arguments.size, binaries, work_dir).await,
        false => transfer(arguments, binaries, work_dir).await,
    }
}

async fn transfer(
    arguments: &Arguments,
    binaries: &Binaries,
    work_dir: &Path,
) -> anyhow::Result<()> {
    let source = source_file(arguments, work_dir).await?;
    let size = std::fs::metadata(&source)?.len();
    let (commercial, gov) = endpoints(work_dir).await?;
    let content = Content::from_file(&source)?;
    commercial.put("images", KEY, content, image_attributes()).await?;
    let config = DaemonConfig::new(work_dir, &commercial, &gov)?;
    println!(
        "commercial {}  {}  holds images/{KEY}, {}",
        commercial.url(),
        commercial.region(),
        size::show(size)
    );
    println!("gov        {}  {}  holds an empty bucket, landing", gov.url(), gov.region());

    let (from, to) = (format!("commercial:images/{KEY}"), format!("gov:landing/{KEY}"));
    let job = job(binaries, &config, work_dir, &["submit", &from, &to, "--wait"]).await?;
    let blake3 = proof::read_back(&gov, "landing", KEY, &source, &job.receipt).await?;
    println!("\nread back  landing/{KEY} over {}: every byte is the source's", gov.url());
    println!("blake3     {blake3}, as the receipt says");
    proof::nothing_left(&gov)?;
    let rate = size / u64::try_from(job.took.as_millis().max(1))? * 1000;
    println!(
        "time       {:.1} s from submit to receipt, {}/s",
        job.took.as_secs_f64(),
        size::show(rate)
    );
    commercial.stop().await;
    gov.stop().await;
    Ok(())
}

/// A job that was done.
struct Done {
    receipt: Value,
    /// From its submission to its end.
    took: Duration,
}

/// Starts the daemon, has the client submit a job and wait for it, prints the receipt, and ends the daemon.
async fn job(
    binaries: &Binaries,
    config: &DaemonConfig,
    work_dir: &Path,
    command: &[&str],
) -> anyhow::Result<Done> {
    let mut daemon = Daemon::start(&binaries.causewayd, config, work_dir)?;
    daemon.ready(config.telemetry(), PATIENCE).await?;
    println!("causewayd  ready, pid {}\n", daemon.pid());

    let client = Client { program: &binaries.causeway, endpoint: config.control_endpoint() };
    println!("$ causeway {}", command.join(" "));
    let started = Instant::now();
    client.show(command).await?;
    let took = started.elapsed();
    let job = client.newest_job().await?;
    println!("\n$ causeway receipt {job}");
    let receipt = client.read(&["receipt", &job]).await?;
    println!("{}", receipt.trim_end());
    daemon.stop(PATIENCE).await?;
    let receipt = serde_json::from_str(&receipt).context("the receipt is not JSON")?;
    Ok(Done { receipt, took })
}

async fn source_file(arguments: &Arguments, work_dir: &Path) -> anyhow::Result<PathBuf> {
    if let Some(file) = &arguments.file {
        return file.canonicalize().with_context(|| format!("cannot read {}", file.display()));
    }
    let path = work_dir.join(KEY);
    let written = image::write(&path, arguments.size).await;
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

async fn endpoints(work_dir: &Path) -> anyhow::Result<(Endpoint, Endpoint)> {
    let commercial = EndpointOptions::commercial().bucket("images");
    let mut gov = EndpointOptions::gov().bucket("landing");
    gov.directory = Some(work_dir.join("landing"));
    // MD5 would be the slowest thing in the whole demonstration.
    gov.etags = EtagStyle::Opaque;
    Ok((Endpoint::start(commercial).await?, Endpoint::start(gov).await?))
}

/// What EC2 writes on an image it stores.
fn image_attributes() -> Attributes {
    let metadata = [
        ("ami-name", "demo-image-2025-01-01"),
        ("ami-description", "an image that was never an image"),
        ("ami-owner-account", "111122223333"),
        ("ami-registered-date", "2025-01-01T00:00:00.000Z"),
        ("ami-store-date", "2025-01-02T00:00:00.000Z"),
    ];
    let tags = [("team", "platform"), ("purpose", "demo")];
    let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let content_type = http::HeaderValue::from_static("application/octet-stream");
    Attributes {
        headers: vec![(http::header::CONTENT_TYPE, content_type)],
        metadata: owned(&metadata),
        tags: owned(&tags),
        ..Attributes::default()
    }
}
