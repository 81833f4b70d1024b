//! What the lines of all manifests have in common: how they are read, and how they use their defaults.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::columns::Cell;
use crate::v1::SubmitRequest;
use crate::words::Word;

/// One job of a manifest, by the fields that a line may have. A field that is none of them is a fault: a
/// misspelt `verify` must not become the default.
pub(super) trait Entry: DeserializeOwned {
    /// Every field, and how CSV writes it.
    const COLUMNS: &'static [(&'static str, Cell)];
    /// Those that every line needs.
    const REQUIRED: &'static [&'static str];

    /// The request; what the line leaves out comes from the defaults.
    fn into_request(self, defaults: &SubmitRequest) -> Result<SubmitRequest, String>;
}

/// What is wrong with a file, or a line, that is an array.
pub(super) const ARRAY: &str =
    "a JSON array: write one object a line, as `jq -c '.[]' FILE` does of a file";

/// The same of an object that goes over many lines.
pub(super) const UNFINISHED: &str = "an object that does not end on its line: write one object a line, as \
     `jq -c . FILE` does of a file";

pub(super) fn from_json<E: Entry>(text: &str) -> Result<E, String> {
    if text.starts_with('[') {
        return Err(ARRAY.to_owned());
    }
    if !text.starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    serde_json::from_str(text).map_err(|error| match error.is_eof() {
        true => UNFINISHED.to_owned(),
        false => reason(&error),
    })
}

/// Whether the text is the beginning of an object, and lacks its end.
pub(super) fn is_unfinished(text: &str) -> bool {
    let parsed: Result<IgnoredAny, _> = serde_json::from_str(text);
    text.starts_with('{') && parsed.is_err_and(|error| error.is_eof())
}

/// What is wrong with a value, in the words of who writes manifests.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    // serde_json counts lines within what it was given, and that is always one line.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let placed = message.strip_suffix(&place);
    let message = placed.unwrap_or(&message);
    let words = match message.strip_suffix("expected i32") {
        Some(before) => format!("{before}expected a whole number"),
        None => message.to_owned(),
    };
    match placed {
        Some(_) => format!("column {}: {words}", error.column()),
        None => words,
    }
}

/// A request that is yet without a job: how the line's job stands in the queue. An idempotency key is the
/// line's own or none, since one key for all lines would make them one job.
pub(super) fn queued(
    priority: Option<i32>,
    labels: BTreeMap<String, String>,
    idempotency_key: Option<String>,
    notify: Names,
    defaults: &SubmitRequest,
) -> Result<SubmitRequest, String> {
    let priority = priority.unwrap_or(defaults.priority);
    if !(-100..=100).contains(&priority) {
        return Err(format!("priority: {priority} is not within -100 and 100"));
    }
    Ok(SubmitRequest {
        priority,
        labels: merged(defaults.labels.clone(), labels),
        idempotency_key,
        notify: notify.beside(&defaults.notify),
        dry_run: defaults.dry_run,
        ..Default::default()
    })
}

/// A list of names, or one text of names with `;` between them.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged, expecting = "notify: neither a name nor a list of names")]
pub(super) enum Names {
    #[default]
    None,
    Text(String),
    List(Vec<String>),
}

impl Names {
    /// All of these and of `base`, each once.
    fn beside(self, base: &[String]) -> Vec<String> {
        let own: Vec<String> = match self {
            Self::None => Vec::new(),
            Self::Text(text) => text.split(';').map(|name| name.trim().to_owned()).collect(),
            Self::List(list) => list,
        };
        let mut all = base.to_vec();
        for name in own.into_iter().filter(|name| !name.is_empty()) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        all
    }
}

/// The value of a word, if there is one.
pub(super) fn choice<T: Word>(field: &str, text: Option<&str>) -> Result<Option<T>, String> {
    let Some(text) = text else { return Ok(None) };
    let value = T::from_word(text)
        .ok_or_else(|| format!("{field}: `{text}` is none of {}", T::words().join(", ")))?;
    Ok(Some(value))
}

pub(super) fn merged(
    mut base: HashMap<String, String>,
    own: BTreeMap<String, String>,
) -> HashMap<String, String> {
    base.extend(own);
    base
}
