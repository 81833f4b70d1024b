//! Policies beside the sources that need them, and the examples beside what is generated.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::model::{ImageAddress, TransferSpec};

/// In policies, though no request of ours names them.
const NEEDED_IN_TURN: [&str; 15] = [
    // EC2 moves blocks with the rights of who asks for a store or a restore.
    "ebs:CompleteSnapshot",
    "ebs:GetSnapshotBlock",
    "ebs:ListChangedBlocks",
    "ebs:ListSnapshotBlocks",
    "ebs:PutSnapshotBlock",
    "ebs:StartSnapshot",
    // EC2 asks for it where a request that makes something has tags for it.
    "ec2:CreateTags",
    // EC2 reads the image's tags so, to store them.
    "ec2:DescribeTags",
    // DeregisterImage deletes the snapshots along.
    "ec2:DeleteSnapshot",
    // S3 and EC2 ask KMS with the rights of who asks.
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncrypt*",
];

fn party(remote: &str, partition: &str, region: &str, account: &str) -> Party {
    Party {
        remote: remote.parse().expect("a name"),
        partition: partition.to_owned(),
        region: region.to_owned(),
        account: Some(account.to_owned()),
        bucket_keys: Vec::new(),
        snapshot_keys: Vec::new(),
        default_key: None,
    }
}

fn commercial() -> Party {
    party("commercial", "aws", "us-east-2", "111122223333")
}

fn gov() -> Party {
    party("gov", "aws-us-gov", "us-gov-west-1", "444455556666")
}

fn object(text: &str) -> ObjectAddress {
    text.parse().expect("an address")
}

fn transfer() -> Submission {
    let source = Address::Object(object("commercial:example-images/golden/disk.bin"));
    Submission::new(TransferSpec::new(source, object("gov:example-landing/golden/disk.bin")))
}

fn store_spec() -> StoreSpec {
    let image: ImageAddress = "commercial:ami-0123456789abcdef0".parse().expect("an image");
    StoreSpec {
        image,
        bucket: "example-images".to_owned(),
        reuse_stored: false,
        allow_decrypted: false,
        tags: Default::default(),
    }
}

fn restore_spec() -> RestoreSpec {
    RestoreSpec {
        object: object("gov:example-landing/ami-0123456789abcdef0.bin"),
        name: None,
        tags: Default::default(),
        copy_tags: false,
        alias: Some("/golden/web".to_owned()),
        deprecate_after: None,
        require_encryption: false,
        repair: false,
    }
}

fn image(store: Option<StoreSpec>, restore: Option<RestoreSpec>) -> ImageSpec {
    let (clean_up_stored, clean_up_landed) = (false, false);
    ImageSpec { store, restore, clean_up_stored, clean_up_landed, retire_source: None }
}

fn store() -> Submission {
    Submission::image(image(Some(store_spec()), None), None)
}

fn restore() -> Submission {
    Submission::image(image(None, Some(restore_spec())), None)
}

fn migrate() -> Submission {
    let (store, restore) = (store_spec(), restore_spec());
    let spec = TransferSpec::new(Address::Object(store.stored()), restore.object.clone());
    Submission::image(image(Some(store), Some(restore)), Some(spec))
}

/// A migrate that asks for everything.
fn thorough(how: Retire) -> Submission {
    let mut submission = migrate();
    let job = submission.image.as_mut().expect("an image job");
    (job.clean_up_stored, job.clean_up_landed) = (true, true);
    job.retire_source = Some(how);
    let restore = job.restore.as_mut().expect("it restores");
    (restore.repair, restore.deprecate_after) = (true, Some(3600));
    submission
}

fn policies(submission: &Submission) -> Vec<Policy> {
    let (source, target) = match submission.kind() {
        crate::model::JobKind::Store => (Some(commercial()), None),
        crate::model::JobKind::Restore => (None, Some(gov())),
        _ => (Some(commercial()), Some(gov())),
    };
    of(submission, source.as_ref(), target.as_ref())
}

fn actions(policies: &[Policy]) -> BTreeSet<String> {
    let mut actions = BTreeSet::new();
    for policy in policies {
        let document: Value = serde_json::from_str(&policy.json).expect("JSON");
        for statement in document["Statement"].as_array().expect("statements") {
            let listed = statement["Action"].as_array().expect("actions");
            actions.extend(listed.iter().filter_map(Value::as_str).map(str::to_owned));
        }
    }
    actions
}

/// The actions that the operations of these files need, as `Operation::new` says them.
fn needed(files: &[&str]) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for file in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        for file in rust_files(&path) {
            let text = fs::read_to_string(&file).expect("readable");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            for operation in text.split("Operation::new(").skip(1) {
                let action = operation.split('"').nth(3).expect("two words");
                assert!(action.contains(':'), "{}: {action}", file.display());
                needed.insert(action.to_owned());
            }
        }
    }
    needed
}

/// A file, or all below a folder, tests aside.
fn rust_files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.file_stem().is_some_and(|name| name != "tests") {
            files.extend(rust_files(&path));
        }
    }
    files
}

fn without<'a>(
    all: &BTreeSet<String>,
    less: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<String> {
    let less: BTreeSet<&str> = less.into_iter().collect();
    all.iter().filter(|action| !less.contains(action.as_str())).cloned().collect()
}

fn all() -> Vec<Submission> {
    let thorough = [Retire::Deprecate, Retire::Disable, Retire::Deregister].map(thorough);
    [transfer(), store(), restore(), migrate()].into_iter().chain(thorough).collect()
}

#[test]
fn whatever_a_job_asks_for_its_policies_allow() {
    let blob = needed(&["blob"]);
    assert!(blob.len() > 10, "{blob:?}");
    let carries = without(&blob, ["s3:DeleteObject"]);
    let stores = ["image/store.rs", "image/find.rs", "image/snapshot.rs"];
    let restores = ["image/restore.rs", "image/find.rs", "image/snapshot.rs", "image/parameter.rs"];
    let restores = needed(&restores);
    let reads = BTreeSet::from(["s3:GetObject".to_owned(), "s3:ListBucket".to_owned()]);
    let puts = needed(&["blob/target.rs"]);
    for (submission, needed) in [
        (transfer(), vec![carries.clone()]),
        (store(), vec![needed(&stores), puts, needed(&["blob/settings.rs"])]),
        (restore(), vec![restores, reads]),
        (migrate(), vec![carries]),
    ] {
        let allowed = actions(&policies(&submission));
        for needed in needed {
            let missing: Vec<_> = needed.difference(&allowed).collect();
            assert!(missing.is_empty(), "{:?}: {missing:?}", submission.kind());
        }
    }
    let asked: Vec<Policy> = all().iter().flat_map(policies).collect();
    let (everything, allowed) = (needed(&["blob", "image"]), actions(&asked));
    assert_eq!(everything.difference(&allowed).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn nothing_is_allowed_that_nobody_asks_for() {
    let asked: Vec<Policy> = all().iter().flat_map(policies).collect();
    let used = needed(&["blob", "image"]);
    let more = without(&actions(&asked), used.iter().map(String::as_str));
    let more = without(&more, NEEDED_IN_TURN);
    assert!(more.is_empty(), "{more:?}");
}

/// The other half of the list: one that nothing is generated with any more is to be struck off it.
#[test]
fn what_is_needed_in_turn_is_in_some_policy() {
    let key = |account: &str| vec![format!("arn:aws:kms:us-east-2:{account}:key/1")];
    let source = Party { snapshot_keys: key("1"), bucket_keys: key("1"), ..commercial() };
    let submission = thorough(Retire::Deregister);
    let target = Party { default_key: Some("0-1".to_owned()), ..gov() };
    let allowed = actions(&of(&submission, Some(&source), Some(&target)));
    for action in NEEDED_IN_TURN {
        assert!(allowed.contains(action), "{action}");
    }
}

/// The statement of `policy` that allows `action`; there is one.
fn allowing(policy: &Policy, action: &str) -> Value {
    let document: Value = serde_json::from_str(&policy.json).expect("JSON");
    let statements = document["Statement"].as_array().expect("statements");
    let allows = |statement: &&Value| {
        statement["Action"].as_array().is_some_and(|actions| actions.iter().any(|a| a == action))
    };
    let allowing: Vec<_> = statements.iter().filter(allows).collect();
    assert_eq!(allowing.len(), 1, "{action}: {allowing:?}");
    allowing[0].clone()
}

/// Whoever could tag any image could then delete any: what is deleted is told by its tag.
#[test]
fn only_what_is_being_made_may_be_tagged() {
    for (submission, makers) in [
        (restore(), vec!["CreateRestoreImageTask"]),
        (migrate(), vec!["CreateRestoreImageTask"]),
        (thorough(Retire::Disable), vec!["CreateRestoreImageTask", "RegisterImage"]),
    ] {
        let target = policies(&submission).pop().expect("the target's");
        let statement = allowing(&target, "ec2:CreateTags");
        assert_eq!(statement["Action"].as_array().map(Vec::len), Some(1), "{statement}");
        let condition = serde_json::json!({ "StringEquals": { "ec2:CreateAction": makers } });
        assert_eq!(statement["Condition"], condition);
        let own = allowing(&target, "ec2:DeregisterImage");
        assert_eq!(own["Condition"]["Null"]["aws:ResourceTag/causeway:job"], "false", "{own}");
    }
}

#[test]
fn arns_are_of_the_sides_own_partition_and_name_no_more_than_the_job() {
    let policies = policies(&migrate());
    let [source, target] = policies.as_slice() else { panic!("two sides") };
    assert!(
        !source.json.contains("aws-us-gov") && !target.json.contains("\"arn:aws:"),
        "{target:?}"
    );
    for arn in [
        "arn:aws:s3:::example-images/ami-0123456789abcdef0.bin\"",
        "arn:aws:ec2:us-east-2::image/ami-0123456789abcdef0\"",
    ] {
        assert!(source.json.contains(arn), "{arn}: {}", source.json);
    }
    for arn in [
        "arn:aws-us-gov:s3:::example-landing/ami-0123456789abcdef0.bin\"",
        "arn:aws-us-gov:ssm:us-gov-west-1:444455556666:parameter/golden/web\"",
    ] {
        assert!(target.json.contains(arn), "{arn}: {}", target.json);
    }
    let everything = "\"Resource\": [\n        \"*\"";
    assert_eq!(source.json.matches(everything).count(), 1, "descriptions alone: {}", source.json);
}

/// `?` and `*` in a key would otherwise stand for other keys.
#[test]
fn a_key_stands_for_itself_alone() {
    let source = Address::Object(object("commercial:example-images/a*b?c$d.bin"));
    let submission = Submission::new(TransferSpec::new(source, object("gov:example-landing/x")));
    let policies = policies(&submission);
    assert!(policies[0].json.contains("example-images/a${*}b${?}c${$}d.bin\""), "{policies:?}");
}

#[test]
fn a_key_is_named_whichever_way_it_was_asked_for() {
    let asked = |key: &str| {
        let mut submission = transfer();
        let spec = submission.spec.as_mut().expect("a transfer");
        spec.encryption = Some(Encryption::Kms { key_id: Some(key.to_owned()) });
        policies(&submission).pop().expect("the target's").json
    };
    let arn = "arn:aws-us-gov:kms:us-gov-west-1:444455556666:key/0-1";
    for named in [arn, "0-1"] {
        assert!(asked(named).contains(&format!("\"{arn}\"")), "{named}");
    }
    for named in ["alias/images", "arn:aws-us-gov:kms:us-gov-west-1:444455556666:alias/images"] {
        let json = asked(named);
        assert!(json.contains("us-gov-west-1:444455556666:key/*\""), "{named}: {json}");
        assert!(json.contains("\"kms:ResourceAliases\": \"alias/images\""), "{named}: {json}");
    }
    let plain = policies(&transfer()).pop().expect("the target's").json;
    assert!(!plain.contains("kms:"), "nothing was asked for: {plain}");
}

/// Without them EC2 makes the image, and fails it at the end.
#[test]
fn the_key_that_snapshots_are_encrypted_by_may_be_used_and_granted() {
    let printed = |key: Option<&str>| {
        let target = Party { default_key: key.map(str::to_owned), ..gov() };
        of(&restore(), None, Some(&target)).pop().expect("the target's")
    };
    let own = printed(None).json;
    assert!(!own.contains("kms:"), "the account's own key is everybody's: {own}");
    let arn = "arn:aws-us-gov:kms:us-gov-west-1:444455556666:key/0-1";
    let policy = printed(Some(arn));
    let used = allowing(&policy, "kms:GenerateDataKeyWithoutPlaintext");
    let actions =
        ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"];
    assert_eq!(used["Action"], serde_json::json!(actions));
    assert_eq!((&used["Resource"], &used["Condition"]), (&serde_json::json!([arn]), &Value::Null));
    let granted = allowing(&policy, "kms:CreateGrant");
    assert_eq!(granted["Resource"], serde_json::json!([arn]));
    let resource = serde_json::json!({ "Bool": { "kms:GrantIsForAWSResource": "true" } });
    assert_eq!(granted["Condition"], resource);
    let granted = allowing(&printed(Some("alias/images")), "kms:CreateGrant");
    assert_eq!(granted["Condition"].as_object().map(serde_json::Map::len), Some(2), "{granted}");
}

/// A source in a bucket with a key cannot be read without it, and only who may ask for the key learns of it.
#[test]
fn whoever_reads_an_object_may_learn_its_buckets_key_and_decrypt_by_it() {
    let key = "arn:aws:kms:us-east-2:111122223333:key/0-1";
    let keyed = |party: Party| Party { bucket_keys: vec![key.to_owned()], ..party };
    for (submission, source, target) in
        [(transfer(), Some(keyed(commercial())), None), (restore(), None, Some(keyed(gov())))]
    {
        let policies = of(&submission, source.as_ref(), target.as_ref());
        let learns = allowing(&policies[0], "s3:GetEncryptionConfiguration");
        assert!(
            learns["Resource"][0].as_str().is_some_and(|arn| arn.contains(":s3:::")),
            "{learns}"
        );
        let decrypts = allowing(&policies[0], "kms:Decrypt");
        assert_eq!(decrypts["Resource"], serde_json::json!([key]));
    }
}

#[test]
fn a_presigned_source_needs_no_policy() {
    let source = "https://bucket.s3.amazonaws.com/a?X-Amz-Signature=1".parse().expect("a URL");
    let target = object("gov:example-landing/x");
    let submission = Submission::new(TransferSpec::new(Address::Presigned(source), target));
    let policies = of(&submission, None, Some(&gov()));
    assert_eq!(policies.iter().map(|policy| policy.side).collect::<Vec<_>>(), [Side::Target]);
}

/// `CAUSEWAY_WRITE_EXAMPLES=1` writes them anew.
#[test]
fn the_examples_in_deploy_are_what_is_generated() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/iam");
    for (name, submission, side) in [
        ("transfer-source", transfer(), Side::Source),
        ("transfer-target", transfer(), Side::Target),
        ("store", store(), Side::Source),
        ("restore", restore(), Side::Target),
        ("migrate-source", migrate(), Side::Source),
        ("migrate-target", migrate(), Side::Target),
    ] {
        let policies = policies(&submission);
        let policy = policies.iter().find(|policy| policy.side == side).expect("of this side");
        let (path, text) = (folder.join(format!("{name}.json")), format!("{}\n", policy.json));
        if std::env::var_os("CAUSEWAY_WRITE_EXAMPLES").is_some() {
            fs::write(&path, &text).expect("writable");
        }
        let shipped = fs::read_to_string(&path).unwrap_or_default();
        assert!(shipped == text, "{} is not what is generated: see this test", path.display());
    }
}
