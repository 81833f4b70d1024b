//! `[webhooks.NAME]`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use url::Url;

use super::remotes;
use super::section::{Context, Section, shown};
use crate::model::{AllowedHosts, JobEvent, RemoteName, host};
use crate::notify::{NotAKey, SigningKey, Webhook};

/// Each has a task and connections of its own.
const WEBHOOKS_MAX: usize = 16;

pub(super) fn read(context: &Context, section: Section<'_>, hosts: &AllowedHosts) -> Vec<Webhook> {
    let sections = section.sections();
    if sections.len() > WEBHOOKS_MAX {
        context.fault("webhooks", &format!("there are {}: at most 16 work", sections.len()));
    }
    let webhook = |(name, section): (String, Section<'_>)| match name.parse::<RemoteName>() {
        Ok(_) => webhook(name, section, hosts),
        Err(_) => {
            section.fault_here("has no legal name: expected 1 to 63 of a-z, 0-9, '-' and '_'");
            None
        }
    };
    sections.into_iter().filter_map(webhook).collect()
}

/// One webhook; `None`, with a fault noted, without a URL or a key.
fn webhook(name: String, mut section: Section<'_>, hosts: &AllowedHosts) -> Option<Webhook> {
    section.require("url");
    let url = section.parsed("url", "a URL", |text| url(text, hosts));
    let key = key(&mut section);
    let events = section.texts("events", |text| text.split(',').map(event).collect());
    if events.as_ref().is_some_and(Vec::is_empty) {
        section.fault("events", "is empty");
    }
    let all_jobs = section.flag("all_jobs");
    let ca_bundle = remotes::ca_bundle(&mut section);
    section.finish();
    let events = events.unwrap_or_else(|| JobEvent::ENDS.to_vec());
    Some(Webhook { name, url: url?, key: key?, events, all_jobs, ca_bundle })
}

/// No message repeats the path, which may be a secret.
fn url(text: &str, hosts: &AllowedHosts) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is no URL: expected https://HOST/PATH".to_owned())?;
    match hosts.check(&url) {
        Ok(()) => Ok(url),
        Err(why) => Err(format!("{why}; {}", host::REMEDY)),
    }
}

/// Exactly one source of the key, or a fault.
fn key(section: &mut Section<'_>) -> Option<SigningKey> {
    match (section.has("secret"), section.has("secret_file")) {
        (false, false) => section.fault_here("has no key: give secret or secret_file"),
        (true, true) => section.fault_here("has secret and secret_file: keep one"),
        _ => {}
    }
    let parse = |text: &str| text.parse().map_err(|wrong: NotAKey| wrong.to_string());
    let given = section.parsed("secret", "a text", parse);
    let read = section.file("secret_file").and_then(|file| {
        let key = kept(&file).and_then(|text| parse(&text));
        key.map_err(|problem| section.fault("secret_file", &problem)).ok()
    });
    given.or(read)
}

/// What a file holds that nobody else can read.
fn kept(file: &Path) -> Result<String, String> {
    let problem = |error: std::io::Error| format!("cannot be read: {error}");
    if fs::metadata(file).map_err(problem)?.mode() & 0o077 != 0 {
        return Err("is open to others: chmod 600".to_owned());
    }
    fs::read_to_string(file).map_err(problem)
}

fn event(text: &str) -> Result<JobEvent, String> {
    let text = text.trim();
    let known = JobEvent::ALL.into_iter().find(|event| event.as_str() == text);
    known.ok_or_else(|| {
        let words: Vec<_> = JobEvent::ALL.iter().map(|event| event.as_str()).collect();
        format!("'{}' is none of: {}", shown(text), words.join(", "))
    })
}
