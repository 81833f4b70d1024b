//! Every example of the documents is run.
//!
//! What a block tells people to type is typed, in its order, into a real shell beside a real daemon and two stand-in
//! partitions, and has to end well; what a `toml` block tells them to write passes the daemon's own check; what a
//! `json` block shows has the fields of the real thing. What a test cannot run stands in a list, with the reason,
//! and is looked at as far as it goes. A command that is neither fails here, and so does an entry of that list that
//! no document uses any more.

mod block;
mod listed;
mod place;
mod shape;
mod tables;
mod words;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};

use self::block::{Kind, blocks, documents};
use self::listed::{LISTED, listed};
use self::place::Place;
use self::shape::assert_same_fields;

/// The programs that are called for real, or by the stand-ins of [`Place`].
const RUN: &[&str] = &[
    "$new",
    "causeway",
    "causewayd",
    "curl",
    "df",
    "du",
    "echo",
    "export",
    "grep",
    "install",
    "jq",
    "mv",
    "openssl",
    "promtool",
    "runuser",
    "ss",
    "stat",
    "sudo",
    "systemctl",
    "tail",
    "umask",
];
/// The demo, of all that cargo does.
const DEMO: &str = "cargo run --release -p sandbox -- demo";
/// What the daemon may say of the jobs that fail on purpose, and of a stranger.
const EXPECTED: &[&str] = &["the job failed", "refused"];

/// Goes through a document from its beginning to its end, in one place.
async fn follow(document: &str) -> Result<()> {
    let mut place = Place::new().await?;
    let (mut run, mut checked, mut compared) = (0, 0, 0);
    for block in blocks(document)? {
        let at = || format!("{document}:{}", block.line);
        match block.kind {
            Kind::Sh | Kind::Console | Kind::Inline => run += place.run(document, &block).await?,
            Kind::Toml => {
                place.check(&block).await.with_context(at)?;
                checked += 1;
            }
            Kind::Json => {
                let shown = serde_json::from_str(&block.text).with_context(at)?;
                let real = place.real(&shown).await.with_context(at)?;
                assert_same_fields(&shown, &real).with_context(at)?;
                compared += 1;
            }
            Kind::Text => {}
        }
    }
    eprintln!(
        "{document}: {run} commands run, {checked} configurations checked, {compared} answers compared"
    );
    place.leave(EXPECTED).await
}

/// A test each. Other documents hold nothing but what is listed.
macro_rules! followed {
    ($($test:ident: $document:literal,)*) => {
        const FOLLOWED: &[&str] = &[$($document),*];
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() -> Result<()> {
                follow($document).await
            }
        )*
    };
}

followed! {
    the_readme_can_be_followed: "README.md",
    operations_can_be_followed: "deploy/OPERATIONS.md",
    the_runbook_can_be_followed: "deploy/RUNBOOK.md",
    security_can_be_followed: "deploy/SECURITY.md",
    what_is_said_of_dashboards_can_be_followed: "deploy/grafana/README.md",
    what_is_said_of_policies_can_be_followed: "deploy/iam/README.md",
    what_is_said_of_metrics_can_be_followed: "deploy/prometheus/README.md",
}

/// And nothing is listed that is not there, or not as it is listed.
#[test]
fn every_command_is_run_or_is_listed_with_why() -> Result<()> {
    let (mut run, mut used) = (0, BTreeSet::new());
    for document in documents()? {
        let is_followed = FOLLOWED.contains(&document.as_str());
        for block in blocks(&document)? {
            // What a changelog or a decision names in passing is history.
            if block.kind == Kind::Inline && !is_followed {
                continue;
            }
            let is_shown = [Kind::Toml, Kind::Json].contains(&block.kind);
            ensure!(is_followed || !is_shown, "{document}:{}: nobody looks at it", block.line);
            for command in block.commands()? {
                let at = || format!("{document}:{}: {}", command.line, command.text);
                if let Some(entry) = listed(&command.text) {
                    used.insert(entry.command);
                    continue;
                }
                let programs = words::programs(&command.text).with_context(at)?;
                let is_run = |program: &String| RUN.contains(&program.as_str());
                let is_run = programs.iter().all(is_run) || command.text.starts_with(DEMO);
                ensure!(is_run, "it is neither run nor listed: {}", at());
                ensure!(is_followed, "it is in a document that nobody follows: {}", at());
                run += 1;
            }
        }
    }
    let unused: Vec<_> = LISTED.iter().filter(|it| !used.contains(it.command)).collect();
    ensure!(unused.is_empty(), "no document uses these any more: {unused:#?}");
    for entry in LISTED {
        entry.check().with_context(|| entry.command)?;
        eprintln!("not run: {}: {}", entry.command, entry.why);
    }
    eprintln!("{run} commands are run, {} are listed", LISTED.len());
    Ok(())
}
