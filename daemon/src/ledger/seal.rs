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

use std::ops::Bound;
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
/// order of [`JobState::ALL`]. Blocks: some seconds for a million jobs, with several threads.
///
/// # Errors
/// What is not as it was written.
pub(super) fn check(store: &Store, audited: u64) -> Result<StateCounts, Error> {
    let found = thread::scope(|scope| {
        let mut threads = Vec::new();
        for table in Table::all().filter(|table| is_sealed(*table)) {
            for range in caught(|| ranges(store, table))? {
                threads.push(scope.spawn(move || caught(|| sum_of(store, table, range))));
            }
        }
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

type Range = (Bound<[u8; 16]>, Bound<[u8; 16]>);

/// The table in pieces for a thread each. Jobs are as much as all the rest: they are cut in the middle of
/// the time that they were submitted in.
fn ranges(store: &Store, table: Table) -> Result<Vec<Range>, Error> {
    let id = |row: Option<(sled::IVec, sled::IVec)>| {
        row.and_then(|(key, _)| key::id(&key)).map(|id| u128::from_be_bytes(id.to_bytes()))
    };
    let tree = store.tree(table);
    let first = id(tree.first().map_err(Error::Storage)?);
    let last = id(tree.last().map_err(Error::Storage)?);
    Ok(match first.zip(last).filter(|_| table == Table::Jobs) {
        Some((first, last)) => {
            let middle = (first / 2 + last / 2).to_be_bytes();
            vec![
                (Bound::Unbounded, Bound::Excluded(middle)),
                (Bound::Included(middle), Bound::Unbounded),
            ]
        }
        None => vec![(Bound::Unbounded, Bound::Unbounded)],
    })
}

fn sum_of(store: &Store, table: Table, range: Range) -> Result<Found, Error> {
    let mut found = Found::default();
    for item in store.tree(table).range(range) {
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
