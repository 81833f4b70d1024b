//! Every fault that a link, a server or a person can cause: what people see of it in `causeway show`,
//! and that the object arrives all the same once the fault is over, or that nothing does.

use anyhow::{Context as _, Result, ensure};
use e2e::{Daemon, LogCheck, World, images};
use sandbox::{Action, Endpoint, Fault, Side};

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";
const SIZE: usize = 40 << 20;
/// Longer than any test.
const FOREVER_MS: u64 = 3_600_000;

async fn world() -> Result<(World, Daemon, Vec<u8>)> {
    let mut world = World::new().await?;
    world.config.set("transfer.max_parts_in_flight", 4)?;
    let bytes = images(SIZE);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    // The server's habits are known, so that the fault hits the transfer and not the probe.
    world.put("first.bin", images(100)).await?;
    world.carry(&["commercial:images/first.bin", "gov:landing/"]).await?;
    Ok((world, daemon, bytes))
}

/// While `fault` lasts, `show` says so with all of `words`; when it is over the object arrives.
async fn is_told_and_survived(
    at: fn(&World) -> &Endpoint,
    fault: Fault,
    words: &[&str],
) -> Result<()> {
    let (world, daemon, bytes) = world().await?;
    at(&world).faults([fault]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.told(&id, words).await?;
    at(&world).faults([]);
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["attempts"] == 1, "a fault that passes is no new attempt of the job: {job}");
    daemon.stop(LogCheck::Clean).await
}

fn commercial(world: &World) -> &Endpoint {
    &world.commercial
}

fn gov(world: &World) -> &Endpoint {
    &world.gov
}

const READ: [&str; 2] = ["source commercial", "s3:GetObject on"];
const WRITE: [&str; 2] = ["target gov", "s3:PutObject on landing/ami-0abc.bin"];

fn words<'a>(side: [&'a str; 2], more: &[&'a str]) -> Vec<&'a str> {
    side.into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_are_reset() -> Result<()> {
    let fault = Fault::on("GetObject", Action::Reset);
    is_told_and_survived(commercial, fault, &words(READ, &["if it stays, check"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_end_short() -> Result<()> {
    let fault = Fault::on("GetObject", Action::Truncate);
    is_told_and_survived(commercial, fault, &words(READ, &["if it stays, check"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_stand_still() -> Result<()> {
    let fault = Fault::on("GetObject", Action::StallMs(FOREVER_MS)).at_byte(100_000);
    is_told_and_survived(commercial, fault, &words(READ, &["no byte for 20 s", "check the link"]))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_are_reset() -> Result<()> {
    let fault = Fault::on("UploadPart", Action::Reset).side(Side::Request);
    is_told_and_survived(gov, fault, &words(WRITE, &["if it stays, check"])).await
}

/// Parts that no socket's buffers take whole: else the answer is what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn writes_that_stand_still() -> Result<()> {
    let (world, daemon, bytes) = world().await?;
    let stall = Fault::on("UploadPart", Action::StallMs(FOREVER_MS)).at_byte(100_000);
    world.gov.faults([stall.side(Side::Request)]);
    let id = world.submit(&[SOURCE, TARGET, "--part-size", "32MiB"]).await?;
    world.told(&id, &words(WRITE, &["took no byte for 20 s", "check the link"])).await?;
    world.gov.faults([]);
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    daemon.stop(LogCheck::Clean).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_whose_answer_is_lost() -> Result<()> {
    let fault = Fault::on("UploadPart", Action::LoseAnswer);
    is_told_and_survived(gov, fault, &words(WRITE, &["if it stays, check"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_fail() -> Result<()> {
    for (at, operation, side) in
        [(commercial as fn(&World) -> &Endpoint, "GetObject", READ), (gov, "UploadPart", WRITE)]
    {
        let fault = Fault::on(operation, Action::Status("InternalError".into()));
        is_told_and_survived(at, fault, &words(side, &["500", "tried again"])).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_ask_for_patience() -> Result<()> {
    for code in ["SlowDown", "429"] {
        let fault = Fault::on("GetObject", Action::Status(code.into()));
        is_told_and_survived(commercial, fault, &words(READ, &["causeway limits set"])).await?;
        let fault = Fault::on("UploadPart", Action::Status(code.into()));
        is_told_and_survived(gov, fault, &words(WRITE, &["causeway limits set"])).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn complete_that_fails_with_200() -> Result<()> {
    let fault = Fault::on("CompleteMultipartUpload", Action::ErrorIn200("InternalError".into()));
    is_told_and_survived(gov, fault, &words(WRITE, &["tried again"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_wrong() -> Result<()> {
    let fault = Fault::on("UploadPart", Action::Status("RequestTimeTooSkewed".into()));
    is_told_and_survived(gov, fault, &words(WRITE, &["clock"])).await
}

/// A token that expires in mid-transfer: the job waits, burns no attempt, and goes on with the next.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_and_come_back() -> Result<()> {
    let (world, daemon, bytes) = world().await?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(200))]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.until(&id, |job| job["parts_done"].as_u64() >= Some(1)).await?;
    let credentials = world.gov.credentials().clone();
    world.gov.expire_credentials(&credentials.access_key_id);
    world.told(&id, &["target gov", "s3:", "credentials"]).await?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["wait_reason"] == "credentials" && job["attempts"] == 1, "{job}");
    world.gov.add_credentials(credentials);
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["attempts"] == 1, "{job}");
    daemon.stop(LogCheck::Clean).await
}

/// What `show` says once the job has failed, and that nothing stands at the target.
async fn fails_with(world: &World, id: &str, words: &[&str]) -> Result<()> {
    world.causeway(&["watch", id]).await?.expect_code(1)?;
    world.told(id, words).await?;
    ensure!(world.gov.object("landing", "ami-0abc.bin").is_none(), "it was published");
    Ok(())
}

const FAILS: LogCheck<'_> = LogCheck::Expected(&["the job failed"]);

/// Damage on the read leg shows in the source's own checksum: nothing is published.
#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_flips_on_the_read_leg() -> Result<()> {
    let (world, daemon, bytes) = world().await?;
    world.commercial.faults([Fault::on("GetObject", Action::FlipBit).call(2).at_byte(12_345)]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    fails_with(
        &world,
        &id,
        &["source commercial", "s3:GetObject", "CRC64NVME", "nothing was published", "retry"],
    )
    .await?;
    ensure!(world.gov.uploads().is_empty(), "a damaged upload is of no use");
    world.causeway(&["retry", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    daemon.stop(FAILS).await
}

/// Damage on the write leg is noticed by the target part by part; a host that goes on damaging fails.
#[tokio::test(flavor = "multi_thread")]
async fn bits_that_flip_on_the_write_leg() -> Result<()> {
    let (world, daemon, bytes) = world().await?;
    let flip = Fault::on("UploadPart", Action::FlipBit).at_byte(12_345).side(Side::Request);
    world.gov.faults([flip]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    fails_with(&world, &id, &words(WRITE, &["check"])).await?;
    world.gov.faults([]);
    world.causeway(&["retry", &id]).await?.expect_code(0)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    daemon.stop(FAILS).await
}

/// A target that computes its checksums and stores something else: only reading back shows it.
#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_flips_in_what_the_target_stored() -> Result<()> {
    let (world, daemon, _) = world().await?;
    let flip = Fault::on("UploadPart", Action::FlipBit).part(2).at_byte(12_345).side(Side::Stored);
    world.gov.faults([flip]);
    let id = world.submit(&[SOURCE, TARGET, "--verify", "readback"]).await?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    world.told(&id, &["target gov", "s3:GetObject", "reads back as BLAKE3"]).await?;
    let job = world.json(&["show", &id]).await?;
    ensure!(job["receipt"].is_null(), "no receipt without a proof: {job}");
    daemon.stop(FAILS).await
}

/// The source is deleted in mid-transfer.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_deleted_midway() -> Result<()> {
    let (world, daemon, _) = world().await?;
    let gone = Fault::on("GetObject", Action::Status("NoSuchKey".into()));
    world.commercial.faults([gone.call(3).count(u64::MAX)]);
    let id = world.submit(&[SOURCE, TARGET]).await?;
    fails_with(&world, &id, &["source commercial", "s3:GetObject on images/ami-0abc.bin", "check"])
        .await?;
    daemon.stop(FAILS).await
}

/// A small object is read again for another try. What is not to be had may be needed no more: it may have landed.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_deleted_while_the_put_of_its_object_is_not_answered() -> Result<()> {
    let (world, daemon, _) = world().await?;
    let bytes = images(1 << 20);
    for (key, action) in [("landed.bin", Action::LoseAnswer), ("lost.bin", Action::LoseRequest)] {
        world.put(key, bytes.clone()).await?;
        world.gov.faults([Fault::on("PutObject", action)]);
        let gone = Fault::on("GetObject", Action::Status("NoSuchKey".into()));
        world.commercial.faults([gone.key(key).call(2).count(u64::MAX)]);
        let (source, target) = (format!("commercial:images/{key}"), format!("gov:landing/{key}"));
        let id = world.submit(&[&source, &target, "--if-exists", "replace"]).await?;
        let has_landed = key == "landed.bin";
        world.causeway(&["watch", &id]).await?.expect_code(i32::from(!has_landed))?;
        let job = world.json(&["show", &id]).await?;
        let is_doubtful = job["warnings"].to_string().contains("may stand at the target");
        ensure!(is_doubtful != has_landed, "{job}");
        if has_landed {
            world.assert_landed(key, &bytes).await?;
        } else {
            world.told(&id, &["source commercial", "s3:GetObject on images/lost.bin"]).await?;
        }
        ensure!(world.gov.stats().logged("PutObject").filter(|call| call.key == key).count() == 1);
    }
    daemon.stop(LogCheck::Expected(&["the job failed", "was sent and not acknowledged"])).await
}

/// A name that does not resolve, for a while; and a host that takes connections and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_are_not_there() -> Result<()> {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let silent = format!("https://{}", silent.local_addr()?);
    for (endpoint, word) in
        [("https://s3.causeway.invalid", "dns"), (&silent, "not connected within 10 s")]
    {
        let mut world = World::new().await?;
        let bytes = images(SIZE);
        world.put("ami-0abc.bin", bytes.clone()).await?;
        let there = world.config.get("remotes.gov.s3_endpoint").context("it has one")?;
        world.config.set("remotes.gov.s3_endpoint", endpoint)?;
        let daemon = world.start().await?;
        let id = world.submit(&[SOURCE, TARGET]).await?;
        world.told(&id, &["target gov", "s3:PutObject", word, "check"]).await?;
        daemon.stop(LogCheck::Clean).await?;
        world.config.set("remotes.gov.s3_endpoint", there)?;
        let daemon = world.start().await?;
        world.causeway(&["watch", &id]).await?.expect_code(0)?;
        world.assert_landed("ami-0abc.bin", &bytes).await?;
        daemon.stop(LogCheck::Clean).await?;
    }
    Ok(())
}
