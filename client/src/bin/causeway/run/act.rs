//! `pause`, `resume`, `cancel`, `retry`, `reprioritize`.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use causeway::client::Action;
use causeway::v1::{ActionResponse, ActionResult, JobFilter, JobState, ListRequest};
use causeway::words::{Word, is_ended};
use causeway::{Client, Exit, view};

use crate::cli::{Cancel, Reprioritize, Select};
use crate::print::{self, Out, Unwritable, plain};
use crate::table::{self, Act};

/// Jobs that are counted before a question: a page.
const COUNTED_MAX: u32 = 1_000;

pub async fn act(
    client: &Client,
    out: &mut Out,
    action: Action,
    select: &Select,
) -> anyhow::Result<Exit> {
    let answer = client.act(action, select.selection()).await?;
    report(out, &answer, Act::Change(action))
}

/// A filter that is wider than was thought cannot be undone: on a terminal, it is asked about.
pub async fn cancel(client: &Client, out: &mut Out, arguments: &Cancel) -> anyhow::Result<Exit> {
    let is_asked = arguments.select.is_many() && !arguments.yes && io::stdin().is_terminal();
    if is_asked {
        let Some(question) = question_about(client, &arguments.select).await? else {
            print::note("no job matches");
            return Ok(Exit::Done);
        };
        if !confirm(&question)? {
            print::note("nothing was cancelled");
            return Ok(Exit::Refused);
        }
    }
    act(client, out, Action::Cancel, &arguments.select).await
}

/// What to ask before a cancel; nothing where it would change no job.
async fn question_about(client: &Client, select: &Select) -> anyhow::Result<Option<String>> {
    let filter = select.selection().filter.unwrap_or_default();
    let unended = count(client, &filter, |state| !is_ended(state)).await?;
    // They have ended too, but keep what they uploaded for a retry: a cancel takes that away.
    let failed = count(client, &filter, |state| state == JobState::Failed).await?;
    Ok(question(unended, failed))
}

/// Only `y` and `yes` mean yes; the end of the input does not.
fn confirm(question: &str) -> anyhow::Result<bool> {
    // Not stdout: that is what scripts keep.
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(Unwritable)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// How many jobs there are, as far as one page tells.
#[derive(Clone, Copy, Debug)]
struct Count {
    jobs: usize,
    has_more: bool,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.has_more { "more than " } else { "" };
        write!(f, "{more}{}", self.jobs)
    }
}

impl Count {
    /// With what is counted.
    fn of(self, noun: &str) -> String {
        let plural = if self.jobs == 1 && !self.has_more { "" } else { "s" };
        format!("{self} {noun}{plural}")
    }
}

/// Counts the jobs of the filter in those of its states that are meant.
async fn count(
    client: &Client,
    filter: &JobFilter,
    is_meant: impl Fn(JobState) -> bool,
) -> anyhow::Result<Count> {
    let is_asked = |state: i32| filter.states.is_empty() || filter.states.contains(&state);
    let meant = JobState::ALL.iter().filter(|state| is_meant(**state));
    let states: Vec<i32> = meant.map(|state| i32::from(*state)).filter(|s| is_asked(*s)).collect();
    if states.is_empty() {
        // To the daemon, no state is every state.
        return Ok(Count { jobs: 0, has_more: false });
    }
    let filter = JobFilter { states, ..filter.clone() };
    let request =
        ListRequest { filter: Some(filter), page_size: COUNTED_MAX, ..Default::default() };
    let answer = client.list(request).await?;
    Ok(Count { jobs: answer.jobs.len(), has_more: !answer.next_page_token.is_empty() })
}

fn question(unended: Count, failed: Count) -> Option<String> {
    let given_up = "whose uploaded parts are given up";
    let jobs = match (unended.jobs, failed.jobs) {
        (0, 0) => return None,
        (_, 0) => unended.of("job"),
        (0, _) => format!("{}, {given_up}", failed.of("failed job")),
        _ => format!("{}, and {}, {given_up}", unended.of("job"), failed.of("failed one")),
    };
    Some(format!("cancel {jobs}? [y/N] "))
}

pub async fn reprioritize(
    client: &Client,
    out: &mut Out,
    arguments: &Reprioritize,
) -> anyhow::Result<Exit> {
    let answer = client.reprioritize(arguments.select.selection(), arguments.priority).await?;
    report(out, &answer, Act::Reprioritize(arguments.priority))
}

/// One line a job; refusals decide the exit code.
fn report(out: &mut Out, answer: &ActionResponse, act: Act) -> anyhow::Result<Exit> {
    for result in &answer.results {
        if out.is_json() {
            out.json(&view::ActionResult::from(result))?;
        }
        match &result.fault {
            Some(fault) => out.error(refusal(&result.job_id, &fault.message)),
            None if out.is_json() => {}
            None => out.line(phrase(result, act))?,
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

/// Most messages of the daemon name the job themselves.
fn refusal(job_id: &str, message: &str) -> String {
    match message.contains(job_id) {
        true => message.to_owned(),
        false => format!("{job_id}: {message}"),
    }
}

fn phrase(result: &ActionResult, act: Act) -> String {
    format!("{}  {}", plain(&result.job_id), table::after(act, result.state()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(jobs: usize) -> Count {
        Count { jobs, has_more: false }
    }

    /// A failed job looks ended, and yet a cancel costs what it had uploaded.
    #[test]
    fn the_question_names_failed_jobs_whose_parts_would_go() {
        let many = Count { jobs: 1_000, has_more: true };
        let given_up = "whose uploaded parts are given up";
        for (unended, failed, jobs) in [
            (counted(3), counted(0), "3 jobs".to_owned()),
            (counted(1), counted(0), "1 job".to_owned()),
            (counted(3), counted(40), format!("3 jobs, and 40 failed ones, {given_up}")),
            (counted(1), counted(1), format!("1 job, and 1 failed one, {given_up}")),
            (counted(0), counted(40), format!("40 failed jobs, {given_up}")),
            (counted(0), counted(1), format!("1 failed job, {given_up}")),
            (
                many,
                many,
                format!("more than 1000 jobs, and more than 1000 failed ones, {given_up}"),
            ),
        ] {
            assert_eq!(question(unended, failed), Some(format!("cancel {jobs}? [y/N] ")));
        }
    }

    /// To be asked about nothing looks like a filter that works.
    #[test]
    fn about_no_job_nothing_is_asked() {
        assert_eq!(question(counted(0), counted(0)), None);
    }

    #[test]
    fn a_refusal_names_its_job_once() {
        let refused = "job J1 refused the change: it is paused already";
        assert_eq!(refusal("J1", refused), refused);
        assert_eq!(refusal("J1", "not now"), "J1: not now");
    }
}
