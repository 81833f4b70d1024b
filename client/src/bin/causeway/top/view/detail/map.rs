//! The parts map: where each part stands, in the cells that there are.

use causeway::units::format_size;
use causeway::v1::{Job, Part, PartState};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::super::theme::{Cell, Theme};
use super::super::text::elide;

/// A heading and a map of at most the rest of the lines; each cell stands for as many parts as it takes.
pub fn draw<'a>(
    job: &Job,
    parts: &[Part],
    width: usize,
    height: usize,
    theme: Theme,
) -> Vec<Line<'a>> {
    let rows = height.saturating_sub(1);
    if width == 0 || rows == 0 || parts.is_empty() {
        return Vec::new();
    }
    let each = parts.len().div_ceil(width * rows);
    let cells: Vec<Cell> = parts.chunks(each).map(cell).collect();
    let mut lines = vec![heading(job, parts, each, width, theme)];
    lines.extend(cells.chunks(width).map(|row| line(row, theme)));
    lines
}

fn heading<'a>(job: &Job, parts: &[Part], each: usize, width: usize, theme: Theme) -> Line<'a> {
    let count = |state| parts.iter().filter(|part| part.state() == state).count();
    let mut text = format!(
        "{} parts of {}: {} done, {} under way",
        parts.len(),
        format_size(job.part_size),
        count(PartState::Done),
        count(PartState::Active),
    );
    let repeated = parts.iter().filter(|part| part.attempts > 1).count();
    if repeated > 0 {
        text.push_str(&format!(", {repeated} sent more than once"));
    }
    if each > 1 {
        text.push_str(&format!(" (a cell: {each})"));
    }
    Line::styled(elide(&text, width, theme), theme.heading())
}

/// What a cell shows of its parts: what goes on in it before what is done of it.
fn cell(parts: &[Part]) -> Cell {
    let has = |state| parts.iter().any(|part| part.state() == state);
    let has_failed = |part: &Part| part.state() == PartState::Pending && part.attempts > 0;
    if parts.iter().all(|part| part.state() == PartState::Done) {
        Cell::Done
    } else if has(PartState::Active) {
        Cell::Active
    } else if parts.iter().any(has_failed) {
        Cell::Failed
    } else if has(PartState::Done) {
        Cell::Partly
    } else {
        Cell::Pending
    }
}

/// Runs of equal cells are one span: a line of them is sent to the terminal in a few pieces.
fn line<'a>(cells: &[Cell], theme: Theme) -> Line<'a> {
    let run = |run: &[Cell]| {
        let (style, glyph) =
            run.first().map_or((Style::new(), ' '), |cell| (theme.cell(*cell), theme.glyph(*cell)));
        Span::styled(std::iter::repeat_n(glyph, run.len()).collect::<String>(), style)
    };
    Line::from(cells.chunk_by(|one, other| one == other).map(run).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEME: Theme = Theme { colour: false, unicode: false };

    fn parts(count: u32, state: impl Fn(u32) -> (PartState, u32)) -> Vec<Part> {
        let part = |number| {
            let (state, attempts) = state(number);
            Part { number, state: state.into(), attempts, ..Default::default() }
        };
        (1..=count).map(part).collect()
    }

    fn map(parts: &[Part], width: usize, height: usize) -> Vec<String> {
        let lines = draw(&Job::default(), parts, width, height, THEME);
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_small_map_has_a_cell_for_each_part() {
        let parts = parts(7, |number| match number {
            1..=3 => (PartState::Done, 1),
            4 => (PartState::Active, 1),
            5 => (PartState::Pending, 2),
            _ => (PartState::Pending, 0),
        });
        let map = map(&parts, 60, 5);
        assert_eq!(map[0], "7 parts of 0 B: 3 done, 1 under way, 1 sent more than once");
        assert_eq!(map[1..], ["###>!.."]);
    }

    /// 10,000 parts are the most that S3 admits.
    #[test]
    fn the_largest_map_fits_and_leaves_no_part_out() {
        let parts = parts(10_000, |number| match number {
            1..=25 => (PartState::Done, 1),
            10_000 => (PartState::Active, 1),
            _ => (PartState::Pending, 0),
        });
        for (width, height) in [(80, 11), (40, 4), (1, 2), (200, 30)] {
            let map = map(&parts, width, height);
            assert!(map.len() <= height && map.iter().all(|line| line.len() <= width), "{map:?}");
            assert!(map.last().expect("a row").ends_with('>'), "the last part is in it: {map:?}");
        }
        let map = map(&parts, 80, 11);
        assert!(map[1].starts_with("#+."), "25 done of 13 a cell: {}", map[1]);
        assert!(map[0].ends_with("(a cell: 13)"), "{}", map[0]);
    }

    #[test]
    fn no_room_is_no_map() {
        let parts = parts(3, |_| (PartState::Done, 1));
        assert!(map(&parts, 0, 5).is_empty() && map(&parts, 5, 1).is_empty());
    }
}
