//! What the screen shows of the jobs under way, row by row: one row a transfer, and of an image job one a
//! stage below a heading. Pure, so that tests can read what people see.

use causeway::units::format_duration;
use causeway::v1::{Job, JobState, Stage, StageProgress};
use causeway::words::Word;

use super::figures::{self, Figures, Fill};
use super::tracker::{Tracked, Tracker};
use crate::ends;
use crate::print::plain;
use crate::table::{self, fit};

/// One row of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub look: Look,
    pub label: String,
    /// A bar between label and text.
    pub fill: Option<Fill>,
    pub text: String,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A job, or the heading of an image job's stages.
    Job,
    /// A stage under way, or one that is to go on.
    Stage,
    StageDone,
    StageAhead,
    /// How many jobs have no row.
    Rest,
}

/// The screen, at most so many rows and one for the rest. Running jobs come first, since they are what
/// moves. An image job whose stages have no room is one row, as a transfer.
pub fn screen(tracker: &Tracker, rows_max: usize) -> Vec<Row> {
    let mut jobs: Vec<&Tracked> = tracker.jobs().collect();
    jobs.sort_by_key(|tracked| tracked.job.state() != JobState::Running);
    let mut rows = Vec::new();
    let mut shown = 0;
    for (at, tracked) in jobs.iter().enumerate() {
        let room = rows_max - rows.len();
        if room == 0 {
            break;
        }
        // The first job has its stages in any case; those of others must not hide a job that follows.
        let kept = if at == 0 { 0 } else { jobs.len() - at - 1 };
        let in_full = in_full(tracked);
        match in_full.len() + kept <= room {
            true => rows.extend(in_full),
            false => rows.push(in_short(tracked)),
        }
        shown += 1;
    }
    tell_apart(&mut rows, &jobs[..shown]);
    let more = jobs.len() - shown;
    if more > 0 {
        let text = format!("and {more} more");
        rows.push(Row { look: Look::Rest, label: String::new(), fill: None, text });
    }
    rows
}

/// Jobs of one source would look alike: each of them gets the end of its id.
fn tell_apart(rows: &mut [Row], jobs: &[&Tracked]) {
    let names: Vec<String> = jobs.iter().map(|tracked| figures::name(&tracked.job)).collect();
    let of_jobs = rows.iter_mut().filter(|row| row.look == Look::Job);
    for ((row, tracked), name) in of_jobs.zip(jobs).zip(&names) {
        if names.iter().filter(|other| *other == name).count() > 1 {
            row.label = format!("{name} {}", plain(fit::short(&tracked.job.id)));
        }
    }
}

fn in_full(tracked: &Tracked) -> Vec<Row> {
    let stages = ends::stages(&tracked.job);
    if stages.is_empty() {
        return vec![in_short(tracked)];
    }
    let figures = Figures::of(tracked);
    let newest = tracked.progress.as_ref().map_or(Stage::Unspecified, |progress| progress.stage());
    let current = ends::stage_of_job(figures::under_way(&tracked.job, newest));
    let is_shown = stages.iter().any(|stage| stage.stage() == current);
    let mut rows = vec![heading(&tracked.job, &figures, is_shown)];
    rows.extend(stages.iter().map(|stage| match stage.stage() == current {
        true => under_way(stage, &figures),
        false => other(stage),
    }));
    rows
}

/// The whole job in one row.
fn in_short(tracked: &Tracked) -> Row {
    let figures = Figures::of(tracked);
    row(Look::Job, figures::name(&tracked.job), figures.fill(), [figures.pace(), figures.amount()])
}

/// What the job is; its state, where no stage's row tells it.
fn heading(job: &Job, figures: &Figures, is_told: bool) -> Row {
    let road = format!("{} to {}", job.kind().word().unwrap_or("unknown"), ends::target(job));
    let state = if is_told { String::new() } else { figures.pace() };
    row(Look::Job, figures::name(job), None, [plain(&road), state])
}

/// EC2's stages and the transfer have a bar; what is done in a moment has none.
fn under_way(stage: &StageProgress, figures: &Figures) -> Row {
    let label = word(stage);
    let fill = match stage.stage() {
        Stage::Storing | Stage::Transferring | Stage::Restoring => figures.fill(),
        Stage::Planning
        | Stage::Sealing
        | Stage::Verifying
        | Stage::Aliasing
        | Stage::Unspecified => None,
    };
    let amount = if fill.is_some() { figures.amount() } else { String::new() };
    row(Look::Stage, label.to_owned(), fill, [figures.pace_beside(label), amount])
}

fn other(stage: &StageProgress) -> Row {
    let label = word(stage).to_owned();
    let (look, text) = match (&stage.started_at, &stage.finished_at) {
        (_, Some(_)) => (Look::StageDone, took(stage).unwrap_or_default()),
        (Some(_), None) => (Look::Stage, format!("{}%", stage.percent.min(100))),
        (None, None) => (Look::StageAhead, String::new()),
    };
    row(look, label, None, [text, String::new()])
}

fn row(look: Look, label: String, fill: Option<Fill>, words: [String; 2]) -> Row {
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    Row { look, label, fill, text: words.join("  ") }
}

/// How long a stage took, once it is done.
pub fn took(stage: &StageProgress) -> Option<String> {
    table::between(stage.started_at.as_ref(), stage.finished_at.as_ref()).map(format_duration)
}

/// The stage's word.
pub fn word(stage: &StageProgress) -> &'static str {
    stage.stage().word().unwrap_or("unknown")
}

#[cfg(test)]
mod tests;
