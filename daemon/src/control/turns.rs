//! What is done for a few at a time: asking the sides something, and reading through the ledger. Whoever else
//! wants to waits for its turn.
//!
//! # Invariants
//! - Whatever one connection asks of the sides, others find places.
//! - A reading counts until it has ended, also where nobody waits for it any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Status;

use super::access::Caller;
use super::submit::stopping_status;

/// Dry runs and the like at once, all clients together: each asks the sides.
const ASKING_MAX: usize = 16;
/// For which one waits behind those of others.
const PATIENCE: Duration = Duration::from_secs(30);
/// Readings through the ledger at once, all clients together: each may look at thousands of records.
const READINGS_MAX: usize = 2;

/// Shared by whoever serves a request. Clones are the same ones.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    asking: Arc<Semaphore>,
    readings: Arc<Semaphore>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
        }
    }

    /// Waits for its turn to ask the sides something, which is over once the answer is dropped. Behind what its
    /// own connection asks it waits as long as that takes: a manifest's lines are many.
    ///
    /// # Errors
    /// Where others leave no place for too long.
    pub(super) async fn ask(&self, caller: &Caller) -> Result<[OwnedSemaphorePermit; 2], Status> {
        // Neither is ever closed.
        let own = Arc::clone(caller.asking()).acquire_owned().await;
        let own = own.map_err(|_| stopping_status())?;
        let shared = timeout(PATIENCE, Arc::clone(&self.asking).acquire_owned()).await;
        let shared = shared.map_err(|_| {
            let seconds = PATIENCE.as_secs();
            Status::resource_exhausted(format!(
                "others ask the sides as much as may be, and did for {seconds} s: come again later"
            ))
        })?;
        Ok([own, shared.map_err(|_| stopping_status())?])
    }

    /// Reads through the ledger in its turn, off the runtime.
    ///
    /// # Errors
    /// Where the reading does not come to its end.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Status> {
        // It is never closed.
        let turn = Arc::clone(&self.readings).acquire_owned().await;
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read()
        });
        read.await.map_err(|error| Status::internal(format!("the reading stopped: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::pin::pin;
    use std::sync::mpsc;

    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;
    use tonic::Code;

    use super::*;
    use crate::control::access::{Pacing, Who};

    fn caller() -> Caller {
        let one = NonZeroU32::MIN;
        let pacing = Pacing { requests_per_second: one, submissions_per_second: one };
        Caller::new(Who::Unknown, pacing, CancellationToken::new())
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_asks_for_its_share_and_nobody_waits_for_ever_behind_others() {
        let turns = Turns::new();
        let callers: [Caller; 5] = std::array::from_fn(|_| caller());
        let mut held = Vec::new();
        for caller in &callers[..4] {
            for _ in 0..4 {
                held.push(turns.ask(caller).await.expect("its share"));
            }
            let mut more = pin!(turns.ask(caller));
            assert!(futures::poll!(&mut more).is_pending(), "not one more");
        }
        let began = Instant::now();
        let refused = turns.ask(&callers[4]).await.expect_err("all places are taken");
        let waited = began.elapsed().as_secs();
        assert_eq!((refused.code(), waited), (Code::ResourceExhausted, PATIENCE.as_secs()));

        let mut own = pin!(turns.ask(&callers[0]));
        let hours = timeout(Duration::from_secs(7200), &mut own).await;
        hours.expect_err("it waits for its own, as long as they take");
        drop(held.remove(0));
        drop(own.await.expect("its turn"));
    }

    /// What it asked for goes on: hanging up makes no room for the next.
    #[tokio::test]
    async fn who_hangs_up_holds_its_turn_until_the_reading_has_ended() {
        let turns = Turns::new();
        let mut ends = Vec::new();
        for _ in 0..READINGS_MAX {
            let (end, ended) = mpsc::channel::<()>();
            let mut left = pin!(turns.read(move || ended.recv().is_ok()));
            assert!(futures::poll!(&mut left).is_pending());
            ends.push(end);
        }
        let mut next = pin!(turns.read(|| 7));
        assert!(futures::poll!(&mut next).is_pending());
        assert_eq!(turns.readings.available_permits(), 0, "both are gone and still read");
        drop(ends);
        assert_eq!(next.await.expect("its turn"), 7);
    }
}
