//! Asking EC2, SSM and S3 about an image: again and again, until they answer or a person has to act.

use std::future::Future;

use super::Road;
use crate::blob;
use crate::image;
use crate::model::{Failure, FailureClass, RemoteName, Side};
use crate::transfer::Fault;
use crate::transfer::retry::{Budget, Patience};

/// A request that failed, whichever service it was sent to.
pub(super) trait Refusal {
    fn class(&self) -> FailureClass;
    fn told(&self, side: Side) -> Failure;
}

impl Refusal for image::Error {
    fn class(&self) -> FailureClass {
        image::Error::class(self)
    }

    fn told(&self, side: Side) -> Failure {
        self.to_failure(side)
    }
}

impl Refusal for blob::Error {
    fn class(&self) -> FailureClass {
        blob::Error::class(self)
    }

    fn told(&self, side: Side) -> Failure {
        self.to_failure(side)
    }
}

impl Road<'_> {
    /// Asks until it is answered, the budget is spent, or the worker is told to stop. For requests that
    /// change nothing, or the same however often they are sent.
    ///
    /// # Errors
    /// [`Fault::Failed`] with what was answered last.
    pub(super) async fn ask<T, E, F>(
        &self,
        side: Side,
        remote: &RemoteName,
        mut ask: impl FnMut() -> F,
    ) -> Result<T, Fault>
    where
        E: Refusal,
        F: Future<Output = Result<T, E>>,
    {
        let mut budget = Budget::default();
        loop {
            match self.handle.stop.or_now(ask()).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => self.pause(&mut budget, side, remote, &error).await?,
            }
        }
    }

    /// Waits before something is asked again that was refused.
    ///
    /// # Errors
    /// [`Fault::Failed`] where it is not to be asked again.
    pub(super) async fn pause<E: Refusal>(
        &self,
        budget: &mut Budget,
        side: Side,
        remote: &RemoteName,
        error: &E,
    ) -> Result<(), Fault> {
        let failure = error.told(side);
        let Some(pause) = budget.spend(error.class()) else {
            return Err(Fault::failed(failure));
        };
        let patience = Patience {
            observer: &self.pipeline.observer,
            live: &self.handle.live,
            stop: &self.handle.stop,
        };
        patience.pause(remote.as_str(), &failure, pause).await
    }
}
