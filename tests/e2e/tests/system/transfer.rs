//! One object across two partitions, by the real programs, against the sandbox.

use anyhow::{Context as _, Result, ensure};
use e2e::{LogCheck, World, images};
use sandbox::{Attributes, BucketOptions, EndpointOptions, Sink, Synthetic};

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";

/// The main job, once.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_arrives_with_its_bytes_and_a_receipt() -> Result<()> {
    let world = World::new().await?;
    let bytes = images(100 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    let receipt = world.carry(&[SOURCE, TARGET]).await?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    ensure!(receipt["blake3"] == blake3::hash(&bytes).to_hex().as_str(), "{receipt}");
    ensure!(receipt["verified_by"] == "s3-checksum", "{receipt}");
    ensure!(receipt["bytes_sent"] == 100 << 20, "{receipt}");
    ensure!(receipt["source"]["partition"] == "aws", "{receipt}");
    ensure!(receipt["target"]["partition"] == "aws-us-gov", "{receipt}");
    ensure!(receipt["target"]["size"] == 100 << 20, "{receipt}");
    daemon.stop(LogCheck::Clean).await
}

/// What `b3sum` prints is what the receipt says.
#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_agrees_with_b3sum() -> Result<()> {
    let world = World::new().await?;
    let bytes = images((33 << 20) + 12_345);
    let file = world.path("object");
    std::fs::write(&file, &bytes)?;
    world.put("ami-0abc.bin", bytes).await?;
    let daemon = world.start().await?;
    let receipt = world.carry(&[SOURCE, TARGET]).await?;
    let b3sum = tokio::process::Command::new("b3sum").arg("--no-names").arg(&file).output().await;
    let b3sum = String::from_utf8(b3sum.context("tests/run installs b3sum")?.stdout)?;
    ensure!(receipt["blake3"] == b3sum.trim(), "{receipt} is not {b3sum}");
    daemon.stop(LogCheck::Clean).await
}

/// Every size at which something changes: nothing, one byte, one PutObject, the first multipart.
#[tokio::test(flavor = "multi_thread")]
async fn every_size_arrives() -> Result<()> {
    let world = World::new().await?;
    let mib = 1 << 20;
    let sizes = [0, 1, 1024, 1025, mib, 5 * mib, 8 * mib, 8 * mib + 1, 16 * mib, 21 * mib + 7];
    let daemon = world.start().await?;
    let mut jobs = Vec::new();
    for size in sizes {
        let key = format!("size-{size}.bin");
        world.put(&key, images(size)).await?;
        let (source, target) = (format!("commercial:images/{key}"), format!("gov:landing/{key}"));
        jobs.push((size, key, world.submit(&[&source, &target]).await?));
    }
    world.causeway(&["watch"]).await?.expect_code(0)?;
    for (size, key, id) in jobs {
        let bytes = images(size);
        world.assert_landed(&key, &bytes).await?;
        let receipt = world.json(&["receipt", &id]).await?;
        ensure!(receipt["blake3"] == blake3::hash(&bytes).to_hex().as_str(), "{size}: {receipt}");
    }
    daemon.stop(LogCheck::Clean).await
}

/// EC2 writes the AMI's name and description on the object: they have to come along.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_headers_and_tags_come_along() -> Result<()> {
    let world = World::new().await?;
    let header = |name: &'static str, value: &'static str| {
        (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
    };
    let attributes = Attributes {
        headers: vec![
            header("content-type", "application/x-ami"),
            header("content-encoding", "identity"),
            header("content-language", "en"),
            header("content-disposition", "attachment; filename=a.bin"),
            header("cache-control", "no-store"),
        ],
        metadata: [("ami-name", "golden"), ("ami-owner-account", "111122223333")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        tags: [("team", "images"), ("stage", "prod")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Attributes::default()
    };
    let daemon = world.start().await?;
    for (key, len) in [("small.bin", 1 << 20), ("large.bin", 20 << 20)] {
        world.commercial.put("images", key, images(len), attributes.clone()).await?;
        let (source, target) = (format!("commercial:images/{key}"), format!("gov:landing/{key}"));
        world.carry(&[&source, &target, "--tag", "by=causeway"]).await?;
        let landed = world.gov.object("landing", key).context("landed")?;
        ensure!(landed.attributes.metadata == attributes.metadata, "{:?}", landed.attributes);
        for (name, value) in &attributes.headers {
            ensure!(landed.attributes.header(name.as_str()) == value.to_str().ok(), "{name}");
        }
        let mut tags = attributes.tags.clone();
        tags.insert("by".into(), "causeway".into());
        ensure!(landed.attributes.tags == tags, "{:?}", landed.attributes.tags);
    }
    daemon.stop(LogCheck::Clean).await
}

/// Whoever has only a URL can have the object carried, and the URL's signature is nowhere to be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_is_a_source() -> Result<()> {
    let world = World::new().await?;
    // The daemon trusts what the system trusts.
    let roots = world.path("commercial-ca.pem").display().to_string();
    let daemon = world.spawn(&[("SSL_CERT_FILE", &roots)])?.ready().await?;
    for len in [100, 40 << 20] {
        let (key, bytes) = (format!("image-{len}.bin"), images(len));
        world.put(&key, bytes.clone()).await?;
        let valid = std::time::Duration::from_secs(600);
        let url = world.commercial.presigned_get("images", &key, valid);
        let id = world.submit(&[&url, "gov:landing/"]).await?;
        world.causeway(&["watch", &id]).await?.expect_code(0)?;
        world.assert_landed(&key, &bytes).await?;
        let shown = world.causeway(&["--output", "json", "show", &id]).await?.stdout;
        let signature = url.split("X-Amz-Signature=").nth(1).context("it is signed")?;
        let audit = std::fs::read_to_string(world.audit_log())?;
        for text in [&shown, &audit, &daemon.log()] {
            ensure!(!text.contains(signature), "the signature is readable");
        }
        let receipt = world.json(&["receipt", &id]).await?;
        ensure!(receipt["blake3"] == blake3::hash(&bytes).to_hex().as_str(), "{receipt}");
    }
    daemon.stop(LogCheck::Clean).await
}

/// Whoever may submit must not reach what the bastion does: its metadata service above all.
#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_of_another_host_is_refused() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("allowed_hosts", vec!["s3", "localhost:*"])?;
    let daemon = world.start().await?;
    let url = |host: &str| format!("https://{host}/latest/a.bin?X-Amz-Signature=5ec2e7");
    for host in ["169.254.169.254", "[fd00:ec2::254]", "127.0.0.1:9", "evil.example", "2852039166"]
    {
        let refused = world.causeway(&["submit", &url(host), "gov:landing/"]).await?;
        let told = refused.expect_code(6)?.stderr;
        ensure!(told.contains("not among allowed_hosts") && told.contains("operator"), "{told}");
        ensure!(!told.contains("5ec2e7"), "{told}");
    }
    // The name is admitted; where it leads is not, and only the one who dials can tell.
    let failed = world.fail(&[&url("localhost:9"), "gov:landing/"]).await?.to_string();
    ensure!(failed.contains("is loopback") && failed.contains("permanent"), "{failed}");
    daemon.stop(LogCheck::Expected(&["the job failed"])).await
}

/// A small bastion carries any image: memory does not depend on part size.
#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_bounded_with_512_mib_parts() -> Result<()> {
    let size = std::env::var("CAUSEWAY_TEST_GIB").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let image = Synthetic::new(7, size << 30);
    let sink = Some(Sink { compare: Some(image.clone()) });
    let sink = BucketOptions { sink, ..Default::default() };
    let gov = EndpointOptions::gov().bucket_with("landing", sink);
    let mut world = World::of(EndpointOptions::commercial().bucket("images"), gov).await?;
    world.config.set("transfer.max_parts_in_flight", 32)?;
    world.commercial.put("images", "ami-0abc.bin", image, Attributes::default()).await?;
    let daemon = world.start().await?;
    let receipt = world.carry(&[SOURCE, TARGET, "--part-size", "512MiB"]).await?;
    ensure!(receipt["target"]["size"] == size << 30, "{receipt}");
    let resident = daemon.resident_max_kib()?;
    eprintln!("{size} GiB in 512 MiB parts: {} MiB resident at the most", resident >> 10);
    ensure!(resident <= 160 << 10, "{} MiB resident", resident >> 10);
    daemon.stop(LogCheck::Clean).await
}
