//! How a transfer is told to stop: soon, or now.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use super::Fault;

/// Two tokens: `soon` ends the starting of parts, `now` also abandons those in flight.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    soon: CancellationToken,
    now: CancellationToken,
}

impl Stop {
    /// Start no more parts; finish those in flight.
    pub fn soon(&self) {
        self.soon.cancel();
    }

    /// Abandon the parts in flight, too.
    pub fn now(&self) {
        self.soon.cancel();
        self.now.cancel();
    }

    /// Whether it was told to stop, soon or now.
    pub fn is_stopping(&self) -> bool {
        self.soon.is_cancelled()
    }

    /// Completes once it is told to stop, soon or now.
    pub async fn stopping(&self) {
        self.soon.cancelled().await;
    }

    /// Runs `work` unless it is told to stop, soon or now.
    pub async fn or_soon<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        self.soon.run_until_cancelled(work).await.ok_or(Fault::Stopped)
    }

    /// Runs `work` unless it is told to stop now.
    pub async fn or_now<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        self.now.run_until_cancelled(work).await.ok_or(Fault::Stopped)
    }
}
