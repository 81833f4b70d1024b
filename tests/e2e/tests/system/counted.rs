//! Every fault that passes, on a script: the object arrives in one attempt of its job, and what is asked
//! and sent again is what the fault took, and no more.

use std::ops::RangeInclusive;

use anyhow::{Context as _, Result, ensure};
use e2e::{LogCheck, World, images};
use sandbox::{Action, Endpoint, Fault, Side};

const PART: u64 = 5 << 20;
const PARTS: u64 = 5;
const SIZE: u64 = PARTS * PART - 12_345;
/// A byte in the middle of any part, the last one too: who is asked for second is chance.
const AT: u64 = 2_000_000;
const NOTHING: RangeInclusive<u64> = 0..=0;
/// More tries than a burst takes.
const BURST: u64 = 3;

/// A fault, how many calls of its operation the job then takes, and the bytes that are sent again.
struct Case(Fault, u64, RangeInclusive<u64>);

fn status(code: &str) -> Action {
    Action::Status(code.into())
}

/// A read goes on at its byte: however it breaks, nothing is sent again.
fn reads() -> Vec<Case> {
    let fault = |action| Fault::on("GetObject", action);
    vec![
        Case(fault(Action::Reset).call(2).at_byte(AT), PARTS + 1, NOTHING),
        Case(fault(Action::Reset).call(1), PARTS + 1, NOTHING),
        Case(fault(Action::Truncate).call(2).at_byte(AT), PARTS + 1, NOTHING),
        Case(fault(Action::Truncate).call(3).at_byte(1), PARTS + 1, NOTHING),
        Case(fault(Action::LoseAnswer).call(2), PARTS + 1, NOTHING),
        Case(fault(status("InternalError")).call(1).count(BURST), PARTS + BURST, NOTHING),
        Case(fault(status("SlowDown")).call(2).count(BURST), PARTS + BURST, NOTHING),
        Case(fault(status("429")).call(2).count(BURST), PARTS + BURST, NOTHING),
    ]
}

/// A write starts its part again, and only that one.
fn writes() -> Vec<Case> {
    let fault = |action| Fault::on("UploadPart", action).part(2).call(1).at_byte(AT);
    let cut = |action| fault(action).side(Side::Request);
    let burst = |code| fault(status(code)).count(BURST);
    vec![
        Case(cut(Action::Reset), PARTS + 1, AT..=PART),
        Case(cut(Action::Truncate), PARTS + 1, AT..=PART),
        Case(cut(Action::FlipBit), PARTS + 1, PART..=PART),
        Case(fault(Action::LoseAnswer), PARTS + 1, PART..=PART),
        Case(fault(Action::LoseRequest), PARTS + 1, 0..=PART),
        Case(burst("InternalError"), PARTS + BURST, 0..=BURST * PART),
        Case(burst("SlowDown"), PARTS + BURST, 0..=BURST * PART),
        Case(burst("429"), PARTS + BURST, 0..=BURST * PART),
    ]
}

/// What begins and what publishes an upload. An answer that is lost is asked for, not made again.
fn ends() -> Vec<Case> {
    let create = |action| Fault::on("CreateMultipartUpload", action).call(1);
    let complete = |action| Fault::on("CompleteMultipartUpload", action).call(1);
    vec![
        Case(create(status("InternalError")).count(BURST), 1 + BURST, NOTHING),
        Case(create(Action::LoseAnswer), 2, NOTHING),
        Case(create(Action::LoseRequest), 2, NOTHING),
        Case(complete(status("InternalError")).count(BURST), 1 + BURST, NOTHING),
        Case(complete(status("SlowDown")).count(BURST), 1 + BURST, NOTHING),
        Case(complete(Action::ErrorIn200("InternalError".into())), 2, NOTHING),
        Case(complete(Action::LoseAnswer), 1, NOTHING),
        Case(complete(Action::LoseRequest), 2, NOTHING),
    ]
}

async fn cost_what_they_take(cases: Vec<Case>, at: fn(&World) -> &Endpoint) -> Result<()> {
    let world = World::new().await?;
    let bytes = images(usize::try_from(SIZE)?);
    let daemon = world.start().await?;
    // The server's habits are found out first, so that a fault hits the transfer and not the probe.
    world.put("first.bin", images(100)).await?;
    world.carry(&["commercial:images/first.bin", "gov:landing/"]).await?;
    for (number, case) in cases.into_iter().enumerate() {
        let key = format!("{number}.bin");
        world.put(&key, bytes.clone()).await?;
        one(&world, at(&world), &key, case).await?;
        world.assert_landed(&key, &bytes).await?;
    }
    daemon.stop(LogCheck::Clean).await
}

async fn one(world: &World, at: &Endpoint, key: &str, case: Case) -> Result<()> {
    let Case(fault, calls, again) = case;
    let operation = fault.operation.clone().context("each names one")?;
    let fired = at.stats().faults_fired;
    at.faults([fault.clone().key(key)]);
    let source = format!("commercial:images/{key}");
    let receipt = world.carry(&[&source, "gov:landing/", "--part-size", "5MiB"]).await?;
    at.faults([]);

    let stats = at.stats();
    let fired = stats.faults_fired - fired;
    let made = stats.logged(&operation).filter(|call| call.key == key).count() as u64;
    let sent = receipt["bytes_sent"].as_u64().context("a count")?;
    let again_sent = sent.checked_sub(SIZE).with_context(|| format!("{receipt}"))?;
    eprintln!(
        "{operation} {:?}: fired {fired}; {made} calls, {again_sent} bytes sent again",
        fault.action
    );
    ensure!(fired == fault.count.unwrap_or(1), "the fault fired {fired} times: {fault:?}");
    ensure!(made == calls, "{made} calls instead of {calls}: {fault:?}");
    ensure!(again.contains(&again_sent), "{again_sent} bytes again, not {again:?}: {fault:?}");
    ensure!(receipt["attempts"] == 1, "a fault that passes is no new attempt: {receipt}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_read_costs_one_more_get_and_no_byte() -> Result<()> {
    cost_what_they_take(reads(), |world| &world.commercial).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_write_costs_its_part_and_no_other() -> Result<()> {
    cost_what_they_take(writes(), |world| &world.gov).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_and_ends_an_upload_costs_no_byte() -> Result<()> {
    cost_what_they_take(ends(), |world| &world.gov).await
}
