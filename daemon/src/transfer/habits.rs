//! How the target's server takes uploads: found out once by a probe, and remembered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Fault, Transfer};
use crate::blob::Habits;
use crate::model::{RemoteName, Timestamp, WaitReason};

/// Who probes which remote: one job at a time, so that a thousand that begin together do not ask the same.
/// Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Probes(Arc<Mutex<BTreeMap<RemoteName, Arc<tokio::sync::Mutex<()>>>>>);

impl Probes {
    fn of(&self, remote: &RemoteName) -> Arc<tokio::sync::Mutex<()>> {
        let mut remotes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(remotes.entry(remote.clone()).or_default())
    }
}

impl Transfer {
    /// The habits of the target's server: remembered, or found out now.
    /// A probe that was begun since `since` and has no answer is cleaned up.
    pub(super) async fn find_habits(&self, since: Timestamp) -> Result<Habits, Fault> {
        if let Some(habits) = self.remembered()? {
            return Ok(habits);
        }
        let probe = self.probes.of(self.target.remote().name());
        let _mine = {
            let detail = "another job finds out how the target's server takes uploads";
            let _waiting = self.live.wait(WaitReason::Retry, detail.into());
            self.stop.or_soon(probe.lock()).await?
        };
        if let Some(habits) = self.remembered()? {
            return Ok(habits);
        }
        let (habits, asked) = self.ask_for_upload(|| self.target.probe()).await?;
        self.settle_asked(asked, since).await?;
        tracing::info!(object = %self.target.address(), ?habits, "probed the target's server");
        if let Ok(text) = serde_json::to_string(&habits) {
            self.record.setting(&self.habits_key(), text).await?;
        }
        Ok(habits)
    }

    /// What does not parse was written by another version: it is found out again.
    fn remembered(&self) -> Result<Option<Habits>, Fault> {
        let text = self.record.ledger.setting(&self.habits_key())?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// By endpoint, too: the same remote may be pointed at another server.
    fn habits_key(&self) -> String {
        let remote = self.target.remote();
        format!("habits/{}/{}/{}", remote.name(), remote.endpoint(), self.target.address().bucket)
    }
}
