//! The real daemon, killed again and again while images migrate: of each there is one stored object, one image
//! and one new version of its alias, whatever moment it was killed in.
//!
//! EC2's creating requests have no client token, and SSM answers before it validates: what a dead daemon asked
//! for is found by the next one, or nowhere. Several migrations go side by side, so that each kill meets them in
//! different stages.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use causeway::v1::{self, Stage};
use e2e::Running;
use e2e::image_world::{ImageWorld, aliased, is_over};
use sandbox::{Action, Fault, ImageSpec};

const SEED: u64 = 0x00c0_ffee_2026_1121;
/// Each with at least one migration under way.
const KILLS: usize = 40;
/// Migrations that go side by side.
const ABREAST: usize = 4;
/// Lives of so many milliseconds: most of them once the daemon takes work, some from their very start.
const LIFE_MS: u64 = 1_400;
const START_MS: u64 = 150;

/// How the migrations stood when they were killed, and how many kills there were.
#[derive(Debug, Default)]
struct Kills {
    count: usize,
    at_stage: BTreeMap<&'static str, usize>,
}

struct Random(u64);

impl Random {
    /// xorshift64*
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 32) % end
    }
}

/// One migration: of an image of the first partition, with an alias that named another before.
struct Migration {
    image: String,
    alias: String,
    job: String,
}

/// Stores and restores take 300 to 1,000 ms each, and so does what lies between them.
async fn world() -> Result<ImageWorld> {
    let world = ImageWorld::taking(10).await?;
    world.world.gov.faults([Fault::on("PutObject", Action::DelayMs(300))]);
    world.world.gov.ssm().change(|options| options.validation_ms = 200);
    Ok(world)
}

async fn submit(
    world: &ImageWorld,
    running: &Running,
    number: usize,
    random: &mut Random,
) -> Result<Migration> {
    let gib = 30 + random.below(70);
    let image = world.from().add_image(ImageSpec::new(format!("golden-{number}")).gib(gib));
    let before = world.to().add_image(ImageSpec::new(format!("before-{number}")));
    let alias = format!("/golden/{number}");
    world.set_alias(&alias, &before).await?;
    let asked = aliased(&image, &alias);
    let job = running.submit(asked).await?;
    Ok(Migration { image, alias, job })
}

/// The stages of those that are under way; none where all are over.
async fn under_way(running: &Running, batch: &[Migration]) -> Result<Vec<&'static str>> {
    let mut stages = Vec::new();
    for migration in batch {
        let job = running.job(&migration.job).await?;
        ensure!(job.state() != v1::JobState::Failed, "{job:#?}");
        if !is_over(&job) {
            stages.push(match job.stage() {
                Stage::Storing => "storing",
                Stage::Restoring => "restoring",
                Stage::Aliasing => "aliasing",
                Stage::Unspecified => "queued",
                _ => "transferring",
            });
        }
    }
    Ok(stages)
}

/// Kills the daemon at random moments until all of them are done, or the kills are.
async fn kill_while_it_works(
    world: &ImageWorld,
    mut running: Running,
    batch: &[Migration],
    (kills, random): (&mut Kills, &mut Random),
) -> Result<Running> {
    while kills.count < KILLS {
        let life = Duration::from_millis(random.below(LIFE_MS));
        tokio::time::sleep(life).await;
        let stages = under_way(&running, batch).await?;
        if stages.is_empty() {
            break;
        }
        for stage in stages {
            *kills.at_stage.entry(stage).or_default() += 1;
        }
        running.daemon.kill()?;
        kills.count += 1;
        // One of four successors dies while it starts.
        if random.below(4) == 0 && kills.count < KILLS {
            let daemon = world.world.spawn(&[])?;
            tokio::time::sleep(Duration::from_millis(random.below(START_MS))).await;
            daemon.kill()?;
            kills.count += 1;
            *kills.at_stage.entry("starting").or_default() += 1;
        }
        running = world.start().await?;
    }
    Ok(running)
}

/// One of each, and all of it whole.
async fn check(world: &ImageWorld, batch: &[Migration], number: usize) -> Result<()> {
    let known: Vec<String> = (0..number).map(|n| format!("golden-{n}")).collect();
    let named = |name: &str| world.to().images().into_values().filter(|it| it.name == name).count();
    for name in &known {
        ensure!(named(name) == 1, "{} images are named {name}", named(name));
    }
    let (to, snapshots) = (world.to().images(), world.to().snapshots());
    ensure!(to.len() == 2 * number, "{} images of {number} migrations", to.len());
    ensure!(snapshots.len() == 2 * number, "{} snapshots are there", snapshots.len());
    for migration in batch {
        let old = world.from().image(&migration.image).context("the source stays")?;
        let new = to.values().find(|it| it.name == old.name).context("the new image")?;
        let (was, is) = (old.snapshot_ids().next(), new.snapshot_ids().next());
        let was = world.from().snapshots()[was.context("one")?].content().read_all().await?;
        let is = snapshots[is.context("one")?].content().read_all().await?;
        ensure!(was == is, "{} holds other bytes than {}", new.id, old.id);
        let held = world.world.gov.ssm().value(&migration.alias).context("the alias")?;
        ensure!(held == (new.id.clone(), 2), "{}: {held:?}", migration.alias);
        let key = format!("{}.bin", migration.image);
        for (endpoint, bucket) in
            [(&world.world.commercial, "images"), (&world.world.gov, "landing")]
        {
            ensure!(endpoint.object(bucket, &key).is_some(), "no {bucket}/{key}");
        }
    }
    let (store, restore) = (world.from().quotas().store, world.to().quotas().restore);
    ensure!(store.admitted == number as u64, "stored twice: {store:?}");
    ensure!(restore.admitted == number as u64, "restored twice: {restore:?}");
    ensure!(world.world.gov.uploads().is_empty(), "{:?}", world.world.gov.uploads());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_forty_times_each_image_is_stored_restored_and_named_once() -> Result<()> {
    eprintln!("seed {SEED:#x}");
    let (mut random, mut kills) = (Random(SEED), Kills::default());
    let world = world().await?;
    let mut running = world.start().await?;
    let mut number = 0;
    while kills.count < KILLS {
        let mut batch = Vec::new();
        for _ in 0..ABREAST {
            batch.push(submit(&world, &running, number, &mut random).await?);
            number += 1;
        }
        let dice = (&mut kills, &mut random);
        running = kill_while_it_works(&world, running, &batch, dice).await?;
        for migration in &batch {
            running.succeeds(&migration.job).await?;
        }
        check(&world, &batch, number).await?;
    }
    println!("{number} migrations, {} kills, which met them {:?}", kills.count, kills.at_stage);
    for stage in ["storing", "transferring", "restoring", "aliasing"] {
        ensure!(kills.at_stage.contains_key(stage), "no kill met one that was {stage}");
    }
    Ok(())
}
