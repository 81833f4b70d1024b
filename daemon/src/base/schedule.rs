//! Limits by the clock on the wall: which are in force at a moment, why, and until when.
//!
//! A window begins at its time on its day, in its time zone, and ends at the next moment that its end
//! is shown there: two clock changes a year make it longer or shorter and never lose it. The first entry
//! whose window it is wins.
//!
//! Pure: the moment is given. Nothing here switches anything.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp as Moment};

use super::{Limits, LimitsChange};
use crate::model::Timestamp;

/// Days that are looked ahead: a week, and what may begin before it and end after it.
const DAYS_AHEAD: i64 = 10;
/// A week and a clock change: what does not change within it never does.
const CYCLE: SignedDuration = SignedDuration::from_hours(8 * 24);

/// Windows of time and what they allow, in the order in which they win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule(Vec<Entry>);

/// A window of time that comes again, and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The days on which it begins.
    pub days: Vec<Weekday>,
    pub from: Time,
    /// `None` is midnight at the end of the day. No later than `from`, it is of the next day.
    pub to: Option<Time>,
    pub zone: TimeZone,
    pub rule: Rule,
}

/// What a window allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// These; what is absent is as outside of any window.
    Limits(Limits),
    /// No job works at the remote.
    Pause,
}

/// All that decides on the limits of one remote.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The configuration's.
    configured: Limits,
    schedule: Schedule,
    /// Set with `--persist`: what it names is in place of the configuration's.
    kept: LimitsChange,
    /// Set live: over everything, until the schedule next changes something.
    live: Option<(Limits, Option<Timestamp>)>,
}

/// The limits in force, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce {
    pub limits: Limits,
    /// No job works at the remote.
    pub paused: bool,
    pub origin: Origin,
    /// When other limits come into force by themselves; `None` where none will.
    pub until: Option<Timestamp>,
}

/// Where limits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Configured,
    Persisted,
    /// The entry of the schedule, counted from 1.
    Schedule(u32),
    Live,
}

impl Schedule {
    /// The entries, in the order in which they win.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// The entry in force, by its place from 0, and when another one comes into force, or none.
    fn at(&self, now: Timestamp) -> (Option<usize>, Option<Timestamp>) {
        let now = i64::try_from(now.0).ok().and_then(|now| Moment::from_millisecond(now).ok());
        let Some(now) = now else { return (None, None) };
        let windows: Vec<Vec<_>> = self.0.iter().map(|entry| entry.windows(now)).collect();
        let holds = |at: Moment| {
            let is_in = |(from, to): &(Moment, Moment)| *from <= at && at < *to;
            windows.iter().position(|windows| windows.iter().any(is_in))
        };
        let current = holds(now);
        let ends = windows.iter().flatten().flat_map(|(from, to)| [*from, *to]);
        let ahead = |at: &Moment| *at > now && at.duration_since(now) <= CYCLE;
        let other = ends.filter(|at| ahead(at) && holds(*at) != current).min();
        let since_1970 = |at: Moment| u64::try_from(at.as_millisecond()).ok().map(Timestamp);
        (current, other.and_then(since_1970))
    }
}

impl Entry {
    /// The windows from the day before yesterday on.
    fn windows(&self, now: Moment) -> Vec<(Moment, Moment)> {
        let today = self.zone.to_datetime(now).date();
        let days = (-2..=DAYS_AHEAD)
            .filter_map(|days| today.checked_add(SignedDuration::from_hours(24 * days)).ok());
        let days = days.filter(|date| self.days.contains(&date.weekday()));
        days.filter_map(|date| self.window(date)).collect()
    }

    /// The window that begins on this day. A time that a clock change leaves out is the moment after it;
    /// one that comes twice is the first.
    fn window(&self, date: Date) -> Option<(Moment, Moment)> {
        let moment = |date: Date, time| self.zone.to_timestamp(date.to_datetime(time)).ok();
        let end = match self.to {
            Some(to) if to > self.from => moment(date, to)?,
            to => moment(date.tomorrow().ok()?, to.unwrap_or(Time::midnight()))?,
        };
        Some((moment(date, self.from)?, end))
    }
}

impl Rules {
    /// Those of the configuration, with what was persisted over them.
    pub fn new(configured: Limits, schedule: Schedule, kept: LimitsChange) -> Self {
        Self { configured, schedule, kept, live: None }
    }

    /// What a person changes now: in force until the schedule next changes something. With `persist` it
    /// also takes the place of the configuration's.
    pub fn set(&mut self, change: LimitsChange, persist: bool, now: Timestamp) {
        let limits = change.apply(self.in_force(now).limits);
        if persist {
            self.kept = self.kept_with(change);
        }
        self.live = Some((limits, self.schedule.at(now).1));
    }

    /// What is kept once this change is, too.
    pub fn kept_with(&self, change: LimitsChange) -> LimitsChange {
        change.over(self.kept)
    }

    /// Back to the configuration: what was set live and what was persisted are over.
    pub fn reset(&mut self) {
        self.kept = LimitsChange::default();
        self.live = None;
    }

    /// Another configuration. What was set live is over, what was persisted stays.
    pub fn reload(&mut self, configured: Limits, schedule: Schedule) {
        *self = Self::new(configured, schedule, self.kept);
    }

    /// What is in force at a moment.
    pub fn in_force(&mut self, now: Timestamp) -> InForce {
        if self.live.is_some_and(|(_, until)| until.is_some_and(|until| until <= now)) {
            self.live = None;
        }
        let base = self.kept.apply(self.configured);
        let origin = if self.kept.is_none() { Origin::Configured } else { Origin::Persisted };
        if let Some((limits, until)) = self.live {
            // Without a schedule, what was persisted is simply what is in force.
            let kept = until.is_none() && limits == base && !self.kept.is_none();
            let origin = if kept { Origin::Persisted } else { Origin::Live };
            return InForce { limits, paused: false, origin, until };
        }
        let (entry, until) = self.schedule.at(now);
        match entry.and_then(|at| Some((at, self.schedule.0.get(at)?.rule))) {
            None => InForce { limits: base, paused: false, origin, until },
            Some((at, rule)) => {
                let (limits, paused) = match rule {
                    Rule::Limits(limits) => (limits.or(base), false),
                    Rule::Pause => (base, true),
                };
                let origin = Origin::Schedule(u32::try_from(at + 1).unwrap_or(u32::MAX));
                InForce { limits, paused, origin, until }
            }
        }
    }
}

#[cfg(test)]
mod tests;
