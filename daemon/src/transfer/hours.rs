//! What a transfer does while a side's schedule lets nothing pass: it starts nothing, holds nothing, and
//! goes on by itself. Nobody's attempt is burnt.
//!
//! Requests that end a job or clean up after it are sent all the same: a cancel does not wait for the
//! morning.

use std::sync::Arc;
use std::time::Duration;

use super::{Fault, Transfer};
use crate::base::Pace;
use crate::model::WaitReason;

/// What parts in flight get to arrive, once a side is closed.
const GRACE: Duration = Duration::from_secs(30);

impl Transfer {
    /// Whether some side lets nothing pass now.
    pub(super) fn is_closed(&self) -> bool {
        self.closed().is_some()
    }

    /// Returns once both sides let bytes pass; until then everybody sees why the job waits.
    pub(super) async fn open(&self) -> Result<(), Fault> {
        while let Some((pace, why)) = self.closed() {
            let _waiting = self.live.wait(WaitReason::Schedule, why.to_string());
            tracing::debug!(%why, "waiting");
            self.stop.or_soon(pace.opened()).await?;
        }
        Ok(())
    }

    /// Completes when a side has been closed for so long that parts in flight are to be let go of.
    pub(super) async fn closed_for_long(&self) {
        loop {
            tokio::select! {
                () = self.source.pace().shut() => {}
                () = self.target.pace().shut() => {}
            }
            tokio::time::sleep(GRACE).await;
            if self.is_closed() {
                return;
            }
        }
    }

    fn closed(&self) -> Option<(&Arc<Pace>, Arc<str>)> {
        let sides = [self.source.pace(), self.target.pace()];
        sides.into_iter().find_map(|pace| Some((pace, pace.closed()?)))
    }
}
