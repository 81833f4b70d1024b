//! CSV: the header names the columns, each further line is one job. An empty cell is an absent field.
//!
//! A line becomes the same object that JSON would have, so that both formats mean the same by one reading. White
//! space belongs to its cell: a key may begin and end with it.

use serde_json::{Map, Value};

use super::entry::{Entry, reason};

/// Longer than any column's name.
const NAME_LEN_MAX: usize = 32;

/// How a cell is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text,
    /// A whole number.
    Whole,
    /// `true` or `false`.
    Flag,
    /// `k=v;k=v`
    Pairs,
}

/// What the columns hold, from left to right.
#[derive(Debug)]
pub(super) struct Columns(Vec<(&'static str, Cell)>);

impl Columns {
    pub(super) fn from_header<E: Entry>(text: &str) -> Result<Self, String> {
        let mut columns = Vec::new();
        for name in cells(text)?.iter().map(str::trim) {
            let column =
                E::COLUMNS.iter().find(|(known, _)| *known == name).ok_or_else(|| unknown(name))?;
            if columns.contains(column) {
                return Err(format!("the header names the column `{name}` twice"));
            }
            columns.push(*column);
        }
        for name in E::REQUIRED {
            if !columns.iter().any(|(known, _)| known == name) {
                return Err(format!("the header has no column `{name}`"));
            }
        }
        Ok(Self(columns))
    }

    pub(super) fn entry<E: Entry>(&self, text: &str) -> Result<E, String> {
        let cells = cells(text)?;
        if cells.len() != self.0.len() {
            return Err(format!("{} fields, but the header names {}", cells.len(), self.0.len()));
        }
        let mut fields = Map::new();
        for ((name, kind), cell) in self.0.iter().zip(cells.iter()) {
            if !cell.is_empty() || E::REQUIRED.contains(name) {
                fields.insert((*name).to_owned(), kind.value(name, cell)?);
            }
        }
        serde_json::from_value(Value::Object(fields)).map_err(|error| reason(&error))
    }
}

impl Cell {
    fn value(self, name: &str, cell: &str) -> Result<Value, String> {
        Ok(match self {
            Self::Text => cell.into(),
            Self::Whole => {
                let number: Result<i64, _> = cell.trim().parse();
                number.map_err(|_| format!("{name}: `{cell}` is not a whole number"))?.into()
            }
            Self::Flag => {
                let flag: Result<bool, _> = cell.trim().parse();
                flag.map_err(|_| format!("{name}: `{cell}` is neither `true` nor `false`"))?.into()
            }
            Self::Pairs => pairs(name, cell)?.into(),
        })
    }
}

/// A file without a header begins with a source, and that may be a presigned URL: what is no plain word is
/// not repeated.
fn unknown(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(is_plain) {
        true => format!("the header names an unknown column `{name}`"),
        false => "the first line is no header: write the columns' names first, such as \
                  `source,target`"
            .to_owned(),
    }
}

/// The cells of one line. Quotes in CSV always come in pairs: an odd one is a field that does not end
/// here, and the `csv` crate would take it for ended.
fn cells(text: &str) -> Result<csv::StringRecord, String> {
    if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err("a quoted field does not end on its line".to_owned());
    }
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(text.len().max(1))
        .from_reader(text.as_bytes());
    let mut records = reader.into_records();
    let record = records.next().unwrap_or_else(|| Ok(csv::StringRecord::new()));
    let record = record.map_err(|error| error.to_string())?;
    match (record.is_empty(), records.next()) {
        (true, _) => Err("no fields".to_owned()),
        (false, None) => Ok(record),
        // To the `csv` crate a carriage return alone ends a line, and what follows it would be lost.
        (false, Some(_)) => {
            Err("a carriage return in the middle: end lines with a line feed".to_owned())
        }
    }
}

/// A value may hold `=`, but no `;`: such a one goes into JSON Lines.
fn pairs(field: &str, cell: &str) -> Result<Map<String, Value>, String> {
    let mut map = Map::new();
    for pair in cell.split(';').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| format!("{field}: `{pair}` is not KEY=VALUE"))?;
        if map.insert(key.to_owned(), value.into()).is_some() {
            return Err(format!("{field}: `{key}` is there twice"));
        }
    }
    Ok(map)
}
