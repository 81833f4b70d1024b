//! What is true on the screen, and how keys and answers change it. Pure: no terminal, no network, no clock.
//!
//! # Invariants
//! - A job is chosen by its id: lists that are sorted anew or change below it do not move the choice.
//! - What the daemon does not answer any more stays shown, and is said to be old.
//! - Nothing that ends a job is done by one key: cancel is asked again.

mod keys;

use std::collections::BTreeMap;
use std::time::Duration;

use causeway::v1::{Job, JobState};
use jiff::Timestamp;

use super::feed::{GROUPS, Parts, Picture, Wanted};
use super::filter::Filter;
use super::sort::Sort;
pub use crate::table::Act;

/// How long the outcome of a key stays in the status line.
const NOTE_FOR: Duration = Duration::from_secs(8);

/// What the loop is to do for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Quit,
    /// Ctrl-Z.
    Suspend,
    /// Another filter, page or job is looked at.
    Ask,
    /// On the job of this id.
    Act(String, Act),
}

/// What the keys mean now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Jobs,
    /// A filter is typed.
    Typing(String),
    /// Cancel this job?
    Confirming {
        job: String,
    },
    Help,
}

/// The outcome of what a person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub text: String,
    pub is_bad: bool,
    until: Timestamp,
}

/// When a remote last asked to slow down, as far as was seen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    count: u64,
    pub last: Option<Timestamp>,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub now: Timestamp,
    /// The last that was seen; `None` before the first.
    pub picture: Option<Picture>,
    /// Of the picture, those that the filter's text finds, as sorted.
    pub jobs: Vec<Job>,
    pub throttles: BTreeMap<String, Throttle>,
    pub chosen: Option<String>,
    pub sort: Sort,
    pub filter: Filter,
    pub page: usize,
    pub mode: Mode,
    pub has_detail: bool,
    pub note: Option<Note>,
    /// Why the daemon does not answer, and since when.
    pub lost: Option<(String, Timestamp)>,
    /// Rows of the list that the screen has: what a page key moves by.
    pub rows: usize,
    acts: u64,
}

impl Model {
    pub fn new(now: Timestamp, filter: &str) -> Self {
        Self { now, filter: Filter::of(filter), ..Self::default() }
    }

    /// Whether the next key answers a question.
    pub fn is_asking(&self) -> bool {
        matches!(self.mode, Mode::Confirming { .. })
    }

    /// What the feed is to look at.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            filter: self.filter.clone(),
            page: self.page,
            detail: self.chosen.clone().filter(|_| self.has_detail),
            acts: self.acts,
        }
    }

    /// The clock moves on.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = now;
        if self.note.as_ref().is_some_and(|note| note.until <= now) {
            self.note = None;
        }
    }

    /// Takes in what the daemon answered.
    pub fn see(&mut self, mut picture: Picture) {
        self.lost = None;
        let Picture { asked, .. } = &picture;
        if (&asked.filter, asked.page) == (&self.filter, self.page) {
            self.page = picture.page;
        } else if let Some(before) = self.picture.take() {
            // An answer to what was looked at a moment ago: its jobs would come and go within a blink.
            let Picture { jobs, more, parts, .. } = before;
            picture = Picture { jobs, more, parts, ..picture };
        }
        for remote in &picture.status.remotes {
            let known = self.throttles.get(&remote.remote).copied();
            let grown = known.is_some_and(|known| remote.throttled > known.count);
            let last = if grown { Some(self.now) } else { known.and_then(|known| known.last) };
            let throttle = Throttle { count: remote.throttled, last };
            self.throttles.insert(remote.remote.clone(), throttle);
        }
        self.picture = Some(picture);
        self.arrange();
    }

    /// The daemon does not answer.
    pub fn lose(&mut self, reason: String) {
        let since = self.lost.take().map_or(self.now, |(_, since)| since);
        self.lost = Some((reason, since));
    }

    /// What came of an action.
    pub fn told(&mut self, outcome: Result<String, String>) {
        let is_bad = outcome.is_err();
        let (Ok(text) | Err(text)) = outcome;
        self.say(text, is_bad);
        self.acts += 1;
    }

    fn say(&mut self, text: String, is_bad: bool) {
        self.note = Some(Note { text, is_bad, until: self.now + NOTE_FOR });
    }

    /// Sorts and filters what is loaded, and keeps the choice, or what stands in its place.
    fn arrange(&mut self) {
        let before = self.chosen_at();
        let picture = self.picture.as_ref();
        let loaded = picture.map(|picture| picture.jobs.as_slice()).unwrap_or_default();
        self.jobs = loaded.iter().filter(|job| self.filter.finds(job)).cloned().collect();
        self.sort.sort(&mut self.jobs);
        if self.chosen_at().is_none() {
            let at = before.unwrap_or(0).min(self.jobs.len().saturating_sub(1));
            // While the detail is open its job stays chosen, wherever it has gone.
            if !self.has_detail || self.chosen.is_none() {
                self.chosen = self.jobs.get(at).map(|job| job.id.clone());
            }
        }
    }

    /// The row of the chosen job.
    pub fn chosen_at(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.jobs.iter().position(|job| job.id == *chosen)
    }

    /// The chosen job as it is known.
    pub fn chosen_job(&self) -> Option<&Job> {
        match self.chosen_at().and_then(|at| self.jobs.get(at)) {
            Some(job) => Some(job),
            None => self.parts().map(|parts| &parts.job),
        }
    }

    /// The parts of the chosen job, once they have come.
    pub fn parts(&self) -> Option<&Parts> {
        let parts = self.picture.as_ref()?.parts.as_ref()?;
        (Some(&parts.job.id) == self.chosen.as_ref()).then_some(parts)
    }

    /// How many jobs the daemon has that the filter's states let through.
    pub fn known(&self) -> u64 {
        let rows = self.picture.iter().flat_map(|picture| &picture.status.jobs);
        let asked = |state: JobState| GROUPS.iter().any(|(group, _)| group.contains(&state));
        let admitted = |state| self.filter.asked(&[state]).is_some() && asked(state);
        rows.filter(|row| admitted(row.state())).fold(0, |sum, row| sum.saturating_add(row.count))
    }

    /// Chooses the job so many rows further down.
    fn step(&mut self, rows: isize) -> Option<Effect> {
        let last = self.jobs.len().checked_sub(1)?;
        let at = match self.chosen_at() {
            Some(at) => at.saturating_add_signed(rows).min(last),
            None => 0,
        };
        self.chosen = Some(self.jobs.get(at)?.id.clone());
        self.has_detail.then_some(Effect::Ask)
    }

    fn turn(&mut self, page: usize) -> Option<Effect> {
        let more = self.picture.as_ref().is_some_and(|picture| picture.more);
        if page == self.page || (page > self.page && !more) {
            let text = if page == self.page {
                "this is the newest page"
            } else {
                "there are no older jobs"
            };
            self.say(text.to_owned(), false);
            return None;
        }
        self.page = page;
        self.chosen = None;
        Some(Effect::Ask)
    }

    fn narrow(&mut self, typed: &str) -> Effect {
        self.filter = Filter::of(typed);
        self.page = 0;
        self.arrange();
        Effect::Ask
    }
}

#[cfg(test)]
mod tests;
