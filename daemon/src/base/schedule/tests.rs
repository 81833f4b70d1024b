//! Windows at their edges: midnight, clock changes, weeks; and who wins.

use super::*;
use crate::model::Bandwidth;

const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

fn read(rate: u64) -> Limits {
    Limits { read_bandwidth: Some(Bandwidth(rate)), ..Limits::default() }
}

fn only_read(rate: u64) -> LimitsChange {
    LimitsChange { read_bandwidth: Some(Some(Bandwidth(rate))), ..LimitsChange::default() }
}

fn entry(days: &[Weekday], from: &str, to: &str, zone: &str, rule: Rule) -> Entry {
    Entry {
        days: days.to_vec(),
        from: from.parse().expect("a time"),
        to: (to != "24:00").then(|| to.parse().expect("a time")),
        zone: TimeZone::get(zone).expect("the time zones are built in"),
        rule,
    }
}

fn at(text: &str) -> Timestamp {
    let moment: Moment = text.parse().expect("a moment");
    Timestamp(u64::try_from(moment.as_millisecond()).expect("after 1970"))
}

fn rules(entries: Vec<Entry>) -> Rules {
    let base = Limits { requests_per_second: Some(9), ..read(1) };
    Rules::new(base, Schedule::new(entries), LimitsChange::default())
}

fn origin(rules: &mut Rules, moment: &str) -> (Origin, Option<Timestamp>) {
    let found = rules.in_force(at(moment));
    (found.origin, found.until)
}

fn until(text: &str) -> Option<Timestamp> {
    Some(at(text))
}

#[test]
fn a_working_day_is_of_its_own_time_zone() {
    let days = entry(&WEEK[..5], "08:00", "18:00", "Europe/Berlin", Rule::Limits(read(7)));
    let mut rules = rules(vec![days]);
    for (moment, wanted) in [
        // A Friday in November.
        ("2026-11-20T06:59:59Z", (Origin::Configured, until("2026-11-20T07:00:00Z"))),
        ("2026-11-20T07:00:00Z", (Origin::Schedule(1), until("2026-11-20T17:00:00Z"))),
        ("2026-11-20T17:00:00Z", (Origin::Configured, until("2026-11-23T07:00:00Z"))),
        // A Wednesday in July: an hour earlier.
        ("2026-07-15T06:00:00Z", (Origin::Schedule(1), until("2026-07-15T16:00:00Z"))),
    ] {
        assert_eq!(origin(&mut rules, moment), wanted, "{moment}");
    }
    let found = rules.in_force(at("2026-11-20T12:00:00Z"));
    let wanted = Limits { requests_per_second: Some(9), ..read(7) };
    assert_eq!((found.limits, found.paused), (wanted, false), "what an entry leaves out stays");
}

#[test]
fn a_night_is_of_the_day_on_which_it_begins() {
    let night = entry(&[Weekday::Friday], "22:00", "06:00", "UTC", Rule::Pause);
    let mut rules = rules(vec![night]);
    for (moment, wanted) in [
        ("2026-11-20T05:00:00Z", (Origin::Configured, until("2026-11-20T22:00:00Z"))),
        ("2026-11-20T23:00:00Z", (Origin::Schedule(1), until("2026-11-21T06:00:00Z"))),
        ("2026-11-21T05:59:59Z", (Origin::Schedule(1), until("2026-11-21T06:00:00Z"))),
        ("2026-11-21T22:30:00Z", (Origin::Configured, until("2026-11-27T22:00:00Z"))),
    ] {
        assert_eq!(origin(&mut rules, moment), wanted, "{moment}");
    }
    assert!(rules.in_force(at("2026-11-21T01:00:00Z")).paused);
}

/// In Berlin 02:30 does not exist on 29 March 2026 and comes twice on 25 October 2026.
#[test]
fn clock_changes_lose_no_window() {
    let night = entry(&WEEK, "02:30", "03:30", "Europe/Berlin", Rule::Pause);
    let mut rules = rules(vec![night]);
    for (moment, wanted) in [
        ("2026-03-28T01:30:00Z", (Origin::Schedule(1), until("2026-03-28T02:30:00Z"))),
        // The window of that day would begin at 03:30, and is empty: the next is a day on.
        ("2026-03-29T00:59:59Z", (Origin::Configured, until("2026-03-30T00:30:00Z"))),
        ("2026-10-25T00:30:00Z", (Origin::Schedule(1), until("2026-10-25T02:30:00Z"))),
        ("2026-10-25T01:45:00Z", (Origin::Schedule(1), until("2026-10-25T02:30:00Z"))),
    ] {
        assert_eq!(origin(&mut rules, moment), wanted, "{moment}");
    }
}

#[test]
fn the_first_entry_whose_window_it_is_wins() {
    let noon = entry(&WEEK, "12:00", "13:00", "UTC", Rule::Limits(read(2)));
    let day = entry(&WEEK, "08:00", "18:00", "UTC", Rule::Limits(read(3)));
    let mut both = rules(vec![noon, day]);
    for (moment, wanted) in [
        ("2026-11-20T11:00:00Z", (Origin::Schedule(2), until("2026-11-20T12:00:00Z"))),
        ("2026-11-20T12:30:00Z", (Origin::Schedule(1), until("2026-11-20T13:00:00Z"))),
        ("2026-11-20T13:00:00Z", (Origin::Schedule(2), until("2026-11-20T18:00:00Z"))),
    ] {
        assert_eq!(origin(&mut both, moment), wanted, "{moment}");
    }
    let always = entry(&WEEK, "00:00", "24:00", "UTC", Rule::Limits(read(2)));
    assert_eq!(
        origin(&mut rules(vec![always]), "2026-11-20T11:00:00Z"),
        (Origin::Schedule(1), None)
    );
}

#[test]
fn what_is_set_live_holds_until_the_schedule_changes_something() {
    let day = entry(&WEEK, "08:00", "18:00", "UTC", Rule::Pause);
    let mut rules = rules(vec![day]);
    rules.set(read(5).into(), false, at("2026-11-20T09:00:00Z"));
    let live = rules.in_force(at("2026-11-20T17:59:59Z"));
    assert_eq!((live.limits, live.paused, live.origin), (read(5), false, Origin::Live));
    assert_eq!(live.until, Some(at("2026-11-20T18:00:00Z")));
    assert_eq!(rules.in_force(at("2026-11-20T18:00:00Z")).origin, Origin::Configured);
    assert!(rules.in_force(at("2026-11-21T08:00:00Z")).paused, "and does not come back");

    rules.set(read(6).into(), true, at("2026-11-21T09:00:00Z"));
    assert_eq!(rules.in_force(at("2026-11-21T09:00:00Z")).origin, Origin::Live);
    let evening = rules.in_force(at("2026-11-21T19:00:00Z"));
    assert_eq!((evening.limits, evening.origin), (read(6), Origin::Persisted));
    assert!(rules.in_force(at("2026-11-22T09:00:00Z")).paused);
}

#[test]
fn without_a_schedule_what_is_set_stays() {
    let mut rules = rules(vec![]);
    assert_eq!(origin(&mut rules, "2026-11-20T09:00:00Z"), (Origin::Configured, None));
    rules.set(read(5).into(), false, at("2026-11-20T09:00:00Z"));
    assert_eq!(origin(&mut rules, "2036-11-20T09:00:00Z"), (Origin::Live, None));
    rules.set(read(5).into(), true, at("2026-11-20T09:00:00Z"));
    assert_eq!(origin(&mut rules, "2036-11-20T09:00:00Z"), (Origin::Persisted, None));
}

/// Who persists one limit has not said anything about the others: they stay the file's, also the file's of
/// tomorrow.
#[test]
fn what_is_persisted_is_what_was_named() {
    let now = at("2026-11-20T09:00:00Z");
    let requests = |n| Limits { requests_per_second: Some(n), ..read(2) };
    let mut rules = Rules::new(requests(7), Schedule::default(), LimitsChange::default());
    rules.set(only_read(5), true, now);
    assert_eq!(rules.in_force(now).limits, Limits { requests_per_second: Some(7), ..read(5) });
    rules.reload(requests(8), Schedule::default());
    let reloaded = rules.in_force(now);
    assert_eq!(reloaded.limits, Limits { requests_per_second: Some(8), ..read(5) });
    assert_eq!(reloaded.origin, Origin::Persisted);

    let lifted = LimitsChange { requests_per_second: Some(None), ..LimitsChange::default() };
    rules.set(lifted, true, now);
    rules.reload(requests(9), Schedule::default());
    assert_eq!(rules.in_force(now).limits, read(5), "the first is kept, and lifted is not absent");

    rules.set(only_read(6), false, now);
    rules.reset();
    let reset = rules.in_force(now);
    assert_eq!((reset.limits, reset.origin), (requests(9), Origin::Configured));
}
