//! What is asked of the daemon, and how often.
//!
//! # Invariants
//! - Memory is bounded whatever the daemon holds: a page is at most [`GROUPS`]' sum of jobs, and one job's parts.
//! - The daemon is asked a few bounded questions a round, rounds are at least the asked time apart unless a
//!   person looks at something else, and at least four times as long as the last one took: a busy daemon is
//!   asked less.
//!
//! A watch would begin with every job that has not ended: a million of them before the first picture. Pages
//! are small, carry each job's live figures, and need no state to resume from after a lost connection.

use std::time::{Duration, Instant};

use causeway::v1::{Job, JobState, ListRequest, Part, StatusResponse};
use causeway::{Client, Error};
use tokio::sync::{mpsc, watch};

use super::filter::Filter;

/// What people look for first comes first. Each group is a list of its own, newest first, so that a million
/// queued jobs do not hide the eight that run.
pub const GROUPS: [(&[JobState], u32); 4] = [
    (&[JobState::Running], 300),
    (&[JobState::Paused], 100),
    (&[JobState::Queued], 100),
    (&[JobState::Failed, JobState::Cancelled, JobState::Succeeded], 100),
];

/// A daemon that takes longer than this for a round is shown as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of the time, what the daemon may spend on a client that looks.
const REST: u32 = 4;
/// Keys that follow each other quickly are one question.
const GATHER: Duration = Duration::from_millis(80);

/// What a person looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub filter: Filter,
    /// From 0, the newest.
    pub page: usize,
    /// The job whose parts are shown.
    pub detail: Option<String>,
    /// Counts what a person did, so that its effect is seen at once.
    pub acts: u64,
}

/// The daemon at one moment.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// What it is an answer to.
    pub asked: Wanted,
    /// The page that it is, where the one asked for does not exist.
    pub page: usize,
    pub status: StatusResponse,
    pub jobs: Vec<Job>,
    /// There is a next page.
    pub more: bool,
    pub parts: Option<Parts>,
}

/// One job's parts.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    pub job: Job,
    pub parts: Vec<Part>,
}

/// The tokens of one page, a group each: `None` where the group has ended before.
type Tokens = [Option<String>; GROUPS.len()];

/// Asks round after round until nobody looks.
pub async fn feed(
    client: Client,
    every: Duration,
    mut wanted: watch::Receiver<Wanted>,
    pictures: mpsc::Sender<Result<Box<Picture>, Error>>,
) {
    let mut pages = Pages::default();
    loop {
        let asked = wanted.borrow_and_update().clone();
        let begun = Instant::now();
        let round = tokio::time::timeout(PATIENCE, look(&client, &asked, &mut pages)).await;
        let endpoint = client.endpoint().to_owned();
        let picture = round.unwrap_or(Err(Error::TimedOut { endpoint }));
        if pictures.send(picture.map(Box::new)).await.is_err() {
            return;
        }
        let rest = begun.elapsed() * REST;
        tokio::select! {
            () = tokio::time::sleep(every.max(rest)) => {}
            changed = wanted.changed() => match changed {
                Ok(()) => tokio::time::sleep(GATHER.max(rest)).await,
                Err(_) => return,
            },
        }
    }
}

/// One round. Running jobs come first: what a later question finds moved is shown where it was.
async fn look(client: &Client, wanted: &Wanted, pages: &mut Pages) -> Result<Picture, Error> {
    let status = client.status().await?;
    let (mut jobs, mut next): (Vec<Job>, Tokens) = Default::default();
    let (page, tokens) = pages.turn_to(wanted);
    for ((group, (states, page_size)), token) in GROUPS.iter().enumerate().zip(tokens) {
        let (Some(page_token), Some(filter)) = (token, wanted.filter.asked(states)) else {
            continue;
        };
        let request = ListRequest { filter: Some(filter), page_size: *page_size, page_token };
        let answer = client.list(request).await?;
        for job in answer.jobs {
            // A job may move from one group to the next between two questions.
            if !jobs.iter().any(|known: &Job| known.id == job.id) {
                jobs.push(job);
            }
        }
        next[group] = Some(answer.next_page_token).filter(|token| !token.is_empty());
    }
    let more = next.iter().any(Option::is_some);
    pages.note(page, next);
    let parts = match &wanted.detail {
        Some(id) => parts(client, id).await?,
        None => None,
    };
    Ok(Picture { asked: wanted.clone(), page, status, jobs, more, parts })
}

/// A job that is gone leaves an empty pane, not a lost daemon.
async fn parts(client: &Client, id: &str) -> Result<Option<Parts>, Error> {
    match client.get(id, true).await {
        Ok(answer) => Ok(answer.job.map(|job| Parts { job, parts: answer.parts })),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the pages begin that were seen so far.
#[derive(Debug, Default)]
struct Pages {
    filter: Filter,
    /// Of page 1 and on; page 0 begins at the newest.
    tokens: Vec<Tokens>,
}

impl Pages {
    /// The page, or the last that is known, and where its groups begin.
    fn turn_to(&mut self, wanted: &Wanted) -> (usize, Tokens) {
        if self.filter != wanted.filter {
            *self = Self { filter: wanted.filter.clone(), tokens: Vec::new() };
        }
        let page = wanted.page.min(self.tokens.len());
        let first = || std::array::from_fn(|_| Some(String::new()));
        let tokens = page.checked_sub(1).and_then(|at| self.tokens.get(at).cloned());
        (page, tokens.unwrap_or_else(first))
    }

    /// Keeps where the page after this one begins, where there is one.
    fn note(&mut self, page: usize, next: Tokens) {
        self.tokens.truncate(page);
        if next.iter().any(Option::is_some) {
            self.tokens.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Tokens {
        [None, None, Some(text.to_owned()), None]
    }

    fn wanted(page: usize, filter: &str) -> Wanted {
        Wanted { page, filter: Filter::of(filter), ..Wanted::default() }
    }

    #[test]
    fn pages_are_turned_one_by_one_and_forgotten_with_their_filter() {
        let mut pages = Pages::default();
        assert_eq!(pages.turn_to(&wanted(3, "")).0, 0, "nothing is known of page 3");
        pages.note(0, tokens("a"));
        assert_eq!(pages.turn_to(&wanted(1, "")), (1, tokens("a")));
        pages.note(1, tokens("b"));
        assert_eq!(pages.turn_to(&wanted(2, "")), (2, tokens("b")));
        pages.note(2, Tokens::default());
        assert_eq!(pages.turn_to(&wanted(3, "")).0, 2, "it was the last");
        assert_eq!(pages.turn_to(&wanted(2, "failed")).0, 0);
    }
}
