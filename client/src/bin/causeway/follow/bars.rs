//! Progress on a terminal: a bar for each running job, and one line for the rest.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::figures::{self, Figures};
use super::tracker::{Tracked, Tracker};

/// More bars than this would scroll.
const BARS_MAX: usize = 12;

/// Source base name, bar, amount, then rate, ETA, stage and what it waits for.
const TEMPLATE: &str = "{prefix:28!} [{bar:22}] {percent:>3}%  {wide_msg}";
const TEMPLATE_WAITING: &str = "{prefix:28!} {wide_msg}";

#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    bars: HashMap<String, ProgressBar>,
    rest: Option<ProgressBar>,
}

impl Bars {
    pub fn new() -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { screen, bars: HashMap::new(), rest: None }
    }

    /// A line that stays, above the bars.
    pub fn say(&self, text: &str) {
        // The terminal is gone when this fails; there is nobody to tell.
        let _ = self.screen.println(text);
    }

    /// Brings the bars up to date. Running jobs come first, since they are what moves.
    pub fn draw(&mut self, tracker: &Tracker) {
        let mut shown: Vec<&Tracked> = tracker.jobs().collect();
        shown.sort_by_key(|tracked| !is_running(tracked));
        let more = shown.len().saturating_sub(BARS_MAX);
        shown.truncate(BARS_MAX);
        let Self { screen, bars, .. } = self;
        bars.retain(|id, bar| {
            let stays = shown.iter().any(|tracked| tracked.job.id == *id);
            if !stays {
                bar.finish_and_clear();
                screen.remove(bar);
            }
            stays
        });
        for (at, tracked) in shown.into_iter().enumerate() {
            let bar = bars.entry(tracked.job.id.clone()).or_insert_with(|| {
                let bar = screen.insert(at, ProgressBar::new(1));
                bar.set_prefix(figures::name(&tracked.job));
                bar
            });
            update(bar, &Figures::of(tracked));
        }
        self.draw_rest(more);
    }

    fn draw_rest(&mut self, more: usize) {
        if more == 0 {
            if let Some(rest) = self.rest.take() {
                rest.finish_and_clear();
                self.screen.remove(&rest);
            }
            return;
        }
        let rest = self.rest.get_or_insert_with(|| {
            let rest = self.screen.add(ProgressBar::new(1));
            rest.set_style(style("{wide_msg}"));
            rest
        });
        rest.set_message(format!("and {more} more"));
    }

    pub fn clear(&mut self) {
        self.bars.clear();
        self.rest = None;
        let _ = self.screen.clear();
    }
}

fn update(bar: &ProgressBar, figures: &Figures) {
    match figures.total {
        Some(total) => {
            bar.set_style(style(TEMPLATE));
            // indicatif reads a length of zero as unknown; an empty object is done.
            bar.set_length(total.max(1));
            bar.set_position(if total == 0 { 1 } else { figures.done.min(total) });
            bar.set_message(format!("{}  {}", figures.amount(), figures.pace()));
        }
        None => {
            bar.set_style(style(TEMPLATE_WAITING));
            bar.set_message(figures.pace());
        }
    }
}

/// The templates are constants and a test reads them; the fallback is indicatif's own bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn is_running(tracked: &Tracked) -> bool {
    tracked.job.state() == causeway::v1::JobState::Running
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_legal() {
        for template in [TEMPLATE, TEMPLATE_WAITING, "{wide_msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
