//! Whether two JSON values have the same fields.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::Value;

/// Whose keys people choose.
const FREE: &[&str] = &["labels", "tags"];

/// Every field, with the word for what it holds.
fn fields(value: &Value, path: &str, into: &mut BTreeMap<String, &'static str>) {
    let word = match value {
        Value::Null => "null",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    into.insert(path.to_owned(), word);
    match value {
        Value::Object(object) if !FREE.iter().any(|free| path.ends_with(free)) => {
            object.iter().for_each(|(key, value)| fields(value, &format!("{path}.{key}"), into));
        }
        Value::Array(items) => {
            items.iter().take(1).for_each(|item| fields(item, &format!("{path}[]"), into));
        }
        _ => {}
    }
}

/// The one that is shown has the fields of the real one, and of the same kinds. What is null in either is not
/// looked into.
pub fn assert_same_fields(shown: &Value, real: &Value) -> Result<()> {
    let (mut as_shown, mut as_is) = (BTreeMap::new(), BTreeMap::new());
    fields(shown, "", &mut as_shown);
    fields(real, "", &mut as_is);
    let nulls = as_shown.iter().chain(&as_is).filter(|(_, word)| **word == "null");
    let nulls: Vec<String> = nulls.map(|(path, _)| path.clone()).collect();
    for fields in [&mut as_shown, &mut as_is] {
        fields.retain(|path, _| !nulls.iter().any(|null| path.starts_with(null.as_str())));
    }
    ensure!(as_shown == as_is, "shown: {as_shown:#?}\nreal: {as_is:#?}\n{real:#}");
    Ok(())
}
