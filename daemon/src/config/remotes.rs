//! `[remotes.NAME]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use super::section::{Context, Section, shown};
use super::{Quotas, RemoteConfig, schedule};
use crate::base::{Limits, Schedule};
use crate::model::RemoteName;
use crate::remote::{Credentials, Secret, partition_of, trust};

/// What receipts and metrics call the source of a presigned URL.
const RESERVED_NAME: &str = "presigned";
const NO_CREDENTIALS: &str =
    "has no credentials: give one of profile, credentials, role_arn, imds = true";

pub(super) fn read(context: &Context, section: Section<'_>) -> BTreeMap<RemoteName, RemoteConfig> {
    let sections = section.sections();
    if sections.is_empty() {
        context.fault("remotes", "has no remote: at least one [remotes.NAME] is needed");
    }
    let mut remotes = BTreeMap::new();
    for (name, section) in sections {
        let name = match name.parse::<RemoteName>() {
            Ok(name) if name.as_str() == RESERVED_NAME => {
                section.fault_here("is a reserved name: presigned sources are reported under it");
                continue;
            }
            Ok(name) => name,
            Err(error) => {
                section.fault_here(&error.to_string());
                continue;
            }
        };
        if let Some(remote) = remote(section) {
            remotes.insert(name, remote);
        }
    }
    remotes
}

/// One remote; `None`, with a fault noted, without a region or credentials.
fn remote(mut section: Section<'_>) -> Option<RemoteConfig> {
    section.require("region");
    let region = section.parsed("region", "a text", |text| match partition_of(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("'{}' belongs to no known partition", shown(text))),
    });
    let partition = region.as_deref().and_then(partition_of);
    let credentials = credentials(&mut section, partition);
    let expected_account = section.parsed("expected_account", "a text of 12 digits", account);
    let fips = section.flag("fips");
    let dual_stack = section.flag("dual_stack");
    let path_style = section.flag("path_style");
    let mut endpoint = |key| section.parsed(key, "a URL", endpoint);
    let s3_endpoint = endpoint("s3_endpoint");
    let sts_endpoint = endpoint("sts_endpoint");
    let ec2_endpoint = endpoint("ec2_endpoint");
    let ssm_endpoint = endpoint("ssm_endpoint");
    let ca_bundle = ca_bundle(&mut section);
    let (limits, schedule) = limits(section.section("limits"));
    let quotas = quotas(section.section("quotas"));
    section.finish();
    Some(RemoteConfig {
        region: region?,
        credentials: credentials?,
        expected_account,
        fips,
        dual_stack,
        path_style,
        s3_endpoint,
        sts_endpoint,
        ec2_endpoint,
        ssm_endpoint,
        ca_bundle,
        limits,
        schedule,
        quotas,
    })
}

/// Exactly one source of credentials, or a fault.
fn credentials(section: &mut Section<'_>, partition: Option<&str>) -> Option<Credentials> {
    let role_only = ["source_profile", "external_id"];
    for key in role_only.into_iter().filter(|key| section.has(key) && !section.has("role_arn")) {
        section.fault(key, "means nothing without role_arn");
    }
    let mut given: Vec<_> =
        ["profile", "credentials", "role_arn"].into_iter().filter(|key| section.has(key)).collect();
    let profile = section.text("profile").map(Credentials::Profile);
    let has_keys = section.has("credentials");
    let keys = section.section("credentials");
    let keys = if has_keys { static_keys(keys) } else { None };
    let role = role(section, partition);
    let imds = section.flag("imds").then_some(Credentials::Imds);
    if imds.is_some() {
        given.push("imds");
    }
    match given.as_slice() {
        [] => section.fault_here(NO_CREDENTIALS),
        [_] => {}
        several => section.fault_here(&format!(
            "has its credentials given {} times, by {}: keep one",
            several.len(),
            several.join(", ")
        )),
    }
    profile.or(keys).or(role).or(imds)
}

fn static_keys(mut section: Section<'_>) -> Option<Credentials> {
    section.require("access_key_id");
    section.require("secret_access_key");
    let access_key_id = section.text("access_key_id");
    let secret_access_key = section.text("secret_access_key").map(Secret::new);
    let session_token = section.text("session_token").map(Secret::new);
    section.finish();
    Some(Credentials::Static {
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        session_token,
    })
}

fn role(section: &mut Section<'_>, partition: Option<&str>) -> Option<Credentials> {
    let role_arn = section.parsed("role_arn", "a text", |text| {
        let mut fields = text.split(':');
        let (arn, of, service) = (fields.next(), fields.next(), fields.next());
        if arn != Some("arn") || service != Some("iam") || !text.contains(":role/") {
            return Err("is no role: expected such as arn:aws:iam::111122223333:role/NAME".into());
        }
        match (of, partition) {
            // A role of another partition cannot be assumed here: no credential is valid in two.
            (Some(of), Some(partition)) if of != partition => {
                Err(format!("is of partition {}, the region of {partition}", shown(of)))
            }
            _ => Ok(text.to_owned()),
        }
    });
    let source_profile = section.text("source_profile");
    let external_id = section.text("external_id");
    Some(Credentials::AssumeRole { role_arn: role_arn?, source_profile, external_id })
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err(format!("'{}' is no account: expected 12 digits", shown(text)))
    }
}

/// The URL is not repeated in a message: people put passwords into URLs.
fn endpoint(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err("is no endpoint: expected https://HOST".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("carries a user name, a password or a query: expected https://HOST".to_owned());
    }
    Ok(text.to_owned())
}

/// Of a remote or a webhook.
pub(super) fn ca_bundle(section: &mut Section<'_>) -> Option<PathBuf> {
    let path = section.file("ca_bundle")?;
    // Its client is built from it: what does not work is told with everything else that does not.
    if !path.is_file() {
        section.fault("ca_bundle", &format!("{} is not a file", path.display()));
    } else if let Err(error) = trust::read(&path) {
        section.fault("ca_bundle", &format!("{} cannot be used: {error}", path.display()));
    }
    Some(path)
}

fn limits(mut section: Section<'_>) -> (Limits, Schedule) {
    let limits = schedule::rates(&mut section);
    let schedule = schedule::read(&mut section);
    section.finish();
    (limits, schedule)
}

fn quotas(mut section: Section<'_>) -> Quotas {
    let mut quota = |key, default| section.number(key, 1..=u32::MAX).unwrap_or(default);
    let quotas = Quotas {
        store_in_progress_gb: quota("store_in_progress_gb", 1200),
        restore_in_progress_gb: quota("restore_in_progress_gb", 600),
        image_size_gb: quota("image_size_gb", 5000),
    };
    section.finish();
    quotas
}
