//! The chosen job: what stands in its way first, then how far it is, then its parts.

mod map;

use causeway::units::{format_duration, format_rate, format_size};
use causeway::v1::{Job, JobState};
use causeway::words::Word;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::theme::Theme;
use super::jobs::{eta, fill};
use super::text::{columns, elide, elide_middle};
use crate::{ends, table};

/// Columns of the names before the values.
const NAMES: usize = 10;
/// Rows that the parts keep for themselves.
const MAP_MIN: usize = 4;

pub fn draw<'a>(model: &Model, theme: Theme, area: Rect) -> Vec<Line<'a>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    if height == 0 {
        return Vec::new();
    }
    let Some(job) = model.chosen_job() else {
        return vec![Line::styled(
            elide("the job is gone: Esc goes back", width, theme),
            theme.dim(),
        )];
    };
    let mut page = Page { width, theme, lines: Vec::new() };
    page.title(job);
    page.progress(job);
    page.trouble(job);
    page.journey(job);
    page.history(job);
    page.stages(job);
    let parts = model.parts().filter(|parts| !parts.parts.is_empty());
    let Some(parts) = parts else { return page.lines };
    // The map gives way to what is wrong, and all else to the map.
    page.lines.truncate(height.saturating_sub(MAP_MIN).max(3));
    let left = height.saturating_sub(page.lines.len());
    page.lines.extend(map::draw(job, &parts.parts, width, left, theme));
    page.lines
}

struct Page<'a> {
    width: usize,
    theme: Theme,
    lines: Vec<Line<'a>>,
}

impl Page<'_> {
    fn row(&mut self, name: &str, value: &str, style: Style) {
        let room = self.width.saturating_sub(NAMES);
        let name = Span::styled(format!("{name:<NAMES$}"), self.theme.dim());
        let value = Span::styled(elide(value, room, self.theme), style);
        self.lines.push(Line::from(vec![name, value]));
    }

    fn title(&mut self, job: &Job) {
        let theme = self.theme;
        let kind = job.kind().word().unwrap_or("job");
        let state = table::state(job);
        let title = elide(&format!("{kind} {}", job.id), self.width, theme);
        self.lines.push(Line::from(vec![
            Span::styled(title, theme.heading()),
            Span::raw("  "),
            Span::styled(state, theme.state(job.state())),
        ]));
    }

    /// A bar over what the words leave of the width.
    fn progress(&mut self, job: &Job) {
        let mut words = vec![table::done(job)];
        if let Some(total) = job.bytes_total {
            words.push(format!("{} of {}", format_size(job.bytes_done), format_size(total)));
        }
        if job.bytes_per_second > 0 {
            words.push(format_rate(job.bytes_per_second));
        }
        if let Some(seconds) = eta(job) {
            words.push(format!("ETA {}", format_duration(std::time::Duration::from_secs(seconds))));
        }
        let words = words.join("  ");
        let room = self.width.saturating_sub(columns(&words) + 2);
        let (done, total) = fill(job);
        let bar = self.theme.bar(room.min(60), done, total);
        self.lines.push(Line::from(vec![
            Span::styled(bar, self.theme.state(job.state())),
            Span::raw(format!("  {words}")),
        ]));
    }

    fn trouble(&mut self, job: &Job) {
        let theme = self.theme;
        if let (Some(reason), JobState::Running) = (job.wait_reason().word(), job.state()) {
            self.wrapped("waits for", &format!("{reason}: {}", job.wait_detail), theme.warning());
        }
        let Some(failure) = &job.failure else { return };
        // Of a job that goes on, it is what it last stumbled on.
        let style = if job.state() == JobState::Failed { theme.bad() } else { theme.warning() };
        self.wrapped("failure", &format!("{} ({})", failure.message, failure.class), style);
        if !failure.remedy.is_empty() && !failure.message.contains(&failure.remedy) {
            self.wrapped("remedy", &failure.remedy, Style::new());
        }
    }

    /// Over at most three lines: a reason is of use only as a whole.
    fn wrapped(&mut self, name: &str, value: &str, style: Style) {
        let room = self.width.saturating_sub(NAMES).max(1);
        let (mut name, mut line) = (name, String::new());
        let words: Vec<&str> = value.split_whitespace().collect();
        for (at, word) in words.iter().enumerate() {
            let is_full = !line.is_empty() && columns(&line) + 1 + columns(word) > room;
            if is_full && self.lines.len() < 8 {
                self.row(std::mem::take(&mut name), &std::mem::take(&mut line), style);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            // Nobody reads further than a line is shown.
            if columns(&line) > 4 * room && at + 1 < words.len() {
                break;
            }
        }
        self.row(name, &line, style);
    }

    fn journey(&mut self, job: &Job) {
        let room = self.width.saturating_sub(NAMES);
        let (source, target) = (ends::source(job), ends::target(job));
        self.row("source", &elide_middle(source, room, self.theme), Style::new());
        self.row("target", &elide_middle(&target, room, self.theme), Style::new());
    }

    fn history(&mut self, job: &Job) {
        let mut times = vec![format!("submitted {}", table::ago(job.submitted_at.as_ref()))];
        for (name, at) in [("started", &job.started_at), ("finished", &job.finished_at)] {
            if at.is_some() {
                times.push(format!("{name} {}", table::ago(at.as_ref())));
            }
        }
        self.row("times", &times.join(", "), Style::new());
        let mut place = format!("priority {}", job.priority);
        if job.attempts > 1 {
            place.push_str(&format!(", taken up {} times", job.attempts));
        }
        if job.bytes_sent > 0 {
            place.push_str(&format!(", {} sent with repeats", format_size(job.bytes_sent)));
        }
        if !job.actor.is_empty() {
            place.push_str(&format!(", by {}", job.actor));
        }
        self.row("queue", &place, Style::new());
        let mut labels: Vec<String> = job.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        labels.sort();
        if !labels.is_empty() {
            self.row("labels", &labels.join(" "), Style::new());
        }
        for warning in job.warnings.iter().take(2) {
            self.row("warning", warning, self.theme.warning());
        }
    }

    /// The stages of an image job.
    fn stages(&mut self, job: &Job) {
        for stage in ends::stages(job) {
            let word = stage.stage().word().unwrap_or("stage").to_owned();
            let bar = self.theme.bar(20, stage.percent.min(100).into(), 100);
            let done = if stage.finished_at.is_some() { "  done" } else { "" };
            self.row(&word, &format!("  {bar} {:>3}%{done}", stage.percent.min(100)), Style::new());
        }
    }
}
