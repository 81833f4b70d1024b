//! The form of dashboards and rules, without a Prometheus.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::deployed;
use serde_json::Value;

use super::{dashboards, expressions, text};

/// One alert of the rules' file.
#[derive(Debug)]
pub struct Alert {
    pub name: String,
    /// Below `deploy/RUNBOOK.md`.
    pub anchor: String,
}

/// All alerts, each with what it has to have.
pub fn alerts() -> Result<Vec<Alert>> {
    let rules = std::fs::read_to_string(deployed("prometheus/causeway.rules.yml"))?;
    let alert = |block: &str| {
        let name = block.lines().next().context("no name")?.to_owned();
        for (word, found) in [
            ("severity", ["critical", "warning", "info"].map(|word| format!("severity: {word}\n"))),
            ("summary", std::array::from_fn(|_| "summary: ".to_owned())),
            ("description", std::array::from_fn(|_| "description: ".to_owned())),
        ] {
            ensure!(found.iter().any(|found| block.contains(found)), "{name} has no {word}");
        }
        let anchor = block.split("runbook: deploy/RUNBOOK.md#").nth(1).context(name.clone())?;
        let anchor = anchor.lines().next().context("an anchor")?.to_owned();
        Ok(Alert { name, anchor })
    };
    rules.split("- alert: ").skip(1).map(alert).collect()
}

/// The metrics that the table of `deploy/prometheus/README.md` lists, which another test holds against a daemon.
fn known_metrics() -> Result<BTreeSet<String>> {
    let table = std::fs::read_to_string(deployed("prometheus/README.md"))?;
    let rows =
        table.lines().filter_map(|line| line.strip_prefix("| `causeway_")?.split('`').next());
    let names: BTreeSet<String> = rows.map(|name| format!("causeway_{name}")).collect();
    ensure!(names.len() > 30, "{names:?}");
    Ok(names)
}

/// The words of an expression that are metrics of ours; what a rule records is not among them.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("causeway_"))
}

fn is_known(known: &BTreeSet<String>, metric: &str) -> bool {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
    known.contains(metric) || base.is_some_and(|base| known.contains(base))
}

#[test]
fn panels_are_whole_and_use_what_there_is() -> Result<()> {
    let known = known_metrics()?;
    let mut uids = BTreeSet::new();
    for file in dashboards()? {
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        let uid = text(&board, "uid")?;
        ensure!(file.ends_with(format!("{uid}.json")) && uids.insert(uid), "{file:?}");
        for key in ["title", "description"] {
            ensure!(!text(&board, key)?.is_empty(), "{file:?} has no {key}");
        }
        let variables = board["templating"]["list"].as_array().context("no variables")?;
        let variables: Vec<String> =
            variables.iter().map(|variable| text(variable, "name")).collect::<Result<_>>()?;
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in board["panels"].as_array().context("no panels")? {
            let title = text(panel, "title")?;
            ensure!(ids.insert(panel["id"].as_u64()), "{title}: an id twice");
            for cell in cells(panel)? {
                ensure!(taken.insert(cell), "{title} lies over another");
            }
            if panel["type"] != "row" {
                check_panel(panel).with_context(|| format!("{file:?}: {title}"))?;
            }
        }
        for (name, expression) in expressions(&board)? {
            for metric in metrics(&expression) {
                ensure!(is_known(&known, metric), "{name}: {metric} is not in the table");
            }
            for used in expression.split('$').skip(1) {
                let used: String =
                    used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                ensure!(used == "__rate_interval" || variables.contains(&used), "{name}: ${used}");
            }
        }
    }
    Ok(())
}

fn check_panel(panel: &Value) -> Result<()> {
    ensure!(!text(panel, "description")?.is_empty(), "no description");
    ensure!(!text(&panel["fieldConfig"]["defaults"], "unit")?.is_empty(), "no unit");
    let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array();
    ensure!(steps.is_some_and(|steps| !steps.is_empty()), "no thresholds");
    let targets = panel["targets"].as_array().context("no targets")?;
    ensure!(!targets.is_empty(), "no targets");
    let mut names = BTreeSet::new();
    for part in targets.iter().chain([panel]) {
        ensure!(part["datasource"]["uid"] == "${datasource}", "a data source of its own");
    }
    for target in targets {
        ensure!(names.insert(text(target, "refId")?), "a target twice");
        let legend = text(target, "legendFormat")?;
        ensure!(panel["type"] != "timeseries" || !legend.is_empty(), "no legend");
        let expression = text(target, "expr")?;
        // A limit is beside what all daemons do together.
        let is_limit = expression.contains("_limit_") && expression.contains("_per_second");
        ensure!(!is_limit || expression.starts_with("sum by"), "{expression}");
    }
    if panel["type"] == "table" { check_columns(panel, targets) } else { Ok(()) }
}

/// Grafana calls the column of a query `Value`, or `Value #A`: each has a name and a unit, or is not shown.
fn check_columns(panel: &Value, targets: &[Value]) -> Result<()> {
    let transformations = panel["transformations"].as_array().context("no transformations")?;
    let organize = transformations.iter().find(|one| one["id"] == "organize");
    let organize = &organize.context("no columns")?["options"];
    let overrides = panel["fieldConfig"]["overrides"].as_array().context("no overrides")?;
    for target in targets {
        let column = match targets.len() {
            1 => "Value".to_owned(),
            _ => format!("Value #{}", text(target, "refId")?),
        };
        if organize["excludeByName"][&column] == true {
            continue;
        }
        let name = text(&organize["renameByName"], &column)?;
        let of_it = overrides.iter().find(|one| one["matcher"]["options"] == name);
        let unit = &of_it.with_context(|| format!("{name} has no unit"))?["properties"][0];
        ensure!(unit["id"] == "unit", "{name}: {unit}");
    }
    Ok(())
}

#[test]
fn a_daemon_that_is_down_is_seen_beside_others_that_are_not() -> Result<()> {
    let board: Value = serde_json::from_str(&std::fs::read_to_string(deployed(
        "grafana/causeway-overview.json",
    ))?)?;
    let panels = board["panels"].as_array().context("no panels")?;
    let answering = panels.iter().find(|panel| panel["title"] == "Answering").context("none")?;
    let expression = text(&answering["targets"][0], "expr")?;
    ensure!(expression.contains("sum(up{") && expression.contains("/ count(up{"), "{expression}");
    let green = &answering["fieldConfig"]["defaults"]["thresholds"]["steps"][1];
    ensure!(green["color"] == "green" && green["value"] == 1, "{green}");
    Ok(())
}

/// The squares of the grid that a panel lies on.
fn cells(panel: &Value) -> Result<Vec<(u64, u64)>> {
    let at = |key: &str| panel["gridPos"][key].as_u64().context("no place");
    let (x, y, w, h) = (at("x")?, at("y")?, at("w")?, at("h")?);
    ensure!(w > 0 && h > 0 && x + w <= 24, "outside of the grid");
    Ok((x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))).collect())
}

#[test]
fn rules_use_what_there_is() -> Result<()> {
    let known = known_metrics()?;
    let rules = std::fs::read_to_string(deployed("prometheus/causeway.rules.yml"))?;
    let mut used = 0;
    for line in rules.lines() {
        let code = line.split(" # ").next().unwrap_or_default();
        for metric in metrics(code) {
            ensure!(is_known(&known, metric), "{metric} is not in the table: {line}");
            used += 1;
        }
    }
    ensure!(used > 20, "{used}");
    Ok(())
}

#[test]
fn the_dashboards_are_what_generate_makes() -> Result<()> {
    let output = Command::new(deployed("grafana/generate")).arg("--check").output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}
