//! The same transfer between servers that none of us wrote, each with its own habits: moto on both
//! sides, s3s-fs on both sides, and from one to the other.

use anyhow::{Result, ensure};
use e2e::{Fs, LogCheck, Moto, Peer, World, images};
use serde_json::Value;

const SIZE: usize = (24 << 20) + 4321;

/// Carries one object with metadata from one peer to the other; answers the receipt.
async fn carry(from: &Peer, to: &Peer, check: LogCheck<'_>) -> Result<Value> {
    let mut world = World::new().await?;
    from.configure(&mut world.config, "commercial")?;
    to.configure(&mut world.config, "gov")?;
    let (bytes, file) = (images(SIZE), world.path("object"));
    std::fs::write(&file, &bytes)?;
    from.aws(&["s3", "mb", "s3://images"]).await?;
    to.aws(&["s3", "mb", "s3://landing"]).await?;
    from.put("images", "ami-0abc.bin", &file, &["--metadata", "ami-name=golden"]).await?;

    let daemon = world.start().await?;
    let receipt =
        world.carry(&["commercial:images/ami-0abc.bin", "gov:landing/ami-0abc.bin"]).await?;
    let landed = to.get("landing", "ami-0abc.bin", &world.path("landed")).await?;
    ensure!(landed == bytes, "other bytes landed");
    ensure!(receipt["blake3"] == blake3::hash(&bytes).to_hex().as_str(), "{receipt}");
    let head = to
        .aws(&["s3api", "head-object", "--bucket", "landing", "--key", "ami-0abc.bin"])
        .await?
        .json()?;
    ensure!(head["Metadata"]["ami-name"] == "golden", "{head}");
    eprintln!("proof: {}", receipt["verified_by"]);
    daemon.stop(check).await?;
    Ok(receipt)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_moto_to_moto() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let from = Moto::start("us-east-2", &logs.path().join("from")).await?;
    let to = Moto::start("us-gov-west-1", &logs.path().join("to")).await?;
    let receipt = carry(&from.peer, &to.peer, LogCheck::Expected(&["the target"])).await?;
    ensure!(receipt["verified_by"] != "", "{receipt}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn from_s3s_fs_to_s3s_fs() -> Result<()> {
    let from = Fs::start("us-east-2").await?;
    let to = Fs::start("us-gov-west-1").await?;
    let receipt = carry(&from.peer, &to.peer, LogCheck::Expected(&["the target"])).await?;
    ensure!(receipt["verified_by"] != "", "{receipt}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn from_moto_to_s3s_fs_and_back() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let moto = Moto::start("us-east-2", &logs.path().join("moto")).await?;
    let fs = Fs::start("us-gov-west-1").await?;
    carry(&moto.peer, &fs.peer, LogCheck::Expected(&["the target"])).await?;
    let moto = Moto::start("us-gov-west-1", &logs.path().join("back")).await?;
    let fs = Fs::start("us-east-2").await?;
    carry(&fs.peer, &moto.peer, LogCheck::Expected(&["the target"])).await?;
    Ok(())
}

/// `aws s3api head-object` shows at the target what it shows at the source.
#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_sees_the_same_attributes_on_both_sides() -> Result<()> {
    let logs = tempfile::tempdir()?;
    let from = Moto::start("us-east-2", &logs.path().join("from")).await?;
    let to = Moto::start("us-gov-west-1", &logs.path().join("to")).await?;
    let mut world = World::new().await?;
    from.peer.configure(&mut world.config, "commercial")?;
    to.peer.configure(&mut world.config, "gov")?;
    let file = world.path("object");
    std::fs::write(&file, images(9 << 20))?;
    from.peer.aws(&["s3", "mb", "s3://images"]).await?;
    to.peer.aws(&["s3", "mb", "s3://landing"]).await?;
    let body = file.display().to_string();
    let put: Vec<&str> = "s3api put-object --bucket images --key a.bin --content-type \
        application/x-ami --content-language en --cache-control no-store --content-disposition \
        attachment --metadata ami-name=golden,owner=111122223333 --tagging team=images&stage=prod \
        --body"
        .split_whitespace()
        .chain([body.as_str()])
        .collect();
    from.peer.aws(&put).await?;
    let daemon = world.start().await?;
    world.carry(&["commercial:images/a.bin", "gov:landing/a.bin"]).await?;
    let head =
        |bucket: &'static str| ["s3api", "head-object", "--bucket", bucket, "--key", "a.bin"];
    let source = from.peer.aws(&head("images")).await?.json()?;
    let target = to.peer.aws(&head("landing")).await?.json()?;
    for field in [
        "ContentLength",
        "ContentType",
        "ContentLanguage",
        "CacheControl",
        "ContentDisposition",
        "Metadata",
    ] {
        ensure!(!source[field].is_null(), "moto keeps no {field}: {source}");
        ensure!(source[field] == target[field], "{field}: {source} and {target}");
    }
    let tags = ["s3api", "get-object-tagging", "--bucket", "landing", "--key", "a.bin"];
    let tags = to.peer.aws(&tags).await?.json()?;
    ensure!(tags["TagSet"].as_array().is_some_and(|tags| tags.len() == 2), "{tags}");
    daemon.stop(LogCheck::Expected(&["the target"])).await
}
