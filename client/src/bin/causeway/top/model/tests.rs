//! Keys and answers, and what they make of the model.

use causeway::client::Action;
use causeway::v1::{RemoteStatus, StateCount, StatusResponse};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;

fn job(id: &str, state: JobState) -> Job {
    Job { id: id.into(), state: state.into(), ..Default::default() }
}

/// Three jobs, newest first among equals: b runs, c and a wait.
fn model() -> Model {
    let mut model = Model::new(Timestamp::UNIX_EPOCH, "");
    model.rows = 2;
    model.see(picture());
    model
}

fn picture() -> Picture {
    let jobs =
        vec![job("b", JobState::Running), job("c", JobState::Queued), job("a", JobState::Queued)];
    Picture { jobs, ..Picture::default() }
}

fn press(model: &mut Model, keys: &str) -> Option<Effect> {
    let mut effect = None;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            other => KeyCode::Char(other),
        };
        effect = model.key(KeyEvent::new(code, KeyModifiers::NONE));
    }
    effect
}

fn acts(job: &str, act: Act) -> Effect {
    Effect::Act(job.into(), act)
}

fn chosen(model: &Model) -> &str {
    model.chosen.as_deref().unwrap_or("none")
}

#[test]
fn the_choice_moves_within_the_list() {
    let mut model = model();
    assert_eq!(chosen(&model), "b");
    for (key, expected) in [("j", "c"), ("j", "a"), ("j", "a"), ("k", "c"), ("g", "b"), ("G", "a")]
    {
        assert_eq!(press(&mut model, key), None);
        assert_eq!(chosen(&model), expected, "{key}");
    }
}

/// Jobs come and go above the chosen one all the time; a key must not hit another than was looked at.
#[test]
fn the_choice_stays_with_its_job_and_not_with_its_row() {
    let mut model = model();
    press(&mut model, "j");
    let mut next = picture();
    next.jobs.insert(0, job("d", JobState::Running));
    model.see(next);
    assert_eq!(press(&mut model, "p"), Some(acts("c", Act::Change(Action::Pause))));
    model.see(Picture { jobs: vec![job("a", JobState::Queued)], ..Picture::default() });
    assert_eq!(chosen(&model), "a", "what stands where it stood");
    model.see(Picture::default());
    assert_eq!(press(&mut model, "p"), None);
    assert!(model.note.as_ref().is_some_and(|note| note.is_bad));
}

#[test]
fn one_key_cancels_nothing() {
    let mut model = model();
    assert_eq!(press(&mut model, "c"), None);
    assert_eq!(press(&mut model, "\n"), None, "only y means yes");
    assert_eq!(model.mode, Mode::Jobs);
    press(&mut model, "c");
    // The job that was asked about, though another has taken its row meanwhile.
    model.see(Picture { jobs: vec![job("z", JobState::Running)], ..Picture::default() });
    assert_eq!(press(&mut model, "y"), Some(acts("b", Act::Change(Action::Cancel))));
}

#[test]
fn priorities_add_up_before_the_daemon_has_answered() {
    let mut model = model();
    assert_eq!(press(&mut model, "++"), Some(acts("b", Act::Reprioritize(20))));
    assert_eq!(press(&mut model, "---"), Some(acts("b", Act::Reprioritize(-10))));
    assert_eq!(press(&mut model, &"+".repeat(30)), Some(acts("b", Act::Reprioritize(100))));
}

#[test]
fn a_filter_is_typed_used_and_taken_back() {
    let mut model = model();
    assert_eq!(press(&mut model, "/qued"), None);
    assert_eq!(press(&mut model, "\u{1b}"), None);
    assert!(model.filter.is_empty(), "escape leaves it as it was");
    assert_eq!(press(&mut model, "/failed x=1\n"), Some(Effect::Ask));
    assert_eq!(model.wanted().filter, Filter::of("failed x=1"));
    assert_eq!(press(&mut model, "/"), None);
    assert_eq!(model.mode, Mode::Typing("failed x=1".into()), "it can be mended");
    press(&mut model, "\u{1b}");
    assert_eq!(press(&mut model, "\u{1b}"), Some(Effect::Ask));
    assert!(model.filter.is_empty());
}

#[test]
fn text_is_looked_for_in_what_is_loaded() {
    let mut model = model();
    press(&mut model, "/C\n");
    assert_eq!(model.jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["c"]);
    assert_eq!(chosen(&model), "c");
}

#[test]
fn the_detail_follows_the_choice_and_outlives_the_list() {
    let mut model = model();
    assert_eq!(model.wanted().detail, None);
    assert_eq!(press(&mut model, "\n"), Some(Effect::Ask));
    assert_eq!(model.wanted().detail.as_deref(), Some("b"));
    assert_eq!(press(&mut model, "j"), Some(Effect::Ask));
    assert_eq!(model.wanted().detail.as_deref(), Some("c"));
    let parts = Parts { job: job("c", JobState::Succeeded), ..Parts::default() };
    model.see(Picture { parts: Some(parts), ..Picture::default() });
    assert_eq!(model.chosen_job().map(Job::state), Some(JobState::Succeeded));
    assert_eq!(press(&mut model, "\u{1b}"), Some(Effect::Ask));
    assert_eq!(model.wanted().detail, None);
}

#[test]
fn pages_turn_while_there_are_more() {
    let mut model = model();
    assert_eq!(press(&mut model, "<"), None);
    assert_eq!(press(&mut model, ">"), None);
    model.see(Picture { more: true, ..picture() });
    assert_eq!(press(&mut model, ">"), Some(Effect::Ask));
    assert_eq!(model.wanted().page, 1);
    // An answer that was on its way when the key came.
    model.see(Picture { jobs: Vec::new(), ..picture() });
    assert_eq!((model.wanted().page, model.jobs.len()), (1, 3));
    // The page went away meanwhile: the daemon answered with the one before.
    let asked = Wanted { page: 1, ..Wanted::default() };
    model.see(Picture { asked, page: 0, ..picture() });
    assert_eq!(model.wanted().page, 0);
}

#[test]
fn what_was_seen_last_stays_while_the_daemon_is_lost() {
    let mut model = model();
    model.lose("gone".into());
    model.tick(Timestamp::from_second(5).expect("legal"));
    model.lose("still gone".into());
    let since = Timestamp::UNIX_EPOCH;
    assert_eq!(model.lost, Some(("still gone".into(), since)), "the first moment counts");
    assert_eq!(model.jobs.len(), 3);
    model.see(picture());
    assert_eq!(model.lost, None);
}

#[test]
fn an_outcome_is_told_for_a_while_and_looked_at_at_once() {
    let mut model = model();
    let before = model.wanted();
    model.told(Err("not permitted: viewer".into()));
    assert!(model.note.as_ref().is_some_and(|note| note.is_bad));
    assert_ne!(model.wanted(), before, "the feed is woken");
    model.tick(Timestamp::UNIX_EPOCH + NOTE_FOR);
    assert_eq!(model.note, None);
}

#[test]
fn throttling_is_what_grew_and_not_what_was_there() {
    let mut model = model();
    let seen = |throttled| {
        let remote = RemoteStatus { remote: "gov".into(), throttled, ..Default::default() };
        let status = StatusResponse { remotes: vec![remote], ..Default::default() };
        Picture { status, ..Picture::default() }
    };
    for (count, last) in [(7, None), (7, None), (8, Some(Timestamp::UNIX_EPOCH))] {
        model.see(seen(count));
        assert_eq!(model.throttles["gov"].last, last, "{count}");
    }
    model.tick(Timestamp::from_second(9).expect("legal"));
    // The daemon was started anew.
    model.see(seen(1));
    assert_eq!(model.throttles["gov"].last, Some(Timestamp::UNIX_EPOCH));
}

#[test]
fn the_daemon_has_more_jobs_than_are_loaded() {
    let mut model = model();
    let count = |state: JobState, count| StateCount { state: state.into(), count };
    let jobs = vec![count(JobState::Queued, 1_000_000), count(JobState::Failed, 3)];
    let status = StatusResponse { jobs, ..Default::default() };
    model.see(Picture { status, ..picture() });
    assert_eq!(model.known(), 1_000_003);
    press(&mut model, "/failed\n");
    assert_eq!(model.known(), 3);
}

#[test]
fn control_keys_are_control_keys_in_every_mode() {
    for keys in ["", "/x", "c", "?"] {
        let mut model = model();
        press(&mut model, keys);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(model.key(key), Some(Effect::Quit), "{keys}");
    }
}
