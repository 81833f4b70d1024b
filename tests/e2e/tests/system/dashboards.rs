//! Dashboards and alerts: their form, and what a real Prometheus beside a busy daemon answers to each of
//! their expressions.
//!
//! The world has something of everything that a panel shows: a long transfer held to a limit, a side that
//! throttles, a part that arrives damaged, a job that fails, one whose credentials are refused, a webhook that
//! nobody answers, a drain with a job in the queue, and a second daemon that does not answer.

mod form;

pub use form::alerts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{Daemon, LogCheck, Prometheus, World, deployed, free_port, images, prometheus_program};
use sandbox::{Action, Fault, Side};
use serde_json::Value;

/// Must be firing at the end, but for how long they have to hold.
const FIRE: &[&str] = &[
    "CausewayDown",
    "CausewayDrainForgotten",
    "CausewayRemoteWithoutCredentials",
    "CausewayVerificationFailure",
    "CausewayJobFailed",
];
/// Must not, whatever else happens.
const QUIET: &[&str] = &[
    "CausewayRestarts",
    "CausewayLedgerNotWritable",
    "CausewayCredentialsExpiring",
    "CausewayJobStalled",
    "CausewayQueueOld",
    "CausewayQuotaLine",
];
/// What is said on WARN and ERROR about the faults of this world.
const SAID: LogCheck<'_> = LogCheck::Expected(&["the job failed", "a webhook delivery failed"]);
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_answers_every_expression_of_every_panel_and_rule() -> Result<()> {
    let began = Instant::now();
    let (world, daemon) = started().await?;
    let targets = [world.config.telemetry(), free_port()?];
    let prometheus = Prometheus::start(&world.path(""), &targets).await?;
    // What happens before the first scrape is no increase.
    while prometheus.query("causeway_jobs").await?.is_empty() {
        ensure!(began.elapsed() < PATIENCE, "nothing is scraped");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    load(&world).await?;

    let mut waiting = BTreeMap::new();
    for rule in prometheus.rules().await? {
        let (name, query) = (text(&rule, "name")?, text(&rule, "query")?);
        let asked = match rule["type"].as_str() {
            Some("recording") => name.clone(),
            // What fires is asked as it is; of the others, what they compare.
            _ if FIRE.contains(&name.as_str()) => query,
            _ => without_comparisons(&query),
        };
        waiting.insert(format!("rule {name}"), asked);
    }
    ensure!(waiting.len() == 26, "{} rules", waiting.len());
    let rules = waiting.len();
    let deadline = Instant::now() + PATIENCE;
    for file in dashboards()? {
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        let values = variables(&prometheus, &board, deadline).await?;
        for (panel, expression) in expressions(&board)? {
            let name = format!("{} / {panel}", text(&board, "title")?);
            waiting.insert(name, filled(&expression, &values));
        }
    }
    let asked = waiting.len();
    while !waiting.is_empty() {
        for (name, expression) in waiting.clone() {
            if prometheus.has_number(&expression).await? {
                waiting.remove(&name);
            }
        }
        ensure!(Instant::now() < deadline, "nothing is returned by: {waiting:#?}");
    }
    // The rules are evaluated a moment after what they are about is seen.
    while let Err(error) = assert_rules(&prometheus).await {
        if Instant::now() > deadline {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    eprintln!(
        "{rules} rules and {} expressions of panels answered in {seconds:.1} s",
        asked - rules
    );
    end(&world, daemon).await
}

/// A daemon whose sides are ready for something of everything.
pub async fn started() -> Result<(World, Daemon)> {
    let mut world = World::new().await?;
    limits_and_a_role(&mut world)?;
    for (key, len) in [("long.bin", 320 << 20), ("damaged.bin", 10 << 20), ("throttled.bin", 9)] {
        world.put(key, images(len)).await?;
    }
    world.put("broken.bin", images(100)).await?;
    world.put("refused.bin", images(100)).await?;
    world.gov.faults([
        Fault::on("UploadPart", Action::FlipBit)
            .key("damaged")
            // The first part may be a probe of a few bytes.
            .part(2)
            .at_byte(12_345)
            .count(1)
            .side(Side::Request),
        Fault::on("PutObject", Action::Status("SlowDown".into())).key("throttled").count(3),
        Fault::on("PutObject", Action::Status("InternalError".into())).key("broken").count(3),
        Fault::on("PutObject", Action::Status("ExpiredToken".into())).key("refused").count(10_000),
    ]);
    let credentials = world.path("credentials");
    let keys = world.gov.credentials();
    std::fs::write(
        &credentials,
        format!(
            "[base]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            keys.access_key_id, keys.secret_access_key
        ),
    )?;
    let file = credentials.display().to_string();
    let daemon = world.spawn(&[("AWS_SHARED_CREDENTIALS_FILE", &file)])?.ready().await?;
    Ok((world, daemon))
}

/// Something of everything. Returns once a job has failed and one waits for a daemon that drains.
pub async fn load(world: &World) -> Result<()> {
    let keys =
        ["long.bin", "damaged.bin", "throttled.bin", "broken.bin", "refused.bin", "none.bin"];
    for key in keys {
        let (from, to) = (format!("commercial:images/{key}"), format!("gov:landing/{key}"));
        world.submit(&[&from, &to, "--part-size", "5MiB"]).await?;
    }
    let failed = |jobs: &str| jobs.lines().count() == 1;
    let list = ["jobs", "--state", "failed", "--output", "json"];
    while !failed(&world.causeway(&list).await?.expect_code(0)?.stdout) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // More than there are berths: a daemon that drains takes no more, and leaves some in the queue.
    for n in 0..4 {
        world.submit(&["commercial:images/long.bin", &format!("gov:landing/{n}.bin")]).await?;
    }
    world.causeway(&["drain"]).await?.expect_code(0)?;
    Ok(())
}

/// Ends what runs, and the daemon.
pub async fn end(world: &World, daemon: Daemon) -> Result<()> {
    world.causeway(&["cancel", "--all"]).await?.expect_code(0)?;
    let began = Instant::now();
    while !daemon.get("/metrics").await?.contains("causeway_jobs{state=\"running\"} 0\n") {
        ensure!(began.elapsed() < PATIENCE, "jobs run on after they were cancelled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemon.stop(SAID).await
}

/// 320 MiB at 6 MiB/s outlast the test; and credentials that expire are those of a role.
fn limits_and_a_role(world: &mut World) -> Result<()> {
    world.config.set("transfer.max_active_jobs", 2)?;
    world.config.set("remotes.gov.limits.write_bandwidth", "6MiB/s")?;
    for remote in ["commercial", "gov"] {
        world.config.set(&format!("remotes.{remote}.limits.read_bandwidth"), "1GiB/s")?;
        world.config.set(&format!("remotes.{remote}.limits.requests_per_second"), 1000)?;
    }
    world
        .config
        .set("webhooks.ops.url", format!("http://127.0.0.1:{}/hook", free_port()?.port()))?;
    world.config.set("webhooks.ops.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    world.config.set("webhooks.ops.all_jobs", true)?;
    let account = world.gov.account().to_owned();
    world.config.identify("gov", &world.gov)?;
    let mut gov = world.config.get("remotes.gov").context("no gov")?;
    let keys = gov.as_table_mut().context("not a table")?;
    keys.remove("credentials");
    let role = format!("arn:aws-us-gov:iam::{account}:role/mover");
    keys.insert("role_arn".to_owned(), role.into());
    keys.insert("source_profile".to_owned(), "base".into());
    Ok(world.config.set("remotes.gov", gov)?)
}

/// Each was evaluated without a fault; of the alerts, those are on that have to be, and their texts are whole.
async fn assert_rules(prometheus: &Prometheus) -> Result<()> {
    let rules = prometheus.rules().await?;
    for rule in &rules {
        ensure!(rule["health"] == "ok" && rule["lastError"].is_null(), "{rule}");
        for alert in rule["alerts"].as_array().into_iter().flatten() {
            let annotations = alert["annotations"].to_string();
            ensure!(!annotations.contains("error expanding"), "{annotations}");
            ensure!(!annotations.contains("<no value>"), "{annotations}");
        }
    }
    for (names, on) in [(FIRE, true), (QUIET, false)] {
        for name in names {
            let rule = rules.iter().find(|rule| rule["name"] == **name).context("no such alert")?;
            ensure!((rule["state"] != "inactive") == on, "{name}: {rule}");
        }
    }
    Ok(())
}

/// The variables of a dashboard, each as a pattern of all its values.
async fn variables(
    prometheus: &Prometheus,
    board: &Value,
    deadline: Instant,
) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::from([("__rate_interval".to_owned(), "10s".to_owned())]);
    for variable in board["templating"]["list"].as_array().context("no variables")? {
        let name = text(variable, "name")?;
        if text(variable, "type")? == "datasource" {
            continue;
        }
        let query = filled(&text(variable, "definition")?, &values);
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (series, label) =
            inner.and_then(|inner| inner.rsplit_once(", ")).context(query.clone())?;
        let found = loop {
            let found = prometheus.label_values(series, label).await?;
            if !found.is_empty() {
                break found;
            }
            if Instant::now() > deadline {
                bail!("no values for {name}: {query}");
            }
        };
        // As Grafana does for a pattern within a string of PromQL.
        let escaped = found.iter().map(|value| value.replace('.', "\\\\."));
        values.insert(name, format!("({})", escaped.collect::<Vec<_>>().join("|")));
    }
    Ok(values)
}

fn filled(expression: &str, values: &BTreeMap<String, String>) -> String {
    let mut expression = expression.to_owned();
    for (name, value) in values {
        expression = expression.replace(&format!("${name}"), value);
    }
    expression
}

/// `a > 5 * 60 and b == 0` as `a and b`: whether there is something to compare.
fn without_comparisons(expression: &str) -> String {
    let mut kept = Vec::new();
    let mut compared = false;
    for word in expression.split_whitespace() {
        compared = match word {
            ">" | "<" | ">=" | "<=" | "==" | "!=" => true,
            _ if compared && (word == "*" || word.parse::<f64>().is_ok()) => true,
            _ => {
                kept.push(word);
                false
            }
        };
    }
    kept.join(" ")
}

/// Where each panel's expressions are, with the panel's title.
fn expressions(board: &Value) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for panel in board["panels"].as_array().context("no panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let name = format!("{} {}", text(panel, "title")?, text(target, "refId")?);
            let name = format!("{name} of panel {}", panel["id"]);
            found.push((name, text(target, "expr")?));
        }
    }
    Ok(found)
}

fn dashboards() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(deployed("grafana"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    ensure!(files.len() == 3, "{files:?}");
    Ok(files)
}

fn text(value: &Value, key: &str) -> Result<String> {
    let found = value[key].as_str().with_context(|| format!("no {key} in {value}"))?;
    Ok(found.to_owned())
}

/// Of each alert a case that fires and one that does not, by Prometheus's own tool.
#[test]
fn promtool_passes_the_rules_and_every_alert_is_tested_both_ways() -> Result<()> {
    for (command, file) in [
        ("check rules", "causeway.rules.yml"),
        ("test rules", "causeway.rules.test.yml"),
        ("check config", "prometheus.yml"),
    ] {
        let output = Command::new(prometheus_program("promtool"))
            .args(command.split(' '))
            .arg(file)
            .current_dir(deployed("prometheus"))
            .output()
            .context("promtool cannot be started: tests/run installs it first")?;
        ensure!(output.status.success(), "{command}: {output:?}");
    }
    let tests = std::fs::read_to_string(deployed("prometheus/causeway.rules.test.yml"))?;
    let cases: BTreeSet<(String, bool)> = tests
        .split("  - name: '")
        .skip(1)
        .filter_map(|case| {
            Some((case.split(':').next()?.to_owned(), !case.contains("exp_samples: []")))
        })
        .collect();
    let alerts = alerts()?;
    ensure!(alerts.len() == 18, "{} alerts", alerts.len());
    for alert in &alerts {
        for fires in [true, false] {
            let case = (alert.name.clone(), fires);
            ensure!(cases.contains(&case), "no case of {case:?}");
        }
        ensure!(tests.contains(&format!("alertname=\"{}\"", alert.name)), "{}", alert.name);
    }
    Ok(())
}
