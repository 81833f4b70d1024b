//! Any model, at any size, after any keys: nothing panics, and what was chosen stays a job of the list.

use causeway::v1::{
    Failure, ImageProgress, Job, Part, RemoteLimits, RemoteStatus, StageProgress, StateCount,
    StatusResponse, TransferSpec,
};
use causeway::words::Word;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use prost_types::Timestamp as ProtoTime;

use super::super::super::feed::{Parts, Picture};
use super::super::text::{compact_count, compact_time};
use super::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{0,60}", "[a-z/:.]{0,200}", "\\w{20}\u{1b}\\[2J\n"]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 0_u64..5_000_000_000_000, any::<u64>()]
}

fn time() -> impl Strategy<Value = Option<ProtoTime>> {
    let seconds = prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), 0_i64..2_000_000_000];
    proptest::option::of(
        (seconds, any::<i32>()).prop_map(|(s, nanos)| ProtoTime { seconds: s, nanos }),
    )
}

prop_compose! {
    fn job()(
        id in text(),
        states in (0_i32..8, 0_i32..9, 0_i32..7, any::<bool>(), any::<bool>()),
        texts in (text(), text(), text(), text()),
        numbers in (number(), number(), number(), proptest::option::of(number())),
        priority: i32,
        times in (time(), time(), time()),
        failed in any::<bool>(),
        percents in vec((0_i32..9, any::<u32>()), 0..4),
    ) -> Job {
        let (state, stage, wait_reason, pause_requested, cancel_requested) = states;
        let (source, target, wait_detail, message) = texts;
        let (bytes_done, bytes_per_second, part_size, bytes_total) = numbers;
        let (submitted_at, started_at, finished_at) = times;
        let stages = percents.into_iter().map(|(stage, percent)| StageProgress {
            stage, percent, ..Default::default()
        });
        Job {
            id, state, stage, wait_reason, wait_detail, priority, submitted_at, started_at, finished_at,
            bytes_done, bytes_per_second, bytes_total, part_size, pause_requested, cancel_requested,
            transfer: Some(TransferSpec { source, target, ..Default::default() }),
            failure: failed.then(|| Failure { message, ..Default::default() }),
            image: Some(ImageProgress { stages: stages.collect(), ..Default::default() }),
            ..Default::default()
        }
    }
}

prop_compose! {
    fn remote()(
        texts in (text(), text(), text(), text()),
        numbers in (number(), number(), number(), proptest::option::of(number())),
        counts: [u32; 4],
        paused: bool,
        times in (time(), time()),
    ) -> RemoteStatus {
        let (remote, partition, account, problem) = texts;
        let (read_rate, write_rate, throttled, read_bandwidth) = numbers;
        let [read_concurrency, write_concurrency, read_parts_in_flight, write_parts_in_flight] = counts;
        RemoteStatus {
            remote, partition, account, problem, read_rate, write_rate, throttled, read_concurrency,
            write_concurrency, read_parts_in_flight, write_parts_in_flight,
            credentials_expire_at: times.0,
            limits: Some(RemoteLimits { read_bandwidth, paused, until: times.1, ..Default::default() }),
            ..Default::default()
        }
    }
}

prop_compose! {
    fn picture()(
        jobs in vec(job(), 0..12),
        remotes in vec(remote(), 0..12),
        counts in vec((0_i32..8, number()), 0..8),
        numbers in (number(), number(), number()),
        texts in (text(), text()),
        flags: [bool; 4],
        parts in vec((0_i32..5, 0_u32..3), 0..300),
    ) -> Picture {
        let [ready, draining, more, has_parts] = flags;
        let part = |(number, (state, attempts))| Part { number, state, attempts, ..Default::default() };
        let parts = (1..).zip(parts).map(part).collect();
        let parts = Parts { job: jobs.first().cloned().unwrap_or_default(), parts };
        let counts = counts.into_iter().map(|(state, count)| StateCount { state, count });
        let status = StatusResponse {
            version: texts.0, not_ready_reason: texts.1, ready, draining, remotes,
            uptime_seconds: numbers.0, memory_budget: numbers.1, memory_used: numbers.2,
            jobs: counts.collect(),
            ..Default::default()
        };
        Picture { status, jobs, more, parts: has_parts.then_some(parts), ..Picture::default() }
    }
}

fn keys() -> impl Strategy<Value = Vec<KeyEvent>> {
    let code = prop_oneof![
        proptest::sample::select(vec![
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Backspace,
            KeyCode::Tab,
        ]),
        proptest::sample::select("jkgGprRcyn+-/s?<> x=".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        any::<char>().prop_map(KeyCode::Char),
    ];
    vec(code.prop_map(|code| KeyEvent::new(code, KeyModifiers::NONE)), 0..20)
}

fn show(model: &mut Model, width: u16, height: u16) {
    let area = Rect::new(0, 0, width, height);
    model.rows = places(model, area).rows();
    for theme in [ASCII, Theme { colour: true, unicode: true }] {
        let mut buffer = Buffer::empty(area);
        draw(model, theme, area, &mut buffer);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_that_a_daemon_says_or_a_person_types_panics(
        pictures in vec(picture(), 0..3),
        keys in keys(),
        more_keys in keys(),
        size in (0_u16..230, 0_u16..70),
        lost in proptest::option::of(text()),
        seconds in -10_000_i64..4_000_000_000,
    ) {
        let mut model = Model::new(Timestamp::from_second(seconds).expect("legal"), "");
        show(&mut model, size.0, size.1);
        for picture in pictures {
            model.see(picture);
            show(&mut model, size.0, size.1);
            for key in &keys {
                model.key(*key);
            }
        }
        if let Some(reason) = lost {
            model.lose(reason);
        }
        for key in more_keys {
            model.key(key);
            show(&mut model, size.0, size.1);
        }
        model.tick(Timestamp::from_second(seconds + 60).expect("legal"));
        show(&mut model, 1, 1);
        prop_assert!(model.jobs.len() <= 12);
    }
}

proptest! {
    /// Each is one of a state's own, exact or short, with the whole word behind it.
    #[test]
    fn no_number_of_jobs_is_cut(
        rows in vec((0_i32..8, number()), 0..8),
        oldest in number(),
        width in 0_u16..150,
    ) {
        let jobs: Vec<_> =
            rows.into_iter().map(|(state, count)| StateCount { state, count }).collect();
        let status = StatusResponse {
            ready: true,
            queue_oldest_seconds: oldest,
            jobs: jobs.clone(),
            ..Default::default()
        };
        let mut model = Model::new(Timestamp::from_second(NOW.0).expect("legal"), "");
        model.see(Picture { status, ..Picture::default() });
        let drawn = drawn(&mut model, width, 24);
        let line = drawn.lines().nth(1).expect("a second line");
        let shown = line.strip_suffix("...").unwrap_or(line);
        for entry in shown.split("  ").filter(|entry| !entry.is_empty()) {
            let is_whole = jobs.iter().any(|row| {
                let word = Word::word(row.state()).unwrap_or("unknown");
                let age = format!(" ({})", compact_time(oldest));
                [row.count.to_string(), compact_count(row.count)]
                    .iter()
                    .filter_map(|count| entry.strip_prefix(&format!("{count} {word}")))
                    .any(|rest| rest.is_empty() || rest == age)
            });
            prop_assert!(is_whole, "{entry} in {line} of {width}");
        }
    }
}

/// Every size that a person may drag a window to, with the busy world in it.
#[test]
fn no_size_panics() {
    for has_detail in [false, true] {
        for (width, height) in (0..=130).flat_map(|w| (0..=50).map(move |h| (w, h))) {
            if width > 20 && height > 8 && (width % 7 > 0 || height % 3 > 0) {
                continue;
            }
            let mut model = model();
            model.has_detail = has_detail;
            show(&mut model, width, height);
            press(&mut model, KeyCode::Char('?'));
            show(&mut model, width, height);
        }
    }
}
