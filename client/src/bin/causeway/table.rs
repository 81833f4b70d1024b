//! Tables and phrases for people.

pub mod fit;

use std::time::Duration;

use causeway::client::Action;
use causeway::units::{format_age, format_duration, format_size};
use causeway::v1::{Job, JobState, WaitReason};
use causeway::view::jiff_time;
use causeway::words::{Word, is_ended};
use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use prost_types::Timestamp;

use crate::ends;
use crate::print::plain;

/// What is done to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Change(Action),
    Reprioritize(i32),
}

/// An empty table with these headings, if any. On a terminal, long cells wrap to its width; in a pipe, a row
/// stays one line.
pub fn new(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Whether a cell has a colour is decided where it is made.
    table.enforce_styling();
    // A colour around the padding would hide it from who takes it away.
    table.style_text_only();
    if width().is_some() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    if !headings.is_empty() {
        table.set_header(headings.iter().map(Cell::new));
    }
    table
}

/// The columns of the terminal that stdout is; `None` of a pipe. Some terminals, as of a container or a serial line,
/// say that they have no columns: fitted into those, a cell would be one character a line.
pub fn width() -> Option<usize> {
    Table::new().width().filter(|width| *width > 0).map(usize::from)
}

/// Takes the rows as they are: the cells of these columns are not wrapped, whatever the terminal's width. Half an id
/// is no id.
pub fn keep_whole(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for at in columns {
        if let Some(column) = table.column_mut(at) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// The table as text, without the padding that `NOTHING` leaves at both ends of a line.
pub fn text(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        text.push('\n');
    }
    text
}

/// A cell with text from elsewhere.
pub fn cell(text: &str) -> Cell {
    Cell::new(plain(text))
}

/// A cell about the state of a job, in its colour.
pub fn state_cell(words: &str, state: JobState, colour: bool) -> Cell {
    let cell = cell(words);
    match (colour, state) {
        (true, JobState::Running) => cell.fg(Color::Cyan),
        (true, JobState::Paused) => cell.fg(Color::Yellow),
        (true, JobState::Succeeded) => cell.fg(Color::Green),
        (true, JobState::Failed) => cell.fg(Color::Red),
        (true, JobState::Cancelled) => cell.fg(Color::Magenta),
        (true, JobState::Queued | JobState::Unspecified) | (false, _) => cell,
    }
}

/// `transferring, waits: rate`, `queued`, `running, pausing`.
pub fn state(job: &Job) -> String {
    let mut phrase = match (job.state(), job.stage().word()) {
        (JobState::Running, Some(stage)) => stage.to_owned(),
        (state, _) => state.word().unwrap_or("unknown").to_owned(),
    };
    if let (JobState::Running, Some(reason)) = (job.state(), job.wait_reason().word()) {
        phrase.push_str(", waits: ");
        phrase.push_str(reason);
    }
    if let Some(stop) = stopping(job) {
        phrase.push_str(", ");
        phrase.push_str(stop);
    }
    phrase
}

/// In a word or two: the stage, or what it waits for, or the state; what a person asked for goes before all.
pub fn short_state(job: &Job) -> &'static str {
    match (stopping(job), job.state(), job.wait_reason()) {
        (Some(stop), _, _) => stop,
        (None, JobState::Running, WaitReason::Rate) => "waits: rate",
        (None, JobState::Running, WaitReason::Quota) => "waits: quota",
        (None, JobState::Running, WaitReason::Credentials) => "waits: keys",
        (None, JobState::Running, WaitReason::Retry) => "waits: retry",
        (None, JobState::Running, WaitReason::Schedule) => "waits: hours",
        (None, JobState::Running, WaitReason::Unspecified) => {
            job.stage().word().unwrap_or("running")
        }
        (None, state, _) => state.word().unwrap_or("unknown"),
    }
}

/// What a person asked for and is not done yet. A job that holds an upload is cancelled by a worker: until one
/// takes it up, it is queued.
pub fn stopping(job: &Job) -> Option<&'static str> {
    match job.state() {
        state if job.cancel_requested && !is_ended(state) => Some("cancelling"),
        JobState::Running if job.pause_requested => Some("pausing"),
        _ => None,
    }
}

/// What is so of a job to which this was done: `priority 50`, `pausing`, `queued`.
pub fn after(act: Act, state: JobState) -> String {
    match (act, state) {
        (Act::Reprioritize(priority), _) => format!("priority {priority}"),
        (Act::Change(Action::Pause), JobState::Running) => "pausing".to_owned(),
        (Act::Change(Action::Cancel), state) if !is_ended(state) => "cancelling".to_owned(),
        (Act::Change(_), state) => state.word().unwrap_or("done").to_owned(),
    }
}

/// `37%`; nothing while the size is not known.
pub fn percent(done: u64, total: Option<u64>) -> String {
    match total {
        None => String::new(),
        Some(0) => "100%".to_owned(),
        Some(total) => format!("{}%", u128::from(done.min(total)) * 100 / u128::from(total)),
    }
}

/// How far a job is: EC2's percent while it stores or restores, else that of the bytes.
pub fn done(job: &Job) -> String {
    match ends::percent_of_ec2(job, job.stage()) {
        Some(percent) => format!("{percent}%"),
        None => percent(job.bytes_done, job.bytes_total),
    }
}

/// `30 GiB`, as EC2 counts volumes; `-` when it is not known.
pub fn gib(size: u64) -> String {
    match size {
        0 => "-".to_owned(),
        size => format!("{size} GiB"),
    }
}

/// `-` for what is not known.
pub fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// `8.00 GiB`; `-` while it is not known.
pub fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), format_size)
}

/// `3m ago`.
pub fn ago(at: Option<&Timestamp>) -> String {
    match at.and_then(since) {
        Some(age) => format_age(age),
        None => "-".to_owned(),
    }
}

/// `expire in 52m 10s`, `expired 3m ago`.
pub fn expiry(at: &Timestamp) -> String {
    let Some(at) = jiff_time(at) else { return "-".to_owned() };
    let left = at.duration_since(jiff::Timestamp::now());
    match Duration::try_from(left) {
        Ok(left) => format!("expire in {}", format_duration(left)),
        Err(_) => format!("expired {}", format_age(left.unsigned_abs())),
    }
}

/// The time between two moments, where both are known and in order.
pub fn between(from: Option<&Timestamp>, to: Option<&Timestamp>) -> Option<Duration> {
    let (from, to) = (jiff_time(from?)?, jiff_time(to?)?);
    Duration::try_from(to.duration_since(from)).ok()
}

/// Clocks differ: a moment in the future is now.
fn since(at: &Timestamp) -> Option<Duration> {
    let age = jiff::Timestamp::now().duration_since(jiff_time(at)?);
    Some(Duration::try_from(age).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use causeway::v1::Stage;

    use super::*;

    #[test]
    fn a_state_says_what_it_waits_for() {
        let mut job = Job { state: JobState::Running.into(), ..Default::default() };
        assert_eq!(state(&job), "running");
        job.stage = Stage::Transferring.into();
        job.wait_reason = WaitReason::Credentials.into();
        assert_eq!(state(&job), "transferring, waits: credentials");
        job.wait_reason = 0;
        job.pause_requested = true;
        assert_eq!(state(&job), "transferring, pausing");
    }

    /// The upload of a job that was paused has to be aborted first, by a worker.
    #[test]
    fn a_job_that_waits_to_be_cancelled_says_so() {
        let mut job = Job { cancel_requested: true, ..Default::default() };
        for (now, words) in [
            (JobState::Queued, "queued, cancelling"),
            (JobState::Running, "running, cancelling"),
            (JobState::Cancelled, "cancelled"),
        ] {
            job.state = now.into();
            assert_eq!(state(&job), words);
        }
    }

    /// A job whose priority was changed, or that was resumed, was said to stop soon.
    #[test]
    fn what_is_so_after_an_action_follows_from_the_action() {
        use JobState::{Cancelled, Paused, Queued, Running};
        for (act, state, words) in [
            (Act::Reprioritize(50), Running, "priority 50"),
            (Act::Change(Action::Pause), Running, "pausing"),
            (Act::Change(Action::Pause), Paused, "paused"),
            (Act::Change(Action::Resume), Running, "running"),
            (Act::Change(Action::Resume), Queued, "queued"),
            (Act::Change(Action::Cancel), Running, "cancelling"),
            (Act::Change(Action::Cancel), Queued, "cancelling"),
            (Act::Change(Action::Cancel), Cancelled, "cancelled"),
            (Act::Change(Action::Retry), Queued, "queued"),
        ] {
            assert_eq!(after(act, state), words, "{act:?}");
        }
    }

    #[test]
    fn percent_rounds_down_so_that_100_means_all() {
        assert_eq!(percent(999, Some(1_000)), "99%");
        assert_eq!(percent(u64::MAX, Some(u64::MAX)), "100%");
        assert_eq!(percent(0, Some(0)), "100%");
        assert_eq!(percent(5, None), "");
    }

    #[test]
    fn a_table_has_no_borders_and_no_padding() {
        let mut table = new(&["JOB", "STATE"]);
        table.add_row(["01J", "queued"]);
        assert_eq!(text(&table), "JOB  STATE\n01J  queued\n");
    }
}
