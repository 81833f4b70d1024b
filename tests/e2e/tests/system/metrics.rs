//! The metrics as a daemon gives them: as the table in `deploy/prometheus` has them, and no more series of
//! many jobs than of few.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Daemon, LogCheck, World, deployed, images};

use super::dashboards;

/// What one metric is, as the table and the daemon have it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
    help: String,
}

/// What is scraped: the families, and the key of each series.
async fn scrape(daemon: &Daemon) -> Result<(BTreeMap<String, Family>, BTreeSet<String>)> {
    let answer = daemon.get("/metrics").await?;
    let (_, text) = answer.split_once("\r\n\r\n").context("no body")?;
    let (mut families, mut series) = (BTreeMap::<String, Family>::new(), BTreeSet::new());
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').context("no line")?;
        if word == "#" {
            let mut words = rest.splitn(3, ' ');
            let (what, name, text) = (words.next(), words.next(), words.next());
            let family = families.entry(name.context("no name")?.to_owned()).or_default();
            let text = text.context("no text")?.to_owned();
            if what == Some("HELP") {
                family.help = text;
            } else {
                family.kind = text;
            }
            continue;
        }
        let key = line.rsplit_once(' ').context("no value")?.0;
        let (name, labels) = key.split_once('{').unwrap_or((key, ""));
        let ends = ["_bucket", "_sum", "_count"];
        let base = ends.iter().find_map(|end| name.strip_suffix(end));
        let base = base.filter(|base| families.contains_key(*base)).unwrap_or(name);
        let family = families.get_mut(base).context("no such family")?;
        let labels = labels.trim_end_matches('}').split("\",");
        let labels = labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        family.labels.extend(labels.filter(|label| label != "le"));
        series.insert(key.to_owned());
    }
    Ok((families, series))
}

/// The table of `deploy/prometheus/README.md`.
fn table() -> Result<BTreeMap<String, Family>> {
    let text = std::fs::read_to_string(deployed("prometheus/README.md"))?;
    let mut families = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with("| `causeway_")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let &[name, kind, labels, help] = cells.as_slice() else { anyhow::bail!("{row}") };
        let labels = labels.split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        let family = Family { kind: kind.to_owned(), labels, help: help.to_owned() };
        let name = name.trim_matches('`').to_owned();
        ensure!(families.insert(name, family).is_none(), "twice: {row}");
    }
    Ok(families)
}

/// A role's credentials expire, and a limited side has limits: so there is every family but what no test of a
/// minute can have.
#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_the_documents_is_what_a_daemon_gives() -> Result<()> {
    let (world, daemon) = dashboards::started().await?;
    dashboards::load(&world).await?;
    let mut expected = table()?;
    let mut seen = BTreeMap::new();
    for _ in 0..200 {
        for (name, family) in scrape(&daemon).await?.0 {
            let known: &mut Family = seen.entry(name).or_default();
            known.labels.extend(family.labels);
            (known.kind, known.help) = (family.kind, family.help);
        }
        if seen.len() >= expected.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (name, family) in seen {
        let row = expected.remove(&name).unwrap_or_default();
        ensure!(row == family, "{name}: the table has {row:?}, the daemon {family:?}");
    }
    ensure!(expected.is_empty(), "the daemon has none of {expected:?}");
    dashboards::end(&world, daemon).await
}

/// A million jobs are not a million series: of small objects nothing is told by their ids, however many are
/// under way whenever somebody looks.
#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_make_no_more_series_than_few() -> Result<()> {
    let world = World::new().await?;
    world.put("small.bin", images(300)).await?;
    let daemon = world.start().await?;
    let mut all = BTreeSet::new();
    let (mut after_few, mut done) = (0, 0);
    for (round, count) in [(0, 20), (1, 400)] {
        let lines: Vec<String> = (0..count)
            .map(|n| {
                format!(
                    "{{\"source\":\"commercial:images/small.bin\",\
                     \"target\":\"gov:landing/{round}-{n}.bin\"}}\n"
                )
            })
            .collect();
        std::fs::write(world.path("jobs.jsonl"), lines.concat())?;
        world.causeway(&["submit", "--manifest", "jobs.jsonl"]).await?.expect_code(0)?;
        done += count;
        let over = format!("causeway_jobs{{state=\"succeeded\"}} {done}\n");
        loop {
            let is_over = daemon.get("/metrics").await?.contains(&over);
            all.extend(scrape(&daemon).await?.1);
            if is_over {
                break;
            }
        }
        if round == 0 {
            after_few = all.len();
        }
    }
    eprintln!("{after_few} series after 20 jobs, {} after 420", all.len());
    ensure!(!all.iter().any(|key| key.contains("job=\"")), "a small job has series");
    // Labels of a class of failure or an operation that the first twenty did not meet.
    ensure!(all.len() <= after_few + 40, "{} after {after_few}", all.len());
    ensure!(all.len() < 600, "{}", all.len());
    daemon.stop(LogCheck::Clean).await
}
