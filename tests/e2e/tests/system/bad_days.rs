//! Bad input and bad days: each is refused with one line that names the thing, the reason and the
//! remedy, and leaves nothing behind.

use std::os::unix::fs::DirBuilderExt as _;

use anyhow::{Context as _, Result, ensure};
use e2e::{Daemon, LogCheck, World, images};
use sandbox::{Action, Attributes, Fault, Synthetic};
use serde_json::Value;

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";
const FAILS: LogCheck<'_> = LogCheck::Expected(&["the job failed"]);

/// A world with one source object, and its daemon.
async fn world() -> Result<(World, Daemon, Vec<u8>)> {
    let world = World::new().await?;
    let bytes = images(20 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    Ok((world, daemon, bytes))
}

/// The line that people read, and that nothing exists at the target.
fn assert_failed(world: &World, job: &Value, says: &[&str]) -> Result<()> {
    let message = job["failure"]["message"].as_str().with_context(|| format!("{job}"))?;
    eprintln!("causeway show: {message}");
    for text in says {
        ensure!(message.contains(text), "no '{text}' in: {message}");
    }
    ensure!(job["state"] == "failed", "{job}");
    ensure!(world.gov.object("landing", "ami-0abc.bin").is_none(), "something was published");
    ensure!(world.gov.uploads().is_empty(), "an upload is left over");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_named() -> Result<()> {
    let (world, daemon, _) = world().await?;
    for (source, target, says) in [
        ("commercial:nowhere/a.bin", TARGET, ["source commercial", "nowhere", "bucket"]),
        (
            "commercial:images/nothing.bin",
            TARGET,
            ["source commercial", "images/nothing.bin", "key"],
        ),
        (SOURCE, "gov:nowhere/ami-0abc.bin", ["target gov", "nowhere", "bucket"]),
    ] {
        let job = world.fail(&[source, target]).await?;
        assert_failed(&world, &job, &says)?;
    }
    let refused = world.causeway(&["submit", "mars:images/a.bin", TARGET]).await?.expect_code(6)?;
    ensure!(
        refused.stderr.contains("mars") && refused.stderr.contains("commercial"),
        "{refused:?}"
    );
    daemon.stop(FAILS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kms_key_is_named() -> Result<()> {
    let (world, daemon, _) = world().await?;
    let job = world
        .fail(&[SOURCE, TARGET, "--sse", "aws:kms", "--sse-kms-key-id", "no-such-key"])
        .await?;
    assert_failed(&world, &job, &["target gov", "KMS"])?;
    daemon.stop(FAILS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn access_denied_says_which_side_action_and_resource() -> Result<()> {
    for (on_source, operation, says) in [
        (true, "HeadObject", ["source commercial", "s3:GetObject", "images/ami-0abc.bin"]),
        (true, "GetObject", ["source commercial", "s3:GetObject", "images/ami-0abc.bin"]),
        (false, "CreateMultipartUpload", ["target gov", "s3:PutObject", "landing/ami-0abc.bin"]),
        (false, "UploadPart", ["target gov", "s3:PutObject", "landing/ami-0abc.bin"]),
    ] {
        let (world, daemon, _) = world().await?;
        let side = if on_source { &world.commercial } else { &world.gov };
        side.faults([Fault::on(operation, Action::Status("AccessDenied".into()))]);
        let id = world.submit(&[SOURCE, TARGET]).await?;
        world.causeway(&["watch", &id]).await?.expect_code(1)?;
        side.faults([]);
        let job = world.json(&["show", &id]).await?;
        // A failed job keeps its upload for `retry`; cancel lets go of it.
        if !world.gov.uploads().is_empty() {
            world.causeway(&["cancel", &id]).await?.expect_code(0)?;
            world.until(&id, |job| job["state"] == "cancelled").await?;
        }
        assert_failed(&world, &job, &says)?;
        daemon.stop(FAILS).await?;
    }
    Ok(())
}

/// Two versions are never mixed.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes_midway_fails_the_job() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", 2)?;
    world.put("ami-0abc.bin", images(64 << 20)).await?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(500))]);
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, |job| job["parts_done"].as_u64() >= Some(2)).await?;
    world.put("ami-0abc.bin", images((64 << 20) + 1)).await?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    let job = world.json(&["show", &id]).await?;
    assert_failed(&world, &job, &["source commercial", "changed"])?;
    // And a retry begins with the new version.
    world.causeway(&["retry", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &images((64 << 20) + 1)).await?;
    daemon.stop(FAILS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_exists_is_kept_skipped_or_replaced_as_asked() -> Result<()> {
    let (world, daemon, bytes) = world().await?;
    let old = images(4096);
    world.gov.put("landing", "ami-0abc.bin", old.clone(), Attributes::default()).await?;
    for policy in ["fail", "skip"] {
        let job = world.fail(&[SOURCE, TARGET, "--if-exists", policy]).await?;
        let message = job["failure"]["message"].to_string();
        ensure!(message.contains("target gov") && message.contains("exists"), "{message}");
        world.assert_landed("ami-0abc.bin", &old).await?;
    }
    world.carry(&[SOURCE, TARGET, "--if-exists", "replace"]).await?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let puts = world.gov.stats().calls("UploadPart");
    let receipt = world.carry(&[SOURCE, TARGET, "--if-exists", "skip"]).await?;
    ensure!(receipt["bytes_sent"] == 0, "{receipt}");
    ensure!(world.gov.stats().calls("UploadPart") == puts, "bytes moved");
    daemon.stop(FAILS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_published_when_the_hash_is_not_the_one_expected() -> Result<()> {
    let (world, daemon, bytes) = world().await?;
    let wrong = blake3::hash(b"something else").to_hex();
    let job = world.fail(&[SOURCE, TARGET, "--expect-blake3", &wrong]).await?;
    assert_failed(&world, &job, &["BLAKE3", "nothing was published"])?;
    let right = blake3::hash(&bytes).to_hex();
    world.carry(&[SOURCE, TARGET, "--expect-blake3", &right]).await?;
    daemon.stop(FAILS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_refused_at_the_door() -> Result<()> {
    let (world, daemon, _) = world().await?;
    let tags: Vec<String> = (0..11).map(|n| format!("--tag=k{n}=v")).collect();
    let mut too_many = vec!["submit", SOURCE, TARGET];
    too_many.extend(tags.iter().map(String::as_str));
    for (args, says) in [
        (vec!["submit", "nonsense", TARGET], "nonsense"),
        (vec!["submit", SOURCE, "gov:UPPER/key"], "bucket"),
        (vec!["submit", SOURCE, TARGET, "--part-size", "5000001"], "part"),
        (too_many, "10"),
    ] {
        let refused = world.causeway(&args).await?;
        ensure!(refused.code == 6 || refused.code == 2, "{refused:?}");
        ensure!(refused.stderr.contains(says), "no '{says}' in {}", refused.stderr);
    }
    ensure!(world.json(&["jobs"]).await.is_err(), "a job was made: an empty list has no line");
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_too_large_for_s3_is_refused_at_planning() -> Result<()> {
    let world = World::new().await?;
    let image = Synthetic::new(1, 50_000_000_000_001);
    world.commercial.put("images", "ami-0abc.bin", image, Attributes::default()).await?;
    let daemon = world.start().await?;
    let job = world.fail(&[SOURCE, TARGET]).await?;
    assert_failed(&world, &job, &["source commercial", "50 TB"])?;
    daemon.stop(FAILS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn line_7812_of_a_manifest_is_named_and_the_others_go_in() -> Result<()> {
    let world = World::new().await?;
    let daemon = world.start().await?;
    world.causeway(&["drain"]).await?.expect_code(0)?;
    world.causeway(&["drain", "--undo"]).await?.expect_code(0)?;
    let mut manifest = String::new();
    for line in 1..=8_000 {
        match line {
            7_812 => manifest.push_str("{\"source\": \"commercial:images/a\", oops\n"),
            _ => manifest.push_str(&format!(
                "{{\"source\":\"commercial:images/{line}\",\"target\":\"gov:landing/{line}\",\"labels\":{{\"batch\":\"7\"}}}}\n"
            )),
        }
    }
    let file = world.path("manifest.jsonl");
    std::fs::write(&file, manifest)?;
    let path = file.display().to_string();
    let submitted = world.causeway(&["submit", "--manifest", &path]).await?.expect_code(6)?;
    ensure!(submitted.stderr.contains("7812"), "{}", submitted.stderr);
    let status = world.json(&["status"]).await?;
    let jobs: u64 = status["jobs"]
        .as_object()
        .with_context(|| format!("{status}"))?
        .values()
        .filter_map(Value::as_u64)
        .sum();
    ensure!(jobs == 7_999, "{jobs} jobs: {status}");
    world.causeway(&["cancel", "--all"]).await?.expect_code(0)?;
    daemon.stop(FAILS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_the_client_says_so() -> Result<()> {
    let world = World::new().await?;
    let refused = world.causeway(&["jobs"]).await?.expect_code(3)?;
    ensure!(refused.stderr.contains("control.sock"), "{}", refused.stderr);
    Ok(())
}

/// Two daemons on one ledger would both be right, and both be wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_ledger_is_refused() -> Result<()> {
    let (mut world, daemon, bytes) = world().await?;
    world.config.set("control.listen", format!("unix:{}", world.path("second.sock").display()))?;
    world.config.set("telemetry.listen", "127.0.0.1:0")?;
    let mut second = world.spawn(&[])?;
    let status = second.wait().await?;
    ensure!(status.code() == Some(75), "{status}");
    ensure!(second.log().contains("held by another process"), "{}", second.log());
    world.causeway(&["submit", SOURCE, TARGET, "--wait"]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    drop(daemon);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_configuration_is_listed_at_once() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.memory_budgett", "1GiB")?;
    world.config.set("remotes.gov.region", "us-gov-moon-1x")?;
    world.config.set("remotes.commercial.limits.read_bandwidth", "fast")?;
    let mut daemon = world.spawn(&[("CAUSEWAY__TRANSFER__VERIFY", "hope")])?;
    let status = daemon.wait().await?;
    ensure!(status.code() == Some(78), "{status}");
    let log = daemon.log();
    for text in [
        "transfer.memory_budgett",
        "remotes.commercial.limits.read_bandwidth",
        "CAUSEWAY__TRANSFER__VERIFY",
    ] {
        ensure!(log.contains(text), "no '{text}' in {log}");
    }
    ensure!(!log.contains(&world.gov.credentials().secret_access_key), "a secret is in the log");
    Ok(())
}

/// A data directory that is a file, or on a full disk, is said so at start.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_cannot_be_is_refused() -> Result<()> {
    let mut world = World::new().await?;
    let file = world.path("in-the-way");
    std::fs::write(&file, b"not a directory")?;
    world.config.set("data_dir", file.display().to_string())?;
    let mut daemon = world.spawn(&[])?;
    let status = daemon.wait().await?;
    ensure!(!status.success(), "{status}");
    ensure!(daemon.log().contains("in-the-way"), "{}", daemon.log());
    Ok(())
}

/// What cannot be made durable is not acknowledged, and everybody is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_no_work() -> Result<()> {
    let world = World::new().await?;
    let mut directory = std::fs::DirBuilder::new();
    directory.recursive(true).mode(0o700).create(world.path("data/audit"))?;
    std::os::unix::fs::symlink("/dev/full", world.audit_log())?;
    let daemon = world.start().await?;
    let refused = world.causeway(&["submit", SOURCE, TARGET]).await?;
    ensure!(refused.code != 0, "it was acknowledged: {refused:?}");
    ensure!(refused.stderr.contains("audit log"), "{}", refused.stderr);
    daemon.is_not_ready("audit log").await
}

/// A bucket of another Region answers with a redirect that nobody should follow blindly.
#[tokio::test(flavor = "multi_thread")]
async fn a_remote_with_the_wrong_region_is_told_the_right_one() -> Result<()> {
    let mut world = World::new().await?;
    world.put("ami-0abc.bin", images(20 << 20)).await?;
    world.config.set("remotes.commercial.region", "eu-west-1")?;
    let daemon = world.start().await?;
    let job = world.fail(&[SOURCE, TARGET]).await?;
    assert_failed(&world, &job, &["source commercial", "us-east-2"])?;
    daemon.stop(FAILS).await
}

/// A remote whose credentials are another partition's is told so, and the job waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_the_other_partition_make_the_job_wait() -> Result<()> {
    let mut world = World::new().await?;
    let bytes = images(20 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let key = world.commercial.credentials().access_key_id.clone();
    world.config.set("remotes.gov.credentials.access_key_id", key)?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    let job = world.until(&id, |job| job["wait_reason"] == "credentials").await?;
    ensure!(job["wait_detail"].to_string().contains("target gov"), "{job}");
    ensure!(job["state"] == "running" && job["attempts"] == 1, "{job}");
    world.causeway(&["cancel", &id]).await?.expect_code(0)?;
    world.until(&id, |job| job["state"] == "cancelled").await?;
    daemon.stop(LogCheck::Clean).await
}

/// The least that may be configured: three small objects need more memory than there is, and the parts of a large
/// one take every slot. Who waits for another try must hold nothing of either.
#[tokio::test(flavor = "multi_thread")]
async fn small_objects_that_are_refused_and_parts_never_wait_for_each_other() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", 2)?;
    world.config.set("transfer.max_active_jobs", 1)?;
    world.config.set("transfer.memory_budget", "10MiB")?;
    world.gov.faults([
        Fault::on("PutObject", Action::Status("SlowDown".into())).count(6),
        Fault::on("UploadPart", Action::DelayMs(50)),
    ]);
    let daemon = world.start().await?;
    let (large, small) = (images(160 << 20), images(8 << 20));
    world.put("large.bin", large.clone()).await?;
    let of = |key: &str| (format!("commercial:images/{key}"), format!("gov:landing/{key}"));
    let (source, target) = of("large.bin");
    let mut ids = vec![world.submit(&[&source, &target, "--part-size", "8MiB"]).await?];
    world.until(&ids[0], |job| job["parts_done"].as_u64() >= Some(1)).await?;
    for key in ["0.bin", "1.bin", "2.bin"] {
        world.put(key, small.clone()).await?;
        let (source, target) = of(key);
        ids.push(world.submit(&[&source, &target]).await?);
    }
    for id in &ids {
        world.causeway(&["watch", id]).await?.expect_code(0)?;
    }
    world.assert_landed("large.bin", &large).await?;
    for key in ["0.bin", "1.bin", "2.bin"] {
        world.assert_landed(key, &small).await?;
    }
    let status = daemon.get("/metrics").await?;
    ensure!(status.contains("causeway_memory_used_bytes 0"), "memory is still reserved");
    daemon.stop(LogCheck::Clean).await
}
