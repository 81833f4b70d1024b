//! Webhooks: what happens to jobs is told, signed, at least once, and never at the jobs' cost.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{LogCheck, Receiver, World, images};
use serde_json::Value;
use tokio::net::TcpListener;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SOURCE: &str = "commercial:images/a.bin";

async fn world(hooks: &[(&str, &str, bool)]) -> Result<World> {
    let mut world = World::new().await?;
    for (name, url, all_jobs) in hooks {
        world.config.set(&format!("webhooks.{name}.url"), *url)?;
        world.config.set(&format!("webhooks.{name}.secret"), KEY)?;
        world.config.set(&format!("webhooks.{name}.all_jobs"), *all_jobs)?;
    }
    world.put("a.bin", images(100_000)).await?;
    Ok(world)
}

/// The receiver says no twice, and the daemon is killed in between: the same message comes until it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_outlives_a_kill_and_comes_until_it_is_taken() -> Result<()> {
    let receiver = Receiver::start(Some(KEY), 2).await?;
    let world = world(&[("ops", &receiver.url, false)]).await?;
    let daemon = world.start().await?;
    let id = world.submit(&[SOURCE, "gov:landing/a.bin", "--notify", "ops"]).await?;
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    receiver.until(1).await?;
    daemon.kill()?;
    let daemon = world.start().await?;
    let came = receiver.until(3).await?;
    let ids: BTreeSet<_> = came.iter().map(|delivery| &delivery.id).collect();
    let bodies: BTreeSet<_> = came.iter().map(|delivery| &delivery.body).collect();
    ensure!(ids.len() == 1 && bodies.len() == 1, "{came:?}");
    ensure!(came[2].status == 200, "{came:?}");
    let body: Value = serde_json::from_str(&came[0].body)?;
    ensure!(body["type"] == "job.succeeded" && body["data"]["job_id"] == *id, "{body}");
    let receipt = world.json(&["receipt", &id]).await?;
    ensure!(body["data"]["receipt"] == receipt, "{body}\n{receipt}");
    for _ in 0..100 {
        let status = world.json(&["status"]).await?;
        let hook = &status["webhooks"][0];
        if hook["pending"] == 0 {
            ensure!(hook["delivered"] == 1 && hook["last_error"].is_null(), "{status}");
            let metrics = daemon.get("/metrics").await?;
            let delivered =
                r#"causeway_webhook_deliveries_total{outcome="delivered",webhook="ops"} 1"#;
            ensure!(metrics.contains(delivered), "{metrics}");
            ensure!(metrics.contains(r#"causeway_webhooks_pending{webhook="ops"} 0"#), "{metrics}");
            for text in [daemon.log(), metrics, std::fs::read_to_string(world.audit_log())?] {
                ensure!(!text.contains("MfKQ9r8GKYqr") && !text.contains("/hook"), "{text}");
            }
            return daemon.stop(LogCheck::Expected(&["a webhook delivery failed"])).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("it is taken, and still waits: {}", world.json(&["status"]).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_of_the_jobs_that_name_it_and_one_of_all() -> Result<()> {
    let (some, all) = (Receiver::start(Some(KEY), 0).await?, Receiver::start(Some(KEY), 0).await?);
    let world = world(&[("some", &some.url, false), ("all", &all.url, true)]).await?;
    let daemon = world.start().await?;
    let refused = world.causeway(&["submit", SOURCE, "gov:landing/x", "--notify", "nope"]).await?;
    let told = refused.expect_code(6)?.stderr;
    ensure!(told.contains("there is no webhook 'nope'; name one of: all, some"), "{told}");
    std::fs::write(
        world.path("jobs.csv"),
        format!("source,target,notify\n{SOURCE},gov:landing/1,some\n{SOURCE},gov:landing/2,\n"),
    )?;
    world.causeway(&["submit", "--manifest", "jobs.csv", "--wait"]).await?.expect_code(0)?;
    ensure!(all.until(2).await?.len() == 2, "{all:?}");
    let came = some.until(1).await?;
    ensure!(came.len() == 1 && came[0].body.contains("gov:landing/1"), "{came:?}");
    daemon.stop(LogCheck::Clean).await
}

/// Nobody listens, or somebody takes the connection and never answers.
#[tokio::test(flavor = "multi_thread")]
async fn dead_webhooks_hold_up_no_job_and_no_stop() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let silent_url = format!("http://{}/", silent.local_addr()?);
    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let closed_url = format!("http://{closed}/");
    let world = world(&[("silent", &silent_url, true), ("closed", &closed_url, true)]).await?;
    let daemon = world.start().await?;
    let mut manifest = String::from("source,target\n");
    (0..50).for_each(|n| manifest.push_str(&format!("{SOURCE},gov:landing/{n}\n")));
    std::fs::write(world.path("jobs.csv"), manifest)?;
    world.causeway(&["submit", "--manifest", "jobs.csv", "--wait"]).await?.expect_code(0)?;
    let status = world.json(&["status"]).await?;
    for hook in status["webhooks"].as_array().context("two")? {
        ensure!(hook["pending"] == 50 && hook["delivered"] == 0, "{status}");
    }
    ensure!(status["webhooks"][0]["last_error"].is_string(), "{status}");
    let table = world.causeway(&["status"]).await?.expect_code(0)?.stdout;
    ensure!(table.contains("WEBHOOK") && table.contains("no answer"), "{table}");
    let begun = std::time::Instant::now();
    daemon.stop(LogCheck::Expected(&["a webhook delivery failed"])).await?;
    ensure!(begun.elapsed() < Duration::from_secs(5), "the stop waited for a webhook");
    Ok(())
}
