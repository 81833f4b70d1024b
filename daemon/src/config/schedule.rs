//! `[[remotes.NAME.limits.schedule]]`: windows of time with limits of their own.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use super::section::{Section, shown};
use crate::base::Limits;
use crate::base::schedule::{Entry, Rule, Schedule};

/// Every look at the schedule goes through all of them.
const ENTRIES_MAX: usize = 32;
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const RATES: [&str; 3] = ["read_bandwidth", "write_bandwidth", "requests_per_second"];

/// The schedule below the section of a remote's limits.
pub(super) fn read(limits: &mut Section<'_>) -> Schedule {
    let sections = limits.list("schedule");
    if sections.len() > ENTRIES_MAX {
        let problem = format!("has {} entries: at most {ENTRIES_MAX} work", sections.len());
        limits.fault("schedule", &problem);
    }
    Schedule::new(sections.into_iter().take(ENTRIES_MAX).filter_map(entry).collect())
}

/// One entry; `None`, with a fault noted, where a time is missing or something is wrong.
fn entry(mut section: Section<'_>) -> Option<Entry> {
    section.require("from");
    section.require("to");
    let from = section.parsed("from", "a time", time);
    let to = section.parsed("to", "a time", end);
    let zone = section.parsed("time_zone", "a text", |text| {
        // The system's own zone has no name here: a window must not move with the host.
        let problem =
            || format!("'{}' is no time zone: expected such as Europe/Berlin", shown(text));
        TimeZone::get(text).map_err(|_| problem())
    });
    let days = section.texts("days", days);
    if days.as_ref().is_some_and(Vec::is_empty) {
        section.fault("days", "is empty");
    }
    let limits = rates(&mut section);
    let rule = if section.flag("paused") { Rule::Pause } else { Rule::Limits(limits) };
    match rule {
        Rule::Pause if limits != Limits::default() => {
            section.fault("paused", "is true, and rates are given: keep one of the two");
        }
        Rule::Limits(limits) if limits == Limits::default() && !section.is_faulty() => {
            let rates = RATES.join(", ");
            section.fault_here(&format!("changes nothing: give {rates} or paused = true"));
        }
        Rule::Pause | Rule::Limits(_) => {}
    }
    if let (Some(from), Some(Some(to))) = (from, to)
        && from == to
    {
        section.fault(
            "to",
            "is the same as from: from = \"00:00\" and to = \"24:00\" are a whole day",
        );
    }
    section.finish();
    let days = days.unwrap_or_else(|| DAYS.map(|(_, day)| day).to_vec());
    Some(Entry { days, from: from?, to: to?, zone: zone.unwrap_or(TimeZone::UTC), rule })
}

/// The three rates that limits have, wherever they stand.
pub(super) fn rates(section: &mut Section<'_>) -> Limits {
    Limits {
        read_bandwidth: section.quantity(RATES[0]),
        write_bandwidth: section.quantity(RATES[1]),
        requests_per_second: section.number(RATES[2], 1..=u32::MAX),
    }
}

/// `08:00`.
fn time(text: &str) -> Result<Time, String> {
    let problem = || format!("'{}' is no time of day: expected such as 08:00", shown(text));
    let (hour, minute) = text.split_once(':').ok_or_else(problem)?;
    let number = |digits: &str| {
        let legal = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i8>().ok().filter(|_| legal)
    };
    let (hour, minute) = number(hour).zip(number(minute)).ok_or_else(problem)?;
    Time::new(hour, minute, 0, 0).map_err(|_| problem())
}

/// The same, or `24:00`, which is `None`.
fn end(text: &str) -> Result<Option<Time>, String> {
    if text == "24:00" { Ok(None) } else { time(text).map(Some) }
}

/// `mon`, or `mon-fri`; `sat-mon` goes over the week's end.
fn days(text: &str) -> Result<Vec<Weekday>, String> {
    let place = |name: &str| {
        let place = DAYS.iter().position(|(word, _)| *word == name);
        place.ok_or_else(|| {
            let words = DAYS.map(|(word, _)| word).join(", ");
            format!("'{}' is no day: expected one of {words}, or such as mon-fri", shown(name))
        })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (place(first)?, place(last)?);
    let count = (last + DAYS.len() - first) % DAYS.len() + 1;
    Ok(DAYS.iter().cycle().skip(first).take(count).map(|(_, day)| *day).collect())
}
