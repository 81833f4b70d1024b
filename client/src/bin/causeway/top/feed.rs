//! What is asked of the daemon, and how often.
//!
//! # Invariants
//! - Memory is bounded whatever the daemon holds: a page is at most [`GROUPS`]' sum of jobs, and one job's parts.
//! - The daemon is asked a few bounded questions a round, rounds are at least the asked time apart unless a
//!   person looks at something else, and at least four times as long as the last one took: a busy daemon is
//!   asked less. After a round without an answer the next comes soon: what is lost is found again.
//!
//! A watch would begin with every job that has not ended: a million of them before the first picture. Pages
//! are small, carry each job's live figures, and need no state to resume from after a lost connection.

use std::time::Duration;

use causeway::v1::{Job, JobState, ListRequest, Part, StatusResponse};
use causeway::{Client, Error};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

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
/// A daemon that is lost is asked again after this at the latest.
const RETRY: Duration = Duration::from_secs(2);
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
        let (rest, rest_after_key) = rests(every, begun.elapsed(), picture.is_ok());
        if pictures.send(picture.map(Box::new)).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            changed = wanted.changed() => match changed {
                Ok(()) => tokio::time::sleep(rest_after_key).await,
                Err(_) => return,
            },
        }
    }
}

/// How long the daemon is left alone after a round that took so long, and once a person looks at something else.
fn rests(every: Duration, took: Duration, is_answered: bool) -> (Duration, Duration) {
    if !is_answered {
        // It has spent nothing on an answer, and may be back the next second.
        return (every.min(RETRY), GATHER);
    }
    let rest = took * REST;
    (every.max(rest), GATHER.max(rest))
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
    fn a_busy_daemon_rests_four_times_as_long_as_it_worked() {
        let seconds = Duration::from_secs;
        assert_eq!(rests(seconds(1), seconds(3), true), (seconds(12), seconds(12)));
        assert_eq!(rests(seconds(1), Duration::ZERO, true), (seconds(1), GATHER));
        assert_eq!(rests(seconds(1), seconds(3), false), (seconds(1), GATHER), "nobody worked");
        assert_eq!(rests(seconds(60), PATIENCE, false), (RETRY, GATHER));
    }

    /// Nothing but the clock moves: it connects before that stands still, to a socket that nobody accepts from.
    #[tokio::test]
    async fn a_daemon_that_is_lost_is_asked_again_soon_and_after_a_key_at_once() {
        const LATE: Duration = Duration::from_millis(100);
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("control.sock");
        let _silent = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let endpoint = format!("unix:{}", socket.display());
        let client = Client::connect(&endpoint).await.expect("it listens");
        tokio::time::pause();
        let (looks, wanted) = watch::channel(Wanted::default());
        let (sender, mut pictures) = mpsc::channel(1);
        let feeding = tokio::spawn(feed(client, Duration::from_secs(60), wanted, sender));
        let mut asked = Instant::now();
        for (round, rest) in [Duration::ZERO, RETRY, GATHER, RETRY].into_iter().enumerate() {
            if rest == GATHER {
                looks.send_modify(|wanted| wanted.acts += 1);
            }
            pictures.recv().await.expect("a round").expect_err("nobody answers");
            let passed = asked.elapsed();
            assert!(passed <= rest + PATIENCE + LATE, "round {round} after {passed:?}");
            asked = Instant::now();
        }
        drop(pictures);
        feeding.await.expect("it ends when nobody looks");
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
