//! `preflight`, and `--dry-run` of the image jobs: what a job would need, as a list of checks.

use std::fmt;

use causeway::v1::{Check, CheckOutcome, Policy, SubmitRequest};
use causeway::{Client, Exit, view};
use comfy_table::{Cell, Color};

use crate::cli::Preflight;
use crate::print::{self, Out};
use crate::table;

pub async fn preflight(
    client: &Client,
    out: &mut Out,
    arguments: &Preflight,
) -> anyhow::Result<Exit> {
    let (request, printed) = arguments.job();
    match printed.print_policy {
        true => policies(out, &client.preflight(request).await?.policies),
        false => check(client, out, request).await,
    }
}

/// Prints the check list. A failed check ends the command as a failed job would.
pub async fn check(client: &Client, out: &mut Out, request: SubmitRequest) -> anyhow::Result<Exit> {
    let checks = client.preflight(request).await?.checks;
    match out.is_json() {
        true => checks.iter().try_for_each(|check| out.json(&view::Check::from(check)))?,
        false => out.write(&list(&checks, out.has_colour()))?,
    }
    let score = Score::of(&checks);
    print::note(&score);
    Ok(score.exit())
}

/// One row a check, and its remedy in the row below.
fn list(checks: &[Check], colour: bool) -> String {
    let mut table = table::new(&[]);
    for check in checks {
        table.add_row([
            mark(check.outcome(), colour),
            table::cell(&check.side),
            table::cell(&check.remote),
            table::cell(&check.name),
            table::cell(&check.detail),
        ]);
        if !check.remedy.is_empty() {
            let remedy = table::cell(&format!("remedy: {}", check.remedy));
            let empty = || Cell::new("");
            table.add_row([empty(), empty(), empty(), empty(), remedy]);
        }
    }
    table::text(&table)
}

/// Words and not signs: people search for them, and every terminal has them.
fn mark(outcome: CheckOutcome, colour: bool) -> Cell {
    let (word, shown) = match outcome {
        CheckOutcome::Passed => ("ok", Color::Green),
        CheckOutcome::Warning => ("warn", Color::Yellow),
        CheckOutcome::Failed => ("FAIL", Color::Red),
        CheckOutcome::Skipped => ("skip", Color::DarkGrey),
        CheckOutcome::Unspecified => ("?", Color::Yellow),
    };
    let cell = Cell::new(word);
    if colour { cell.fg(shown) } else { cell }
}

/// One document alone is what can be redirected into a file; of two, each is named on stderr.
fn policies(out: &mut Out, policies: &[Policy]) -> anyhow::Result<Exit> {
    for policy in policies {
        let document = view::Policy::try_from(policy)?;
        if out.is_json() {
            out.json(&document)?;
            continue;
        }
        if policies.len() > 1 {
            print::note(print::plain(&format!("{} {}:", policy.side, policy.remote)));
        }
        out.line(serde_json::to_string_pretty(&document.policy)?)?;
    }
    Ok(Exit::Done)
}

/// How many checks came out how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Score {
    passed: u32,
    warned: u32,
    failed: u32,
    skipped: u32,
}

impl Score {
    fn of(checks: &[Check]) -> Self {
        let mut score = Self::default();
        for check in checks {
            match check.outcome() {
                CheckOutcome::Passed => score.passed += 1,
                // An outcome that only a newer daemon knows deserves a look, too.
                CheckOutcome::Warning | CheckOutcome::Unspecified => score.warned += 1,
                CheckOutcome::Failed => score.failed += 1,
                CheckOutcome::Skipped => score.skipped += 1,
            }
        }
        score
    }

    fn exit(&self) -> Exit {
        match self.failed {
            0 => Exit::Done,
            _ => Exit::JobFailed,
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, warned, failed, skipped } = self;
        write!(f, "{passed} passed, {warned} warned, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(side: &str, outcome: CheckOutcome, name: &str, remedy: &str) -> Check {
        Check {
            side: side.into(),
            remote: "com".into(),
            name: name.into(),
            outcome: outcome.into(),
            detail: "found".into(),
            remedy: remedy.into(),
        }
    }

    #[test]
    fn a_list_has_the_remedy_below_what_was_found() {
        let checks = [
            check("source", CheckOutcome::Passed, "bucket Region", ""),
            check("target", CheckOutcome::Failed, "s3:PutObject", "allow\x1b[2J it"),
        ];
        let expected = "ok    source  com  bucket Region  found\n\
            FAIL  target  com  s3:PutObject   found\n\
            \x20                                 remedy: allow\\u{1b}[2J it\n";
        assert_eq!(list(&checks, false), expected);
    }

    /// The padding stood within the colour, and each row began with a blank.
    #[test]
    fn a_row_begins_with_its_mark_in_colour_too() {
        let text = list(&[check("source", CheckOutcome::Passed, "bucket Region", "")], true);
        assert!(text.starts_with("\x1b[") && !text.contains("m ok"), "{text:?}");
        assert!(text.contains("mok\x1b["), "{text:?}");
    }

    #[test]
    fn one_failed_check_fails_and_a_warning_does_not() {
        let of = |outcome| Score::of(&[check("source", outcome, "x", "")]).exit();
        assert_eq!(of(CheckOutcome::Passed), Exit::Done);
        assert_eq!(of(CheckOutcome::Warning), Exit::Done);
        assert_eq!(of(CheckOutcome::Skipped), Exit::Done);
        assert_eq!(of(CheckOutcome::Failed), Exit::JobFailed);
        let newer = Check { outcome: 99, ..Default::default() };
        assert_eq!(Score::of(&[newer]), Score { warned: 1, ..Score::default() });
    }
}
