//! SSM's parameters. One of the data type `aws:ec2:image` is answered before it is validated: it is there,
//! with its new version, only when its value was found to be an image of the account.
//!
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>,
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-ec2-aliases.html>

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::{Command, Refused};
use crate::clock::Clock;
use crate::cloud::unknown;
use crate::ec2::Ec2;
use crate::lock::lock;

/// Versions that are kept of a parameter.
const VERSIONS_MAX: usize = 100;
/// Of a standard parameter.
const VALUE_BYTES_MAX: usize = 4096;
const LEVELS_MAX: usize = 15;
const NAMES_MAX: usize = 10;
const IMAGE: &str = "aws:ec2:image";

/// How SSM behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SsmOptions {
    /// How long the validation of an `aws:ec2:image` takes.
    pub validation_ms: u64,
}

impl Default for SsmOptions {
    fn default() -> Self {
        Self { validation_ms: 50 }
    }
}

/// One account's SSM in one Region: a handle.
#[derive(Debug, Clone)]
pub struct Ssm(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ec2: Ec2,
    clock: Clock,
    /// `arn:PARTITION:ssm:REGION:ACCOUNT:parameter/`
    arn_prefix: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    options: SsmOptions,
    parameters: BTreeMap<String, Parameter>,
}

#[derive(Debug, Default)]
struct Parameter {
    /// By number.
    versions: BTreeMap<u64, Version>,
    /// Numbers that were answered and are being validated.
    pending: BTreeSet<u64>,
}

/// One version of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    value: String,
    kind: String,
    data_type: String,
    description: Option<String>,
    modified: Timestamp,
}

impl Ssm {
    pub(crate) fn new(ec2: Ec2, clock: Clock, arn_prefix: String, options: SsmOptions) -> Self {
        let state = Mutex::new(State { options, parameters: BTreeMap::new() });
        Self(Arc::new(Inner { ec2, clock, arn_prefix, state }))
    }

    /// A parameter's newest value and its version, if there is one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<(String, u64)> {
        let state = lock(&self.0.state);
        let (number, version) = state.parameters.get(name)?.versions.last_key_value()?;
        Some((version.value.clone(), *number))
    }

    /// Changes how it behaves from now on.
    pub fn change(&self, change: impl FnOnce(&mut SsmOptions)) {
        change(&mut lock(&self.0.state).options);
    }

    pub(crate) fn answer(&self, command: &Command) -> Result<Vec<u8>, Refused> {
        let json = &command.json;
        let answer = match command.operation {
            "PutParameter" => self.put(json),
            "GetParameter" => self.get(text(json, "Name")?).map(|it| json!({ "Parameter": it })),
            "GetParameters" => self.get_many(json),
            "GetParameterHistory" => self.history(json),
            "DeleteParameter" => self.delete(text(json, "Name")?),
            _ => Err(unknown(command)),
        };
        Ok(answer?.to_string().into_bytes())
    }

    fn put(&self, json: &Value) -> Result<Value, Refused> {
        let (name, value) = (text(json, "Name")?, text(json, "Value")?);
        check_name(name)?;
        if value.is_empty() || value.len() > VALUE_BYTES_MAX {
            return Err(invalid("Value must have 1 to 4096 characters"));
        }
        let overwrite = json.get("Overwrite").and_then(Value::as_bool).unwrap_or(false);
        if overwrite && json.get("Tags").is_some_and(|tags| !tags.is_null()) {
            return Err(invalid("Invalid request: tags and overwrite can't be used together."));
        }
        let optional = |field: &str| json.get(field).and_then(Value::as_str).map(str::to_owned);
        let data_type = optional("DataType").unwrap_or_else(|| "text".to_owned());
        if !["text", IMAGE].contains(&data_type.as_str()) {
            return Err(invalid("DataType must be text or aws:ec2:image"));
        }
        let mut state = lock(&self.0.state);
        let known = state.parameters.get(name).and_then(|it| it.versions.last_key_value());
        if known.is_some() && !overwrite {
            let message = "The parameter already exists. To overwrite this value, set the overwrite \
                           option in the request to true.";
            return Err(Refused::new("ParameterAlreadyExists", message));
        }
        let kind = optional("Type").or_else(|| known.map(|(_, version)| version.kind.clone()));
        let kind = kind.ok_or_else(|| invalid("A parameter type is required"))?;
        if !["String", "StringList"].contains(&kind.as_str()) {
            let message = format!("The parameter type {kind} is not supported here.");
            return Err(Refused::new("UnsupportedParameterType", message));
        }
        let version = Version {
            value: value.to_owned(),
            kind,
            data_type,
            description: optional("Description"),
            modified: self.0.clock.now(),
        };
        let number = state.keep(name, version.clone());
        if version.data_type == IMAGE {
            let patience = Duration::from_millis(state.options.validation_ms);
            let (ssm, name) = (self.clone(), name.to_owned());
            self.0.ec2.spawn(async move {
                tokio::time::sleep(patience).await;
                ssm.validated(&name, number, version);
            });
        }
        Ok(json!({ "Version": number, "Tier": "Standard" }))
    }

    fn validated(&self, name: &str, number: u64, version: Version) {
        let is_image = self.0.ec2.is_available(&version.value);
        let mut state = lock(&self.0.state);
        // It may have been deleted meanwhile.
        let Some(parameter) = state.parameters.get_mut(name) else { return };
        if parameter.pending.remove(&number) && is_image {
            parameter.insert(number, version);
        }
    }

    /// `NAME`, or `NAME:VERSION`.
    fn get(&self, wanted: &str) -> Result<Value, Refused> {
        let (name, selector) = match wanted.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (wanted, None),
        };
        let state = lock(&self.0.state);
        let found = state.parameters.get(name).filter(|it| !it.versions.is_empty());
        let parameter = found.ok_or_else(|| not_found(name))?;
        let version = match selector {
            None => parameter.versions.last_key_value(),
            Some(number) => number.parse().ok().and_then(|n| parameter.versions.get_key_value(&n)),
        };
        let Some((number, version)) = version else {
            let message = format!("Systems Manager could not find version {wanted}");
            return Err(Refused::new("ParameterVersionNotFound", message));
        };
        let mut answer = version.written(name, *number);
        answer["ARN"] = format!("{}{}", self.0.arn_prefix, name.trim_start_matches('/')).into();
        if let Some(number) = selector {
            answer["Selector"] = format!(":{number}").into();
        }
        Ok(answer)
    }

    fn get_many(&self, json: &Value) -> Result<Value, Refused> {
        let names = json.get("Names").and_then(Value::as_array).cloned().unwrap_or_default();
        if names.is_empty() || names.len() > NAMES_MAX {
            return Err(invalid("Names must have 1 to 10 members"));
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in names.iter().filter_map(Value::as_str) {
            match self.get(name) {
                Ok(parameter) => found.push(parameter),
                Err(_) => missing.push(name),
            }
        }
        Ok(json!({ "Parameters": found, "InvalidParameters": missing }))
    }

    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameterHistory.html>
    fn history(&self, json: &Value) -> Result<Value, Refused> {
        let name = text(json, "Name")?;
        let max = json.get("MaxResults").and_then(Value::as_u64).unwrap_or(50);
        if !(1..=50).contains(&max) {
            return Err(invalid("MaxResults must be from 1 to 50"));
        }
        let from: u64 = match json.get("NextToken").and_then(Value::as_str) {
            None => 0,
            Some(token) => token.parse().map_err(|_| {
                Refused::new("InvalidNextToken", "The specified token is not valid.")
            })?,
        };
        let state = lock(&self.0.state);
        let found = state.parameters.get(name).filter(|it| !it.versions.is_empty());
        let versions = &found.ok_or_else(|| not_found(name))?.versions;
        let mut rows = versions.range(from..);
        let mut shown = Vec::new();
        for (number, version) in rows.by_ref().take(usize::try_from(max).unwrap_or(50)) {
            let mut row = version.written(name, *number);
            row["Tier"] = "Standard".into();
            row["Description"] = version.description.clone().into();
            shown.push(row);
        }
        let next = rows.next().map(|(number, _)| number.to_string());
        Ok(json!({ "Parameters": shown, "NextToken": next }))
    }

    fn delete(&self, name: &str) -> Result<Value, Refused> {
        let removed = lock(&self.0.state).parameters.remove(name);
        match removed.is_some_and(|parameter| !parameter.versions.is_empty()) {
            true => Ok(json!({})),
            false => Err(not_found(name)),
        }
    }
}

impl State {
    /// Gives the version its number, and keeps it unless it has to be validated first.
    fn keep(&mut self, name: &str, version: Version) -> u64 {
        let parameter = self.parameters.entry(name.to_owned()).or_default();
        let newest = parameter.versions.keys().chain(&parameter.pending).max();
        let number = newest.copied().unwrap_or(0) + 1;
        if version.data_type == IMAGE {
            parameter.pending.insert(number);
        } else {
            parameter.insert(number, version);
        }
        number
    }
}

impl Parameter {
    fn insert(&mut self, number: u64, version: Version) {
        self.versions.insert(number, version);
        if self.versions.len() > VERSIONS_MAX {
            self.versions.pop_first();
        }
    }
}

impl Version {
    fn written(&self, name: &str, number: u64) -> Value {
        let milliseconds = self.modified.as_millisecond();
        json!({
            "Name": name,
            "Type": self.kind,
            "Value": self.value,
            "Version": number,
            // JSON 1.1 has times as seconds since 1970.
            "LastModifiedDate": milliseconds / 1000,
            "DataType": self.data_type,
        })
    }
}

fn invalid(message: &str) -> Refused {
    Refused::new("ValidationException", message)
}

fn not_found(name: &str) -> Refused {
    Refused::new("ParameterNotFound", format!("Parameter {name} not found."))
}

fn text<'a>(json: &'a Value, field: &str) -> Result<&'a str, Refused> {
    let text = json.get(field).and_then(Value::as_str);
    text.ok_or_else(|| invalid(&format!("{field} is missing")))
}

fn check_name(name: &str) -> Result<(), Refused> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    // A name with a hierarchy is whole only from its root on.
    let rooted = !name.contains('/') || name.starts_with('/');
    if name.len() > 1011 || first.is_empty() || !name.chars().all(legal) || !rooted {
        return Err(invalid(
            "Parameter name: it must be a fully qualified name of letters, digits, _.-/",
        ));
    }
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Err(invalid("Parameter name: can't be prefixed with \"aws\" or \"ssm\""));
    }
    if name.split('/').filter(|level| !level.is_empty()).count() > LEVELS_MAX {
        let message = "A hierarchy can have a maximum of 15 levels.";
        return Err(Refused::new("HierarchyLevelLimitExceededException", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
