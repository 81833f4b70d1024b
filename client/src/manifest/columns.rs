//! CSV: the header names the columns, each further line is one transfer. An empty cell is an absent field.

use std::collections::BTreeMap;

use super::entry::Entry;
use crate::units::parse_size;

/// What the columns hold, from left to right.
#[derive(Debug)]
pub(super) struct Columns(Vec<Column>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Source,
    Target,
    Priority,
    Verify,
    IfExists,
    PartSize,
    StorageClass,
    Sse,
    SseKmsKeyId,
    Tags,
    Labels,
    ExpectBlake3,
    IdempotencyKey,
}

const NAMES: [(&str, Column); 13] = [
    ("source", Column::Source),
    ("target", Column::Target),
    ("priority", Column::Priority),
    ("verify", Column::Verify),
    ("if_exists", Column::IfExists),
    ("part_size", Column::PartSize),
    ("storage_class", Column::StorageClass),
    ("sse", Column::Sse),
    ("sse_kms_key_id", Column::SseKmsKeyId),
    ("tags", Column::Tags),
    ("labels", Column::Labels),
    ("expect_blake3", Column::ExpectBlake3),
    ("idempotency_key", Column::IdempotencyKey),
];

impl Columns {
    /// A wrong header makes every line mean something else: nothing of the file is taken.
    pub(super) fn from_header(text: &str) -> Result<Self, String> {
        let mut columns = Vec::new();
        for name in cells(text)?.iter().map(str::trim) {
            let column = NAMES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, column)| *column)
                .ok_or_else(|| format!("the header names an unknown column `{name}`"))?;
            if columns.contains(&column) {
                return Err(format!("the header names the column `{name}` twice"));
            }
            columns.push(column);
        }
        for (name, column) in &NAMES[..2] {
            if !columns.contains(column) {
                return Err(format!("the header has no column `{name}`"));
            }
        }
        Ok(Self(columns))
    }

    pub(super) fn entry(&self, text: &str) -> Result<Entry, String> {
        let cells = cells(text)?;
        if cells.len() != self.0.len() {
            return Err(format!("{} fields, but the header names {}", cells.len(), self.0.len()));
        }
        let mut entry = Entry::default();
        for (column, cell) in self.0.iter().zip(cells.iter()) {
            if !cell.is_empty() {
                column.set(&mut entry, cell)?;
            }
        }
        Ok(entry)
    }
}

impl Column {
    fn set(self, entry: &mut Entry, cell: &str) -> Result<(), String> {
        let text = || Some(cell.to_owned());
        match self {
            Self::Source => entry.source = cell.to_owned(),
            Self::Target => entry.target = cell.to_owned(),
            Self::Priority => {
                let number = cell.trim().parse();
                entry.priority =
                    Some(number.map_err(|_| format!("priority: `{cell}` is not a whole number"))?);
            }
            Self::Verify => entry.verify = text(),
            Self::IfExists => entry.if_exists = text(),
            Self::PartSize => {
                let size = parse_size(cell).map_err(|error| format!("part_size: {error}"))?;
                entry.part_size = Some(size);
            }
            Self::StorageClass => entry.storage_class = text(),
            Self::Sse => entry.sse = text(),
            Self::SseKmsKeyId => entry.sse_kms_key_id = text(),
            Self::Tags => entry.tags = pairs("tags", cell)?,
            Self::Labels => entry.labels = pairs("labels", cell)?,
            Self::ExpectBlake3 => entry.expect_blake3 = text(),
            Self::IdempotencyKey => entry.idempotency_key = text(),
        }
        Ok(())
    }
}

/// The cells of one line. Quotes in CSV always come in pairs: an odd one is a field that does not end
/// here, and the `csv` crate would take it for ended.
fn cells(text: &str) -> Result<csv::StringRecord, String> {
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err("a quoted field does not end on its line".to_owned());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(text.len().max(1))
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) => Ok(record),
        Ok(false) => Err("no fields".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// `k=v;k=v`. A value may hold `=`, but no `;`: such a one goes into JSON Lines.
fn pairs(field: &str, cell: &str) -> Result<BTreeMap<String, String>, String> {
    let mut map = BTreeMap::new();
    for pair in cell.split(';').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("{field}: `{pair}` is not KEY=VALUE"))?;
        if map.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("{field}: `{key}` is there twice"));
        }
    }
    Ok(map)
}
