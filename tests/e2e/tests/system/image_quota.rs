//! EC2's in-progress quotas: the daemon never asks for more than there is room for, whoever else asks, and in
//! the order of the jobs' priorities.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use causeway::v1::{self, SubmitRequest, WaitReason};
use e2e::image_world::{Asked as _, ImageWorld, is_over, migrate, store};
use e2e::{LogCheck, Running};
use sandbox::{Admissions, ImageSpec};

/// In progress at the most, as EC2 has it today and the configuration by default.
const STORE_GB: u64 = 1_200;
const RESTORE_GB: u64 = 600;

/// As it is, nobody had to be refused.
fn assert_kept(kind: &str, counted: Admissions, limit: u64, admitted: u64) -> Result<()> {
    eprintln!("{kind}: {counted:?}");
    ensure!(counted.refused == 0, "{kind}: EC2 had to refuse: {counted:?}");
    ensure!(counted.rule_broken == 0, "{kind}: the sandbox miscounted: {counted:?}");
    ensure!(counted.greatest_gib <= limit, "{kind}: beyond {limit}: {counted:?}");
    ensure!(counted.admitted == admitted && counted.in_progress_gib == 0, "{kind}: {counted:?}");
    Ok(())
}

fn at_priority(asked: v1::MigrateSpec, priority: i32) -> SubmitRequest {
    SubmitRequest { priority, ..asked.request() }
}

fn add(world: &ImageWorld, name: &str, gib: u64) -> String {
    world.from().add_image(ImageSpec::new(name).gib(gib))
}

/// What the job waits for, once it waits for a quota.
async fn waits_for_quota(running: &Running, id: &str) -> Result<String> {
    let waits = |job: &v1::Job| job.wait_reason() == WaitReason::Quota;
    let job = running.until(id, |job| waits(job) || is_over(job)).await?;
    ensure!(waits(&job), "it did not wait: {job:#?}");
    Ok(job.wait_detail)
}

/// When each ended, with its priority, the first first.
async fn ends(running: &Running, ids: &[String]) -> Result<Vec<(i64, i32, i32)>> {
    let mut ends = Vec::new();
    for id in ids {
        let job = running.succeeds(id).await?;
        let at = job.finished_at.context("it says when")?;
        ends.push((at.seconds, at.nanos, job.priority));
    }
    ends.sort_unstable();
    Ok(ends)
}

/// The lowest are submitted first, while one image holds the whole quota: by age they would be first.
#[tokio::test(flavor = "multi_thread")]
async fn twelve_images_of_300_gb_keep_to_both_quotas_and_end_by_priority() -> Result<()> {
    let world = ImageWorld::new().await?;
    world.from().change(|options| options.store_ms_per_gib = 4);
    world.to().change(|options| options.restore_ms_per_gib = 5);
    let running = world.start().await?;
    let holder = add(&world, "holder", STORE_GB);
    let holder = running.submit(store(&holder, "images/")).await?;
    running.until(&holder, |_| world.from().quotas().store.in_progress_gib == STORE_GB).await?;
    let mut ids = Vec::new();
    for (n, priority) in [-50, -50, 0, -50, 0, 50, -50, 50, 0, 50, 0, 50].into_iter().enumerate() {
        let image = add(&world, &format!("golden-{n}"), 300);
        ids.push(running.submit(at_priority(migrate(&image), priority)).await?);
    }
    let detail = waits_for_quota(&running, &ids[0]).await?;
    ensure!(detail.contains("commercial"), "{detail}");
    let began = Instant::now();
    let ends = ends(&running, &ids).await?;
    running.succeeds(&holder).await?;
    eprintln!("12 images after {:.1} s", began.elapsed().as_secs_f64());
    let priorities: Vec<i32> = ends.iter().map(|(_, _, priority)| *priority).collect();
    let ordered = priorities.windows(2).all(|pair| pair[0] >= pair[1]);
    ensure!(ordered, "not by priority: {priorities:?}");
    assert_kept("store", world.from().quotas().store, STORE_GB, 13)?;
    let restores = world.to().quotas().restore;
    assert_kept("restore", restores, RESTORE_GB, 12)?;
    ensure!(restores.greatest_gib == RESTORE_GB, "the quota is not made use of: {restores:?}");
    ensure!(world.to().images().len() == 12, "{}", world.to().images().len());
    let metrics = running.daemon.get("/metrics").await?;
    let used = metrics.lines().filter(|line| line.starts_with("causeway_image_quota_used_gb{"));
    let used: Vec<_> = used.filter(|line| !line.ends_with(" 0")).collect();
    ensure!(used.is_empty(), "something is counted still: {used:?}");
    running.daemon.stop(LogCheck::Clean).await
}

/// Quotas are an account's, not a daemon's.
#[tokio::test(flavor = "multi_thread")]
async fn stores_that_other_people_began_count_too() -> Result<()> {
    let world = ImageWorld::new().await?;
    world.from().change(|options| options.store_ms_per_gib = 2);
    let theirs = add(&world, "theirs", STORE_GB);
    let ours = add(&world, "ours", 300);
    let other = world.somebody_else("commercial").await?;
    other.store(&theirs, "images", &Default::default()).await?;
    let running = world.start().await?;
    let id = running.submit(migrate(&ours)).await?;
    let detail = waits_for_quota(&running, &id).await?;
    for word in ["1200 GB", "stored", "commercial", "quota is 1200"] {
        ensure!(detail.contains(word), "nothing of `{word}`: {detail}");
    }
    running.succeeds(&id).await?;
    assert_kept("store", world.from().quotas().store, STORE_GB, 2)?;
    running.daemon.stop(LogCheck::Clean).await
}

/// While the job waits, somebody writes another image to the key: that one was not asked for.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_replaced_while_its_restore_waits_is_not_restored() -> Result<()> {
    let world = ImageWorld::new().await?;
    let (first, second) = (add(&world, "first", 8), add(&world, "second", 8));
    let running = world.start().await?;
    for image in [&first, &second] {
        running.done(store(image, "images/")).await?;
    }
    world.from().change(|options| options.restore_in_progress_gb = 0);
    let restored = v1::RestoredImage { name: "again".to_owned(), ..v1::RestoredImage::default() };
    let source = format!("commercial:images/{first}.bin");
    let id = running.submit(v1::RestoreSpec { source, restored: Some(restored) }).await?;
    waits_for_quota(&running, &id).await?;
    let commercial = &world.world.commercial;
    let other = commercial.object("images", &format!("{second}.bin")).context("the other")?;
    let (bytes, attributes) = (other.bytes().await?, other.attributes.clone());
    let key = format!("{first}.bin");
    commercial.put("images", &key, bytes, attributes).await?;
    let etag = commercial.object("images", &key).context("the new one")?.etag.clone();
    world.from().change(|options| options.restore_in_progress_gb = RESTORE_GB);
    running.has_failed(&id, &["target commercial", &first, "another one now", &etag]).await?;
    ensure!(world.from().images().len() == 2, "{:?}", world.from().images());
    running.daemon.stop(LogCheck::Expected(&["the job failed"])).await
}

/// The configuration may know less than EC2 does: then EC2's no means to wait, and is said to.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_lower_than_configured_is_waited_for() -> Result<()> {
    let world = ImageWorld::new().await?;
    world.from().change(|options| {
        (options.store_in_progress_gb, options.store_ms_per_gib) = (300, 5);
    });
    world.to().change(|options| {
        (options.restore_in_progress_gb, options.restore_ms_per_gib) = (300, 5);
    });
    let (first, second) = (add(&world, "first", 300), add(&world, "second", 300));
    let running = world.start().await?;
    let first = running.submit(migrate(&first)).await?;
    running.until(&first, |_| world.from().quotas().store.admitted == 1).await?;
    let second = running.submit(migrate(&second)).await?;
    let detail = waits_for_quota(&running, &second).await?;
    ensure!(detail.contains("commercial") && detail.contains("limit is 300"), "{detail}");
    running.succeeds(&first).await?;
    let job = running.succeeds(&second).await?;
    ensure!(job.attempts == 1 && job.failure.is_none(), "{job:#?}");
    let quotas = world.from().quotas().store;
    ensure!(quotas.refused >= 1 && quotas.admitted == 2, "{quotas:?}");
    ensure!(world.to().images().len() == 2, "{:?}", world.to().images());
    running.daemon.stop(LogCheck::Clean).await
}
