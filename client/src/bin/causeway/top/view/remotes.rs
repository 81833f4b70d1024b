//! The remotes: who they are, what passes, and what holds them back.

use std::time::Duration;

use causeway::units::format_duration;
use causeway::v1::{RemoteLimits, RemoteStatus, StatusResponse};
use causeway::view::jiff_time;
use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::model::Model;
use super::super::theme::Theme;
use super::text::{compact_rate, compact_size, compact_time, elide, pad, pad_left};

/// More than these would push the jobs off a screen of 24 lines.
const REMOTES_MAX: usize = 8;
/// A remote that asked to slow down within this is slowed down now.
const THROTTLED_FOR: Duration = Duration::from_secs(30);
/// Credentials that end this soon deserve a look: they are renewed well before.
const EXPIRES_SOON: Duration = Duration::from_secs(300);

/// How many lines there are to show: the heading, the remotes, the first that has a problem.
pub fn lines(model: &Model) -> u16 {
    let Some(picture) = &model.picture else { return 0 };
    let remotes = picture.status.remotes.len().min(REMOTES_MAX);
    u16::try_from(remotes).unwrap_or(0) + 1 + u16::from(troubled(&picture.status).is_some())
}

/// The first remote with a problem: the column is too narrow for what is wrong.
fn troubled(status: &StatusResponse) -> Option<&RemoteStatus> {
    status.remotes.iter().find(|remote| !remote.problem.is_empty())
}

/// Columns of the name and of where it is: they give way on a narrow screen.
fn names(width: usize) -> (usize, usize) {
    match width {
        0..60 => (8, 0),
        60..100 => (11, 11),
        _ => (16, 28),
    }
}

pub fn draw<'a>(model: &Model, theme: Theme, area: Rect) -> Vec<Line<'a>> {
    let width = usize::from(area.width);
    let Some(picture) = model.picture.as_ref().filter(|_| area.height > 0) else {
        return Vec::new();
    };
    let (name, place) = names(width);
    let heading = format!(
        "{}{} {:>6}/{:<6} {:<5}  {:>6}/{:<6} {:<5}  STANDING",
        pad("REMOTE", name, theme),
        pad(if place > 0 { " PARTITION" } else { "" }, place, theme),
        "READ",
        "LIMIT",
        "PARTS",
        "WRITE",
        "LIMIT",
        "PARTS",
    );
    let mut lines = vec![Line::styled(elide(&heading, width, theme), theme.heading())];
    for remote in picture.status.remotes.iter().take(REMOTES_MAX) {
        let mut line = row(remote, name, place, theme);
        let room = width.saturating_sub(line.width());
        let (text, style) = standing(model, remote, theme);
        line.push_span(Span::styled(elide(&text, room, theme), style));
        lines.push(line);
    }
    if let Some(RemoteStatus { remote, problem, .. }) = troubled(&picture.status) {
        lines.push(Line::styled(elide(&format!("{remote}: {problem}"), width, theme), theme.bad()));
    }
    lines
}

fn row<'a>(remote: &RemoteStatus, name: usize, place: usize, theme: Theme) -> Line<'a> {
    let limits = remote.limits.as_ref();
    let located = match place {
        0 => String::new(),
        1..20 => format!(" {}", remote.partition),
        _ if remote.account.is_empty() => format!(" {} {}", remote.partition, remote.region),
        _ => format!(" {} {}", remote.partition, remote.account),
    };
    let mut spans = vec![
        Span::raw(pad(&remote.remote, name, theme)),
        Span::styled(pad(&located, place, theme), theme.dim()),
        Span::raw(" "),
    ];
    spans.extend(way(
        remote.read_rate,
        limits.and_then(|limits| limits.read_bandwidth),
        [remote.read_parts_in_flight, remote.read_concurrency],
        theme,
    ));
    spans.extend(way(
        remote.write_rate,
        limits.and_then(|limits| limits.write_bandwidth),
        [remote.write_parts_in_flight, remote.write_concurrency],
        theme,
    ));
    Line::from(spans)
}

/// `  612M/1.20G  12/16  `: the rate beside its limit, the parts under way beside those admitted.
fn way<'a>(rate: u64, limit: Option<u64>, parts: [u32; 2], theme: Theme) -> [Span<'a>; 2] {
    // A limit that is reached is why it is no faster.
    let is_full = limit.is_some_and(|limit| rate > 0 && rate >= limit - limit / 20);
    let style = if is_full { theme.warning() } else { Style::new() };
    let limit = limit.map_or_else(|| "-".to_owned(), compact_size);
    let rates = format!("{}/{}", pad_left(&compact_rate(rate), 6, theme), pad(&limit, 6, theme));
    let [under_way, admitted] = parts;
    let parts = pad(&format!("{under_way}/{admitted}"), 5, theme);
    [Span::styled(rates, style), Span::raw(format!(" {parts}  "))]
}

/// What most deserves a look: the worst first.
fn standing(model: &Model, remote: &RemoteStatus, theme: Theme) -> (String, Style) {
    let now = model.now;
    if !remote.problem.is_empty() {
        return ("PROBLEM".into(), theme.bad());
    }
    let expires = remote.credentials_expire_at.as_ref().and_then(jiff_time);
    let left = expires.map(|at| until(now, at));
    if left == Some(Duration::ZERO) {
        return ("keys EXPIRED".into(), theme.bad());
    }
    if let Some(limits) = remote.limits.as_ref().filter(|limits| limits.paused) {
        return (paused(limits, now), theme.warning());
    }
    let last = model.throttles.get(&remote.remote).and_then(|throttle| throttle.last);
    if let Some(age) = last.map(|at| until(at, now)).filter(|age| *age < THROTTLED_FOR) {
        return (format!("THROTTLED {}", compact_time(age.as_secs())), theme.warning());
    }
    match left {
        Some(left) => {
            let style = if left < EXPIRES_SOON { theme.warning() } else { theme.dim() };
            (format!("keys {} left", compact_time(left.as_secs())), style)
        }
        None if remote.throttled > 0 => (format!("{} throttled", remote.throttled), theme.dim()),
        None => ("ok".into(), theme.good()),
    }
}

/// The schedule's pause, and when it ends.
fn paused(limits: &RemoteLimits, now: Timestamp) -> String {
    match limits.until.as_ref().and_then(jiff_time) {
        Some(ends) => format!("PAUSED, {} left", format_duration(until(now, ends))),
        None => "PAUSED".to_owned(),
    }
}

/// The time from one moment to a later one; zero where it is not later.
fn until(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
