//! One submission, however often it is sent: one job, one object.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::{World, images};
use sandbox::{Action, Fault};

const TIMES: usize = 100;
const SUBMIT: [&str; 5] = [
    "submit",
    "commercial:images/ami-0abc.bin",
    "gov:landing/ami-0abc.bin",
    "--idempotency-key",
    "ami-0abc of the November round",
];

/// Sends it until it is acknowledged, as a script with a retry would; the job's id.
async fn submit(world: &World) -> Result<String> {
    let args: Vec<&str> = ["--output", "json"].into_iter().chain(SUBMIT).collect();
    for _ in 0..600 {
        let sent = world.causeway(&args).await?;
        match sent.code {
            0 => return Ok(sent.json()?["job_id"].as_str().unwrap_or_default().to_owned()),
            // The daemon is not there: it is the one thing that may be wrong.
            3 => tokio::time::sleep(Duration::from_millis(50)).await,
            _ => bail!("{sent:?}"),
        }
    }
    bail!("it was never acknowledged")
}

/// All at once, while the daemon is killed again and again, and once more after the job has ended.
#[tokio::test(flavor = "multi_thread")]
async fn sent_a_hundred_times_at_once_and_across_restarts_it_is_one_job_and_one_object()
-> Result<()> {
    let world = World::new().await?;
    let bytes = images(40 << 20);
    world.put("ami-0abc.bin", bytes.clone()).await?;
    world.gov.faults([Fault::on("UploadPart", Action::DelayMs(200))]);
    let all = futures::future::try_join_all((0..TIMES).map(|_| submit(&world)));
    let kills = async {
        for _ in 0..4 {
            let daemon = world.start().await?;
            tokio::time::sleep(Duration::from_millis(150)).await;
            daemon.kill()?;
        }
        world.start().await
    };
    let (ids, daemon) = tokio::try_join!(all, kills)?;
    let mut distinct: BTreeSet<String> = ids.into_iter().collect();
    let id = distinct.first().cloned().unwrap_or_default();
    world.causeway(&["watch", &id]).await?.expect_code(0)?;
    daemon.kill()?;
    let _daemon = world.start().await?;
    distinct.insert(submit(&world).await?);
    ensure!(distinct.len() == 1, "{distinct:?}");

    let jobs = world.causeway(&["--output", "json", "jobs"]).await?.lines()?;
    ensure!(jobs.len() == 1 && jobs[0]["state"] == "succeeded", "{jobs:?}");
    world.assert_landed("ami-0abc.bin", &bytes).await?;
    let stats = world.gov.stats();
    let published = stats.logged("CompleteMultipartUpload").filter(|call| call.status == Some(200));
    ensure!(published.count() == 1, "it was published more than once");

    // The same key for another request is a mistake, and told as one.
    let mut other = SUBMIT;
    other[2] = "gov:landing/other.bin";
    let refused = world.causeway(&other).await?.expect_code(6)?;
    ensure!(refused.stderr.contains(&id), "it names the job: {refused:?}");
    Ok(())
}
