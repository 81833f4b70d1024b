//! Reads the tables of the file key by key and notes every fault on the way.
//!
//! Deserialization stops at the first fault; people want all of them. A [`Section`] hands out each
//! key once and remembers what it was asked for, so that what is left at the end is unknown, and the
//! message can say which keys there are. No message repeats a value, unless the reader of that one
//! key, which knows that it is no secret, puts it there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::{Table, Value};

use super::Faults;

/// What all sections of one file share.
#[derive(Debug)]
pub(super) struct Context {
    faults: RefCell<Faults>,
    /// The environment variable that set a key, by the key's path.
    variables: BTreeMap<String, String>,
    /// Where relative paths begin.
    directory: PathBuf,
}

impl Context {
    pub(super) fn new(
        faults: Faults,
        variables: BTreeMap<String, String>,
        directory: PathBuf,
    ) -> Self {
        Self { faults: RefCell::new(faults), variables, directory }
    }

    pub(super) fn into_faults(self) -> Faults {
        self.faults.into_inner()
    }

    fn count(&self) -> usize {
        self.faults.borrow().iter().count()
    }

    /// `path` as seen from the file's directory.
    pub(super) fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.join(path)
    }

    /// Notes a fault at `path`, and which variables brought it there.
    pub(super) fn fault(&self, path: &str, problem: &str) {
        let below = |key: &str| {
            key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let culprits = self.variables.iter().filter(|(key, _)| below(key));
        let culprits: Vec<_> = culprits.map(|(_, variable)| variable.as_str()).collect();
        let problem = if culprits.is_empty() {
            problem.to_owned()
        } else {
            format!("{problem} (set by {})", culprits.join(", "))
        };
        self.faults.borrow_mut().add(path, problem);
    }
}

/// One table of the file.
#[derive(Debug)]
pub(super) struct Section<'a> {
    context: &'a Context,
    path: String,
    table: Table,
    known: Vec<&'static str>,
    /// Faults that were noted in sections of this file before this one began.
    faults_before: usize,
}

impl<'a> Section<'a> {
    pub(super) fn root(context: &'a Context, table: Table) -> Self {
        let faults_before = context.count();
        Self { context, path: String::new(), table, known: Vec::new(), faults_before }
    }

    /// The path of `key` in this section.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a fault of one key.
    pub(super) fn fault(&self, key: &str, problem: &str) {
        self.context.fault(&self.path_of(key), problem);
    }

    /// Notes a fault of the section itself.
    pub(super) fn fault_here(&self, problem: &str) {
        self.context.fault(&self.path, problem);
    }

    /// Whether the file has `key`, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes a fault where `key` is absent.
    pub(super) fn require(&self, key: &'static str) {
        if !self.has(key) {
            self.fault(key, "is missing");
        }
    }

    /// The table below `key`, empty where it is absent.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        self.known.push(key);
        let value = self.table.remove(key).unwrap_or_else(|| Value::Table(Table::new()));
        self.below(key, value)
    }

    /// Every key that is left, as a table each.
    pub(super) fn sections(mut self) -> Vec<(String, Section<'a>)> {
        let left = std::mem::take(&mut self.table).into_iter();
        left.map(|(key, value)| (key.clone(), self.below(&key, value))).collect()
    }

    fn below(&self, key: &str, value: Value) -> Section<'a> {
        let path = self.path_of(key);
        let table = match value {
            Value::Table(table) => table,
            other => {
                self.context.fault(&path, &format!("expected a table, found {}", kind(&other)));
                Table::new()
            }
        };
        let faults_before = self.context.count();
        Section { context: self.context, path, table, known: Vec::new(), faults_before }
    }

    /// The tables of the list below `key`, none where it is absent: `[[key]]`. Counted from 1.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let list = self.read(key, |value| match value {
            Value::Array(list) => Ok(list),
            other => Err(format!("expected a list of tables, found {}", kind(&other))),
        });
        let numbered = list.unwrap_or_default().into_iter().zip(1_u32..);
        numbered.map(|(value, number)| self.below(&format!("{key}[{number}]"), value)).collect()
    }

    /// Whether something of this section is wrong, as far as it was read.
    pub(super) fn is_faulty(&self) -> bool {
        self.context.count() > self.faults_before
    }

    /// What `parse` makes of `key`; `None` where it is absent or wrong.
    fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.table.remove(key)?;
        parse(value).map_err(|problem| self.fault(key, &problem)).ok()
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, "a text", |text| Ok(text.to_owned()))
    }

    /// A text that `parse` understands.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read(key, |value| match value {
            Value::String(text) if text.trim().is_empty() => Err("is empty".to_owned()),
            Value::String(text) => parse(&text),
            other => Err(format!("expected {expected}, found {}", kind(&other))),
        })
    }

    /// A text with a unit.
    pub(super) fn quantity<T: FromStr<Err: ToString>>(&mut self, key: &'static str) -> Option<T> {
        let expected = "a text with a unit";
        self.parsed(key, expected, |text| text.parse().map_err(|e: T::Err| e.to_string()))
    }

    /// What `parse` makes of each text of a list, or of the only one, all of it in one list.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<Vec<T>, String>,
    ) -> Option<Vec<T>> {
        let text = |value: &Value| match value {
            Value::String(text) => parse(text),
            other => Err(format!("expected a text, found {}", kind(other))),
        };
        self.read(key, |value| {
            let list = match value {
                Value::Array(list) => list,
                one => vec![one],
            };
            let parsed: Result<Vec<_>, _> = list.iter().map(text).collect();
            Ok(parsed?.into_iter().flatten().collect())
        })
    }

    /// One of `words`.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.parsed(key, "a text", |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                format!("'{}' is none of: {}", shown(text), words.join(", "))
            })
        })
    }

    /// A path, seen from the file's directory.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let context = self.context;
        self.parsed(key, "a path", |text| Ok(context.resolve(text)))
    }

    /// A whole number within `range`. A variable of the environment gives it as text.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let from_variable = self.is_from_variable(key);
        let (least, most) = (*range.start(), *range.end());
        self.read(key, |value| {
            let number = match &value {
                Value::Integer(number) => Some(*number),
                Value::String(text) if from_variable => text.trim().parse().ok(),
                _ => None,
            };
            let Some(number) = number else {
                return Err(format!("expected a whole number, found {}", kind(&value)));
            };
            let legal = u32::try_from(number).ok().filter(|number| range.contains(number));
            legal.ok_or_else(|| format!("{number} is not within {least} to {most}"))
        })
    }

    /// `true` or `false`; absent is false.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        let from_variable = self.is_from_variable(key);
        let flag = self.read(key, |value| match &value {
            Value::Boolean(flag) => Ok(*flag),
            Value::String(text) if from_variable && text == "true" => Ok(true),
            Value::String(text) if from_variable && text == "false" => Ok(false),
            other => Err(format!("expected true or false, found {}", kind(other))),
        });
        flag.unwrap_or_default()
    }

    /// Everything was asked for: what is left is unknown.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let known = self.known.join(", ");
            // A key of nothing that can be seen is one, too.
            let key = Some(shown(key)).filter(|key| !key.trim().is_empty());
            let key = key.unwrap_or_else(|| "\"\"".to_owned());
            self.fault(&key, &format!("is not a key of this version; known here: {known}"));
        }
    }

    fn is_from_variable(&self, key: &str) -> bool {
        self.context.variables.contains_key(&self.path_of(key))
    }
}

/// What a message says of a value instead of the value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// As much of a text as a message shows.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
