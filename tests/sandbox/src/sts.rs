//! STS: who somebody is, and keys that last for a while.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html>

use std::time::Duration;

use crate::api::{Command, Refused};
use crate::clock::stamp;
use crate::cloud::{Caller, Cloud, unknown};
use crate::credentials::Credentials;
use crate::query::{Form, Written, Xml};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// How long a role may be assumed for, and for how long it is when nobody says.
const SECONDS_MIN: u64 = 900;
const SECONDS_MAX: u64 = 43_200;
const SECONDS_DEFAULT: u64 = 3_600;

pub(crate) fn answer(
    cloud: &Cloud,
    command: &Command,
    caller: &Caller,
    request_id: &str,
) -> Result<Vec<u8>, Refused> {
    let result: Written = match command.operation {
        "GetCallerIdentity" => {
            let (caller, account) = (caller.clone(), cloud.partition.account.clone());
            Box::new(move |xml| {
                xml.leaf("Arn", &caller.arn);
                xml.leaf("UserId", &caller.user_id);
                xml.leaf("Account", account);
            })
        }
        "AssumeRole" => assume_role(cloud, &command.form, caller)?,
        _ => return Err(unknown(command)),
    };
    let name = command.operation;
    Ok(Xml::document(&format!("{name}Response"), Some(NAMESPACE), |xml| {
        xml.node(&format!("{name}Result"), result);
        xml.node("ResponseMetadata", |xml| xml.leaf("RequestId", request_id));
    }))
}

/// Any role of this partition may be assumed: who may is IAM's business, which is not here.
///
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn assume_role(cloud: &Cloud, form: &Form, caller: &Caller) -> Result<Written, Refused> {
    let invalid = |message: String| Refused::new("ValidationError", message);
    let (role_arn, session) = (form.need("RoleArn")?, form.need("RoleSessionName")?);
    let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&session.len()) || !session.chars().all(legal) {
        return Err(invalid(format!("RoleSessionName {session:?} is not valid")));
    }
    let seconds = form.parsed("DurationSeconds")?.unwrap_or(SECONDS_DEFAULT);
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
        return Err(invalid(format!("DurationSeconds {seconds} is not valid")));
    }
    let role = match role_arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "iam", "", account, role]
            if partition == cloud.partition.arn_partition() =>
        {
            role.strip_prefix("role/").map(|role| (account.to_owned(), role.to_owned()))
        }
        _ => None,
    };
    let Some((account, role)) = role else {
        let message = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            caller.arn
        );
        return Err(Refused::new("AccessDenied", message));
    };
    let name = role.rsplit('/').next().unwrap_or(&role);
    let arn = format!(
        "arn:{}:sts::{account}:assumed-role/{name}/{session}",
        cloud.partition.arn_partition()
    );
    let id = cloud.partition.store.unique_id();
    let credentials = Credentials {
        access_key_id: format!("ASIA{}", id[..16].to_uppercase()),
        secret_access_key: cloud.partition.store.unique_id(),
        session_token: Some(format!("{}{id}", cloud.partition.store.unique_id())),
    };
    let lasts = Duration::from_secs(seconds);
    cloud.keys.add_role(credentials.clone(), arn.clone(), lasts);
    let expiration = stamp(cloud.clock.after(lasts));
    let role_id = format!("AROASANDBOX:{session}");
    Ok(Box::new(move |xml| {
        xml.node("Credentials", |xml| {
            xml.leaf("AccessKeyId", &credentials.access_key_id);
            xml.leaf("SecretAccessKey", &credentials.secret_access_key);
            xml.leaf_if("SessionToken", credentials.session_token.as_deref());
            xml.leaf("Expiration", expiration);
        });
        xml.node("AssumedRoleUser", |xml| {
            xml.leaf("AssumedRoleId", role_id);
            xml.leaf("Arn", arn);
        });
    }))
}
