//! The versions of the ledger's records, and how those of before become today's.
//!
//! # Crash consistency
//! The version is written last: a daemon that dies in the middle of an upgrade does it again at the next
//! start, and each step may be done twice.

use super::secret::{self, Secrets};
use super::store::{self, Store, Table, Writes};
use super::{Error, record};
use crate::model::{Job, JobState};

/// 5 has image jobs, which 4 could not read. 6 has no query of a presigned source, which 5 would look for.
pub(super) const SCHEMA: u32 = 6;
/// The oldest that becomes this one.
pub(super) const SCHEMA_READ_MIN: u32 = 4;
const KEY: &[u8] = b"schema";
/// Records that are committed together.
const STAGED_MAX: usize = 512;

/// Refuses a database of a version that is not known; a new one is of this version.
pub(super) fn check(store: &Store) -> Result<(), Error> {
    match found(store)? {
        Some(SCHEMA_READ_MIN..=SCHEMA) => Ok(()),
        Some(found) => Err(Error::Schema { found, known: SCHEMA }),
        None if store.tree(Table::Jobs).is_empty() => write(store),
        None => Err(Error::corrupt("there are jobs, but no schema version")),
    }
}

/// Makes a database of before one of this version. It is known to be what was written.
pub(super) fn upgrade(store: &Store, secrets: &Secrets) -> Result<(), Error> {
    let Some(from) = found(store)?.filter(|found| *found < SCHEMA) else { return Ok(()) };
    tracing::info!(from, to = SCHEMA, "upgrading the ledger");
    leave_out_secrets(store, secrets)?;
    write(store)?;
    store.flush()
}

fn found(store: &Store) -> Result<Option<u32>, Error> {
    store.read(Table::Meta, KEY, || "schema".into())
}

fn write(store: &Store) -> Result<(), Error> {
    let mut writes = Writes::default();
    store::put(&mut writes, Table::Meta, KEY, &SCHEMA, || "schema".into())?;
    store.stage(writes);
    store.commit()
}

/// Writes the jobs anew that hold the query of a presigned source. Of those with work left it is in a file of
/// its own already; of those that failed or were cancelled it was in the job alone, and may be good for a retry.
fn leave_out_secrets(store: &Store, secrets: &Secrets) -> Result<(), Error> {
    let mut staged = 0;
    for item in store.tree(Table::Jobs).iter() {
        let (key, value) = item.map_err(Error::Storage)?;
        let job: Job = record::decode(&value, || "a job of before".into())?;
        if let Some(query) = secret::of(job.spec.as_ref()) {
            let may_be_retried = matches!(job.state, JobState::Failed | JobState::Cancelled);
            let is_good =
                secret::presigned(job.spec.as_ref()).is_some_and(|url| !secret::is_over(url));
            if may_be_retried && is_good {
                secrets.keep(job.id, query)?;
            }
            let mut writes = Writes::default();
            store::put(&mut writes, Table::Jobs, &key, &job, || format!("job {}", job.id))?;
            store.stage(writes);
            staged += 1;
        }
        if staged == STAGED_MAX {
            store.commit()?;
            staged = 0;
        }
    }
    store.commit()
}
