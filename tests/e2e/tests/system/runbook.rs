//! The runbook: each alert has its section, and what a section tells people to type can be typed.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::{binary, deployed};

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

/// Each command of ours is asked for its help with its own arguments: clap refuses what it does not know, and
/// touches nothing.
#[test]
fn every_command_of_the_documents_exists() -> Result<()> {
    for (document, least) in [
        ("../README.md", 10),
        ("RUNBOOK.md", 15),
        ("OPERATIONS.md", 10),
        ("SECURITY.md", 2),
        ("iam/README.md", 1),
    ] {
        let text = std::fs::read_to_string(deployed(document))?;
        let tried = try_commands(&text).with_context(|| document.to_owned())?;
        ensure!(tried.len() >= least, "{document}: only {tried:?}");
    }
    Ok(())
}

fn try_commands(text: &str) -> Result<BTreeSet<String>> {
    let mut tried = BTreeSet::new();
    let inline = text.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n'));
    let mut fenced = Vec::new();
    for kind in ["```sh\n", "```console\n"] {
        let blocks = text.split(kind).skip(1).filter_map(|block| block.split("```").next());
        fenced.extend(blocks.map(|block| block.replace("\\\n", " ")));
    }
    for line in fenced.iter().flat_map(|block| block.lines()).chain(inline) {
        let line = line.trim_start_matches("# ").trim_start_matches("$ ");
        for line in line.split(" #").next().unwrap_or_default().split(" && ") {
            let line = line.split(['|', '>', ';']).next().unwrap_or_default().trim();
            if let Some(line) = line.strip_suffix('&').or(Some(line)).map(str::trim)
                && !tried.contains(line)
                && try_command(line)?
            {
                tried.insert(line.to_owned());
            }
        }
    }
    Ok(tried)
}

/// Whether it is one of ours.
fn try_command(line: &str) -> Result<bool> {
    let prefix = ["sudo", "runuser", "-u", "causeway", "--"];
    let words: Vec<&str> = line.split_whitespace().collect();
    let named = |word: &&str| ["causeway", "causewayd"].contains(word);
    // `sudo -u causeway causewayd …`: the program is the last of those that the prefix leaves.
    let begin = words.iter().take_while(|word| prefix.contains(word)).count();
    let begin = if words.get(begin).is_some_and(named) { begin } else { begin.saturating_sub(1) };
    let Some(program) = words.get(begin).copied().filter(named) else {
        return Ok(false);
    };
    let args: Vec<&str> = words[begin + 1..].iter().map(|word| word.trim_matches('\'')).collect();
    if args.is_empty() || args.contains(&"…") || args == ["--version"] {
        return Ok(false);
    }
    let output = std::process::Command::new(binary(program)).args(&args).arg("--help").output()?;
    let help = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && help.contains("Usage:"), "{line}: {output:?}");
    for option in args.iter().filter(|arg| arg.starts_with("--")) {
        ensure!(help.contains(option), "{line}: there is no {option}");
    }
    Ok(true)
}
