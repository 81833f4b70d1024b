//! Limits by the clock, as the file says them.

use super::*;
use crate::base::LimitsChange;

#[test]
fn a_schedule_says_when_which_limits_hold() {
    let remote = remote(
        r#"
        region = "us-gov-west-1"
        imds = true
        [remotes.gov.limits]
        requests_per_second = 9
        [[remotes.gov.limits.schedule]]
        days = ["mon-thu", "fri"]
        from = "08:00"
        to = "18:00"
        time_zone = "Europe/Berlin"
        write_bandwidth = "1Gbit/s"
        [[remotes.gov.limits.schedule]]
        from = "00:00"
        to = "24:00"
        days = "sat-sun"
        paused = true
        "#,
    );
    let mut rules = Rules::new(remote.limits, remote.schedule, LimitsChange::default());
    let mut at = |text: &str| {
        let moment: jiff::Timestamp = text.parse().expect("a moment");
        rules.in_force(Timestamp(moment.as_millisecond().try_into().expect("after 1970")))
    };
    let friday = at("2026-11-20T08:00:00Z");
    let limits = Limits {
        write_bandwidth: Some(Bandwidth(125_000_000)),
        requests_per_second: Some(9),
        ..Limits::default()
    };
    assert_eq!((friday.limits, friday.origin), (limits, Origin::Schedule(1)));
    let sunday = at("2026-11-22T23:59:59Z");
    assert_eq!((sunday.paused, sunday.origin), (true, Origin::Schedule(2)));
    assert_eq!(at("2026-11-23T00:00:00Z").origin, Origin::Configured);
}

#[test]
fn each_fault_of_a_schedule_names_its_entry() {
    let entry = |text: &str| {
        let head = "imds = true\nregion = \"us-gov-west-1\"\n[[remotes.gov.limits.schedule]]\n";
        faults(&format!("[remotes.gov]\n{head}{text}"))
    };
    let times = "from = \"08:00\"\nto = \"18:00\"\n";
    for (text, line) in [
        ("to = \"08:00\"\npaused = true".to_owned(), "from: is missing"),
        (
            "from = \"8:00\"\nto = \"25:00\"\npaused = true".to_owned(),
            "from: '8:00' is no time of day: expected such as 08:00\n\
             remotes.gov.limits.schedule[1].to: '25:00' is no time of day: expected such as 08:00",
        ),
        (
            "from = \"08:00\"\nto = \"08:00\"\npaused = true".to_owned(),
            "to: is the same as from: from = \"00:00\" and to = \"24:00\" are a whole day",
        ),
        (
            format!("{times}paused = true\ndays = [\"mon\", \"mo-fri\"]"),
            "days: 'mo' is no day: expected one of mon, tue, wed, thu, fri, sat, sun, or such as mon-fri",
        ),
        (format!("{times}paused = true\ndays = []"), "days: is empty"),
        (
            format!("{times}paused = true\ntime_zone = \"Mars/Olympus\""),
            "time_zone: 'Mars/Olympus' is no time zone: expected such as Europe/Berlin",
        ),
        (
            format!("{times}read_bandwidth = \"fast\""),
            "read_bandwidth: 'fast' is not a bandwidth: expected a number above 0 and a unit, such as 600MiB/s or 5Gbit/s",
        ),
        (
            format!("{times}paused = true\nrequests_per_second = 5"),
            "paused: is true, and rates are given: keep one of the two",
        ),
        (
            format!("{times}paused = true\nzone = \"UTC\""),
            "zone: is not a key of this version; known here: from, to, time_zone, days, read_bandwidth, write_bandwidth, requests_per_second, paused",
        ),
    ] {
        assert_eq!(entry(&text), format!("remotes.gov.limits.schedule[1].{line}"));
    }
    let nothing = "changes nothing: give read_bandwidth, write_bandwidth, requests_per_second or paused = true";
    assert_eq!(entry(times), format!("remotes.gov.limits.schedule[1]: {nothing}"));
    let one = "[remotes.gov]\nimds = true\nregion = \"us-gov-west-1\"\nlimits = { schedule = 1 }";
    let wanted = "remotes.gov.limits.schedule: expected a list of tables, found a whole number";
    assert_eq!(faults(one), wanted);
}
