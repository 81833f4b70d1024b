//! Who a remote is must be known before anything is asked of it, where an account is expected.

use anyhow::{Result, ensure};
use e2e::{Daemon, LogCheck, NoSts, Sts, World, images};
use nix::sys::signal::Signal;
use tokio::net::TcpListener;

const SOURCE: &str = "commercial:images/ami-0abc.bin";
const TARGET: &str = "gov:landing/ami-0abc.bin";
const ACCOUNT: &str = "111122223333";
const UNCHECKED: &str = "the identity cannot be checked yet";

/// A daemon that started while STS could not be reached.
async fn world() -> Result<(World, Daemon, NoSts, Vec<u8>)> {
    let mut world = World::new().await?;
    let at = NoSts::new()?;
    world.config.set("remotes.gov.sts_endpoint", at.url()?)?;
    world.config.set("remotes.gov.expected_account", ACCOUNT)?;
    let bytes = images(100_000);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    let daemon = world.start().await?;
    Ok((world, daemon, at, bytes))
}

/// Whoever mends a profile later needs no restart: so a check must not refuse what the daemon starts with.
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_in_no_file_is_a_warning_and_the_daemon_starts() -> Result<()> {
    let mut world = World::new().await?;
    // An endpoint of its own and no STS: nobody outside is asked who it is.
    let keys =
        [("region", "us-east-2"), ("profile", "in-no-file"), ("s3_endpoint", "http://127.0.0.1:9")];
    for (key, value) in keys {
        world.config.set(&format!("remotes.extra.{key}"), value)?;
    }
    let checked = world.causewayd(&["check"]).await?.expect_code(0)?;
    ensure!(checked.stdout.ends_with(": good\n"), "{checked:?}");
    let warning = "causewayd: warning: remotes.extra.profile: ";
    ensure!(checked.stderr.starts_with(warning), "{checked:?}");
    ensure!(checked.stderr.lines().count() == 1, "{checked:?}");
    world.start().await?.stop(LogCheck::Clean).await?;

    let log = world.path("causewayd.log").display().to_string();
    world.config.set("remotes.extra.ca_bundle", log)?;
    let refused = world.causewayd(&["check"]).await?.expect_code(78)?;
    ensure!(refused.stderr.contains("remotes.extra.ca_bundle: /"), "{refused:?}");
    ensure!(refused.stderr.contains("it holds no certificate"), "{refused:?}");
    Ok(())
}

/// Credentials that are another account's may work at S3 all the same.
#[tokio::test(flavor = "multi_thread")]
async fn until_sts_has_answered_nothing_is_asked_of_the_remote() -> Result<()> {
    let (world, daemon, at, bytes) = world().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.told(&id, &["credentials", "target gov", "STS was not reached", "sts_endpoint"]).await?;
    ensure!(world.gov.stats().log.is_empty(), "the target was asked");

    let _sts = Sts::start(at, ACCOUNT)?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let receipt = world.json(&["receipt", &id]).await?;
    ensure!(receipt["target"]["account"] == ACCOUNT, "{receipt}");
    ensure!(receipt["attempts"] == 1, "waiting is no attempt: {receipt}");
    daemon.stop(LogCheck::Expected(&[UNCHECKED])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_turns_out_wrong_ends_its_jobs_and_is_asked_for_nothing() -> Result<()> {
    let (world, daemon, at, _) = world().await?;
    let id = world.submit(&[SOURCE, TARGET]).await?;
    world.told(&id, &["STS was not reached"]).await?;
    let _sts = Sts::start(at, "444455556666")?;
    world.causeway(&["watch", &id]).await?.expect_code(1)?;
    world.told(&id, &["target gov", ACCOUNT, "444455556666", "its own credentials"]).await?;
    ensure!(world.gov.stats().log.is_empty(), "the target was asked");
    daemon.stop(LogCheck::Expected(&[UNCHECKED, "the job failed"])).await
}

/// A start takes as long as what it asks does, and whoever reloads does not know that it is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_during_a_start_is_done_once_the_daemon_serves() -> Result<()> {
    let mut world = World::new().await?;
    let slow = TcpListener::bind("127.0.0.1:0").await?;
    world.config.set("remotes.gov.sts_endpoint", format!("http://{}", slow.local_addr()?))?;
    world.config.set("remotes.gov.expected_account", ACCOUNT)?;
    let daemon = world.spawn(&[])?;
    let asked = slow.accept().await?;
    daemon.signal(Signal::SIGHUP)?;
    drop((asked, slow));
    let daemon = daemon.ready().await?;
    daemon.says("reloaded limits").await?;
    daemon.stop(LogCheck::Expected(&[UNCHECKED])).await
}
