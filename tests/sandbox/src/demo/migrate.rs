//! `sandbox demo --migrate`: an image from one partition's EC2 to the other's, and what came of it, seen without
//! causeway.

use std::path::Path;

use anyhow::{Context as _, ensure};
use sandbox::{
    DaemonConfig, DeviceSpec, Ec2Options, Endpoint, EndpointOptions, EtagStyle, Image, ImageSpec,
    ImageState,
};

use super::binaries::Binaries;
use super::{Done, job, proof};
use crate::size;

const NAME: &str = "golden-demo";
const ALIAS: &str = "/golden/demo";
/// Slow enough to be watched: 3 s a store, and a restore, of 28 GiB.
const MS_PER_GIB: u64 = 107;

pub(super) async fn run(size: u64, binaries: &Binaries, work_dir: &Path) -> anyhow::Result<()> {
    let (commercial, gov) = endpoints(work_dir).await?;
    let source = commercial.ec2().add_image(golden(size));
    let mut config = DaemonConfig::new(work_dir, &commercial, &gov)?;
    config.identify("commercial", &commercial)?;
    config.identify("gov", &gov)?;
    println!(
        "commercial {}  {}  EC2 has {source}, {NAME}, of which {} are stored",
        commercial.url(),
        commercial.region(),
        size::show(size)
    );
    println!("gov        {}  {}  EC2 has no image", gov.url(), gov.region());

    let image = format!("commercial:{source}");
    let command = [
        &["migrate", &image, "gov:", "--via", "images", "--landing", "landing"][..],
        &["--alias", ALIAS, "--copy-tags", "--tag", "carried=causeway"],
        &["--clean-up", "both", "--wait"],
    ];
    let command = command.concat();
    let done = job(binaries, &config, work_dir, &command).await?;
    prove(&commercial, &gov, &source, &done).await?;
    println!("time       {:.1} s from submit to receipt", done.took.as_secs_f64());
    commercial.stop().await;
    gov.stop().await;
    Ok(())
}

async fn endpoints(work_dir: &Path) -> anyhow::Result<(Endpoint, Endpoint)> {
    let mut commercial = EndpointOptions::commercial().bucket("images");
    let mut gov = EndpointOptions::gov().bucket("landing");
    gov.directory = Some(work_dir.join("landing"));
    for options in [&mut commercial, &mut gov] {
        options.ec2 = Ec2Options::taking(MS_PER_GIB);
        // MD5 would be the slowest thing in the whole demonstration.
        options.etags = EtagStyle::Opaque;
    }
    Ok((Endpoint::start(commercial).await?, Endpoint::start(gov).await?))
}

/// UEFI, two gp3 volumes, of which `size` bytes are stored.
fn golden(size: u64) -> ImageSpec {
    let mut image = ImageSpec::new(NAME)
        .content_bytes(size - size / 4)
        .tag("team", "platform")
        .tag("purpose", "demo");
    image.traits.description = "an image that was never an image".to_owned();
    image.traits.boot_mode = Some("uefi".to_owned());
    let data = DeviceSpec { content_bytes: size / 4, ..DeviceSpec::volume("/dev/xvdb", 20) };
    image.devices.push(data);
    image
}

/// Looks at the second partition itself.
async fn prove(
    commercial: &Endpoint,
    gov: &Endpoint,
    source: &str,
    done: &Done,
) -> anyhow::Result<()> {
    let old = commercial.ec2().image(source).context("the source image is gone")?;
    let images = gov.ec2().images();
    ensure!(images.len() == 1, "{} images are there, and not one", images.len());
    let new = images.into_values().next().context("no image is there")?;
    ensure!(new.id != old.id && new.state == ImageState::Available, "{} is not new", new.id);
    ensure!(new.name == NAME && new.traits == old.traits, "it is another image: {new:?}");
    let tags = new.tags();
    for (key, value) in [("team", "platform"), ("purpose", "demo"), ("carried", "causeway")] {
        ensure!(tags.get(key).is_some_and(|it| it == value), "the tag {key} is not {value}");
    }
    println!("\nnew image  {}, {}, {}, {} tags", new.id, new.name, new.state.name(), tags.len());
    let (named, version) = gov.ssm().value(ALIAS).context("there is no alias")?;
    ensure!(named == new.id, "the alias names {named}");
    println!("alias      {ALIAS} names it, version {version}");
    same_volumes(commercial, gov, &old, &new).await?;
    for (endpoint, bucket) in [(commercial, "images"), (gov, "landing")] {
        let left = endpoint.keys(bucket);
        ensure!(left.is_empty(), "{bucket} holds {left:?} still");
        proof::nothing_left(endpoint)?;
    }
    println!("buckets    images and landing are empty");
    let told = done.receipt.to_string();
    ensure!(told.contains(&new.id) && told.contains(ALIAS), "the receipt tells of something else");
    Ok(())
}

/// The bytes of each volume of the new image are the old one's.
async fn same_volumes(
    commercial: &Endpoint,
    gov: &Endpoint,
    old: &Image,
    new: &Image,
) -> anyhow::Result<()> {
    let (from, to) = (commercial.ec2().snapshots(), gov.ec2().snapshots());
    ensure!(old.devices.len() == new.devices.len(), "the new image has other volumes");
    for (was, is) in old.snapshot_ids().zip(new.snapshot_ids()) {
        let was = from.get(was).context("a snapshot of the source is gone")?;
        let is = to.get(is).context("a snapshot of the new image is not there")?;
        let blake3 = proof::same_bytes(was.content(), is.content()).await?;
        let bytes = size::show(is.content().len());
        println!(
            "snapshot   {}: {bytes}, every byte is {}'s, blake3 {}…",
            is.id,
            was.id,
            &blake3[..16]
        );
    }
    Ok(())
}
