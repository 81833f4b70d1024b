//! What is drawn: whole pictures at four sizes, and any model at any size.

mod any;
mod world;

use causeway::v1::{JobState, StateCount, StatusResponse};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::feed::Picture;
use super::super::theme::Cell;
use super::*;
use world::{NOW, model, press};

const ASCII: Theme = Theme { colour: false, unicode: false };

/// The rows of a drawing, without the blanks at their ends.
fn drawn(model: &mut Model, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    model.rows = places(model, area).rows();
    let mut buffer = Buffer::empty(area);
    draw(model, ASCII, area, &mut buffer);
    let mut text = String::new();
    for y in 0..height {
        let row: String = (0..width).filter_map(|x| Some(buffer.cell((x, y))?.symbol())).collect();
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// `CAUSEWAY_BLESS=1` writes the pictures anew, for a person to look at the difference.
fn assert_picture(name: &str, model: &mut Model, width: u16, height: u16) {
    let path = format!(
        "{}/src/bin/causeway/top/view/tests/{name}-{width}x{height}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = drawn(model, width, height);
    if std::env::var_os("CAUSEWAY_BLESS").is_some() {
        std::fs::write(&path, &text).expect("writable");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{name} at {width}x{height} is now\n{text}\nand was\n{expected}");
}

#[test]
fn the_list_is_drawn_as_it_was_looked_at() {
    for (width, height) in [(80, 24), (120, 40), (40, 10), (200, 60)] {
        assert_picture("jobs", &mut model(), width, height);
    }
}

#[test]
fn the_detail_is_drawn_as_it_was_looked_at() {
    for (width, height) in [(80, 24), (120, 40), (40, 10), (200, 60)] {
        let mut model = model();
        press(&mut model, KeyCode::Enter);
        assert_picture("detail", &mut model, width, height);
    }
}

#[test]
fn the_help_is_drawn_as_it_was_looked_at() {
    let mut model = model();
    press(&mut model, KeyCode::Char('?'));
    assert_picture("help", &mut model, 80, 24);
}

#[test]
fn a_lost_daemon_is_shouted_and_what_is_shown_is_dimmed() {
    let mut model = model();
    model.lose("cannot reach the daemon at unix:/run/x".into());
    let text = drawn(&mut model, 80, 24);
    assert!(text.starts_with(" LOST for 0s, trying again: cannot reach the daemon"), "{text}");
    assert!(text.contains("ami-0abc"), "the last picture stays: {text}");
    let area = Rect::new(0, 0, 80, 24);
    let mut buffer = Buffer::empty(area);
    draw(&model, ASCII, area, &mut buffer);
    let place = places(&model, area).jobs;
    let cell = buffer.cell((place.x, place.y + 1)).expect("a row");
    assert!(cell.modifier.contains(ratatui::style::Modifier::DIM), "{cell:?}");
}

#[test]
fn what_is_wrong_with_the_daemon_comes_first_at_every_size() {
    for (width, height) in [(80, 24), (40, 10), (30, 7)] {
        let mut model = model();
        let picture = model.picture.clone().expect("seen");
        let status = StatusResponse { draining: true, ..picture.status.clone() };
        model.see(Picture { status, ..picture.clone() });
        assert!(drawn(&mut model, width, height).starts_with(" DRAINING"), "{width}x{height}");
        let not_ready_reason = "the disk is full".into();
        let status = StatusResponse { ready: false, not_ready_reason, ..picture.status.clone() };
        model.see(Picture { status, ..picture });
        assert!(drawn(&mut model, width, height).starts_with(" NOT READY: the disk"));
    }
}

/// `1234 failed  1` of 120 that were cancelled would be read as one.
#[test]
fn the_line_of_counts_leaves_out_whole_states_and_cuts_no_number() {
    let counts = |width: u16, paused: u64, cancelled: u64| {
        let mut model = model();
        let picture = model.picture.clone().expect("seen");
        let count = |(state, count): (JobState, u64)| StateCount { state: state.into(), count };
        let rows = [
            (JobState::Queued, 1_000_000),
            (JobState::Running, 300),
            (JobState::Paused, paused),
            (JobState::Succeeded, 1_000_000),
            (JobState::Failed, 1_234),
            (JobState::Cancelled, cancelled),
        ];
        let jobs = rows.map(count).to_vec();
        let status = StatusResponse { jobs, queue_oldest_seconds: 7_500, ..picture.status.clone() };
        model.see(Picture { status, ..picture });
        drawn(&mut model, width, 24).lines().nth(1).expect("a second line").to_owned()
    };
    let whole = "1000000 queued (2h05)  300 running  12 paused  1000000 succeeded  1234 failed  \
        120 cancelled";
    assert_eq!(counts(92, 12, 120), whole);
    let without_cancelled =
        "1000000 queued (2h05)  300 running  0 paused  1000000 succeeded  1234 failed";
    assert_eq!(counts(80, 0, 0), without_cancelled, "there are none");
    let without_zeros = "1000000 queued (2h05)  300 running  1000000 succeeded  1234 failed";
    assert_eq!(counts(70, 0, 0), without_zeros);
    let short = "1.0M queued (2h05)  300 running  1.0M succeeded  1234 failed";
    assert_eq!(counts(60, 0, 0), short);
    let less = "1.0M queued (2h05)  300 running  12 paused  1.0M succeeded  1234 failed...";
    assert_eq!(counts(80, 12, 120), less);
    assert_eq!(counts(40, 12, 120), "1.0M queued (2h05)  300 running...");
    assert_eq!(counts(20, 12, 120), "300 running...");
    assert_eq!(counts(13, 12, 120), "...");
    assert_eq!(counts(2, 12, 120), "");
}

/// In the order of importance: the remotes go first, then the header, then all but the chosen job.
#[test]
fn a_small_screen_keeps_the_chosen_job() {
    for (width, height) in [(80, 12), (80, 6), (40, 5), (20, 3), (20, 2), (9, 1)] {
        let mut model = model();
        press(&mut model, KeyCode::End);
        let chosen = model.chosen.clone().expect("one");
        let text = drawn(&mut model, width, height);
        assert!(text.contains(short(&chosen)), "{width}x{height}: {text}");
    }
}

#[test]
fn the_status_line_asks_and_answers() {
    let mut model = model();
    press(&mut model, KeyCode::Char('c'));
    let text = drawn(&mut model, 80, 24);
    assert!(
        text.ends_with("cancel Y9Z0A1B8 (ami-0abc.bin)? y: yes, any other key: no\n"),
        "{text}"
    );
    press(&mut model, KeyCode::Char('n'));
    assert!(drawn(&mut model, 80, 24).ends_with("nothing was cancelled\n"));
    model.told(Err("not permitted: role viewer may not pause".into()));
    assert!(
        drawn(&mut model, 80, 24).ends_with("error: not permitted: role viewer may not pause\n")
    );
    press(&mut model, KeyCode::Char('/'));
    press(&mut model, KeyCode::Char('x'));
    assert!(drawn(&mut model, 80, 24).contains("filter: x"));
}

/// Somebody without colours sees the same words and glyphs.
#[test]
fn nothing_is_told_by_colour_alone() {
    let cells = [Cell::Done, Cell::Active, Cell::Partly, Cell::Pending, Cell::Failed];
    for unicode in [false, true] {
        let theme = Theme { colour: false, unicode };
        let glyphs: std::collections::BTreeSet<char> = cells.map(|cell| theme.glyph(cell)).into();
        assert_eq!(glyphs.len(), cells.len());
    }
    let (mut plain, mut coloured) = (Buffer::empty(NOW.1), Buffer::empty(NOW.1));
    let model = model();
    draw(&model, ASCII, NOW.1, &mut plain);
    draw(&model, Theme { colour: true, unicode: false }, NOW.1, &mut coloured);
    let symbols = |buffer: &Buffer| {
        buffer.content().iter().map(|cell| cell.symbol().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(symbols(&plain), symbols(&coloured));
    assert!(plain.content().iter().all(|cell| cell.fg == ratatui::style::Color::Reset));
    assert!(coloured.content().iter().any(|cell| cell.fg != ratatui::style::Color::Reset));
}

#[test]
fn a_key_cannot_steer_the_terminal() {
    let mut model = model();
    let mut picture = model.picture.clone().expect("seen");
    for job in &mut picture.jobs {
        let transfer = job.transfer.get_or_insert_default();
        transfer.source = "c:b/\x1b[2Jevil\u{202e}.bin".into();
    }
    model.see(picture);
    let text = drawn(&mut model, 200, 60);
    assert!(text.contains("\\u{1b}[2Jevil\\u{202e}"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
}

/// The states have no more than the columns of an 80-column screen.
#[test]
fn every_state_fits_its_column() {
    let mut model = model();
    for state in [JobState::Queued, JobState::Succeeded, JobState::Cancelled] {
        let mut picture = model.picture.clone().expect("seen");
        for job in &mut picture.jobs {
            job.state = state.into();
        }
        model.see(picture);
        let word = causeway::words::Word::word(state).expect("a word");
        assert!(drawn(&mut model, 80, 24).matches(word).count() >= 9, "{word}");
    }
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}
