//! What a person can do about an error, in one sentence each.

use super::Error;
use crate::model::Side;
use crate::remote::remedy;

/// What a person can do; empty where nobody knows.
pub(super) fn remedy(error: &Error, side: Side) -> String {
    let exchange = error.exchange();
    let text = match error {
        Error::NoSuchImage(_) => {
            "check the id, and that the image is in the remote's region and of its account, or shared \
             with it"
        }
        Error::NoSuchSnapshot(_) => {
            "see whether somebody deleted it: an image's snapshots have to outlive its store"
        }
        Error::WrongState(_) => {
            "look at the state of what it is about, and retry when that is over"
        }
        Error::NameTaken(_) => {
            "choose another name: those of an account's images in a region differ"
        }
        Error::ParameterExists(_) => "ask for it to be overwritten, or choose another name",
        Error::Quota(_) => {
            "it goes on by itself as tasks end, other people's among them; or ask AWS for a higher \
             quota"
        }
        Error::AccessDenied(_) => return access_denied(error, side),
        Error::Credentials(_) => return remedy::credentials(exchange, "AWS"),
        Error::Unidentified(_) => remedy::UNIDENTIFIED,
        Error::WrongIdentity(_) => remedy::WRONG_IDENTITY,
        Error::Unsupported(_) => {
            "only EBS-backed images that are not paravirtual can be stored, in regions that have it"
        }
        Error::Refused(_) => refused(error),
        Error::BadAnswer(_) => {
            "the server does not do what AWS does here: it cannot be trusted with this"
        }
        Error::Untrusted(_) => remedy::UNTRUSTED,
        Error::Throttled(_) => return remedy::throttled(exchange),
        Error::ServerFault(_) => remedy::SERVER_FAULT,
        Error::Unanswered(_) => remedy::UNANSWERED,
    };
    text.to_owned()
}

/// A task is carried out with the rights of who asks for it.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-ami-store-restore.html>
fn access_denied(error: &Error, side: Side) -> String {
    let exchange = error.exchange();
    let besides = match exchange.api {
        "CreateStoreImageTask" => {
            "; a store also needs s3:PutObject, s3:PutObjectTagging, s3:GetObject, s3:ListBucket, \
             s3:DeleteObject and s3:AbortMultipartUpload on the bucket, ebs:ListSnapshotBlocks, \
             ebs:ListChangedBlocks and ebs:GetSnapshotBlock on the snapshots; of others, only \
             images that are shared with the account can be stored"
        }
        "CreateRestoreImageTask" => {
            "; a restore also needs s3:GetObject and s3:ListBucket on the bucket, ebs:StartSnapshot, \
             ebs:PutSnapshotBlock and ebs:CompleteSnapshot, ec2:GetEbsEncryptionByDefault and \
             ec2:CreateTags"
        }
        "DeregisterImage" => "; deleting its snapshots along needs ec2:DeleteSnapshot",
        _ => "",
    };
    format!("allow the {} remote's identity {}{besides}", side.as_str(), exchange.operation)
}

fn refused(error: &Error) -> &'static str {
    let api = error.exchange().api;
    match error.code().unwrap_or_default() {
        "InvalidParameterValue" if api == "CreateRestoreImageTask" => {
            "see whether it is an object that EC2 stored, whole, in a bucket of the same Region"
        }
        "OperationNotPermitted" => "see whether the image has deregistration protection",
        "TagLimitExceeded" => "a resource has at most 50 tags: give fewer",
        "InvalidRequest" => "see whether the bucket holds a copy of the image already",
        "OptInRequired" | "PendingVerification" | "Blocked" => "ask AWS about the account",
        _ => "",
    }
}
