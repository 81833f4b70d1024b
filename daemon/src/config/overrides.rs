//! Environment variables that override keys: `CAUSEWAY__TRANSFER__MEMORY_BUDGET=1GiB`.
//!
//! Two underscores separate the keys, whose case does not matter. They are put into the file's table
//! before anything is checked, so one set of rules and messages serves both. A shell cannot write `-`
//! in a name: where the table has no key with the underscore but one with a `-` in its place, such as a
//! remote's name, that is meant. A list of texts is one text with commas; a list of tables has no such form.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::{Table, Value};

use super::Faults;

const PREFIX: &str = "CAUSEWAY__";

/// Puts the variables into `table`; gives which variable set which key, by the key's path.
pub(super) fn apply(
    table: &mut Table,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    faults: &mut Faults,
) -> BTreeMap<String, String> {
    let ours = environment.into_iter().filter_map(|(name, value)| {
        let name = name.to_string_lossy().into_owned();
        name.starts_with(PREFIX).then_some((name, value))
    });
    // By name, so that the messages do not depend on the environment's order.
    let ours: BTreeMap<String, OsString> = ours.collect();
    let mut variables = BTreeMap::new();
    for (name, value) in ours {
        match value.into_string().map_err(|_| "its value is not UTF-8").and_then(|value| {
            let keys = name[PREFIX.len()..].to_ascii_lowercase();
            set(table, &keys, value)
        }) {
            Ok(path) => drop(variables.insert(path, name)),
            Err(problem) => faults.add(name, problem),
        }
    }
    variables
}

/// Sets the key that `keys` names and gives its path.
fn set(table: &mut Table, keys: &str, value: String) -> Result<String, &'static str> {
    let keys: Vec<_> = keys.split("__").collect();
    let Some((last, above)) = keys.split_last().filter(|_| !keys.contains(&"")) else {
        return Err("does not name a key");
    };
    let mut path = Vec::new();
    let mut at = table;
    for key in above {
        let key = resolve(at, key);
        path.push(key.clone());
        let below = at.entry(key).or_insert_with(|| Value::Table(Table::new()));
        at = below.as_table_mut().ok_or("names a key below one that is not a table")?;
    }
    let key = resolve(at, last);
    path.push(key.clone());
    at.insert(key, Value::String(value));
    Ok(path.join("."))
}

/// The key of `table` that `key` means.
fn resolve(table: &Table, key: &str) -> String {
    let meant = |known: &&String| known.replace('-', "_") == key;
    if table.contains_key(key) {
        return key.to_owned();
    }
    table.keys().find(meant).cloned().unwrap_or_else(|| key.to_owned())
}
