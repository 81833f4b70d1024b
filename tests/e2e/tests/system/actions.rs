//! What people do to jobs while they run: pause, resume, cancel, retry, reprioritize, limit, drain;
//! and what scripts rely on: idempotency keys, prefixes, dry runs, exit codes.

use anyhow::{Context as _, Result, ensure};
use e2e::{LogCheck, World, binary, images};
use sandbox::{Action, Fault, Side};
use serde_json::Value;

use crate::terminal::Terminal;

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";

fn has_parts(job: &Value) -> bool {
    job["parts_done"].as_u64() >= Some(2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_keeps_its_parts_and_goes_on_when_resumed() -> Result<()> {
    let (world, daemon, bytes) = World::slow().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, has_parts).await?;
    world.causeway(&["pause", &id]).await?.expect_code(0)?;
    let paused = world.until(&id, |job| job["state"] == "paused").await?;
    ensure!(has_parts(&paused), "{paused}");
    let sent = world.parts_acknowledged().len();
    world.causeway(&["pause", &id]).await?.expect_code(6)?;
    world.causeway(&["resume", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let parts = world.json(&["receipt", &id]).await?["parts"].as_u64().unwrap_or_default();
    let all = world.parts_acknowledged();
    ensure!(all.len() as u64 == parts, "{sent} before the pause, then {all:?}");
    daemon.stop(LogCheck::Clean).await
}

/// Nothing is deleted at a target: so it is told what a cancel came too late for.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_after_the_object_was_published_says_so() -> Result<()> {
    let (world, daemon, bytes) = World::slow().await?;
    // The probe, a multipart upload too, is aborted and not completed.
    let lost = Action::StallMs(3_600_000);
    world.gov.faults([Fault::on("CompleteMultipartUpload", lost).side(Side::Response)]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    for _ in 0..600 {
        if world.gov.object("landing", "ami-0abc.bin").is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    world.causeway(&["cancel", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["state"] == "cancelled", "{job}");
    ensure!(job["warnings"].to_string().contains("stands at the target"), "{job}");
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    daemon.stop(LogCheck::Clean).await
}

/// A cancel ends, whatever the target says or does not say.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_cannot_see_what_was_published_says_that() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    let lost = Fault::on("CompleteMultipartUpload", Action::StallMs(3_600_000));
    world.gov.faults([lost.clone().side(Side::Response)]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, |job| job["stage"] == "sealing").await?;
    let refused = Fault::on("HeadObject", Action::Status("AccessDenied".into()));
    world.gov.faults([lost.side(Side::Response), refused]);
    world.causeway(&["cancel", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["state"] == "cancelled", "{job}");
    ensure!(job["warnings"].to_string().contains("is not known"), "{job}");
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_leaves_nothing_at_the_target() -> Result<()> {
    let (world, daemon, bytes) = World::slow().await?;
    let id = world.submit(&[SOURCE, TARGET, "--label", "batch=7"]).await?;
    world.until(&id, has_parts).await?;
    world.causeway(&["cancel", "--label", "batch=7"]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    ensure!(world.gov.uploads().is_empty(), "the upload is still there");
    ensure!(world.gov.object("landing", "ami-0abc.bin").is_none(), "something was published");
    world.gov.faults([]);
    world.causeway(&["retry", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    world.causeway(&["cancel", &id]).await?.expect_code(6)?;
    daemon.stop(LogCheck::Clean).await
}

/// What was asked for is not done: a script that a person runs has to see that.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_a_person_refuses_cancels_nothing_and_ends_with_6() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    let terminal = Terminal::open(&world.path(""))?;
    let endpoint = world.config.control_endpoint();
    let cancel = format!("{} --endpoint {endpoint} cancel --all", binary("causeway").display());
    for answer in [&["n", "Enter"][..], &["C-d"]] {
        terminal.press(&[&cancel, "Enter"])?;
        terminal.shows("[y/N]")?;
        terminal.press(answer)?;
        terminal.shows("nothing was cancelled")?;
        terminal.is_given_back(6)?;
        terminal.press(&["clear", "Enter"])?;
        terminal.until("a clear screen", |screen| !screen.contains("code 6"))?;
    }
    let job = world.json(&["show", &id]).await?;
    ensure!(job["state"] != "cancelled", "{job}");
    daemon.stop(LogCheck::Clean).await
}

/// The worker that aborts is told of the cancel, too: it must not be stopped by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_over_a_long_path_is_one_more_claim() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    world.gov.faults([
        Fault::on("UploadPart", Action::DelayMs(150)),
        Fault::on("AbortMultipartUpload", Action::DelayMs(300)),
    ]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, has_parts).await?;
    world.causeway(&["cancel", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["state"] == "cancelled" && job["attempts"] == 2, "{job}");
    ensure!(world.gov.uploads().is_empty(), "the upload is still there");
    daemon.stop(LogCheck::Clean).await
}

/// A job that failed for a reason that went away continues from its parts.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_retried_from_its_parts() -> Result<()> {
    let (world, daemon, bytes) = World::slow().await?;
    world.gov.faults([
        Fault::on("UploadPart", Action::DelayMs(50)),
        Fault::on("UploadPart", Action::Status("AccessDenied".into())).part(7),
    ]);
    let id = world.submit(&[SOURCE, TARGET, "--part-size", "8MiB"]).await?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    let failed = world.json(&["show", &id]).await?;
    let kept = failed["parts_done"].as_u64().unwrap_or_default();
    ensure!(kept >= 4, "{failed}");
    world.gov.faults([]);
    let before = world.parts_acknowledged().len() as u64;
    world.causeway(&["retry", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let parts = failed["parts_total"].as_u64().unwrap_or_default();
    let sent = world.parts_acknowledged().len() as u64 - before;
    ensure!(sent == parts - kept, "{sent} parts sent for {parts} - {kept}");
    daemon.stop(LogCheck::Expected(&["the job failed"])).await
}

/// A large job that came first does not hold up a small one.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_job_overtakes_a_large_one() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    world.put("small.bin", images(3 << 20)).await?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(500))]);
    let large = world.submit(&[SOURCE, TARGET, "--part-size", "8MiB"]).await?;
    world.until(&large, has_parts).await?;
    world.carry(&["commercial:images/small.bin", "gov:landing/small.bin"]).await?;
    ensure!(world.json(&["show", &large]).await?["state"] == "running", "the large one was done");
    world.causeway(&["watch", &large]).await?.expect_code(0)?;
    daemon.stop(LogCheck::Clean).await
}

/// One request at a time each, they would take as long as the path is far.
#[tokio::test(flavor = "multi_thread")]
async fn small_jobs_go_side_by_side_beside_those_in_parts() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_active_jobs", 1)?;
    world.gov.faults([Fault::on("PutObject", Action::DelayMs(2000))]);
    let daemon = world.start().await?;
    let mut ids = Vec::new();
    for n in 0..12 {
        let key = format!("{n}.bin");
        world.put(&key, images(1000 + n)).await?;
        let (source, target) = (format!("commercial:images/{key}"), format!("gov:landing/{key}"));
        ids.push(world.submit(&[&source, &target]).await?);
    }
    let mut most = 0;
    while world.json(&["show", &ids[11]]).await?["state"] != "succeeded" {
        let status = world.json(&["status"]).await?;
        most = most.max(status["parts_in_flight"].as_u64().with_context(|| format!("{status}"))?);
    }
    ensure!(most > 4, "{most} at once");
    for id in &ids {
        world.causeway(&["watch", id]).await?.expect_code(0)?;
    }
    daemon.stop(LogCheck::Clean).await
}

/// A job that turns out to go in parts begins no upload before it has a berth for that.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_in_parts_keep_to_max_active_jobs() -> Result<()> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_active_jobs", 2)?;
    let daemon = world.start().await?;
    world.put("first.bin", images(1000)).await?;
    // How the server takes uploads is found out by an upload.
    world.carry(&["commercial:images/first.bin", "gov:landing/first.bin"]).await?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(300))]);
    let mut ids = Vec::new();
    for n in 0..6 {
        let key = format!("{n}.bin");
        world.put(&key, images((9 << 20) + n)).await?;
        let (source, target) = (format!("commercial:images/{key}"), format!("gov:landing/{key}"));
        ids.push(world.submit(&[&source, &target]).await?);
    }
    for id in &ids {
        while world.json(&["show", id]).await?["state"] != "succeeded" {
            let uploads = world.gov.uploads().len();
            ensure!(uploads <= 2, "{uploads} uploads at once");
        }
    }
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_priority_runs_first() -> Result<()> {
    let mut world = World::new().await?;
    // Small jobs have places of their own, as many as there are slots.
    world.config.set("transfer.max_parts_in_flight", 1)?;
    world.config.set("transfer.max_active_jobs", 1)?;
    world.gov.faults([Fault::on("PutObject", Action::DelayMs(200))]);
    let daemon = world.start().await?;
    let mut ids = Vec::new();
    for (n, priority) in ["0", "0", "-5", "7", "0"].into_iter().enumerate() {
        let key = format!("{n}.bin");
        world.put(&key, images(1000 + n)).await?;
        let (source, target) = (format!("commercial:images/{key}"), format!("gov:landing/{key}"));
        ids.push(world.submit(&[&source, &target, "--priority", priority]).await?);
    }
    world.causeway(&["reprioritize", &ids[4], "--priority", "50"]).await?;
    for id in &ids {
        world.causeway(&["watch", id]).await?.expect_code(0)?;
    }
    let stats = world.gov.stats();
    let order: Vec<_> = stats.logged("PutObject").map(|call| call.key.as_str()).collect();
    // The first was running before the others were there.
    ensure!(order.first() == Some(&"0.bin") && order.last() == Some(&"2.bin"), "{order:?}");
    let place = |key: &str| order.iter().position(|k| *k == key);
    ensure!(place("3.bin") < place("1.bin"), "{order:?}");
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_is_the_same_job() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    let args = [SOURCE, TARGET, "--idempotency-key", "monday"];
    let first = world.submit(&args).await?;
    ensure!(world.submit(&args).await? == first, "another job was made");
    let other = ["submit", SOURCE, "gov:landing/other.bin", "--idempotency-key", "monday"];
    let refused = world.causeway(&other).await?.expect_code(6)?;
    ensure!(refused.stderr.contains("monday"), "{}", refused.stderr);
    world.causeway(&["watch", &first]).await?.expect_code(0)?;
    ensure!(world.submit(&args).await? == first, "another job was made");
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_carried_object_by_object() -> Result<()> {
    let world = World::new().await?;
    for n in 0..12 {
        world.put(&format!("golden/2026/{n}.bin"), images(1000 + n)).await?;
    }
    world.put("golden/readme.txt", images(10)).await?;
    world.put("other.bin", images(10)).await?;
    let daemon = world.start().await?;
    let args = [
        "submit",
        "--recursive",
        "commercial:images/golden/",
        "gov:landing/g/",
        "--include",
        "*.bin",
        "--wait",
    ];
    world.causeway(&args).await?.expect_code(0)?;
    for n in 0..12 {
        world.assert_landed(&format!("g/2026/{n}.bin"), &images(1000 + n)).await?;
    }
    ensure!(world.gov.object("landing", "g/readme.txt").is_none(), "it was not included");
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    let plan = world.json(&["submit", SOURCE, "gov:landing/", "--dry-run"]).await?;
    ensure!(plan["parts"] == 6 && plan["bytes_to_send"] == 96 << 20, "{plan}");
    ensure!(plan["target"]["key"] == "ami-0abc.bin", "{plan}");
    let gov = world.gov.stats();
    ensure!(gov.calls("PutObject") + gov.calls("CreateMultipartUpload") == 0, "it wrote");
    let refused =
        world.causeway(&["submit", "commercial:images/none", TARGET, "--dry-run"]).await?;
    ensure!(refused.code == 6 && refused.stderr.contains("source commercial"), "{refused:?}");
    daemon.stop(LogCheck::Clean).await
}

/// A limit set while it runs holds from then on, and with `--persist` after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn limits_are_changed_live_and_kept() -> Result<()> {
    let (world, daemon, _) = World::slow().await?;
    let set = ["limits", "set", "gov", "--write-bandwidth", "8MiB/s", "--persist"];
    world.causeway(&set).await?.expect_code(0)?;
    let began = std::time::Instant::now();
    world.put("small.bin", images(32 << 20)).await?;
    world.carry(&["commercial:images/small.bin", "gov:landing/small.bin"]).await?;
    ensure!(began.elapsed().as_secs_f64() > 3.5, "32 MiB at 8 MiB/s in {:?}", began.elapsed());
    daemon.stop(LogCheck::Clean).await?;
    let daemon = world.start().await?;
    let limits = world.causeway(&["--output", "json", "limits"]).await?.expect_code(0)?.lines()?;
    let gov = limits.iter().find(|limits| limits["remote"] == "gov").context("gov")?;
    ensure!(gov["write_bandwidth"] == 8 << 20 && gov["origin"] == "persisted", "{gov}");
    let before = world.causeway(&["--output", "json", "limits", "reset", "gov"]).await?;
    daemon.stop(LogCheck::Clean).await?;
    let daemon = world.start().await?;
    let after = world.causeway(&["--output", "json", "limits", "show", "gov"]).await?;
    for limits in [before, after] {
        let gov = &limits.expect_code(0)?.lines()?[0];
        ensure!(gov["write_bandwidth"].is_null() && gov["origin"] == "configured", "{gov}");
    }
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_daemon_finishes_and_takes_nothing_new() -> Result<()> {
    let (world, daemon, bytes) = World::slow().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, has_parts).await?;
    world.causeway(&["drain"]).await?.expect_code(0)?;
    let refused = world.causeway(&["submit", SOURCE, "gov:landing/later.bin"]).await?;
    ensure!(refused.code != 0 && refused.stderr.contains("drain"), "{refused:?}");
    ensure!(daemon.get("/readyz").await?.starts_with("HTTP/1.1 503"), "ready");
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    world.causeway(&["drain", "--undo"]).await?.expect_code(0)?;
    world.submit(&[SOURCE, "gov:landing/later.bin"]).await?;
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_job_is_exit_4() -> Result<()> {
    let world = World::new().await?;
    let daemon = world.start().await?;
    for command in ["show", "receipt", "pause"] {
        let id = "01JD3Z6W4Q8R5T7V9X0Y1A2B3C";
        world.causeway(&[command, id]).await?.expect_code(4)?;
    }
    daemon.stop(LogCheck::Clean).await
}
