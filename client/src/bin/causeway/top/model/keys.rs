//! What each key does.

use causeway::client::Action;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{Act, Effect, Mode, Model};

/// How much `+` and `-` change a priority by: the range is -100 to 100.
const PRIORITY_STEP: i32 = 10;
/// A filter that is longer than this is not typed by a person.
const TYPED_MAX: usize = 200;

impl Model {
    /// Takes one key, and says what is to be done for it.
    pub fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        // Terminals with an enhanced keyboard tell releases too.
        if key.kind == KeyEventKind::Release {
            return None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Effect::Quit),
                KeyCode::Char('z') => Some(Effect::Suspend),
                KeyCode::Char('u') if matches!(self.mode, Mode::Typing(_)) => {
                    self.mode = Mode::Typing(String::new());
                    None
                }
                _ => None,
            };
        }
        match std::mem::take(&mut self.mode) {
            Mode::Jobs => self.command(key.code),
            Mode::Typing(typed) => self.typing(typed, key.code),
            Mode::Confirming { job } => self.confirming(job, key.code),
            // Any key leaves the help.
            Mode::Help => None,
        }
    }

    fn command(&mut self, code: KeyCode) -> Option<Effect> {
        let page = isize::try_from(self.rows.max(2) - 1).unwrap_or(isize::MAX);
        match code {
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => self.step(page),
            KeyCode::PageUp => self.step(-page),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Char('>') => self.turn(self.page.saturating_add(1)),
            KeyCode::Char('<') => self.turn(self.page.saturating_sub(1)),
            KeyCode::Enter if self.chosen.is_some() => {
                self.has_detail = !self.has_detail;
                Some(Effect::Ask)
            }
            KeyCode::Esc => self.back(),
            KeyCode::Char('p') => self.act(Action::Pause),
            KeyCode::Char('r') => self.act(Action::Resume),
            KeyCode::Char('R') => self.act(Action::Retry),
            KeyCode::Char('c') => self.ask_to_cancel(),
            KeyCode::Char('+' | '=') => self.reprioritize(PRIORITY_STEP),
            KeyCode::Char('-') => self.reprioritize(-PRIORITY_STEP),
            KeyCode::Char('/') => {
                self.mode = Mode::Typing(self.filter.typed.clone());
                None
            }
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.arrange();
                None
            }
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => {
                self.mode = Mode::Help;
                None
            }
            KeyCode::Char('q') => Some(Effect::Quit),
            _ => None,
        }
    }

    /// Takes back one thing at a time: the detail, then the filter.
    fn back(&mut self) -> Option<Effect> {
        if self.has_detail {
            self.has_detail = false;
            self.arrange();
            return Some(Effect::Ask);
        }
        (!self.filter.is_empty()).then(|| self.narrow(""))
    }

    fn act(&mut self, action: Action) -> Option<Effect> {
        match &self.chosen {
            Some(job) => Some(Effect::Act(job.clone(), Act::Change(action))),
            None => self.nothing_chosen(),
        }
    }

    fn ask_to_cancel(&mut self) -> Option<Effect> {
        match &self.chosen {
            Some(job) => {
                self.mode = Mode::Confirming { job: job.clone() };
                None
            }
            None => self.nothing_chosen(),
        }
    }

    /// What is shown changes at once, so that three quick keys are thirty and not ten.
    fn reprioritize(&mut self, by: i32) -> Option<Effect> {
        let Some(at) = self.chosen_at() else { return self.nothing_chosen() };
        let job = self.jobs.get_mut(at)?;
        job.priority = job.priority.saturating_add(by).clamp(-100, 100);
        Some(Effect::Act(job.id.clone(), Act::Reprioritize(job.priority)))
    }

    fn nothing_chosen(&mut self) -> Option<Effect> {
        self.say("no job is chosen".to_owned(), true);
        None
    }

    fn typing(&mut self, mut typed: String, code: KeyCode) -> Option<Effect> {
        match code {
            KeyCode::Enter => return Some(self.narrow(&typed)),
            KeyCode::Esc => return None,
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Char(c) if typed.len() < TYPED_MAX => typed.push(c),
            _ => {}
        }
        self.mode = Mode::Typing(typed);
        None
    }

    /// Only `y` cancels, and only the job that was asked about.
    fn confirming(&mut self, job: String, code: KeyCode) -> Option<Effect> {
        match code {
            KeyCode::Char('y' | 'Y') => Some(Effect::Act(job, Act::Change(Action::Cancel))),
            _ => {
                self.say("nothing was cancelled".to_owned(), false);
                None
            }
        }
    }
}
