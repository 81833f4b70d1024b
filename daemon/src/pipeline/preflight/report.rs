//! The check list of one side, as it grows, and how something is asked for it: a few times, and not for ever.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::blob;
use crate::model::{Check, CheckOutcome, Failure, FailureClass, RemoteName, Side};
use crate::remote::remedy;

/// One answer that is lost, or asks for patience, says nothing of a job that tries for hours.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(400);

/// Nothing more can be learned of this side: it does not answer, or does not know who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Halted;

/// A request that failed, told to a person.
pub(super) trait Refusal {
    fn told(&self, side: Side) -> Failure;
}

impl Refusal for blob::Error {
    fn told(&self, side: Side) -> Failure {
        self.to_failure(side)
    }
}

#[cfg(feature = "image")]
impl Refusal for crate::image::Error {
    fn told(&self, side: Side) -> Failure {
        self.to_failure(side)
    }
}

/// Why there is no good answer.
#[derive(Debug)]
pub(super) enum Trouble<E> {
    Refused(E),
    /// The time of the whole is over.
    Late,
}

impl<E: Refusal> Trouble<E> {
    pub(super) fn told(&self, side: Side) -> Failure {
        match self {
            Self::Refused(error) => error.told(side),
            Self::Late => {
                let reason = "no answer within the time of a preflight";
                let remedy = "check the route, the firewall and DNS, and try again";
                Failure::new(FailureClass::Transient, reason, remedy)
            }
        }
    }
}

/// The checks of one side, in the order in which they were made.
#[derive(Debug)]
pub(super) struct Report {
    side: Side,
    remote: RemoteName,
    until: Instant,
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(side: Side, remote: RemoteName, until: Instant) -> Self {
        Self { side, remote, until, checks: Vec::new() }
    }

    pub(super) fn side(&self) -> Side {
        self.side
    }

    /// From when on nothing is asked any more.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn into_checks(self) -> Vec<Check> {
        self.checks
    }

    pub(super) fn passed(&mut self, name: &'static str, detail: impl Into<String>) {
        self.push(name, CheckOutcome::Passed, detail, "");
    }

    pub(super) fn warning(
        &mut self,
        name: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(name, CheckOutcome::Warning, detail, remedy);
    }

    pub(super) fn failed(
        &mut self,
        name: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(name, CheckOutcome::Failed, detail, remedy);
    }

    pub(super) fn skipped(
        &mut self,
        name: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(name, CheckOutcome::Skipped, detail, remedy);
    }

    /// A check that failed for what a request was answered.
    ///
    /// # Errors
    /// [`Halted`] where every other request would fail alike.
    pub(super) fn refused(&mut self, name: &'static str, failure: &Failure) -> Result<(), Halted> {
        self.told(name, CheckOutcome::Failed, failure)
    }

    /// Something that is good to know could not be asked.
    ///
    /// # Errors
    /// As [`Report::refused`].
    pub(super) fn unknown(&mut self, name: &'static str, failure: &Failure) -> Result<(), Halted> {
        self.told(name, CheckOutcome::Skipped, failure)
    }

    fn told(
        &mut self,
        name: &'static str,
        outcome: CheckOutcome,
        failure: &Failure,
    ) -> Result<(), Halted> {
        let remedy = match failure.remedy.as_str() {
            "" => "see what the answer says",
            remedy => remedy,
        };
        let detail = match failure.operation.as_str() {
            "" => failure.reason.clone(),
            operation => format!("{operation} on {}: {}", failure.resource, failure.reason),
        };
        self.push(name, outcome, detail, remedy);
        match failure.class {
            FailureClass::Credentials | FailureClass::Transient => Err(Halted),
            // Nothing was sent, and nothing will be.
            FailureClass::Permanent if failure.remedy == remedy::WRONG_IDENTITY => Err(Halted),
            FailureClass::Permanent | FailureClass::Throttled | FailureClass::Corrupt => Ok(()),
        }
    }

    fn push(
        &mut self,
        name: &'static str,
        outcome: CheckOutcome,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (side, remote) = (self.side, self.remote.clone());
        let (detail, remedy) = (detail.into(), remedy.into());
        self.checks.push(Check { side, remote, name, outcome, detail, remedy });
    }

    /// Asks until it is answered, a few times at the most. For requests that change nothing.
    ///
    /// # Errors
    /// What was answered last, or that the time is over.
    pub(super) async fn ask<T, E, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, Trouble<E>>
    where
        E: Refusal,
        F: Future<Output = Result<T, E>>,
    {
        let mut tries = 1;
        loop {
            let error = match timeout_at(self.until, ask()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => return Err(Trouble::Late),
            };
            let class = error.told(self.side).class;
            let may_pass = matches!(class, FailureClass::Transient | FailureClass::Throttled);
            let next = Instant::now() + PAUSE * tries;
            if !may_pass || tries == TRIES || next >= self.until {
                return Err(Trouble::Refused(error));
            }
            tries += 1;
            sleep(next - Instant::now()).await;
        }
    }
}
