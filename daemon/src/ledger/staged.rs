//! Changes that were made and are not in the database yet. The group commit takes all of them into one
//! transaction: what a transaction costs, whatever it holds, is paid once for everybody who waits.
//!
//! # Invariants
//! - Whoever reads finds a staged row before the database's: a change is seen as soon as it is made.
//! - What is [leaving](Staged::leave) stays visible until the database has it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::Error;
use super::store::{Store, Table, Writes};

/// The rows of one table; a value of `None` is a removal.
pub(super) type Rows = BTreeMap<Vec<u8>, Option<sled::IVec>>;

/// Rows by table, the last word on each key.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables([Rows; Table::COUNT]);

impl Tables {
    fn take(&mut self, writes: Writes) {
        for (table, key, value) in writes.into_rows() {
            self.0[table as usize].insert(key, value.map(sled::IVec::from));
        }
    }

    fn add(&mut self, newer: Self) {
        for (rows, newer) in self.0.iter_mut().zip(newer.0) {
            match rows.is_empty() {
                true => *rows = newer,
                false => rows.extend(newer),
            }
        }
    }

    fn rows(&self, table: Table) -> &Rows {
        &self.0[table as usize]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Rows::is_empty)
    }

    /// Every row, table by table, by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&sled::IVec>)> {
        Table::all().flat_map(|table| {
            self.rows(table).iter().map(move |(key, value)| (table, key.as_slice(), value.as_ref()))
        })
    }
}

/// What is on its way into the database.
#[derive(Debug, Default)]
pub(super) struct Staged {
    newest: Tables,
    /// In the transaction that runs now.
    leaving: Arc<Tables>,
}

impl Staged {
    pub(super) fn take(&mut self, writes: Writes) {
        self.newest.take(writes);
    }

    /// Sets everything so far apart, to be committed next. One commit at a time.
    pub(super) fn leave(&mut self) {
        let newest = std::mem::take(&mut self.newest);
        // What was set apart and not committed has failed, and goes before.
        self.leaving_mut().add(newest);
    }

    /// What was set apart, with `more`.
    pub(super) fn leaving(&mut self, more: Writes) -> Arc<Tables> {
        self.leaving_mut().take(more);
        Arc::clone(&self.leaving)
    }

    /// Whoever committed has let go of it.
    fn leaving_mut(&mut self) -> &mut Tables {
        Arc::make_mut(&mut self.leaving)
    }

    /// The database has what left.
    pub(super) fn left(&mut self) -> Arc<Tables> {
        std::mem::take(&mut self.leaving)
    }

    /// The last word on a key; `None` where the database has it.
    #[expect(clippy::option_option, reason = "a removal is a word on a key as well")]
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<Option<sled::IVec>> {
        let newest = self.newest.rows(table).get(key);
        newest.or_else(|| self.leaving.rows(table).get(key)).cloned()
    }

    /// Whether the database's row of this key is not the last word.
    pub(super) fn hides(&self, table: Table, key: &[u8]) -> bool {
        self.newest.rows(table).contains_key(key) || self.leaving.rows(table).contains_key(key)
    }

    /// The rows from `begin` on that `belong`, as far as they do without a break.
    pub(super) fn range(
        &self,
        table: Table,
        begin: Bound<&[u8]>,
        belongs: impl Fn(&[u8]) -> bool,
    ) -> Rows {
        let mut found = Rows::new();
        for rows in [self.leaving.rows(table), self.newest.rows(table)] {
            let rows = rows.range::<[u8], _>((begin, Bound::Unbounded));
            found.extend(
                rows.take_while(|(key, _)| belongs(key)).map(|(k, v)| (k.clone(), v.clone())),
            );
        }
        found
    }

    /// The first key that begins with `prefix` and is not removed.
    pub(super) fn first(&self, table: Table, prefix: &[u8]) -> Option<Vec<u8>> {
        let of = |rows: &Rows, is_over: &dyn Fn(&[u8]) -> bool| {
            let rows = rows.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
            let mut rows = rows.take_while(|(key, _)| key.starts_with(prefix));
            let found = rows.find(|(key, value)| value.is_some() && !is_over(key));
            found.map(|(key, _)| key.clone())
        };
        let newest = self.newest.rows(table);
        let first = of(newest, &|_| false);
        let leaving = of(self.leaving.rows(table), &|key| newest.contains_key(key));
        first.into_iter().chain(leaving).min()
    }
}

impl Store {
    /// The rows from `begin` on that `belong`, by key, as far as they do without a break. With what is
    /// staged now.
    pub(super) fn scan<'a, F: Fn(&[u8]) -> bool + 'a>(
        &'a self,
        table: Table,
        begin: Bound<&[u8]>,
        belongs: F,
    ) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), Error>> + use<'a, F> {
        let staged = self.staged().range(table, begin, &belongs);
        let mut staged = staged.into_iter().peekable();
        let rows = self.tree(table).range::<&[u8], _>((begin, Bound::Unbounded));
        let mut rows = rows
            .map(|row| row.map_err(Error::Storage))
            .take_while(move |row| row.as_ref().map_or(true, |(key, _)| belongs(key)))
            .peekable();
        std::iter::from_fn(move || {
            loop {
                let (hides, is_due) = match (staged.peek(), rows.peek()) {
                    (Some((key, _)), Some(Ok((row, _)))) => {
                        let order = key.as_slice().cmp(row);
                        (order.is_eq(), order.is_le())
                    }
                    (Some(_), None) => (false, true),
                    (_, _) => (false, false),
                };
                if hides {
                    rows.next();
                }
                match staged.next_if(|_| is_due) {
                    Some((key, Some(value))) => return Some(Ok((key.into(), value))),
                    Some((_, None)) => {}
                    None => return rows.next(),
                }
            }
        })
    }

    /// The first key that begins with `prefix`. Called under the writer's lock: nothing is staged meanwhile.
    ///
    /// What is staged is not held while the database reads, which may have to ask the disk: everybody who
    /// reads a job, and the group commit, would wait for it. A removal that was staged may so become the
    /// database's between the two looks; then the key, read before, is gone from there.
    pub(super) fn first(&self, table: Table, prefix: &[u8]) -> Result<Option<sled::IVec>, Error> {
        let first = self.staged().first(table, prefix).map(sled::IVec::from);
        let tree = self.tree(table);
        for key in tree.scan_prefix(prefix).keys() {
            let key = key.map_err(Error::Storage)?;
            let hidden = self.staged().hides(table, &key);
            if !hidden && tree.contains_key(&key).map_err(Error::Storage)? {
                return Ok(Some(first.map_or(key.clone(), |first| first.min(key))));
            }
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    fn put(staged: &mut Staged, key: u8, value: Option<u8>) {
        let mut writes = Writes::default();
        match value {
            Some(value) => writes.put(Table::Queue, &[7, key], vec![value]),
            None => writes.remove(Table::Queue, &[7, key]),
        }
        staged.take(writes);
    }

    /// A change that was made while the one before was being committed is the last word on its key.
    #[test]
    fn the_newest_word_counts_while_an_older_one_leaves() {
        let mut staged = Staged::default();
        for (key, value) in [(1, Some(1)), (2, Some(1)), (3, Some(1)), (4, None)] {
            put(&mut staged, key, value);
        }
        staged.leave();
        put(&mut staged, 1, None);
        put(&mut staged, 3, Some(2));
        assert_eq!(staged.get(Table::Queue, &[7, 1]), Some(None));
        assert_eq!(staged.get(Table::Queue, &[7, 2]), Some(Some(vec![1].into())));
        assert_eq!(staged.get(Table::Queue, &[7, 3]), Some(Some(vec![2].into())));
        assert_eq!(staged.get(Table::Queue, &[7, 9]), None);
        assert_eq!(staged.first(Table::Queue, &[7]), Some(vec![7, 2]));
        assert_eq!(staged.first(Table::Queue, &[8]), None);
        let all = staged.range(Table::Queue, Bound::Included(&[7]), |key| key < [7, 4].as_slice());
        let values: Vec<_> = all.values().map(|value| value.as_ref().map(|v| v[0])).collect();
        assert_eq!(values, [None, Some(1), Some(2)]);
        staged.left();
        assert_eq!(staged.get(Table::Queue, &[7, 2]), None, "the database has it");
        assert!(staged.hides(Table::Queue, &[7, 1]) && !staged.hides(Table::Queue, &[7, 4]));
    }
    /// The heads of the queue are claimed one after the other, while earlier claims are being committed.
    #[test]
    fn a_head_that_was_taken_is_not_found_again_while_it_is_committed() {
        const ROWS: u16 = 2_000;
        let key = |row: u16| [&[7], row.to_be_bytes().as_slice()].concat();
        let dir = tempfile::tempdir().expect("room for a test");
        let store = Store::open(dir.path()).expect("a directory of our own");
        let mut writes = Writes::default();
        (0..ROWS).for_each(|row| writes.put(Table::Queue, &key(row), Vec::new()));
        store.stage(writes);
        store.commit().expect("the disk works");
        let is_over = AtomicBool::new(false);
        let found: Vec<_> = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    store.commit().expect("the disk works");
                }
            });
            let heads = (0..ROWS).map(|row| {
                let head =
                    store.first(Table::Queue, &[7]).map(|head| head.map(|head| head.to_vec()));
                let mut writes = Writes::default();
                writes.remove(Table::Queue, &key(row));
                store.stage(writes);
                head.map_err(|error| error.to_string())
            });
            let heads = heads.collect();
            is_over.store(true, Ordering::Relaxed);
            heads
        });
        let due: Vec<_> = (0..ROWS).map(|row| Ok(Some(key(row)))).collect();
        assert_eq!(found, due);
    }
}
