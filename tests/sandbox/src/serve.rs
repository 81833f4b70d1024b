//! `sandbox serve`: two endpoints that stay up, each an S3, an EC2, an SSM and an STS, a configuration for
//! the daemon, and what to type next.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sandbox::{
    Attributes, BucketOptions, DaemonConfig, Ec2Options, Endpoint, EndpointOptions, FaultScript,
    ImageSpec, Sink, Synthetic,
};

use crate::size;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where uploads, certificates and causewayd.toml go; kept afterwards. Default: a temporary
    /// directory that is removed.
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// Faults that both endpoints play, as JSON.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Plain HTTP instead of TLS.
    #[arg(long)]
    plain_http: bool,
    /// Port of the commercial endpoint.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port_a: u16,
    /// Port of the GovCloud endpoint.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port_b: u16,
    /// Size of the sample object: it is computed and takes no space.
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = size::parse)]
    sample: u64,
    /// ETags that are no MD5, as S3 has them with KMS: for measuring, where MD5 would be the slowest.
    #[arg(long)]
    opaque_etags: bool,
}

/// The sample object, as EC2 would name it.
const SAMPLE: &str = "ami-0123456789abcdef0.bin";
/// The image that waits to be stored.
const GOLDEN: &str = "ami-0c0ffee0c0ffee000";
/// Slow enough to be watched: 2 s for the 8 GiB of the golden image.
const MS_PER_GIB: u64 = 250;

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let temporary = match &arguments.work_dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("causeway-sandbox-").tempdir()?),
    };
    let work_dir = match (&arguments.work_dir, &temporary) {
        (Some(directory), _) => {
            std::fs::create_dir_all(directory)?;
            directory.canonicalize()?
        }
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => anyhow::bail!("no work directory"),
    };
    let commercial =
        endpoint(EndpointOptions::commercial(), arguments.port_a, &arguments, &work_dir);
    let commercial = Endpoint::start(commercial?).await?;
    let gov = endpoint(EndpointOptions::gov(), arguments.port_b, &arguments, &work_dir);
    let gov = Endpoint::start(gov?).await?;
    let sample = Synthetic::new(1, arguments.sample);
    commercial.put("images", SAMPLE, sample, Attributes::default()).await?;

    commercial.ec2().add_image(golden());
    let mut config = DaemonConfig::new(&work_dir, &commercial, &gov)?;
    config.identify("commercial", &commercial)?;
    config.identify("gov", &gov)?;
    let path = config.write()?;
    show(&commercial, &gov, &config, &path);
    interrupted().await?;
    commercial.stop().await;
    gov.stop().await;
    Ok(())
}

/// 8 GiB, of which 64 MiB are stored.
fn golden() -> ImageSpec {
    let mut image = ImageSpec::new("golden-2026-01-01")
        .content_bytes(64 << 20)
        .tag("team", "platform")
        .tag("purpose", "demo");
    image.id = Some(GOLDEN.to_owned());
    image.traits.description = "an image that was never an image".to_owned();
    image
}

fn endpoint(
    options: EndpointOptions,
    port: u16,
    arguments: &Arguments,
    work_dir: &Path,
) -> anyhow::Result<EndpointOptions> {
    let sink = BucketOptions { sink: Some(Sink::default()), ..BucketOptions::default() };
    let mut options = options.bucket("images").bucket("landing").bucket_with("sink", sink);
    options.port = port;
    options.ec2 = Ec2Options::taking(MS_PER_GIB);
    options.plain_http = arguments.plain_http;
    options.directory = Some(work_dir.join(&options.region));
    if arguments.opaque_etags {
        options.etags = sandbox::EtagStyle::Opaque;
    }
    if let Some(path) = &arguments.faults {
        let read = || format!("cannot read the faults of {}", path.display());
        let json = std::fs::read(path).with_context(read)?;
        options.faults = serde_json::from_slice::<FaultScript>(&json).with_context(read)?;
    }
    Ok(options)
}

fn show(commercial: &Endpoint, gov: &Endpoint, config: &DaemonConfig, path: &Path) {
    for (name, endpoint) in [("commercial", commercial), ("gov", gov)] {
        println!("{name:<11}{}  {}  S3, EC2, SSM and STS", endpoint.url(), endpoint.region());
        let key = &endpoint.credentials().access_key_id;
        println!("           account {}, access key {key}", endpoint.account());
        println!(
            "           counters and faults: {}/stats, /faults, /quotas",
            endpoint.admin_url()
        );
    }
    println!("image      {GOLDEN}, golden-2026-01-01, 8 GiB, in commercial's EC2");
    let client = format!("causeway --endpoint {}", config.control_endpoint());
    println!("buckets    images, landing, sink (checks and drops what it gets) on both");
    println!("\nNext, in two other terminals:\n");
    println!("  causewayd run --config {}", path.display());
    println!("  {client} submit commercial:images/{SAMPLE} gov:landing/{SAMPLE} --wait");
    let keys = commercial.credentials();
    let trust = match commercial.ca_pem() {
        Some(_) => format!("AWS_CA_BUNDLE={} ", path.with_file_name("commercial-ca.pem").display()),
        None => String::new(),
    };
    println!("\nOr, with the AWS CLI:\n");
    println!(
        "  {trust}AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} \\",
        keys.access_key_id, keys.secret_access_key
    );
    println!(
        "    aws --region {} --endpoint-url {} ec2 describe-images --owners self",
        commercial.region(),
        commercial.url()
    );
    println!("\nCtrl-C ends it.");
}

/// SIGINT or SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt,
        _ = terminated.recv() => Ok(()),
    }
}
