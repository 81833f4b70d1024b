//! The model as a picture of cells. Pure: the same model and size give the same picture.
//!
//! # Invariants
//! - Any size is drawn, down to a single cell; what does not fit is left out in the order of importance: the
//!   list of jobs and the status line stay longest.
//! - What comes from elsewhere (keys, reasons) passes [`crate::print::plain`] before it is drawn.

mod detail;
mod header;
mod help;
mod jobs;
mod remotes;
mod text;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Widget};

use super::model::{Mode, Model};
use super::theme::Theme;
use text::elide;
pub use text::short;

/// Below this, the detail takes the place of the list.
const SPLIT_HEIGHT: u16 = 36;
/// Rows that the list keeps while there are remotes beside it.
const JOBS_MIN: u16 = 5;

/// Where everything is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    header: Rect,
    remotes: Rect,
    jobs: Rect,
    detail: Rect,
    status: Rect,
}

impl Places {
    /// Rows of the list, its headings aside.
    pub fn rows(&self) -> usize {
        jobs::rows(usize::from(self.jobs.height))
    }
}

/// Divides the screen.
pub fn places(model: &Model, area: Rect) -> Places {
    let mut left = area;
    let status = if area.height > 1 { take_bottom(&mut left, 1) } else { Rect::default() };
    let wanted = header::lines(model).min(left.height.saturating_sub(JOBS_MIN));
    let header = take_top(&mut left, wanted);
    if model.has_detail && area.height < SPLIT_HEIGHT {
        return Places { header, detail: left, status, ..Places::default() };
    }
    let remotes = remotes::lines(model);
    let fits = left.height > remotes + JOBS_MIN;
    let remotes = if fits { take_top(&mut left, remotes) } else { Rect::default() };
    let detail = match model.has_detail {
        true => take_bottom(&mut left, area.height / 2),
        false => Rect::default(),
    };
    Places { header, remotes, jobs: left, detail, status }
}

fn take_top(left: &mut Rect, height: u16) -> Rect {
    let taken = Rect { height: height.min(left.height), ..*left };
    left.y += taken.height;
    left.height -= taken.height;
    taken
}

fn take_bottom(left: &mut Rect, height: u16) -> Rect {
    let height = height.min(left.height);
    left.height -= height;
    Rect { y: left.y + left.height, height, ..*left }
}

/// Draws all of it.
pub fn draw(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let places = places(model, area);
    put(header::draw(model, theme, places.header), places.header, buffer);
    put(remotes::draw(model, theme, places.remotes), places.remotes, buffer);
    put(jobs::draw(model, theme, places.jobs), places.jobs, buffer);
    put(detail::draw(model, theme, places.detail), places.detail, buffer);
    if model.lost.is_some() {
        // What is shown is old: it must not look as if it were now.
        for part in [places.remotes, places.jobs, places.detail] {
            buffer.set_style(part.intersection(*buffer.area()), theme.dim());
        }
    }
    put(vec![status(model, theme, places.status)], places.status, buffer);
    if model.mode == Mode::Help {
        help::draw(theme, area, buffer);
    }
}

fn put(lines: Vec<Line<'_>>, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(*buffer.area());
    if area.is_empty() {
        return;
    }
    Clear.render(area, buffer);
    Paragraph::new(lines).render(area, buffer);
}

/// A question, or the outcome of the last key, or what the keys are.
fn status<'a>(model: &Model, theme: Theme, area: Rect) -> Line<'a> {
    let width = usize::from(area.width);
    let fit = |text: String, style: Style| Line::styled(elide(&text, width, theme), style);
    match (&model.mode, &model.note) {
        (Mode::Typing(typed), _) => {
            let mut line = fit(format!("filter: {typed}"), Style::new());
            line.push_span(Span::styled(" ", theme.chosen()));
            line.push_span(Span::styled("  state, KEY=VALUE or text; Enter, Esc", theme.dim()));
            line
        }
        (Mode::Confirming { job }, _) => {
            let name = model.chosen_job().filter(|known| known.id == *job);
            let name =
                name.map(|job| format!(" ({})", crate::follow::name(job))).unwrap_or_default();
            let question = format!("cancel {}{name}? y: yes, any other key: no", short(job));
            fit(question, theme.warning())
        }
        (_, Some(note)) if note.is_bad => fit(format!("error: {}", note.text), theme.bad()),
        (_, Some(note)) => fit(note.text.clone(), theme.good()),
        (_, None) => fit(hints(model, width).to_owned(), theme.dim()),
    }
}

fn hints(model: &Model, width: usize) -> &'static str {
    match (model.has_detail, width) {
        (_, 0..40) => "? help  q quit",
        (_, 40..80) => "Enter parts  p r c R / s  ? help  q quit",
        (true, _) => {
            "Esc back  j k next  p pause  r resume  c cancel  R retry  + - priority  ? help"
        }
        (false, _) => "Enter parts  p pause  r resume  c cancel  / filter  s sort  ? help  q quit",
    }
}

#[cfg(test)]
mod tests;
