//! What a person can do about an error, in one sentence each.

use super::Error;
use crate::model::{Side, host};
use crate::remote::remedy;

/// What a person can do; empty where nobody knows.
pub(super) fn remedy(error: &Error, side: Side) -> String {
    let exchange = error.exchange();
    let bucket = exchange.resource.split('/').next().unwrap_or_default();
    match error {
        Error::SourceChanged(_) => "stop whatever writes the source, then submit again".to_owned(),
        Error::NoSuchBucket(_) => format!("check the name and the account of bucket {bucket}"),
        Error::NoSuchKey(_) => "check the key; S3 tells upper case from lower case".to_owned(),
        Error::NoSuchUpload(_) => format!(
            "see whether a lifecycle rule of bucket {bucket} aborts incomplete uploads too soon"
        ),
        Error::PreconditionFailed(_) => {
            "the target exists: choose another key, or ask for if_exists = replace".to_owned()
        }
        Error::AccessDenied(_) if exchange.remote.is_none() => {
            "ask for a new presigned URL, signed by someone who may read the object".to_owned()
        }
        Error::AccessDenied(_) => access_denied(error, side),
        Error::WrongRegion(_) => match &exchange.region {
            Some(region) => format!("bucket {bucket} is in {region}: use a remote of that region"),
            None => format!("use a remote of the region that bucket {bucket} is in"),
        },
        Error::Credentials(_) => remedy::credentials(exchange, "S3"),
        Error::Unidentified(_) => remedy::UNIDENTIFIED.to_owned(),
        Error::WrongIdentity(_) => remedy::WRONG_IDENTITY.to_owned(),
        Error::Kms(_) => {
            "check that the KMS key exists in the bucket's region, is enabled, and may \
                          be used by this identity"
                .to_owned()
        }
        Error::Expired(_) => "ask for a new presigned URL that lives longer".to_owned(),
        Error::HostNotAllowed(_) => host::REMEDY.to_owned(),
        Error::Unsupported(_) => String::new(),
        Error::Refused(_) => refused(error),
        Error::BadAnswer(_) => {
            "the server does not do what S3 does here: it cannot be trusted with this".to_owned()
        }
        Error::Illegible(_) => match side {
            Side::Source => {
                "give the object metadata that is text: copy it over itself (aws s3 cp with \
                 --metadata-directive REPLACE), then submit again"
            }
            Side::Target => "remove the object that stands at the target, or choose another key",
        }
        .to_owned(),
        Error::Untrusted(_) => remedy::UNTRUSTED.to_owned(),
        Error::Throttled(_) => remedy::throttled(exchange),
        Error::Conflict(_) | Error::ServerFault(_) => remedy::SERVER_FAULT.to_owned(),
        Error::Unanswered(_) => remedy::UNANSWERED.to_owned(),
        Error::Corrupt(_) => "check this host and its network: bytes change on the way".to_owned(),
    }
}

fn access_denied(error: &Error, side: Side) -> String {
    let exchange = error.exchange();
    let (action, resource) = (exchange.operation, &exchange.resource);
    let key = match side {
        Side::Source => "kms:Decrypt",
        Side::Target => "kms:GenerateDataKey and kms:Decrypt",
    };
    if exchange.message.to_ascii_lowercase().contains("kms") {
        return format!(
            "allow the {} remote's identity {key} on the bucket's KMS key, in its policy and in the \
             key's",
            side.as_str()
        );
    }
    let listing = match exchange.api {
        // Without the right to list, S3 says 403 for a key that does not exist.
        "HeadObject" | "GetObject" => ", and s3:ListBucket on the bucket to tell a missing key",
        _ => "",
    };
    format!(
        "allow the {} remote's identity {action} on arn:*:s3:::{resource}{listing}; where the bucket \
         uses SSE-KMS, {key} on its key",
        side.as_str()
    )
}

fn refused(error: &Error) -> String {
    match error.code().unwrap_or_default() {
        "InvalidObjectState" => "the object is archived: restore it first (s3:RestoreObject)",
        "EntityTooLarge" => "use larger parts, or see what size this server takes",
        "InvalidTag" => "S3 takes at most 10 tags of 128 and 256 characters, no name twice",
        "MetadataTooLarge" => "S3 takes at most 2 KB of user metadata",
        "InvalidStorageClass" => "choose a storage class that the target's region has",
        "InvalidPart" | "InvalidPartOrder" => "retry the job: it begins a new upload",
        _ => "",
    }
    .to_owned()
}
