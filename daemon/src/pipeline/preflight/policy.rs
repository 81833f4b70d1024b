//! The least that the identities of both sides have to be allowed for a job, as IAM policy documents. Pure.
//!
//! By what the daemon asks, and by what EC2 does with the rights of who asks:
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-ami-store-restore.html>. That page allows all of
//! it on everything; here each action is allowed on what the job names.
//!
//! # Invariants
//! - Every action that a request of `blob` or `image` needs is in the policy of a job that sends it, and no
//!   other is, but those that EC2 and KMS need in turn. A test reads the sources for it.

mod document;

pub(super) use document::Party;
use document::{Statement, rendered};

use crate::model::{
    Address, Encryption, ImageSpec, ObjectAddress, Policy, RestoreSpec, Retire, Side, StoreSpec,
    Submission, TransferSpec,
};
#[cfg(feature = "image")]
use crate::pipeline::road::JOB_TAG;

#[cfg(not(feature = "image"))]
const JOB_TAG: &str = "causeway:job";

/// The policies of a job whose sides are these; a side without a remote has none.
pub(super) fn of(
    submission: &Submission,
    source: Option<&Party>,
    target: Option<&Party>,
) -> Vec<Policy> {
    let sides = [
        (Side::Source, source, source_statements as fn(&Submission, &Party) -> Vec<Statement>),
        (Side::Target, target, target_statements),
    ];
    let policies = sides.into_iter().filter_map(|(side, party, statements)| {
        let party = party?;
        let statements = statements(submission, party);
        let remote = party.remote.clone();
        (!statements.is_empty()).then(|| Policy { side, remote, json: rendered(statements) })
    });
    policies.collect()
}

fn source_statements(submission: &Submission, party: &Party) -> Vec<Statement> {
    let mut statements = Vec::new();
    let job = submission.image.as_ref();
    if let Some((job, store)) = job.and_then(|job| Some((job, job.store.as_ref()?))) {
        stored(&mut statements, party, job, store);
    }
    let object = submission.spec.as_ref().and_then(|spec| match &spec.source {
        Address::Object(object) => Some(object),
        Address::Presigned(_) => None,
    });
    if let Some(object) = object {
        let actions = [
            "s3:GetObject",
            "s3:GetObjectTagging",
            // Where the bucket keeps versions, the one that was pinned is read.
            "s3:GetObjectVersion",
            "s3:GetObjectVersionTagging",
        ];
        read(&mut statements, party, object, actions);
    }
    statements
}

fn target_statements(submission: &Submission, party: &Party) -> Vec<Statement> {
    let mut statements = Vec::new();
    if let Some(spec) = &submission.spec {
        written(&mut statements, party, spec);
    }
    let job = submission.image.as_ref();
    if let Some((job, restore)) = job.and_then(|job| Some((job, job.restore.as_ref()?))) {
        if submission.spec.is_none() {
            read(&mut statements, party, &restore.object, ["s3:GetObject"]);
        }
        restored(&mut statements, party, job, restore);
    }
    statements
}

/// An object that is read.
fn read<const N: usize>(
    statements: &mut Vec<Statement>,
    party: &Party,
    object: &ObjectAddress,
    actions: [&'static str; N],
) {
    statements.push(Statement::new("ReadObject", actions).on([party.object(object)]));
    // Without it S3 does not tell an object that is missing from one that may not be read.
    statements.push(Statement::new("FindBucket", ["s3:ListBucket"]).on([party.bucket(object)]));
    // What a preflight looks at, and no job does: the key, for the statement below.
    let statement = Statement::new("PreflightKey", ["s3:GetEncryptionConfiguration"]);
    statements.push(statement.on([party.bucket(object)]));
    let keys = &party.bucket_keys;
    if !keys.is_empty() {
        statements.push(Statement::new("DecryptObject", ["kms:Decrypt"]).on(keys.clone()));
    }
}

/// An object that is written, and read for its proof.
fn written(statements: &mut Vec<Statement>, party: &Party, spec: &TransferSpec) {
    let object = &spec.target;
    let actions = [
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionTagging",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionTagging",
    ];
    statements.push(Statement::new("WriteObject", actions).on([party.object(object)]));
    let actions = ["s3:ListBucket", "s3:ListBucketMultipartUploads"];
    statements.push(Statement::new("FindUploads", actions).on([party.bucket(object)]));
    statements.push(settings(party, object));
    let (keys, condition) = match &spec.encryption {
        Some(Encryption::Kms { key_id: Some(key) } | Encryption::KmsDsse { key_id: Some(key) }) => {
            party.key(key)
        }
        // The account's own key is everybody's in it, and S3's own is nobody's.
        Some(_) => (Vec::new(), None),
        None => (party.bucket_keys.clone(), None),
    };
    encrypted(statements, keys, condition);
}

/// What is written by parts is decrypted to be put together.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>
fn encrypted(
    statements: &mut Vec<Statement>,
    keys: Vec<String>,
    condition: Option<serde_json::Value>,
) {
    if !keys.is_empty() {
        let statement = Statement::new("EncryptObject", ["kms:Decrypt", "kms:GenerateDataKey"]);
        statements.push(statement.on(keys).where_it_holds(condition));
    }
}

/// What a preflight looks at, and no job does.
fn settings(party: &Party, object: &ObjectAddress) -> Statement {
    let actions = [
        "s3:GetBucketPublicAccessBlock",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
    ];
    Statement::new("PreflightBucket", actions).on([party.bucket(object)])
}

/// An image that EC2 stores.
fn stored(statements: &mut Vec<Statement>, party: &Party, job: &ImageSpec, store: &StoreSpec) {
    let object = &store.stored();
    let (image, snapshots) = (party.image(store.image.image.as_str()), party.snapshot("*"));
    let actions = ["ec2:DescribeImages", "ec2:DescribeSnapshots", "ec2:DescribeStoreImageTasks"];
    // EC2 reads the tags that it writes on the object.
    let actions = actions.into_iter().chain(["ec2:DescribeTags"]);
    statements.push(Statement::new("DescribeImages", actions).on(["*".to_owned()]));
    let both = [image.clone(), snapshots.clone()];
    statements.push(Statement::new("StoreImage", ["ec2:CreateStoreImageTask"]).on(both));
    let actions = ["ebs:GetSnapshotBlock", "ebs:ListChangedBlocks", "ebs:ListSnapshotBlocks"];
    statements.push(Statement::new("ReadSnapshots", actions).on([snapshots.clone()]));
    let actions = [
        "s3:AbortMultipartUpload",
        // Also what a clean-up does; EC2 itself removes what it could not finish.
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:PutObject",
        "s3:PutObjectTagging",
    ];
    statements.push(Statement::new("StoreObject", actions).on([party.object(object)]));
    statements.push(Statement::new("FindStored", ["s3:ListBucket"]).on([party.bucket(object)]));
    statements.push(settings(party, object));
    encrypted(statements, party.bucket_keys.clone(), None);
    if !party.snapshot_keys.is_empty() {
        let statement = Statement::new("DecryptSnapshots", ["kms:Decrypt", "kms:DescribeKey"]);
        statements.push(statement.on(party.snapshot_keys.clone()));
    }
    if job.restore.is_some() {
        // The new image is compared with it.
        let statement = Statement::new("CompareImages", ["ec2:DescribeImageAttribute"]);
        statements.push(statement.on([image.clone()]));
    }
    if let Some(how) = job.retire_source {
        retired(statements, how, image, snapshots);
    }
}

fn retired(statements: &mut Vec<Statement>, how: Retire, image: String, snapshots: String) {
    let (action, resources) = match how {
        Retire::Deprecate => (vec!["ec2:EnableImageDeprecation"], vec![image]),
        Retire::Disable => (vec!["ec2:DisableImage"], vec![image]),
        Retire::Deregister => {
            (vec!["ec2:DeleteSnapshot", "ec2:DeregisterImage"], vec![image, snapshots])
        }
    };
    statements.push(Statement::new("RetireSource", action).on(resources));
}

/// An image that EC2 restores.
fn restored(
    statements: &mut Vec<Statement>,
    party: &Party,
    job: &ImageSpec,
    restore: &RestoreSpec,
) {
    let (images, snapshots) = (party.image("*"), party.snapshot("*"));
    let actions = [
        "ec2:DescribeImages",
        "ec2:DescribeSnapshots",
        "ec2:DescribeTags",
        // What a preflight looks at, and no job does.
        "ec2:GetEbsDefaultKmsKeyId",
        "ec2:GetEbsEncryptionByDefault",
    ];
    statements.push(Statement::new("DescribeImages", actions).on(["*".to_owned()]));
    let mut makers = vec!["CreateRestoreImageTask"];
    let mut actions = vec!["ec2:CreateRestoreImageTask"];
    if restore.repair {
        makers.push("RegisterImage");
        actions.push("ec2:RegisterImage");
    }
    let both = [images.clone(), snapshots.clone()];
    statements.push(Statement::new("RestoreImage", actions).on(both.clone()));
    // On what is there already, it would make anything one of `OwnImages`.
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    let is_made = serde_json::json!({ "StringEquals": { "ec2:CreateAction": makers } });
    let statement = Statement::new("TagNewImages", ["ec2:CreateTags"]).on(both.clone());
    statements.push(statement.where_it_holds(Some(is_made)));
    let actions = ["ebs:CompleteSnapshot", "ebs:PutSnapshotBlock", "ebs:StartSnapshot"];
    statements.push(Statement::new("WriteSnapshots", actions).on([snapshots]));
    if let Some(key) = &party.default_key {
        encrypted_snapshots(statements, party, key);
    }
    if job.store.is_some() {
        let statement = Statement::new("CompareImages", ["ec2:DescribeImageAttribute"]);
        statements.push(statement.on([images]));
    }
    // What failed would keep the name. Only what the daemon had made has the tag.
    let mut actions = vec!["ec2:DeleteSnapshot", "ec2:DeregisterImage"];
    if restore.deprecate_after.is_some() {
        actions.push("ec2:EnableImageDeprecation");
    }
    let has_tag = serde_json::json!({ "Null": { format!("aws:ResourceTag/{JOB_TAG}"): "false" } });
    let statement = Statement::new("OwnImages", actions).on(both);
    statements.push(statement.where_it_holds(Some(has_tag)));
    if let Some(alias) = &restore.alias {
        let statement = Statement::new("WriteAlias", ["ssm:GetParameter", "ssm:PutParameter"]);
        statements.push(statement.on([party.parameter(alias)]));
    }
    if job.clean_up_landed {
        let statement = Statement::new("CleanUpLanded", ["s3:DeleteObject"]);
        statements.push(statement.on([party.object(&restore.object)]));
    }
}

/// New snapshots are encrypted by `key` with the rights of who asks.
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html>
fn encrypted_snapshots(statements: &mut Vec<Statement>, party: &Party, key: &str) {
    let (keys, condition) = party.key(key);
    let actions =
        ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
    let statement = Statement::new("EncryptSnapshots", actions).on(keys.clone());
    statements.push(statement.where_it_holds(condition.clone()));
    let mut granted = serde_json::json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } });
    if let (Some(granted), Some(serde_json::Value::Object(named))) =
        (granted.as_object_mut(), condition)
    {
        granted.extend(named);
    }
    let statement = Statement::new("GrantSnapshots", ["kms:CreateGrant"]).on(keys);
    statements.push(statement.where_it_holds(Some(granted)));
}

#[cfg(test)]
mod tests;
