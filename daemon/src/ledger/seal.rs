//! Whether the database holds exactly what was written to it.
//!
//! A checksum in a record tells a changed record; it does not tell one that is missing, or that went
//! back to what it was before. sled recovers from a torn page by doing without it, which is right for
//! what was not yet on disk and wrong for what was. So every commit also writes the sum (exclusive or)
//! of the hashes of all records, which costs one hash a record and is compared once, at start-up. What is
//! hashed is a record's key and its head, which holds its checksum: the check proves the payload by that,
//! so a missing, an old and a changed record all show, and no payload is hashed twice. A row of the queue has no
//! record: its value is no longer than a head, and is hashed whole.
//!
//! Outbox and counters are left out: they hold nothing that is not elsewhere, and change with every
//! commit. Against a database that went back as a whole there is the audit log, which is never ahead.

use std::ops::Bound;
use std::thread;

use super::store::{Store, Table, caught};
use super::waiting::Waiting;
use super::{Error, integrity, key, outbox, record};
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
        | Table::Settings
        | Table::Notices => true,
        Table::Outbox | Table::Meta => false,
    }
}

/// An index has no records: its keys, and a row of the queue a moment, are all that it holds.
fn has_records(table: Table) -> bool {
    !matches!(table, Table::States | Table::Queue)
}

/// Reads every record and compares each with its checksum, all with their sum, and the whole with the
/// audit log, whose last line has the number `audited`. Gives what was counted meanwhile. Blocks: some
/// seconds for a million jobs, with several threads.
///
/// # Errors
/// What is not as it was written.
pub(super) fn check(store: &Store, audited: u64) -> Result<Counted, Error> {
    let found = sum_of_all(store, thread::Builder::new)?;
    caught(move || {
        if found.sum != store.read_seal()? {
            return Err(Error::corrupt("records are missing, or older than they should be"));
        }
        let newest = store.numbers(Table::Outbox)?.map_or(0, |(_, newest)| newest);
        if newest < audited {
            let what = format!("it ends with change {newest}, and the audit log with {audited}");
            return Err(Error::corrupt(what));
        }
        // No part of the sum, but what the start goes on from: if it is broken, that shows while all can still
        // be made anew.
        outbox::entries(store)?;
        Ok(found.counted)
    })
}

/// Reads all tables at once, by threads of `builder`. A host that gives none must not keep the daemon from
/// starting: what a thread was wanted for is then read here.
fn sum_of_all(store: &Store, builder: fn() -> thread::Builder) -> Result<Found, Error> {
    thread::scope(|scope| {
        let (mut found, mut threads) = (Found::default(), Vec::new());
        for table in Table::all().filter(|table| is_sealed(*table)) {
            for range in caught(|| ranges(store, table))? {
                let read = move || caught(|| sum_of(store, table, range));
                match builder().name("ledger-check".into()).spawn_scoped(scope, read) {
                    Ok(thread) => threads.push(thread),
                    Err(_) => found.add(&read()?),
                }
            }
        }
        for thread in threads {
            found.add(&thread.join().unwrap_or_else(|_| Err(Error::broken("a panic")))?);
        }
        Ok(found)
    })
}

/// How many jobs are in each state, in the order of [`JobState::ALL`].
pub(super) type StateCounts = [u64; JobState::ALL.len()];

/// What is counted on the way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) states: StateCounts,
    pub(super) waiting: Waiting,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    sum: u128,
    counted: Counted,
}

impl Found {
    fn add(&mut self, more: &Self) {
        self.sum ^= more.sum;
        let states = self.counted.states.iter_mut().zip(more.counted.states);
        states.for_each(|(all, one)| *all += one);
        self.counted.waiting.add(&more.counted.waiting);
    }
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
        let Counted { states, waiting } = &mut found.counted;
        if has_records(table) {
            record::proven(&value, || format!("{} of {table:?}", hex::encode(&key)))?;
        }
        if table == Table::States
            && let Some((state, _)) = key::stated_job(&key)
        {
            states[state as usize] += 1;
        }
        if table == Table::Queue {
            waiting.take_row(&key, &value);
        }
        found.sum ^= of(table, &key, Some(&value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host at its limit of threads, or a container at its limit of pids.
    #[test]
    fn a_host_that_gives_no_thread_is_checked_all_the_same() {
        let dir = tempfile::tempdir().expect("room for a test");
        let store = Store::open(dir.path()).expect("a directory of our own");
        let mut writes = super::super::store::Writes::default();
        for n in 0..50_u128 {
            let id = crate::model::JobId::from_bytes(n.to_be_bytes());
            let record = record::encode(&n.to_string(), String::new).expect("plain data");
            writes.put(Table::Jobs, &id.to_bytes(), record);
            writes.put(Table::States, &key::state(JobState::Queued, id), Vec::new());
        }
        store.stage(writes);
        store.commit().expect("the disk works");
        // More stack than there are addresses.
        let refused = || thread::Builder::new().stack_size(1 << 62);
        refused().spawn(|| ()).expect_err("no room for its stack");
        let found = sum_of_all(&store, refused).expect("readable");
        assert_eq!(found, sum_of_all(&store, thread::Builder::new).expect("readable"));
        assert_eq!(found.sum, store.read_seal().expect("readable"));
        assert_eq!(found.counted.states[JobState::Queued as usize], 50);
    }
}
