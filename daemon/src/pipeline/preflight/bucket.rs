//! A bucket: where it is, what encrypts what is put there, who else may see it, and what its lifecycle rules
//! would do to it while a job needs it.

use std::sync::Arc;

use super::report::{Halted, Report, Trouble};
use super::{Asked, Found};
use crate::base::clock;
use crate::blob::{self, BucketSettings, LifecycleRule, PublicAccessBlock, When};
use crate::model::{Encryption, FailureClass, ObjectAddress, Timestamp, TransferSpec};
use crate::remote::Remote;

/// A transfer of the largest image may take so long where the path is slow or is paused at times.
const NEEDED_DAYS: u32 = 7;
const DAY_MILLIS: u64 = 24 * 3600 * 1000;
/// The check of what a bucket encrypts by.
const ENCRYPTION: &str = "default encryption";

/// What is put into a bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds<'a> {
    /// What snapshots hold encrypted, and the object does not.
    pub decrypted: bool,
    /// What the request asks to encrypt it by.
    pub asked: Option<&'a Encryption>,
}

impl<'a> Holds<'a> {
    /// What the transfer puts there.
    pub(super) fn of(asked: Asked<'_>, spec: &'a TransferSpec) -> Self {
        Self { decrypted: asked.holds_encrypted(), asked: spec.encryption.as_ref() }
    }
}

/// Whether the bucket is there, and in the remote's Region. EC2 reaches none in another.
pub(super) async fn region(
    report: &mut Report,
    remote: &Arc<Remote>,
    address: &ObjectAddress,
    by_ec2: bool,
) -> Result<(), Halted> {
    const NAME: &str = "bucket";
    let (bucket, own) = (&address.bucket, remote.region());
    match report.ask(|| blob::bucket_region(Arc::clone(remote), bucket)).await {
        Ok(Some(region)) if region != own => {
            let (reason, remedy) = elsewhere(bucket, &region, own, by_ec2);
            report.failed(NAME, reason, remedy);
        }
        Ok(Some(region)) => report.passed(NAME, format!("{bucket} is there, in {region}")),
        Ok(None) => {
            report.passed(NAME, format!("{bucket} is there; nobody says in which Region"));
        }
        Err(trouble) => {
            report.refused(NAME, &trouble.told(report.side()))?;
            // Whatever else is asked of it would say that again, each in its own words and with its own remedy.
            if matches!(trouble, Trouble::Refused(blob::Error::NoSuchBucket(_))) {
                return Err(Halted);
            }
        }
    }
    Ok(())
}

fn elsewhere(bucket: &str, region: &str, own: &str, by_ec2: bool) -> (String, String) {
    #[cfg(feature = "image")]
    if by_ec2 {
        return crate::pipeline::road::bucket_elsewhere(bucket, region, own);
    }
    // Without EC2, nothing else asks for it.
    let _ = by_ec2;
    let reason = format!("the bucket {bucket} is in {region}, and the remote in {own}");
    (reason, format!("use a remote of {region}, or name a bucket in {own}"))
}

/// How the bucket that `address` is written to is set up.
pub(super) async fn settings(
    report: &mut Report,
    remote: &Arc<Remote>,
    address: &ObjectAddress,
    holds: Holds<'_>,
    found: &mut Found,
) -> Result<(), Halted> {
    let bucket = BucketSettings::new(Arc::clone(remote), &address.bucket);
    encryption(report, &bucket, holds, found).await?;
    public_access(report, &bucket, address).await?;
    lifecycle(report, &bucket, &address.key).await
}

/// The ARN of the KMS key that a bucket encrypts by, for the policy. It is a check only where it is not to be
/// learned.
pub(super) async fn encryption_key(
    report: &mut Report,
    remote: &Arc<Remote>,
    address: &ObjectAddress,
    found: &mut Found,
) -> Result<(), Halted> {
    let bucket = BucketSettings::new(Arc::clone(remote), &address.bucket);
    match report.ask(|| bucket.encryption()).await {
        Ok(default) => found.bucket_keys.extend(default.as_ref().and_then(key_arn)),
        Err(trouble) => return unreadable(report, ENCRYPTION, &trouble),
    }
    Ok(())
}

/// A key that is named otherwise is the account's own alias, or one that a policy cannot name alone.
fn key_arn(encryption: &Encryption) -> Option<String> {
    let (Encryption::Kms { key_id } | Encryption::KmsDsse { key_id }) = encryption else {
        return None;
    };
    key_id.clone().filter(|key| key.starts_with("arn:"))
}

async fn encryption(
    report: &mut Report,
    bucket: &BucketSettings,
    holds: Holds<'_>,
    found: &mut Found,
) -> Result<(), Halted> {
    let default = match report.ask(|| bucket.encryption()).await {
        Ok(default) => default,
        Err(trouble) => return unreadable(report, ENCRYPTION, &trouble),
    };
    found.bucket_keys.extend(default.as_ref().and_then(key_arn));
    let told = default.as_ref().map_or_else(
        || "the bucket sets none: objects are encrypted by S3's own keys".to_owned(),
        |default| format!("objects are encrypted by {}", shown(default)),
    );
    match holds.decrypted && !is_kms(holds.asked.or(default.as_ref())) {
        false => report.passed(ENCRYPTION, told),
        true => report.warning(
            ENCRYPTION,
            format!("{told}; the object holds decrypted what the image's snapshots hold encrypted"),
            "give the bucket a KMS key of yours as its default encryption",
        ),
    }
    Ok(())
}

fn is_kms(encryption: Option<&Encryption>) -> bool {
    matches!(encryption, Some(Encryption::Kms { .. } | Encryption::KmsDsse { .. }))
}

/// What encrypts, for people.
pub(super) fn shown(encryption: &Encryption) -> String {
    let (kind, key) = match encryption {
        Encryption::Aes256 => return "AES256, S3's own keys".to_owned(),
        Encryption::Kms { key_id } => ("aws:kms", key_id),
        Encryption::KmsDsse { key_id } => ("aws:kms:dsse", key_id),
    };
    match key {
        Some(key) => format!("{kind} with {key}"),
        None => format!("{kind} with the account's aws/s3 key"),
    }
}

async fn public_access(
    report: &mut Report,
    bucket: &BucketSettings,
    address: &ObjectAddress,
) -> Result<(), Halted> {
    const NAME: &str = "public access";
    let found = match report.ask(|| bucket.public_access_block()).await {
        Ok(found) => found,
        Err(trouble) => return unreadable(report, NAME, &trouble),
    };
    let open = open(found.unwrap_or_default());
    if open.is_empty() {
        report.passed(NAME, "all of it is blocked");
        return Ok(());
    }
    let detail = match found {
        None => "the bucket blocks none of it; the account may".to_owned(),
        Some(_) => format!("the bucket leaves open: {}", open.join(", ")),
    };
    let remedy =
        format!("block all of it: aws s3api put-public-access-block --bucket {}", address.bucket);
    report.warning(NAME, detail, remedy);
    Ok(())
}

fn open(found: PublicAccessBlock) -> Vec<&'static str> {
    let settings = [
        (found.block_public_acls, "BlockPublicAcls"),
        (found.ignore_public_acls, "IgnorePublicAcls"),
        (found.block_public_policy, "BlockPublicPolicy"),
        (found.restrict_public_buckets, "RestrictPublicBuckets"),
    ];
    settings.into_iter().filter(|(is_on, _)| !is_on).map(|(_, name)| name).collect()
}

async fn lifecycle(report: &mut Report, bucket: &BucketSettings, key: &str) -> Result<(), Halted> {
    const NAME: &str = "lifecycle";
    let rules = match report.ask(|| bucket.lifecycle()).await {
        Ok(rules) => rules,
        Err(trouble) => return unreadable(report, NAME, &trouble),
    };
    let strikes = strikes(&rules, key, clock::now());
    if strikes.is_empty() {
        let days = NEEDED_DAYS;
        report.passed(NAME, format!("no rule touches the key within {days} days"));
        return Ok(());
    }
    let remedy = format!(
        "exempt the key from it, or give it {NEEDED_DAYS} days: a large object may be under way for days"
    );
    report.warning(NAME, strikes.join("; "), remedy);
    Ok(())
}

/// What the rules would do to an upload to, or an object at, `key` before a job is surely done with it.
pub(super) fn strikes(rules: &[LifecycleRule], key: &str, now: Timestamp) -> Vec<String> {
    let mut strikes = Vec::new();
    let is_soon = |when: When| match when {
        When::Days(days) => days < NEEDED_DAYS,
        When::At(at) => at.0 < now.0.saturating_add(u64::from(NEEDED_DAYS) * DAY_MILLIS),
    };
    let told = |when: When| match when {
        When::Days(days) => format!("after {days} days"),
        When::At(at) => format!("at {}", clock::rfc3339(at)),
    };
    for rule in rules.iter().filter(|rule| key.starts_with(&rule.prefix)) {
        let name = match rule.id.as_str() {
            "" => "a rule".to_owned(),
            id => format!("the rule '{id}'"),
        };
        // What tags and sizes it asks for is not looked at: they are not known yet.
        let does = if rule.is_narrowed { "may" } else { "will" };
        // Such a rule cannot be narrowed.
        if let Some(days) = rule.aborts_uploads.filter(|days| *days < NEEDED_DAYS) {
            strikes.push(format!("{name} will abort an upload after {days} days"));
        }
        if let Some(when) = rule.expires.filter(|when| is_soon(*when)) {
            strikes.push(format!("{name} {does} delete the object {}", told(when)));
        }
        for (when, class) in rule.moves.iter().filter(|(when, _)| is_soon(*when)) {
            strikes.push(format!("{name} {does} move the object to {class} {}", told(*when)));
        }
    }
    strikes
}

/// A setting that cannot be read is no reason for a job to fail.
fn unreadable(
    report: &mut Report,
    name: &'static str,
    trouble: &Trouble<blob::Error>,
) -> Result<(), Halted> {
    let mut failure = trouble.told(report.side());
    if let Trouble::Refused(error) = trouble {
        let exchange = error.exchange();
        let bucket = exchange.resource.trim_end_matches('/');
        match error {
            blob::Error::AccessDenied(_) => {
                let (side, action) = (report.side().as_str(), exchange.operation);
                failure.remedy = format!(
                    "to have it looked at, allow the {side} remote's identity {action} on {bucket}"
                );
                if name == ENCRYPTION {
                    failure.remedy += "; without it, the printed policy leaves out the kms: actions on a key \
                                       that the bucket may have";
                }
            }
            // Servers exist that answer as if the setting had not been asked for.
            error if error.is_unreadable() => {
                failure.class = FailureClass::Permanent;
                failure.remedy = "the server has no such setting, or not as S3 has it".to_owned();
            }
            blob::Error::Unsupported(_) => {
                failure.remedy = "this server has no such setting".to_owned();
            }
            _ => {}
        }
    }
    report.unknown(name, &failure)
}
