//! What a job would need, tried beforehand: all well on a good day, and each thing broken in turn named with
//! what to do; and never is anything left of it.

use anyhow::{Context as _, Result, ensure};
use e2e::{Daemon, LogCheck, World, images};
use sandbox::{
    Action, Attributes, BucketOptions, DeviceSpec, EndpointOptions, Fault, ImageSpec, Lifecycle,
};
use serde_json::Value;

const SOURCE: &str = "commercial:images/golden/ami-0abc.bin";
const TARGET: &str = "gov:landing/golden/ami-0abc.bin";
const TRANSFER: [&str; 2] = [SOURCE, TARGET];
const ALIAS: &str = "/golden/web";
/// What the daemon may say where a remote does not work.
const LOUD: [&str; 2] = ["the identity cannot be checked", "is not the one"];

/// A cloud on a good day: an object, an image, and what has to be there for both.
struct Cloud {
    world: World,
    image: String,
    daemon: Daemon,
}

impl Cloud {
    async fn new() -> Result<Self> {
        Self::of(EndpointOptions::gov().bucket("landing"), |_| Ok(())).await
    }

    /// With another target, and another configuration.
    async fn of(
        gov: EndpointOptions,
        configure: impl FnOnce(&mut World) -> Result<()>,
    ) -> Result<Self> {
        let commercial = EndpointOptions::commercial().bucket("images");
        let mut world = World::of(commercial, gov).await?;
        world.config.identify("commercial", &world.commercial)?;
        world.config.identify("gov", &world.gov)?;
        configure(&mut world)?;
        world.put("golden/ami-0abc.bin", images(100_000)).await?;
        let image = world.commercial.ec2().add_image(ImageSpec::new("golden").tag("team", "web"));
        let daemon = world.start().await?;
        Ok(Self { world, image, daemon })
    }

    /// The checks of one preflight, of whichever kind, and the code that it ends with.
    async fn preflight(&self, args: &[&str]) -> Result<(i32, Vec<Value>)> {
        let before = self.everything();
        let args: Vec<&str> =
            ["--output", "json", "preflight"].iter().chain(args).copied().collect();
        let output = self.world.causeway(&args).await?;
        let checks = output.lines().with_context(|| format!("{output:?}"))?;
        ensure!(!checks.is_empty(), "{output:?}");
        ensure!(self.everything() == before, "something is left: {:?}", self.everything());
        for check in &checks {
            let must = ["failed", "warning"].iter().any(|word| check["outcome"] == **word);
            ensure!(!must || check["remedy"].is_string(), "it says not what to do: {check}");
        }
        Ok((output.code, checks))
    }

    async fn transfer(&self) -> Result<(i32, Vec<Value>)> {
        self.preflight(&TRANSFER).await
    }

    async fn migrate(&self, more: &[&str]) -> Result<(i32, Vec<Value>)> {
        let image = format!("commercial:{}", self.image);
        let road = ["migrate", &image, "gov:", "--via", "images", "--landing", "landing"];
        let args: Vec<&str> = road.into_iter().chain(more.iter().copied()).collect();
        self.preflight(&args).await
    }

    /// Uploads, objects, images, snapshots and the alias, of both sides.
    fn everything(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (endpoint, bucket) in [(&self.world.commercial, "images"), (&self.world.gov, "landing")]
        {
            all.extend(endpoint.uploads().into_iter().map(|upload| format!("upload {upload:?}")));
            all.extend(endpoint.keys(bucket));
            all.extend(endpoint.ec2().images().into_values().map(|image| format!("{image:?}")));
            all.extend(endpoint.ec2().snapshots().into_keys());
            all.extend(endpoint.ssm().value(ALIAS).map(|(value, _)| value));
        }
        all
    }

    async fn stop(self) -> Result<()> {
        self.daemon.stop(LogCheck::Expected(&LOUD)).await
    }
}

/// The check of this name of one side.
fn check<'a>(checks: &'a [Value], side: &str, name: &str) -> Result<&'a Value> {
    let found = checks.iter().find(|check| check["side"] == side && check["name"] == name);
    found.with_context(|| format!("no {side} {name}: {checks:#?}"))
}

/// That check failed, and what it says or tells to do holds all of these words.
fn failed(checks: &[Value], side: &str, name: &str, words: &[&str]) -> Result<()> {
    is(checks, side, name, "failed", words)
}

fn is(checks: &[Value], side: &str, name: &str, outcome: &str, words: &[&str]) -> Result<()> {
    let check = check(checks, side, name)?;
    ensure!(check["outcome"] == outcome, "{check}");
    let text = format!("{} {}", check["detail"], check["remedy"]);
    for word in words {
        ensure!(text.contains(word), "{word}: {check}");
    }
    eprintln!("{text}");
    Ok(())
}

fn outcomes<'a>(checks: &'a [Value], outcome: &str) -> Vec<&'a Value> {
    checks.iter().filter(|check| check["outcome"] == outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_good_day_all_of_a_transfer_is_passed() -> Result<()> {
    let cloud = Cloud::new().await?;
    let (code, checks) = cloud.transfer().await?;
    ensure!(code == 0 && outcomes(&checks, "passed").len() == checks.len(), "{checks:#?}");
    for (side, name) in [
        ("source", "identity"),
        ("source", "bucket"),
        ("source", "source object"),
        ("source", "clock"),
        ("target", "identity"),
        ("target", "bucket"),
        ("target", "target key"),
        ("target", "open uploads"),
        ("target", "upload"),
        ("target", "default encryption"),
        ("target", "public access"),
        ("target", "lifecycle"),
        ("target", "clock"),
    ] {
        check(&checks, side, name)?;
    }
    let stats = cloud.world.gov.stats();
    ensure!(stats.calls("CreateMultipartUpload") == 1 && stats.calls("AbortMultipartUpload") == 1);
    ensure!(stats.calls("PutObject") == 0 && stats.calls("CompleteMultipartUpload") == 0);
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_good_day_all_of_a_migration_is_passed_but_what_cannot_be_tried() -> Result<()> {
    let cloud = Cloud::new().await?;
    let (code, checks) =
        cloud.migrate(&["--alias", ALIAS, "--copy-tags", "--retire-source", "deregister"]).await?;
    let unlucky = outcomes(&checks, "failed").len() + outcomes(&checks, "warning").len();
    ensure!(code == 0 && unlucky == 0, "{checks:#?}");
    let skipped: Vec<_> = outcomes(&checks, "skipped");
    let names: Vec<_> = skipped.iter().filter_map(|check| check["name"].as_str()).collect();
    ensure!(names == ["EBS blocks", "EBS blocks", "alias write"], "{names:?}");
    for (side, name) in [
        ("source", "image"),
        ("source", "snapshots"),
        ("source", "store"),
        ("source", "store quota"),
        ("source", "stored copy"),
        ("source", "stored object"),
        ("source", "retire source"),
        ("target", "upload"),
        ("target", "name"),
        ("target", "restore"),
        ("target", "EBS encryption"),
        ("target", "restore quota"),
        ("target", "alias"),
    ] {
        is(&checks, side, name, "passed", &[])?;
    }
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_and_a_restore_have_one_side_each() -> Result<()> {
    let cloud = Cloud::new().await?;
    let image = format!("commercial:{}", cloud.image);
    let (code, checks) = cloud.preflight(&["store", &image, "commercial:images/"]).await?;
    ensure!(code == 0 && checks.iter().all(|check| check["side"] == "source"), "{checks:#?}");
    is(&checks, "source", "stored object", "passed", &[])?;

    let object = format!("commercial:images/{}.bin", cloud.image);
    let restore = ["restore", &object, "--name", "golden-2"];
    let (code, checks) = cloud.preflight(&restore).await?;
    ensure!(code == 1, "there is no object yet: {checks:#?}");
    failed(&checks, "target", "source object", &["NoSuchKey"])?;
    let job = cloud.world.json(&["store", &image, "commercial:images/"]).await?;
    let id = job["job_id"].as_str().with_context(|| format!("no id: {job}"))?;
    cloud.world.causeway(&["watch", id]).await?.expect_code(0)?;
    let (code, checks) = cloud.preflight(&restore).await?;
    ensure!(code == 0 && checks.iter().all(|check| check["side"] == "target"), "{checks:#?}");
    is(&checks, "target", "restore", "passed", &[])?;
    let (code, checks) = cloud.preflight(&["restore", &object, "--name", "golden"]).await?;
    ensure!(code == 1, "{checks:#?}");
    failed(&checks, "target", "name", &["'golden'"])?;
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named() -> Result<()> {
    let cloud = Cloud::new().await?;
    let denied = |operation: &str| Fault::on(operation, Action::Status("AccessDenied".into()));
    for (operation, name, right) in [
        ("CreateMultipartUpload", "upload", "s3:PutObject"),
        ("UploadPart", "upload", "s3:PutObject"),
        ("ListParts", "upload", "s3:ListMultipartUploadParts"),
    ] {
        cloud.world.gov.faults([denied(operation)]);
        let (code, checks) = cloud.transfer().await?;
        ensure!(code == 1, "{operation}: {checks:#?}");
        failed(&checks, "target", name, &[right, "allow the target remote's identity"])?;
        ensure!(outcomes(&checks, "failed").len() == 1, "{operation}: {checks:#?}");
    }
    cloud.world.gov.faults([denied("ListMultipartUploads"), denied("GetPublicAccessBlock")]);
    let (code, checks) = cloud.transfer().await?;
    ensure!(code == 0, "a job would run: {checks:#?}");
    is(&checks, "target", "open uploads", "warning", &["s3:ListBucketMultipartUploads"])?;
    is(&checks, "target", "public access", "skipped", &["s3:GetBucketPublicAccessBlock"])?;
    cloud.world.gov.faults([]);

    cloud.world.commercial.faults([denied("GetBucketEncryption")]);
    let (code, checks) = cloud.transfer().await?;
    ensure!(code == 0, "a job would run: {checks:#?}");
    let told = ["s3:GetEncryptionConfiguration", "the source remote's identity", "kms:"];
    is(&checks, "source", "default encryption", "skipped", &told)?;
    cloud.world.commercial.faults([denied("GetObject"), denied("HeadObject")]);
    let (_, checks) = cloud.transfer().await?;
    failed(&checks, "source", "source object", &["s3:GetObject"])?;
    cloud.world.commercial.faults([denied("GetObjectTagging")]);
    let tagged =
        Attributes { tags: [("team".into(), "web".into())].into(), ..Attributes::default() };
    cloud.world.commercial.put("images", "golden/ami-0abc.bin", images(1_000), tagged).await?;
    let (code, checks) = cloud.transfer().await?;
    ensure!(code == 0, "{checks:#?}");
    is(&checks, "source", "source attributes", "warning", &["s3:GetObjectTagging"])?;
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_of_ec2_or_ssm_that_is_missing_is_named() -> Result<()> {
    let cloud = Cloud::new().await?;
    let more = ["--alias", ALIAS, "--retire-source", "disable"];
    for (operation, name, right) in [
        ("CreateStoreImageTask", "store", "ec2:CreateStoreImageTask"),
        ("DescribeImages", "image", "ec2:DescribeImages"),
        ("DescribeSnapshots", "snapshots", "ec2:DescribeSnapshots"),
        ("DisableImage", "retire source", "ec2:DisableImage"),
    ] {
        cloud.world.commercial.deny([operation]);
        let (code, checks) = cloud.migrate(&more).await?;
        ensure!(code == 1, "{operation}: {checks:#?}");
        failed(&checks, "source", name, &[right])?;
    }
    cloud.world.commercial.deny([""; 0]);
    for (operation, name, right) in [
        ("CreateRestoreImageTask", "restore", "ec2:CreateRestoreImageTask"),
        ("GetEbsEncryptionByDefault", "EBS encryption", "ec2:GetEbsEncryptionByDefault"),
        ("GetParameter", "alias", "ssm:GetParameter"),
    ] {
        cloud.world.gov.deny([operation]);
        let (code, checks) = cloud.migrate(&more).await?;
        ensure!(code == 1, "{operation}: {checks:#?}");
        failed(&checks, "target", name, &[right])?;
    }
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_missing_or_elsewhere_is_told() -> Result<()> {
    let cloud = Cloud::of(EndpointOptions::gov().bucket("landing"), |world| {
        world.config.set("remotes.east.region", "us-gov-east-1")?;
        for key in ["credentials", "s3_endpoint", "ca_bundle", "path_style"] {
            let of_gov = world.config.get(&format!("remotes.gov.{key}")).context("it is set")?;
            world.config.set(&format!("remotes.east.{key}"), of_gov)?;
        }
        Ok(())
    })
    .await?;
    let (code, checks) = cloud.preflight(&[SOURCE, "gov:nowhere/a.bin"]).await?;
    ensure!(code == 1, "{checks:#?}");
    failed(&checks, "target", "bucket", &["NoSuchBucket", "nowhere"])?;
    let told = checks.iter().filter(|check| check.to_string().contains("nowhere")).count();
    ensure!(told == 1, "one cause is told once: {checks:#?}");
    let (code, checks) = cloud.preflight(&[SOURCE, "east:landing/a.bin"]).await?;
    ensure!(code == 1, "{checks:#?}");
    failed(&checks, "target", "bucket", &["is in us-gov-west-1", "a remote of us-gov-west-1"])?;
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_a_copy_and_a_target_that_are_taken_are_told() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.world.gov.ec2().add_image(ImageSpec::new("golden"));
    let key = format!("{}.bin", cloud.image);
    cloud.world.put(&key, images(1_000)).await?;
    let (code, checks) = cloud.migrate(&[]).await?;
    ensure!(code == 1, "{checks:#?}");
    failed(&checks, "target", "name", &["'golden'", "--name"])?;
    failed(&checks, "source", "stored copy", &[&key, "--reuse-stored"])?;
    let (code, checks) = cloud.migrate(&["--name", "golden-2", "--reuse-stored"]).await?;
    ensure!(code == 0, "{checks:#?}");

    let landed = Attributes::default();
    cloud.world.gov.put("landing", "golden/ami-0abc.bin", images(10), landed).await?;
    let (_, checks) = cloud.transfer().await?;
    failed(&checks, "target", "target key", &["exists", "--if-exists replace"])?;
    let (code, _) = cloud.preflight(&[SOURCE, TARGET, "--if-exists", "replace"]).await?;
    ensure!(code == 0);
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_have_expired_are_told_once() -> Result<()> {
    let cloud = Cloud::new().await?;
    let key = cloud.world.gov.credentials().access_key_id.clone();
    cloud.world.gov.expire_credentials(&key);
    let (code, checks) = cloud.transfer().await?;
    ensure!(code == 1, "{checks:#?}");
    failed(&checks, "target", "identity", &["ExpiredToken", "renew the remote's credentials"])?;
    ensure!(outcomes(&checks, "failed").len() == 1, "{checks:#?}");
    is(&checks, "target", "the rest", "skipped", &[])?;
    ensure!(checks.iter().filter(|check| check["side"] == "source").count() > 3, "{checks:#?}");
    cloud.stop().await
}

/// It begins, and then the part, the list or the whole answer fails: whatever it is, nothing stays.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_refused_or_loses_its_answer_leaves_nothing() -> Result<()> {
    let cloud = Cloud::new().await?;
    for (operation, action) in [
        ("UploadPart", Action::Status("InternalError".into())),
        ("UploadPart", Action::LoseAnswer),
        ("ListParts", Action::LoseRequest),
        ("CreateMultipartUpload", Action::Status("InvalidStorageClass".into())),
        ("CreateMultipartUpload", Action::LoseAnswer),
    ] {
        cloud.world.gov.faults([Fault::on(operation, action)]);
        let (code, checks) = cloud.transfer().await?;
        ensure!(code == 1, "{operation}: {checks:#?}");
        failed(&checks, "target", "upload", &[])?;
    }
    // One answer that is lost says nothing of a job that tries for hours.
    let once = Fault::on("CreateMultipartUpload", Action::Status("SlowDown".into())).count(1);
    cloud.world.gov.faults([once]);
    let (code, checks) = cloud.transfer().await?;
    ensure!(code == 0, "{checks:#?}");
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_aborted_is_told_with_what_ends_it() -> Result<()> {
    let cloud = Cloud::new().await?;
    let denied = Action::Status("AccessDenied".into());
    cloud.world.gov.faults([Fault::on("AbortMultipartUpload", denied)]);
    let args = ["--output", "json", "preflight", SOURCE, TARGET];
    let checks = cloud.world.causeway(&args).await?.expect_code(1)?.lines()?;
    let left = cloud.world.gov.uploads();
    ensure!(left.len() == 1, "{left:?}");
    let told = ["s3:AbortMultipartUpload", "aws s3api abort-multipart-upload", "--bucket landing"];
    failed(&checks, "target", "abort", &told)?;
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_would_do_to_the_object_is_told() -> Result<()> {
    let rule = Lifecycle {
        id: "tidy".to_owned(),
        prefix: "golden/".to_owned(),
        aborts_uploads: Some(1),
        expires: Some(3),
    };
    let bucket =
        BucketOptions { open_to_public: true, lifecycle: vec![rule], ..BucketOptions::default() };
    let gov = EndpointOptions::gov().bucket_with("landing", bucket);
    let cloud = Cloud::of(gov, |_| Ok(())).await?;
    let (code, checks) = cloud.transfer().await?;
    ensure!(code == 0, "warnings fail nothing: {checks:#?}");
    let told = ["'tidy'", "abort an upload after 1 days", "delete the object after 3 days"];
    is(&checks, "target", "lifecycle", "warning", &told)?;
    is(&checks, "target", "public access", "warning", &["put-public-access-block"])?;
    let (_, checks) = cloud.preflight(&[SOURCE, "gov:landing/other/a.bin"]).await?;
    is(&checks, "target", "lifecycle", "passed", &[])?;
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_told_where_it_is_lost_or_not_taken() -> Result<()> {
    let key = "arn:aws-us-gov:kms:us-gov-west-1:444455556666:key/0-1";
    let mut gov = EndpointOptions::gov().bucket("landing");
    gov.kms_keys.insert(key.to_owned());
    let bucket = BucketOptions { kms_key: Some(key.to_owned()), ..BucketOptions::default() };
    let cloud = Cloud::of(gov.bucket_with("private", bucket), |_| Ok(())).await?;
    let kms = |key| [SOURCE, TARGET, "--sse", "aws:kms", "--sse-kms-key-id", key];
    let (code, checks) = cloud.preflight(&kms(key)).await?;
    ensure!(code == 0, "{checks:#?}");
    is(&checks, "target", "encryption", "passed", &["aws:kms", key])?;
    let (code, checks) = cloud.preflight(&kms("arn:aws-us-gov:kms:us-gov-west-1:1:key/2")).await?;
    ensure!(code == 1, "{checks:#?}");
    failed(&checks, "target", "upload", &["KMS"])?;

    let mut secret = DeviceSpec::volume("/dev/xvda", 8);
    secret.encrypted = true;
    let spec = ImageSpec { devices: vec![secret], ..ImageSpec::new("secret") };
    let image = format!("commercial:{}", cloud.world.commercial.ec2().add_image(spec));
    let migrate = async |landing: &str, more: &[&str]| {
        let road = ["migrate", &image, "gov:", "--via", "images", "--landing", landing];
        let args: Vec<&str> = road.into_iter().chain(more.iter().copied()).collect();
        cloud.preflight(&args).await
    };
    let (code, checks) = migrate("landing", &[]).await?;
    ensure!(code == 1, "{checks:#?}");
    failed(&checks, "source", "snapshots", &["decrypted", "--allow-decrypted"])?;
    let (code, checks) = migrate("landing", &["--allow-decrypted"]).await?;
    ensure!(code == 0, "{checks:#?}");
    is(&checks, "source", "default encryption", "warning", &["decrypted", "KMS key"])?;
    is(&checks, "target", "default encryption", "warning", &["decrypted", "KMS key"])?;
    is(&checks, "target", "EBS encryption", "warning", &["turn on EBS encryption"])?;
    let (code, checks) = migrate("private", &["--allow-decrypted", "--require-encryption"]).await?;
    ensure!(code == 1, "{checks:#?}");
    is(&checks, "target", "default encryption", "passed", &[key])?;
    failed(&checks, "target", "EBS encryption", &["turn on EBS encryption by default"])?;
    cloud.world.gov.ec2().change(|options| options.encryption_by_default = true);
    let (code, checks) = migrate("private", &["--allow-decrypted", "--require-encryption"]).await?;
    ensure!(code == 0, "{checks:#?}");
    is(&checks, "target", "EBS key", "passed", &["the account's own"])?;
    cloud.stop().await
}

/// EC2 asks KMS with the rights of who restores, at the end: nothing but the policy can tell before.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_restored_snapshots_are_encrypted_by_is_named_with_its_rights() -> Result<()> {
    let cloud = Cloud::new().await?;
    let key = "arn:aws-us-gov:kms:us-gov-west-1:444455556666:key/0-1";
    cloud.world.gov.ec2().change(|options| {
        options.encryption_by_default = true;
        options.default_key = key.to_owned();
    });
    let (code, checks) = cloud.migrate(&[]).await?;
    ensure!(code == 0, "{checks:#?}");
    is(&checks, "target", "EBS key", "skipped", &[key, "kms:CreateGrant", "kms:ReEncrypt*"])?;
    let image = format!("commercial:{}", cloud.image);
    let road = ["migrate", &image, "gov:", "--via", "images", "--landing", "landing"];
    let mut args = vec!["--output", "json", "preflight"];
    args.extend(road);
    args.push("--print-policy");
    let policies = cloud.world.causeway(&args).await?.expect_code(0)?.lines()?;
    let target =
        policies.iter().find(|policy| policy["side"] == "target").context("the target's")?;
    for word in [key, "kms:CreateGrant", "kms:GrantIsForAWSResource"] {
        ensure!(target["policy"].to_string().contains(word), "{word}: {target}");
    }
    cloud.world.gov.deny(["GetEbsDefaultKmsKeyId"]);
    let (code, checks) = cloud.migrate(&[]).await?;
    ensure!(code == 0, "a job would run: {checks:#?}");
    let told = ["ec2:GetEbsDefaultKmsKeyId", "kms:CreateGrant", "kms:ReEncrypt*"];
    is(&checks, "target", "EBS key", "skipped", &told)?;
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_a_warning_that_the_job_would_wait() -> Result<()> {
    let cloud = Cloud::of(EndpointOptions::gov().bucket("landing"), |world| {
        Ok(world.config.set("remotes.commercial.quotas.store_in_progress_gb", 8)?)
    })
    .await?;
    let (_, checks) = cloud.migrate(&[]).await?;
    is(&checks, "source", "store quota", "passed", &["0 GB"])?;
    let ec2 = cloud.world.commercial.ec2();
    ec2.change(|options| options.store_ms_per_gib = 60_000);
    let other = format!("commercial:{}", ec2.add_image(ImageSpec::new("another")));
    let store = ["--output", "json", "store", &other, "commercial:images/"];
    cloud.world.causeway(&store).await?.expect_code(0)?;
    for _ in 0..500 {
        if ec2.quotas().store.in_progress_gib > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (code, checks) = cloud.migrate(&[]).await?;
    ensure!(code == 0, "{checks:#?}");
    is(&checks, "source", "store quota", "warning", &["8 GB", "would wait"])?;
    cloud.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_of_each_side_and_for_its_own_partition() -> Result<()> {
    let cloud = Cloud::new().await?;
    let args = ["--output", "json", "preflight", SOURCE, TARGET, "--print-policy"];
    let policies = cloud.world.causeway(&args).await?.expect_code(0)?.lines()?;
    let [source, target] = policies.as_slice() else { anyhow::bail!("{policies:?}") };
    ensure!(source["side"] == "source" && target["remote"] == "gov", "{policies:?}");
    ensure!(source.to_string().contains("arn:aws:s3:::images/golden/ami-0abc.bin"), "{source}");
    let arn = "arn:aws-us-gov:s3:::landing/golden/ami-0abc.bin";
    ensure!(target.to_string().contains(arn), "{target}");
    ensure!(target["policy"]["Version"] == "2012-10-17", "{target}");
    cloud.stop().await
}

/// Without its licence a Windows image would be of no use to anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_of_an_image_that_is_billed_is_warned_of() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    let (_, checks) = cloud.migrate(&["--repair"]).await?;
    ensure!(check(&checks, "target", "repair")?["outcome"] != "warning", "{checks:#?}");
    let mut spec = ImageSpec::new("windows");
    spec.traits.platform = Some("Windows".to_owned());
    cloud.image = cloud.world.commercial.ec2().add_image(spec);
    let (code, checks) = cloud.migrate(&["--repair"]).await?;
    ensure!(code == 0, "{checks:#?}");
    is(&checks, "target", "repair", "warning", &["billed", "leave --repair out"])?;
    cloud.stop().await
}
