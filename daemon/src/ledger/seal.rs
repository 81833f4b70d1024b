//! Whether the database holds exactly what was written to it.
//!
//! A checksum in a record tells a changed record; it does not tell one that is missing, or that went
//! back to what it was before. sled recovers from a torn page by doing without it, which is right for
//! what was not yet on disk and wrong for what was. So every commit also writes the sum (exclusive or)
//! of the hashes of all records, which costs one hash a record and is compared once, at start-up.
//!
//! Events, outbox and counters are left out: they hold nothing that is not elsewhere, and change with
//! every commit. Against a database that went back as a whole there is the audit log, which is never
//! ahead.

use super::store::{Store, Table, caught};
use super::{Error, integrity, record};

/// The hash of one record; 0 of none.
pub(super) fn of(table: Table, key: &[u8], value: Option<&[u8]>) -> u128 {
    let Some(value) = value.filter(|_| is_sealed(table)) else { return 0 };
    // Keys are shorter than that: an idempotency key has at most 128 bytes.
    let key_len = u8::try_from(key.len()).unwrap_or(u8::MAX);
    let bytes = [&[table as u8, key_len], key, value].concat();
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
        Table::Events | Table::Outbox | Table::Meta => false,
    }
}

/// The keys alone are what an index holds.
fn has_records(table: Table) -> bool {
    !matches!(table, Table::States | Table::Queue)
}

/// Reads every record and compares each with its checksum, all with their sum, and the whole with the
/// audit log, whose last line has the number `audited`. Blocks: some seconds for a million jobs.
///
/// # Errors
/// What is not as it was written.
pub(super) fn check(store: &Store, audited: u64) -> Result<(), Error> {
    caught(|| {
        let mut found = 0;
        for table in Table::all() {
            for item in store.tree(table).iter() {
                let (key, value) = item.map_err(Error::Storage)?;
                if has_records(table) {
                    record::proven(&value, || format!("{} of {table:?}", hex::encode(&key)))?;
                }
                found ^= of(table, &key, Some(&value));
            }
        }
        if found != store.read_seal()? {
            return Err(Error::corrupt("records are missing, or older than they should be"));
        }
        let newest = store.numbers(Table::Outbox)?.map_or(0, |(_, newest)| newest);
        if newest < audited {
            let what = format!("it ends with change {newest}, and the audit log with {audited}");
            return Err(Error::corrupt(what));
        }
        Ok(())
    })
}
