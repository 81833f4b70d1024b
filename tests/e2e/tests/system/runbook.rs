//! The runbook: each alert has its section, and each section says all that it has to. What it tells people to type is
//! typed in `documents`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::deployed;

/// The runbook's sections: what a link to it is made of, and the text.
fn sections() -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(deployed("RUNBOOK.md"))?;
    let sections = text.split("\n## ").skip(1).map(|section| {
        let title = section.lines().next().unwrap_or_default().to_lowercase();
        let legal = |c: &char| c.is_alphanumeric() || *c == '-' || *c == ' ' || *c == '_';
        let anchor: String = title.chars().filter(legal).collect();
        (anchor.replace(' ', "-"), section.to_owned())
    });
    Ok(sections.collect())
}

#[test]
fn every_alert_has_a_section_that_names_it() -> Result<()> {
    let sections = sections()?;
    let anchors: BTreeSet<&String> = sections.iter().map(|(anchor, _)| anchor).collect();
    ensure!(anchors.len() == sections.len(), "an anchor twice");
    for alert in super::dashboards::alerts()? {
        let section = sections.iter().find(|(anchor, _)| *anchor == alert.anchor);
        let (_, text) = section.with_context(|| format!("no section {}", alert.anchor))?;
        ensure!(text.contains(&format!("`{}`", alert.name)), "{} is not named", alert.name);
    }
    let text = std::fs::read_to_string(deployed("RUNBOOK.md"))?;
    for link in text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        ensure!(anchors.contains(&link.to_owned()), "a link to nowhere: {link}");
    }
    Ok(())
}

#[test]
fn every_section_says_what_it_means_and_what_to_do_and_not_to_do() -> Result<()> {
    let sections = sections()?;
    ensure!(sections.len() >= 15, "{} sections", sections.len());
    for (anchor, text) in sections.iter().filter(|(anchor, _)| anchor != "where-to-look") {
        for part in ["**Means.**", "**Look.**", "**Do.**", "**Do not.**"] {
            ensure!(text.contains(part), "{anchor} has no {part}");
        }
    }
    Ok(())
}
