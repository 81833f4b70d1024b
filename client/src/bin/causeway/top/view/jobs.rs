//! The list of jobs, the chosen one in the middle of what fits.

use causeway::v1::{Job, JobState};
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::theme::Theme;
use super::text::{
    columns, compact_rate, compact_size, compact_time, elide, elide_middle, pad, pad_left, short,
};
use crate::follow::name;
use crate::{ends, table};

/// From this height on, the list says what part of all jobs it is.
const TITLED: usize = 8;
/// Columns below which whole addresses say nothing.
const JOURNEY: usize = 34;

/// Columns below which there is room for one name.
const NAME: usize = 20;

/// Rows for jobs in so many lines.
pub fn rows(height: usize) -> usize {
    match height {
        0 | 1 => height,
        TITLED.. => height - 2,
        _ => height - 1,
    }
}

/// Columns by what they are worth: each is there from a width on.
struct Columns {
    state: usize,
    has_priority: bool,
    bar: usize,
    has_pace: bool,
    has_size: bool,
}

impl Columns {
    fn of(width: usize) -> Self {
        let state = if width >= 140 { 32 } else { 13 };
        let bar = match width {
            0..70 => 0,
            70..110 => 8,
            _ => 16,
        };
        Self {
            state,
            has_priority: width >= 76,
            bar,
            has_pace: width >= 52,
            has_size: width >= 100,
        }
    }
}

pub fn draw<'a>(model: &Model, theme: Theme, area: Rect) -> Vec<Line<'a>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let shape = Columns::of(width);
    let mut lines = Vec::with_capacity(height);
    if height >= TITLED {
        lines.push(Line::styled(elide(&shown(model), width, theme), theme.dim()));
    }
    // A single row is for a job and not for its heading.
    if height > 1 {
        lines.push(heading_line(&shape, width, theme));
    }
    let rows = rows(height);
    if model.jobs.is_empty() && rows > 0 {
        lines.push(Line::styled(elide(nothing(model), width, theme), theme.dim()));
    }
    let chosen = model.chosen_at().unwrap_or(0);
    // The choice stays in the middle, but at both ends of the list.
    let last_first = model.jobs.len().saturating_sub(rows);
    let first = chosen.saturating_sub(rows / 2).min(last_first);
    for (at, job) in model.jobs.iter().enumerate().skip(first).take(rows) {
        let line = row(job, &shape, width, theme);
        let is_chosen = model.chosen.is_some() && at == chosen;
        lines.push(if is_chosen { chosen_line(&line, width, theme) } else { line });
    }
    lines
}

/// Reversed over the whole width: the same with and without colour.
fn chosen_line<'a>(line: &Line<'_>, width: usize, theme: Theme) -> Line<'a> {
    let text: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
    let blanks = width.saturating_sub(columns(&text));
    Line::styled(format!("{text}{}", " ".repeat(blanks)), theme.chosen())
}

fn nothing(model: &Model) -> &'static str {
    match (&model.picture, model.filter.is_empty()) {
        (None, _) => "",
        (Some(_), true) => "no jobs: `causeway submit SRC DST` makes one",
        (Some(_), false) => "no job matches: / changes the filter, Esc takes it back",
    }
}

fn heading_line<'a>(shape: &Columns, width: usize, theme: Theme) -> Line<'a> {
    let mut text = format!("{} {}", pad("JOB", 8, theme), pad("STATE", shape.state, theme));
    if shape.has_priority {
        text.push_str("  PRI");
    }
    text.push_str(&pad_left("DONE", shape.bar + 5 + usize::from(shape.bar > 0), theme));
    if shape.has_size {
        text.push_str("   SIZE");
    }
    if shape.has_pace {
        text.push_str("  RATE/s    ETA");
    }
    text.push_str(&format!("  SOURCE{}TARGET", theme.arrow()));
    Line::styled(elide(&text, width, theme), theme.heading())
}

/// `job 3 of 300 shown, 1000000 in all, by rate, filter: failed, page 2 (<)`
fn shown(model: &Model) -> String {
    let at = model.chosen_at().map_or(0, |at| at + 1);
    let mut text = format!("job {at} of {} shown", model.jobs.len());
    let known = model.known();
    if known > model.jobs.len() as u64 {
        text.push_str(&format!(", {known} in all"));
    }
    text.push_str(&format!(", by {}", model.sort.word()));
    if !model.filter.is_empty() {
        text.push_str(&format!(", filter: {}", model.filter.typed));
    }
    let has_more = model.picture.as_ref().is_some_and(|picture| picture.more);
    match (model.page, has_more) {
        (0, false) => {}
        (0, true) => text.push_str(", older: >"),
        (page, true) => text.push_str(&format!(", page {}, older: >, newer: <", page + 1)),
        (page, false) => text.push_str(&format!(", page {}, newer: <", page + 1)),
    }
    text
}

fn row<'a>(job: &Job, shape: &Columns, width: usize, theme: Theme) -> Line<'a> {
    let state = state(job, shape.state, theme);
    let mut spans = vec![
        Span::raw(pad(short(&job.id), 8, theme)),
        Span::raw(" "),
        Span::styled(state, theme.state(job.state())),
    ];
    if shape.has_priority {
        spans.push(Span::raw(format!(" {:>4}", job.priority)));
    }
    if shape.bar > 0 {
        let (done, total) = fill(job);
        spans.push(Span::raw(" "));
        spans.push(Span::styled(theme.bar(shape.bar, done, total), theme.state(job.state())));
    }
    spans.push(Span::raw(pad_left(&table::done(job), 5, theme)));
    if shape.has_size {
        let size = job.bytes_total.map_or_else(|| "-".to_owned(), compact_size);
        spans.push(Span::raw(format!(" {size:>6}")));
    }
    if shape.has_pace {
        let rate = compact_rate(job.bytes_per_second);
        let eta = eta(job).map_or_else(|| "-".to_owned(), compact_time);
        spans.push(Span::raw(format!("  {rate:>6} {eta:>6}")));
    }
    spans.push(Span::raw("  "));
    let mut line = Line::from(spans);
    let room = width.saturating_sub(line.width());
    line.push_span(Span::raw(journey(job, room, theme)));
    line
}

/// What it starts from and ends at. Where that does not fit, each without its middle; where it does not by
/// far, what people know the job by, and the remote that it goes to.
fn journey(job: &Job, room: usize, theme: Theme) -> String {
    let arrow = theme.arrow();
    let (mut source, mut target) = (ends::source(job).to_owned(), ends::target(job));
    if room < NAME {
        return elide_middle(&name(job), room, theme);
    }
    if room < JOURNEY {
        source = name(job);
        target.truncate(target.find(':').unwrap_or(target.len()));
    }
    let left = room.saturating_sub(columns(arrow));
    let (half, whole) = (left / 2, columns(&source) + columns(&target));
    if whole > left {
        let for_target = columns(&target).min(half);
        source = elide_middle(&source, left - for_target.min(left), theme);
        target = elide_middle(&target, left.saturating_sub(columns(&source)), theme);
    }
    elide(&format!("{source}{arrow}{target}"), room, theme)
}

/// The stage, or what it waits for, or the state; what a person asked for goes before all.
fn state(job: &Job, width: usize, theme: Theme) -> String {
    if width > 20 {
        return pad(&table::state(job), width, theme);
    }
    pad(table::short_state(job), width, theme)
}

/// EC2's percent while it is EC2's turn, else bytes.
pub fn fill(job: &Job) -> (u64, u64) {
    match (ends::percent_of_ec2(job, job.stage()), job.bytes_total) {
        (Some(percent), _) => (percent.into(), 100),
        // An empty object is done.
        (None, Some(0)) => (1, 1),
        (None, Some(total)) => (job.bytes_done, total),
        (None, None) => (0, 1),
    }
}

/// Seconds to the end at the present rate.
pub fn eta(job: &Job) -> Option<u64> {
    let left = job.bytes_total?.checked_sub(job.bytes_done)?;
    (job.state() == JobState::Running && left > 0)
        .then(|| left.checked_div(job.bytes_per_second))?
}
