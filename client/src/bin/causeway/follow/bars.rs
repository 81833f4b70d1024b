//! Progress on a terminal: the rows of `rows`, drawn.
//!
//! A row has no memory: the n-th bar shows the n-th row, whatever job that is of, so that jobs may come, go
//! and change places without one row in the middle of another's.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::rows::{self, Look, Row};
use super::tracker::Tracker;
use crate::print::plain;
use crate::table::fit;

/// More rows than this would scroll.
const ROWS_MAX: usize = 12;

/// On fewer columns, names and bars are shorter: what they leave is for the figures.
const WIDE_MIN: u16 = 110;
/// Columns of a job's name.
const NAME: usize = 28;
const NAME_NARROW: usize = 20;

/// Source base name, bar, then rate, ETA, stage, what it waits for, and amount.
const JOB: &str = "{prefix:28!} [{bar:22}] {percent:>3}%  {wide_msg}";
const JOB_WITHOUT_BAR: &str = "{prefix:28!} {wide_msg}";
const JOB_NARROW: &str = "{prefix:20!} [{bar:8}] {percent:>3}%  {wide_msg}";
const JOB_WITHOUT_BAR_NARROW: &str = "{prefix:20!} {wide_msg}";
const STAGE: &str = "  {prefix:14!} [{bar:22}] {percent:>3}%  {wide_msg}";
const STAGE_NARROW: &str = "  {prefix:14!} [{bar:8}] {percent:>3}%  {wide_msg}";
const STAGE_WITHOUT_BAR: &str = "  {prefix:14!} {wide_msg}";
const STAGE_DONE: &str = "\u{2713} {prefix:14!} {wide_msg}";
const STAGE_AHEAD: &str = "  {prefix:14!}";
const STAGE_AHEAD_DIM: &str = "  {prefix:14!.dim}";
const REST: &str = "{wide_msg}";

#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    bars: Vec<ProgressBar>,
    colour: bool,
}

impl Bars {
    pub fn new(colour: bool) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { screen, bars: Vec::new(), colour }
    }

    /// A line that stays, above the bars.
    pub fn say(&self, text: &str) {
        // The terminal is gone when this fails; there is nobody to tell.
        let _ = self.screen.println(plain(text));
    }

    /// Brings the screen up to date.
    pub fn draw(&mut self, tracker: &Tracker) {
        let rows = rows::screen(tracker, ROWS_MAX);
        // Of a terminal that does not say, indicatif takes it that it has 80.
        let width = crossterm::terminal::size().map_or(0, |(columns, _)| columns);
        while self.bars.len() > rows.len() {
            if let Some(bar) = self.bars.pop() {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
        }
        while self.bars.len() < rows.len() {
            self.bars.push(self.screen.add(ProgressBar::new(1)));
        }
        for (bar, row) in self.bars.iter().zip(rows) {
            update(bar, row, width < WIDE_MIN, self.colour);
        }
    }

    pub fn clear(&mut self) {
        self.bars.clear();
        let _ = self.screen.clear();
    }
}

fn update(bar: &ProgressBar, row: Row, is_narrow: bool, colour: bool) {
    bar.set_style(style(template(&row, is_narrow, colour)));
    if let Some(fill) = row.fill {
        bar.set_length(fill.total);
        bar.set_position(fill.done);
    }
    bar.set_prefix(label(row.label, is_narrow));
    bar.set_message(row.text);
}

/// What tells jobs of one name apart is at its end.
fn label(text: String, is_narrow: bool) -> String {
    let width = if is_narrow { NAME_NARROW } else { NAME };
    fit::without_middle(text, width, fit::ellipsis(fit::has_utf8()))
}

fn template(row: &Row, is_narrow: bool, colour: bool) -> &'static str {
    match (row.look, row.fill.is_some()) {
        (Look::Job, true) if is_narrow => JOB_NARROW,
        (Look::Job, false) if is_narrow => JOB_WITHOUT_BAR_NARROW,
        (Look::Stage, true) if is_narrow => STAGE_NARROW,
        (Look::Job, true) => JOB,
        (Look::Job, false) => JOB_WITHOUT_BAR,
        (Look::Stage, true) => STAGE,
        (Look::Stage, false) => STAGE_WITHOUT_BAR,
        (Look::StageDone, _) => STAGE_DONE,
        (Look::StageAhead, _) if colour => STAGE_AHEAD_DIM,
        (Look::StageAhead, _) => STAGE_AHEAD,
        (Look::Rest, _) => REST,
    }
}

/// The templates are constants and a test reads them; the fallback is indicatif's own bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::super::figures::Fill;
    use super::*;

    #[test]
    fn the_templates_are_legal() {
        let stages = [STAGE, STAGE_WITHOUT_BAR, STAGE_DONE, STAGE_AHEAD, STAGE_AHEAD_DIM];
        let narrow = [JOB_NARROW, JOB_WITHOUT_BAR_NARROW, STAGE_NARROW];
        let all = [JOB, JOB_WITHOUT_BAR, REST].into_iter().chain(stages).chain(narrow);
        for template in all {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    /// On 80 columns the amount was cut off, and all that came after it.
    #[test]
    fn a_narrow_terminal_keeps_room_for_the_figures() {
        let fill = Some(Fill { done: 1, total: 2 });
        let row = Row { look: Look::Job, label: String::new(), fill, text: String::new() };
        assert_eq!(template(&row, true, false), JOB_NARROW);
        assert_eq!(template(&row, false, false), JOB);
        let twin = "commercial-golden-image.bin Y9Z0A1B2".to_owned();
        for (is_narrow, width) in [(true, NAME_NARROW), (false, NAME)] {
            let label = label(twin.clone(), is_narrow);
            assert!(fit::columns(&label) <= width && label.ends_with(" Y9Z0A1B2"), "{label}");
        }
    }
}
