//! The daemon in three lines, and what nobody may miss.

use std::time::Duration;

use causeway::units::{format_duration, format_rate, format_size};
use causeway::v1::{JobState, RemoteStatus, StateCount, StatusResponse};
use causeway::words::Word;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::theme::Theme;
use super::text::{compact_count, compact_time, elide};
use crate::print::plain;

/// More rows of counts than any daemon has states.
const STATES_MAX: usize = 16;

/// How many lines there are to show.
pub fn lines(model: &Model) -> u16 {
    3 + u16::from(alarm(model).is_some())
}

pub fn draw<'a>(model: &Model, theme: Theme, area: Rect) -> Vec<Line<'a>> {
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    // It comes first: where there is a single line, it is the one that is left.
    if let Some(alarm) = alarm(model) {
        lines.push(Line::styled(elide(&format!(" {alarm} "), width, theme), theme.shouted()));
    }
    match &model.picture {
        Some(picture) => lines.extend([
            daemon(&picture.status, width, theme),
            jobs(&picture.status, width, theme),
            load(&picture.status, theme),
        ]),
        None if model.lost.is_none() => lines.push(Line::raw("causeway: asking the daemon")),
        None => {}
    }
    lines
}

/// The worst of what is wrong with the daemon as a whole.
fn alarm(model: &Model) -> Option<String> {
    if let Some((reason, since)) = &model.lost {
        let age = Duration::try_from(model.now.duration_since(*since)).unwrap_or_default();
        return Some(format!("LOST for {}, trying again: {reason}", format_duration(age)));
    }
    let status = &model.picture.as_ref()?.status;
    match (status.ready, status.draining) {
        (false, _) => Some(format!("NOT READY: {}", status.not_ready_reason)),
        (true, true) => Some("DRAINING: takes no new work; `causeway drain --undo` ends it".into()),
        (true, false) => None,
    }
}

/// Its version and age at the left, what it carries at the right.
fn daemon<'a>(status: &StatusResponse, width: usize, theme: Theme) -> Line<'a> {
    let sum = |rate: fn(&RemoteStatus) -> u64| {
        status.remotes.iter().fold(0_u64, |sum, remote| sum.saturating_add(rate(remote)))
    };
    let (input, output) = (sum(|remote| remote.read_rate), sum(|remote| remote.write_rate));
    let up = format_duration(Duration::from_secs(status.uptime_seconds));
    let name = Span::styled(plain(&format!("causewayd {}", status.version)), theme.heading());
    let up = Span::raw(format!("  up {up}"));
    let rates = format!("in {}  out {}", format_rate(input), format_rate(output));
    let gap = width.saturating_sub(name.width() + up.width() + rates.len()).max(2);
    Line::from(vec![name, up, Span::raw(" ".repeat(gap)), Span::styled(rates, theme.busy())])
}

/// How many jobs are in each state. A number is whole or is not there: a part of one would be read as another. So
/// where there is little room, states without a job are left out first, then numbers are short, then states go.
fn jobs<'a>(status: &StatusResponse, width: usize, theme: Theme) -> Line<'a> {
    let mut rows: Vec<&StateCount> = status.jobs.iter().take(STATES_MAX).collect();
    let (mut is_short, mut is_less) = (false, false);
    loop {
        let mut line = counts(&rows, status.queue_oldest_seconds, is_short, theme);
        if is_less {
            line.push_span(Span::raw(theme.ellipsis()));
        }
        if line.width() <= width {
            return line;
        }
        let empty = least(&rows, |row| row.count == 0);
        if empty.is_none() && !is_short {
            is_short = true;
            continue;
        }
        let Some(at) = empty.or_else(|| least(&rows, |_| true)) else {
            return Line::default();
        };
        is_less |= rows.remove(at).count > 0;
    }
}

fn counts<'a>(rows: &[&StateCount], oldest: u64, is_short: bool, theme: Theme) -> Line<'a> {
    let mut spans = Vec::new();
    for row in rows {
        let state = row.state();
        let style = if row.count > 0 { theme.state(state) } else { theme.dim() };
        let count = if is_short { compact_count(row.count) } else { row.count.to_string() };
        let mut text = format!("{count} {}", state.word().unwrap_or("unknown"));
        if state == JobState::Queued && row.count > 0 {
            text.push_str(&format!(" ({})", compact_time(oldest)));
        }
        if !spans.is_empty() {
            spans.push(Span::raw("  "));
        }
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

/// Of some rows the one that is missed least.
fn least(rows: &[&StateCount], is_one: impl Fn(&StateCount) -> bool) -> Option<usize> {
    let some = rows.iter().enumerate().filter(|(_, row)| is_one(row));
    some.max_by_key(|(_, row)| rank(row.state())).map(|(at, _)| at)
}

/// The lower, the longer it stays.
fn rank(state: JobState) -> u8 {
    match state {
        JobState::Running => 0,
        JobState::Queued => 1,
        JobState::Failed => 2,
        JobState::Paused => 3,
        JobState::Succeeded => 4,
        JobState::Cancelled => 5,
        JobState::Unspecified => 6,
    }
}

fn load<'a>(status: &StatusResponse, theme: Theme) -> Line<'a> {
    let (used, budget) = (status.memory_used, status.memory_budget);
    // Full is not wrong, but then it is what holds everything else back.
    let is_full = used > budget - budget / 10;
    let style = if is_full { theme.warning() } else { theme.good() };
    Line::from(vec![
        Span::raw("memory "),
        Span::styled(theme.bar(10, used, budget), style),
        Span::raw(format!(" {} of {}", format_size(used), format_size(budget))),
        Span::raw(format!("  {} parts in flight", status.parts_in_flight)),
    ])
}
