//! How the target's server takes uploads: found out once by a probe, and remembered.

use super::{Fault, Transfer};
use crate::blob::Habits;
use crate::model::Side;

impl Transfer {
    /// The habits of the target's server: remembered, or found out now.
    pub(super) async fn find_habits(&self) -> Result<Habits, Fault> {
        if let Some(habits) = self.remembered()? {
            return Ok(habits);
        }
        let habits = self.retrying(Side::Target, || self.target.probe()).await?;
        tracing::info!(target = %self.target.address(), ?habits, "probed the target's server");
        if let Ok(text) = serde_json::to_string(&habits) {
            self.record.ledger.put_setting(&self.habits_key(), Some(text), "causewayd").await?;
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
