//! Colours and glyphs, by what the terminal takes.
//!
//! Nothing is told by colour alone: without it the words, the glyphs and bold say the same.

use causeway::v1::JobState;
use ratatui::style::{Color, Modifier, Style};

use crate::table::fit;

/// How things look.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    pub colour: bool,
    /// The locale is UTF-8.
    pub unicode: bool,
}

/// What one cell of the parts map stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Done,
    Active,
    /// Some of the cell's parts are done.
    Partly,
    Pending,
    /// It was sent, did not arrive, and is to be sent again.
    Failed,
}

impl Theme {
    /// As the environment says. `colour` is what the arguments and the terminal allow.
    pub fn new(colour: bool) -> Self {
        Self { colour, unicode: fit::has_utf8() }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub fn heading(self) -> Style {
        self.coloured(Color::Blue).add_modifier(Modifier::BOLD)
    }

    pub fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub fn busy(self) -> Style {
        self.coloured(Color::Cyan)
    }

    pub fn warning(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What nobody may miss.
    pub fn shouted(self) -> Style {
        self.bad().add_modifier(Modifier::REVERSED)
    }

    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub fn state(self, state: JobState) -> Style {
        match state {
            JobState::Running => self.busy(),
            JobState::Paused => self.coloured(Color::Yellow),
            JobState::Succeeded => self.good(),
            JobState::Failed => self.bad(),
            JobState::Cancelled => self.coloured(Color::Magenta),
            JobState::Queued | JobState::Unspecified => Style::new(),
        }
    }

    pub fn cell(self, cell: Cell) -> Style {
        match cell {
            Cell::Done => self.good(),
            Cell::Active => self.busy(),
            Cell::Partly => self.coloured(Color::Green),
            Cell::Pending => self.dim(),
            Cell::Failed => self.bad(),
        }
    }

    pub fn glyph(self, cell: Cell) -> char {
        match (cell, self.unicode) {
            (Cell::Done, true) => '\u{2588}',
            (Cell::Active, true) => '\u{25b6}',
            (Cell::Partly, true) => '\u{2592}',
            (Cell::Pending, true) => '\u{00b7}',
            (Cell::Done, false) => '#',
            (Cell::Active, false) => '>',
            (Cell::Partly, false) => '+',
            (Cell::Pending, false) => '.',
            (Cell::Failed, _) => '!',
        }
    }

    pub fn arrow(self) -> &'static str {
        if self.unicode { " \u{2192} " } else { " -> " }
    }

    pub fn ellipsis(self) -> &'static str {
        fit::ellipsis(self.unicode)
    }

    /// A bar of so many cells, filled by `done` of `total`.
    pub fn bar(self, width: usize, done: u64, total: u64) -> String {
        let share = u128::from(done.min(total)) * width as u128;
        let full = share.checked_div(u128::from(total)).unwrap_or(0);
        let full = usize::try_from(full).unwrap_or(width).min(width);
        let (on, off) = if self.unicode { ("\u{2588}", "\u{2591}") } else { ("#", "-") };
        format!("{}{}", on.repeat(full), off.repeat(width - full))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_work_and_never_wider() {
        let theme = Theme { colour: false, unicode: false };
        assert_eq!(theme.bar(10, 37, 100), "###-------");
        assert_eq!(theme.bar(10, 99, 100), "#########-", "full means all");
        assert_eq!(theme.bar(4, u64::MAX, u64::MAX), "####");
        assert_eq!(theme.bar(4, 1, 0), "----");
        assert_eq!(theme.bar(0, 1, 1), "");
    }

    #[test]
    fn without_colour_no_style_has_one() {
        let theme = Theme { colour: false, unicode: true };
        for style in [theme.heading(), theme.good(), theme.bad(), theme.shouted(), theme.warning()]
        {
            assert_eq!(style.fg, None);
        }
    }
}
