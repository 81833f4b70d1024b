//! Whether work can be taken: asked of the disk at most once a second.
//!
//! The check syncs a file: too much for every one of ten thousand submissions, and the answer does not
//! change that fast. Who asks while it is under way waits for its answer: a disk that is slow, or hangs, is
//! not asked more often for that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::{Error, Ledger, Space, space};

const GOOD_FOR: Duration = Duration::from_secs(1);
/// Between two looks at a disk under a database that failed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type Answer = Result<(), Arc<Error>>;

#[derive(Debug)]
pub(super) struct Writable {
    /// The last answer, and when it was given.
    last: Mutex<Option<(Instant, Answer)>>,
    /// For one check at a time.
    turn: Arc<Semaphore>,
}

impl Default for Writable {
    fn default() -> Self {
        Self { last: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Writable {
    /// The last answer, while it is good.
    fn known(&self) -> Option<Answer> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR).map(|(_, answer)| answer.clone())
    }

    fn note(&self, answer: &Answer) {
        let last = Some((Instant::now(), answer.clone()));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

impl Ledger {
    /// Whether work can be taken, as it was within the last second: the ledger has not failed, there is
    /// room, and a small write gets to the disk.
    ///
    /// # Errors
    /// The reason why not.
    pub async fn writable(&self) -> Answer {
        let writable = &self.inner.writable;
        if let Some(answer) = writable.known() {
            return answer;
        }
        // It is fair, and never closed.
        let turn = Arc::clone(&writable.turn).acquire_owned().await;
        if let Some(answer) = writable.known() {
            return answer;
        }
        let ledger = self.clone();
        let checked = tokio::task::spawn_blocking(move || {
            // Here, so that it is held, and the answer kept, also where whoever asked has gone.
            let _turn = turn;
            let answer = ledger.check_writable().map_err(Arc::new);
            ledger.inner.writable.note(&answer);
            answer
        });
        let panicked = |_| Err(Arc::new(Error::broken("a panic while the disk was tried")));
        checked.await.unwrap_or_else(panicked)
    }

    /// The room where the ledger is, and whether it suffices for new work in a ledger that has not failed.
    /// As far as that can be told without a write; for scrapes.
    pub fn room(&self) -> (Option<Space>, bool) {
        let desk = &self.inner.desk;
        let space = space::of(&desk.dir).ok();
        let enough = space.is_some_and(|space| space.free >= desk.tuning.free_bytes_min);
        (space, enough && desk.flusher.admit().is_ok())
    }

    /// Completes once the database has failed for good and its disk takes writes again: it can be opened
    /// anew, by another process.
    pub async fn is_to_be_reopened(&self) -> Error {
        let error = self.inner.desk.flusher.broken().await;
        loop {
            let ledger = self.clone();
            let tried = tokio::task::spawn_blocking(move || ledger.try_disk()).await;
            if let Ok(Ok(())) = tried {
                return Error::Storage(error);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// As [`Ledger::writable`], asked now. Blocks for one sync.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        self.inner.desk.flusher.admit()?;
        self.try_disk()
    }

    fn try_disk(&self) -> Result<(), Error> {
        space::check(&self.inner.desk.dir, self.inner.desk.tuning.free_bytes_min)
    }
}
