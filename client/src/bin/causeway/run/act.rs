//! `pause`, `resume`, `cancel`, `retry`, `reprioritize`.

use std::io::{self, IsTerminal as _, Write as _};

use causeway::client::Action;
use causeway::v1::{ActionResponse, ActionResult, JobState, ListRequest};
use causeway::words::{Word, is_ended};
use causeway::{Client, Exit, view};

use crate::cli::{Cancel, Reprioritize, Select};
use crate::print::{self, Out, plain};

/// Jobs that are counted before a question: a page.
const COUNTED_MAX: u32 = 1_000;

pub async fn act(
    client: &Client,
    out: &mut Out,
    action: Action,
    select: &Select,
) -> anyhow::Result<Exit> {
    let answer = client.act(action, select.selection()).await?;
    report(out, &answer)
}

/// A filter that is wider than was thought cannot be undone: on a terminal, it is asked about.
pub async fn cancel(client: &Client, out: &mut Out, arguments: &Cancel) -> anyhow::Result<Exit> {
    let is_asked = arguments.select.is_many() && !arguments.yes && io::stdin().is_terminal();
    if is_asked && !confirm(client, &arguments.select).await? {
        print::note("nothing was cancelled");
        return Ok(Exit::Done);
    }
    act(client, out, Action::Cancel, &arguments.select).await
}

/// Only `y` and `yes` mean yes; the end of the input does not.
async fn confirm(client: &Client, select: &Select) -> anyhow::Result<bool> {
    let mut filter = select.selection().filter.unwrap_or_default();
    if filter.states.is_empty() {
        let unended = JobState::ALL.iter().filter(|state| !is_ended(**state));
        filter.states = unended.map(|state| i32::from(*state)).collect();
    }
    let request =
        ListRequest { filter: Some(filter), page_size: COUNTED_MAX, ..Default::default() };
    let answer = client.list(request).await?;
    let more = if answer.next_page_token.is_empty() { "" } else { "more than " };
    let question = format!("cancel {more}{} jobs? [y/N] ", answer.jobs.len());
    // Not stdout: that is what scripts keep.
    io::stderr().write_all(question.as_bytes())?;
    io::stderr().flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}

pub async fn reprioritize(
    client: &Client,
    out: &mut Out,
    arguments: &Reprioritize,
) -> anyhow::Result<Exit> {
    let answer = client.reprioritize(arguments.select.selection(), arguments.priority).await?;
    report(out, &answer)
}

/// One line a job; refusals decide the exit code.
fn report(out: &mut Out, answer: &ActionResponse) -> anyhow::Result<Exit> {
    for result in &answer.results {
        if out.is_json() {
            out.json(&view::ActionResult::from(result))?;
        }
        match &result.fault {
            Some(fault) => out.error(format_args!("{}: {}", result.job_id, fault.message)),
            None if out.is_json() => {}
            None => out.line(phrase(result))?,
        }
    }
    let listed = u64::try_from(answer.results.len()).unwrap_or(u64::MAX);
    if answer.changed + answer.refused != 1 || listed != 1 {
        print::note(format_args!("{} changed, {} refused", answer.changed, answer.refused));
    }
    let faults = answer.results.iter().filter_map(|result| result.fault.as_ref());
    let exit = Exit::of_faults(faults.map(|fault| fault.code));
    // Only the first thousand are listed: a refusal may be behind them.
    Ok(if exit == Exit::Done && answer.refused > 0 { Exit::Refused } else { exit })
}

fn phrase(result: &ActionResult) -> String {
    let state = match result.state() {
        JobState::Running => "running, stops soon",
        state => state.word().unwrap_or("unknown"),
    };
    format!("{}  {state}", plain(&result.job_id))
}
