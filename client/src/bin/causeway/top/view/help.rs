//! What the keys are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::border::Set;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

use super::super::theme::Theme;

/// Keys and what they do, in a window of 24 lines.
const KEYS: [(&str, &str); 17] = [
    ("up down j k", "choose a job"),
    ("PgUp PgDn", "a screen further"),
    ("Home End g G", "the first, the last"),
    ("< >", "the newer, the older page of jobs"),
    ("Enter", "the chosen job with its parts; again, or Esc, to leave it"),
    ("p", "pause: what is done is kept"),
    ("r", "resume"),
    ("c", "cancel, after a question"),
    ("R", "retry a failed or cancelled job"),
    ("+ -", "priority up, down by 10"),
    ("/", "filter: states, KEY=VALUE labels, text in what is loaded"),
    ("Esc", "leave the detail, then take the filter back"),
    ("s", "sort by state, newest, priority, rate, size"),
    ("Ctrl-Z", "suspend; `fg` comes back"),
    ("q Ctrl-C", "quit: the jobs go on"),
    ("", ""),
    ("parts", ""),
];

/// A window's border without Unicode.
const ASCII: Set<'_> = Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

pub fn draw(theme: Theme, area: Rect, buffer: &mut Buffer) {
    use super::super::theme::Cell::{Active, Done, Failed, Partly, Pending};
    let mut lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(key, does)| {
            Line::from(vec![Span::styled(format!(" {key:<13}"), theme.heading()), Span::raw(*does)])
        })
        .collect();
    let words = [
        (Done, "done"),
        (Active, "under way"),
        (Partly, "partly"),
        (Failed, "to repeat"),
        (Pending, "to do"),
    ];
    if let Some(last) = lines.last_mut() {
        for (cell, word) in words {
            last.push_span(Span::styled(theme.glyph(cell).to_string(), theme.cell(cell)));
            last.push_span(Span::raw(format!(" {word}  ")));
        }
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let (width, height) = (area.width.min(76), area.height.min(height));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
    .intersection(*buffer.area());
    Clear.render(place, buffer);
    let title = Block::bordered().title(" causeway top: any key to go back ");
    // A border would take half of a very small screen.
    let paragraph = Paragraph::new(lines);
    match height > 6 && width > 20 {
        true if theme.unicode => paragraph.block(title).render(place, buffer),
        true => paragraph.block(title.border_set(ASCII)).render(place, buffer),
        false => paragraph.render(place, buffer),
    }
}
