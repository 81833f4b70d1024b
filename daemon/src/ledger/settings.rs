//! What the ledger holds beside the jobs: durable texts by name, and lines of the audit log that change nothing.

use super::audit::Entry;
use super::book::Draft;
use super::store::{self, Table};
use super::{Error, Ledger};
use crate::model::JobId;

impl Ledger {
    /// A durable text by its name.
    ///
    /// # Errors
    /// Storage, or a corrupt record.
    pub fn setting(&self, key: &str) -> Result<Option<String>, Error> {
        self.inner.desk.store.read(Table::Settings, key.as_bytes(), || format!("setting {key}"))
    }

    /// Writes a durable text, or removes it. It stands in the audit log: never a secret.
    ///
    /// # Errors
    /// Storage alone.
    pub async fn put_setting(
        &self,
        key: &str,
        value: Option<String>,
        actor: &str,
    ) -> Result<(), Error> {
        let mut draft = Draft::default();
        draft.audit(Entry::new("setting", actor, None).with("key", &key)?.with("value", &value)?);
        match value {
            None => draft.writes.remove(Table::Settings, key.as_bytes()),
            Some(value) => {
                let what = || format!("setting {key}");
                store::put(&mut draft.writes, Table::Settings, key.as_bytes(), &value, what)?;
            }
        }
        let ticket = self.inner.desk.enter(&mut *self.book()?, draft)?;
        ticket.durable().await
    }

    /// Puts a line into the audit log about what is no job: what was refused, and to whom. It becomes
    /// durable with the next cycle; nobody waits for it. It stands in the audit log: never a secret.
    ///
    /// # Errors
    /// Where the ledger takes nothing more.
    pub fn remark(
        &self,
        event: &str,
        actor: &str,
        details: &[(&str, String)],
    ) -> Result<(), Error> {
        let mut entry = Entry::new(event, actor, None);
        for (name, value) in details {
            entry = entry.with(name, value)?;
        }
        let mut draft = Draft::default();
        draft.audit(entry);
        drop(self.inner.desk.enter(&mut *self.book()?, draft)?);
        Ok(())
    }

    /// Puts a line into the audit log about what is about to be done at a side for a job, and who asked for it.
    /// It is on disk once this returns; the job is as it was.
    ///
    /// # Errors
    /// Storage alone.
    pub async fn intend(&self, id: JobId, event: &str, actor: &str) -> Result<(), Error> {
        let mut draft = Draft::default();
        draft.audit(Entry::new(event, actor, Some(id)));
        let ticket = self.inner.desk.enter(&mut *self.book()?, draft)?;
        ticket.durable().await
    }
}
