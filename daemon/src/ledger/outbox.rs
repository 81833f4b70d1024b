//! The audit entries of durable changes that may not be in the audit log yet.
//!
//! # Crash consistency
//! The entries of one cycle are written in its transaction, and removed in a later one, once the log has
//! them. At open, whatever the log lacks is appended from here.
//!
//! # Invariants
//! - A row holds entries in their order, under the number of its last one.
//! - The newest row stays: it holds the counter, and tells a log that was cut off at its end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::audit::{Audit, Entry, Text};
use super::store::{Store, Table, Writes};
use super::{Error, record};

/// A row above this is followed by another: sled writes some rows together, and puts what is larger than
/// 128 KiB then into files of their own.
const ROW_BYTES: usize = 4 << 10;
/// Rows that are kept longer than needed, for a log whose end was lost though it was synced.
const ROWS_KEPT: usize = 64;

/// The outbox, and the part of it that the log still owes.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    owed: Vec<Text>,
    /// How many of those have rows already.
    written: usize,
    /// The rows, oldest first.
    rows: VecDeque<u64>,
}

impl Outbox {
    /// Finds the rows of before, whose entries are in the log by now.
    pub(super) fn open(store: &Store) -> Result<Self, Error> {
        let keys = store.tree(Table::Outbox).iter().keys();
        let rows = keys.map(|key| {
            let key = key.map_err(Error::Storage)?;
            super::key::number(&key).ok_or_else(|| Error::corrupt("a key of the audit outbox"))
        });
        Ok(Self { rows: rows.collect::<Result<_, _>>()?, ..Self::default() })
    }

    /// Takes the entries of a change.
    pub(super) fn take(&mut self, texts: Vec<Text>) {
        self.owed.extend(texts);
    }

    /// What the next transaction writes: rows for what came, and none for what the log has had for long.
    pub(super) fn writes(&mut self) -> Writes {
        let mut writes = Writes::default();
        if self.written == self.owed.len() {
            return writes;
        }
        if self.written == 0 {
            let paid = self.rows.len().saturating_sub(ROWS_KEPT);
            let old = self.rows.drain(..paid);
            old.for_each(|row| writes.remove(Table::Outbox, &row.to_be_bytes()));
        }
        let mut rest = &self.owed[self.written..];
        while let Some(last) = rest.len().checked_sub(1) {
            let mut bytes = 0;
            let mut fits = |text: &Text| {
                bytes += text.json.len();
                bytes < ROW_BYTES
            };
            let many = rest.iter().position(|text| !fits(text)).unwrap_or(last);
            let (row, after) = rest.split_at(many + 1);
            if let Some(last) = row.last() {
                let value = record::list(row.iter().map(|text| text.json.as_slice()));
                writes.put(Table::Outbox, &last.seq.to_be_bytes(), value);
                self.rows.push_back(last.seq);
            }
            rest = after;
        }
        self.written = self.owed.len();
        writes
    }

    /// What the log lacks.
    pub(super) fn owed(&self) -> &[Text] {
        &self.owed
    }

    /// The log has it.
    pub(super) fn paid(&mut self) {
        self.owed.clear();
        self.written = 0;
    }
}

/// Writes the lines that a crash may have kept from the audit log.
pub(super) fn catch_up(audit: &mut Audit, store: &Store) -> Result<(), Error> {
    let entries = entries(store)?;
    let due = audit.last_seq() + 1;
    if let Some(first) = entries.first().filter(|first| first.seq > due) {
        // The jobs are all here; what is lost is that they could be made again from the log.
        tracing::error!(
            from = due,
            to = first.seq - 1,
            "lines of the audit log are lost: put the log back from a backup"
        );
    }
    let texts = entries.iter().map(Entry::text).collect::<Result<Vec<_>, _>>()?;
    audit.append(&texts).map_err(|error| Error::Audit(Arc::new(error)))
}

/// The entries of all rows, in their order.
pub(super) fn entries(store: &Store) -> Result<Vec<Entry>, Error> {
    let mut all = Vec::new();
    for item in store.tree(Table::Outbox).iter() {
        let (_, value) = item.map_err(Error::Storage)?;
        all.extend(read(&value)?);
    }
    Ok(all)
}

/// The numbers of the first and the last entry; `None` where there is none.
pub(super) fn numbers(store: &Store) -> Result<Option<(u64, u64)>, Error> {
    let Some((_, newest)) = store.numbers(Table::Outbox)? else { return Ok(None) };
    let first = store.tree(Table::Outbox).first().map_err(Error::Storage)?;
    let Some((_, row)) = first else { return Ok(None) };
    Ok(read(&row)?.first().map(|first| (first.seq, newest)))
}

fn read(row: &[u8]) -> Result<Vec<Entry>, Error> {
    record::decode(row, || "entries of the audit outbox".into())
}
