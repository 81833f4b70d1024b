//! The parts that a target acknowledged, with the digests that the whole is made of.
//!
//! # Crash consistency
//! A part and the sum it is counted in are one transaction. A part that was sent and is not here
//! is asked for at the target, or sent again.
//!
//! # Invariants
//! - Parts exist only for the upload that the job holds: beginning anew removes them with it.
//! - Parts are not revisions and not events: there are 10,000 of them.

use super::book::Draft;
use super::flush::Ticket;
use super::store::{self, Table};
use super::{Error, Ledger, key, record};
use crate::model::{Illegal, JobId, PartFact};

impl Ledger {
    /// Writes that the target acknowledged a part, and counts it into the job's progress. Writing
    /// the same fact again changes nothing.
    ///
    /// # Errors
    /// [`Error::LeaseLost`]; [`Error::Illegal`] where the job holds no upload.
    pub async fn record_part(&self, id: JobId, token: u64, fact: PartFact) -> Result<(), Error> {
        let ticket = self.enter_part(id, token, &fact)?;
        self.settled(ticket).await
    }

    fn enter_part(&self, id: JobId, token: u64, fact: &PartFact) -> Result<Ticket, Error> {
        let desk = &self.inner.desk;
        let mut book = self.book()?;
        let before = self.leased(id, token)?;
        if before.transfer.upload().is_none() {
            let source = Illegal { change: "record a part of", why: "holds no upload" };
            return Err(Error::Illegal { id, source });
        }
        let mut draft = Draft::default();
        let part_key = key::part(id, fact.number);
        let what = || format!("{:?} of job {id}", fact.number);
        let known: Option<PartFact> = desk.store.read(Table::Parts, &part_key, what)?;
        if known.as_ref() != Some(fact) {
            let mut after = before.clone();
            let progress = &mut after.progress;
            progress.parts += u32::from(known.is_none());
            progress.bytes -= known.map_or(0, |known| known.digest.len).min(progress.bytes);
            progress.bytes = progress.bytes.saturating_add(fact.digest.len);
            progress.bytes_sent = progress.bytes_sent.saturating_add(fact.bytes_sent);
            store::put(&mut draft.writes, Table::Parts, &part_key, fact, what)?;
            draft.job(Some(&before), &after)?;
        }
        desk.enter(&mut book, draft)
    }

    /// The acknowledged parts of a job's present upload, by number.
    ///
    /// # Errors
    /// Also where one of them is corrupt: to resume from the others would leave a hole.
    pub fn parts(&self, id: JobId) -> Result<Vec<PartFact>, Error> {
        let row = |row: Result<(sled::IVec, sled::IVec), Error>| {
            let (key, value) = row?;
            record::decode(&value, || format!("part {} of job {id}", hex::encode(&key[16..])))
        };
        self.inner.desk.parts(id).map(row).collect()
    }
}
