//! `pause`, `resume`, `cancel`, `retry`, `reprioritize`.

use causeway::client::Action;
use causeway::v1::{ActionResponse, ActionResult, JobState};
use causeway::words::Word;
use causeway::{Client, Exit, view};

use crate::cli::{Reprioritize, Select};
use crate::print::{self, Out, plain};

pub async fn act(
    client: &Client,
    out: &mut Out,
    action: Action,
    select: &Select,
) -> anyhow::Result<Exit> {
    let answer = client.act(action, select.selection()).await?;
    report(out, &answer)
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
            Some(fault) => print::error(format_args!("{}: {}", result.job_id, fault.message)),
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
