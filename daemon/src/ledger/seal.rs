//! Whether the database holds exactly what was written to it.
//!
//! A checksum in a record tells a changed record; it does not tell one that is missing, or that went
//! back to what it was before. sled recovers from a torn page by doing without it, which is right for
//! what was not yet on disk and wrong for what was. So every commit also writes the sum (exclusive or)
//! of the hashes of all records, which costs one hash a record and is compared once, at start-up. What is
//! hashed is a record's key and its head, which holds its checksum: the check proves the payload by that,
//! so a missing, an old and a changed record all show, and no payload is hashed twice.
//!
//! Outbox and counters are left out: they hold nothing that is not elsewhere, and change with every
//! commit. Against a database that went back as a whole there is the audit log, which is never
//! ahead.

use std::thread;

use super::store::{Store, Table, caught};
use super::{Error, integrity, key, record};
use crate::model::JobState;

/// The hash of one record; 0 of none.
pub(super) fn of(table: Table, key: &[u8], value: Option<&[u8]>) -> u128 {
    let Some(value) = value.filter(|_| is_sealed(table)) else { return 0 };
    let head = &value[..value.len().min(record::HEAD_BYTES)];
    // Keys are shorter than that: an idempotency key has at most 128 bytes.
    let key_len = u8::try_from(key.len()).unwrap_or(u8::MAX);
    let bytes = [&[table as u8, key_len], key, head].concat();
    let mut first = [0; 16];
    first.copy_from_slice(&integrity::blake3(&bytes)[..16]);
    u128::from_le_bytes(first)
}

fn is_sealed(table: Table) -> bool {
    match table {
        Table::Jobs
        | Table::States
        | Table::Queue
        | Table::Parts
        | Table::Uploads
        | Table::Asked
        | Table::Keys
        | Table::Settings => true,
        Table::Outbox | Table::Meta => false,
    }
}

/// The keys alone are what an index holds.
fn has_records(table: Table) -> bool {
    !matches!(table, Table::States | Table::Queue)
}

/// Reads every record and compares each with its checksum, all with their sum, and the whole with the
/// audit log, whose last line has the number `audited`. Gives how many jobs are in each state, in the
/// order of [`JobState::ALL`]. Blocks: some seconds for a million jobs, with a thread for each table.
///
/// # Errors
/// What is not as it was written.
pub(super) fn check(store: &Store, audited: u64) -> Result<StateCounts, Error> {
    let found = thread::scope(|scope| {
        let tables = Table::all().filter(|table| is_sealed(*table));
        let threads: Vec<_> =
            tables.map(|table| scope.spawn(move || caught(|| sum_of(store, table)))).collect();
        let mut found = Found::default();
        for thread in threads {
            let of_one = thread.join().unwrap_or_else(|_| Err(Error::broken("a panic")))?;
            found.sum ^= of_one.sum;
            found.states.iter_mut().zip(of_one.states).for_each(|(all, one)| *all += one);
        }
        Ok::<_, Error>(found)
    })?;
    caught(|| {
        if found.sum != store.read_seal()? {
            return Err(Error::corrupt("records are missing, or older than they should be"));
        }
        let newest = store.numbers(Table::Outbox)?.map_or(0, |(_, newest)| newest);
        if newest < audited {
            let what = format!("it ends with change {newest}, and the audit log with {audited}");
            return Err(Error::corrupt(what));
        }
        Ok(found.states)
    })
}

/// How many jobs are in each state, in the order of [`JobState::ALL`].
pub(super) type StateCounts = [u64; JobState::ALL.len()];

#[derive(Default)]
struct Found {
    sum: u128,
    states: StateCounts,
}

fn sum_of(store: &Store, table: Table) -> Result<Found, Error> {
    let mut found = Found::default();
    for item in store.tree(table).iter() {
        let (key, value) = item.map_err(Error::Storage)?;
        if has_records(table) {
            record::proven(&value, || format!("{} of {table:?}", hex::encode(&key)))?;
        }
        if table == Table::States
            && let Some((state, _)) = key::stated_job(&key)
        {
            found.states[state as usize] += 1;
        }
        found.sum ^= of(table, &key, Some(&value));
    }
    Ok(found)
}
