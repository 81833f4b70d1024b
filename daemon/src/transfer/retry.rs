//! What is tried again, how often, and after how long.
//!
//! One policy for every request of a transfer. The class of the error decides:
//!
//! | class | again? | counts |
//! | --- | --- | --- |
//! | transient | up to 10 times in a row, jittered | yes |
//! | throttled | up to 60 times in a row, jittered: the side is alive and asked for patience | apart |
//! | corrupt | twice: a flipped bit is rare, a broken host is not | apart |
//! | credentials | for as long as it takes, every 10 s: nobody's attempt is burnt | no |
//! | permanent | never | |
//!
//! A cancel waits for no credentials: they may never work again, and it has a berth that others need. What it
//! could not abort is told, and the reaper's.
//!
//! Each part has a budget of its own, and has it back whenever another part of its object arrived since
//! its last failure: an object of 10,000 parts is not failed by the law of large numbers, and a part that
//! can never be carried fails the job once the others are done.

use std::future::Future;
use std::time::Duration;

use super::{Fault, LiveTransfer, Stop, Transfer};
use crate::base::{Backoff, Measure, SharedObserver};
use crate::blob;
use crate::model::{Failure, FailureClass, Side, WaitReason};

const TRANSIENT_MAX: u32 = 10;
const THROTTLED_MAX: u32 = 60;
const CORRUPT_MAX: u32 = 2;
const CREDENTIALS_PAUSE: Duration = Duration::from_secs(10);

/// What is left of the tries of one thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    transient: Tries,
    throttled: Tries,
    corrupt: Tries,
    is_of_cancel: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    made: u32,
    /// Of those, as many do not count.
    excused: u32,
}

impl Budget {
    /// What a cancel has, which does not wait for credentials.
    pub(super) fn of_cancel() -> Self {
        Self { is_of_cancel: true, ..Self::default() }
    }

    /// Takes note of a failure: how long to wait before the next try, or `None` for no next try.
    pub fn spend(&mut self, class: FailureClass) -> Option<Duration> {
        let (count, max) = match class {
            FailureClass::Permanent => return None,
            FailureClass::Credentials => {
                return (!self.is_of_cancel).then_some(CREDENTIALS_PAUSE);
            }
            FailureClass::Transient => (&mut self.transient, TRANSIENT_MAX),
            FailureClass::Throttled => (&mut self.throttled, THROTTLED_MAX),
            FailureClass::Corrupt => (&mut self.corrupt, CORRUPT_MAX),
        };
        count.made += 1;
        (count.made - count.excused <= max).then(|| Backoff::REQUEST.delay(count.made))
    }

    /// The path works, as something else shows: the tries count no more, and their pauses stay as long
    /// as they were. Damaged bytes are not excused by it.
    pub(super) fn restore(&mut self) {
        self.transient.excused = self.transient.made;
        self.throttled.excused = self.throttled.made;
    }
}

/// Who waits between two tries, where everybody can see why.
#[derive(Debug, Clone, Copy)]
pub struct Patience<'a> {
    pub observer: &'a SharedObserver,
    pub live: &'a LiveTransfer,
    pub stop: &'a Stop,
}

impl Patience<'_> {
    /// Waits before the next try of what `remote` refused.
    ///
    /// # Errors
    /// [`Fault::Stopped`].
    pub async fn pause(
        self,
        remote: &str,
        failure: &Failure,
        pause: Duration,
    ) -> Result<(), Fault> {
        self.observer.record(Measure::Retry { remote, class: failure.class });
        tracing::info!(%failure, class = failure.class.as_str(), ?pause, "trying again");
        let reason = match failure.class {
            FailureClass::Credentials => WaitReason::Credentials,
            _ => WaitReason::Retry,
        };
        self.live.trouble(failure.to_string());
        let _waiting = self.live.wait(reason, failure.to_string());
        self.stop.or_soon(tokio::time::sleep(pause)).await
    }
}

impl Transfer {
    /// Asks until it is answered, the budget is spent, or the transfer is told to stop.
    pub(super) async fn retrying<T, F>(
        &self,
        side: Side,
        ask: impl FnMut() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, blob::Error>>,
    {
        self.retrying_within(Budget::default(), side, ask).await
    }

    /// As [`Transfer::retrying`], with this budget.
    pub(super) async fn retrying_within<T, F>(
        &self,
        mut budget: Budget,
        side: Side,
        mut ask: impl FnMut() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, blob::Error>>,
    {
        loop {
            let error = match self.stop.or_now(ask()).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = budget.spend(error.class()) else {
                return Err(Fault::of_request(&error, side));
            };
            self.pause(side, &error.to_failure(side), pause).await?;
        }
    }

    /// Waits before the next try, where everybody can see why.
    pub(super) async fn pause(
        &self,
        side: Side,
        failure: &Failure,
        pause: Duration,
    ) -> Result<(), Fault> {
        let remote = match side {
            Side::Source => self.source.name(),
            Side::Target => self.target.name(),
        };
        let patience = Patience { observer: &self.observer, live: &self.live, stop: &self.stop };
        patience.pause(remote, failure, pause).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(class: FailureClass, enough: usize) -> usize {
        let mut budget = Budget::default();
        (0..enough).take_while(|_| budget.spend(class).is_some()).count()
    }

    #[test]
    fn each_class_has_its_own_end() {
        assert_eq!(tries(FailureClass::Permanent, 1_000), 0);
        assert_eq!(tries(FailureClass::Corrupt, 1_000), CORRUPT_MAX as usize);
        assert_eq!(tries(FailureClass::Transient, 1_000), TRANSIENT_MAX as usize);
        assert_eq!(tries(FailureClass::Throttled, 1_000), THROTTLED_MAX as usize);
    }

    #[test]
    fn progress_restores_all_but_what_damage_took() {
        let mut budget = Budget::default();
        for _ in 0..1_000 {
            assert!(budget.spend(FailureClass::Transient).is_some());
            assert!(budget.spend(FailureClass::Throttled).is_some());
            budget.restore();
        }
        let damaged = (0..).take_while(|_| {
            budget.restore();
            budget.spend(FailureClass::Corrupt).is_some()
        });
        assert_eq!(damaged.count(), CORRUPT_MAX as usize);
    }

    /// A token that comes back after a night must find the job where it was.
    #[test]
    fn waiting_for_credentials_burns_nothing() {
        assert_eq!(tries(FailureClass::Credentials, 10_000), 10_000);
        let mut budget = Budget::default();
        for _ in 0..100 {
            budget.spend(FailureClass::Credentials);
        }
        assert_eq!(budget.transient.made + budget.throttled.made + budget.corrupt.made, 0);
    }

    /// Enough cancels that wait for a token which never comes back would take every berth.
    #[test]
    fn a_cancel_waits_for_all_but_credentials() {
        let mut budget = Budget::of_cancel();
        assert!(budget.spend(FailureClass::Transient).is_some());
        assert!(budget.spend(FailureClass::Throttled).is_some());
        assert_eq!(budget.spend(FailureClass::Credentials), None);
    }
}
