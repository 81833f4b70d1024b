//! The sandbox's EC2, SSM and STS by the AWS CLI, a client that none of us wrote: what it sends is understood,
//! and what is answered it can read.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::Aws;
use sandbox::{
    Action, Credentials, DeviceSpec, Ec2Options, Endpoint, EndpointOptions, Fault, ImageSpec,
    ImageState,
};
use serde_json::Value;
use tempfile::TempDir;

/// Two partitions: an image in the first, a bucket in each, the CLI at both.
struct Clouds {
    dir: TempDir,
    commercial: Endpoint,
    gov: Endpoint,
    from: Aws,
    to: Aws,
    image: String,
}

impl Clouds {
    async fn new() -> Result<Self> {
        let dir = TempDir::with_prefix("causeway-cloud-")?;
        // 28 GiB: two seconds, which the CLI sees some of.
        let slow =
            Ec2Options { store_ms_per_gib: 70, restore_ms_per_gib: 70, ..Ec2Options::default() };
        let mut image = ImageSpec::new("golden-1").content_bytes(9 << 20).tag("team", "images");
        image.traits.description = "golden & good".to_owned();
        image.traits.boot_mode = Some("uefi".to_owned());
        image.traits.tpm_support = Some("v2.0".to_owned());
        image.devices.push(DeviceSpec::volume("/dev/xvdb", 20));
        let mut options = EndpointOptions::commercial().bucket("images");
        options.ec2 = slow.clone();
        let commercial = Endpoint::start(options).await?;
        let mut options = EndpointOptions::gov().bucket("landing");
        options.ec2 = slow;
        let gov = Endpoint::start(options).await?;
        let image = commercial.ec2().add_image(image);
        let (from, to) = (Aws::of(&commercial, dir.path())?, Aws::of(&gov, dir.path())?);
        Ok(Self { dir, commercial, gov, from, to, image })
    }

    /// Stores the image and copies its object to a file.
    async fn store(&self) -> Result<std::path::PathBuf> {
        let create =
            ["ec2", "create-store-image-task", "--image-id", &self.image, "--bucket", "images"];
        let tags = ["--s3-object-tags", "Key=team,Value=images"];
        let created = self.from.json(&[create.as_slice(), &tags].concat()).await?;
        let key = format!("{}.bin", self.image);
        ensure!(created["ObjectKey"] == key.as_str(), "{created}");
        let describe = ["ec2", "describe-store-image-tasks", "--image-ids", &self.image];
        let tasks = self
            .from
            .until(&describe, |t| t["StoreImageTaskResults"][0]["StoreTaskState"] == "Completed")
            .await?;
        let task = &tasks["StoreImageTaskResults"][0];
        ensure!(task["S3objectKey"] == key.as_str() && task["ProgressPercentage"] == 100, "{task}");
        ensure!(task["TaskStartTime"].is_string() && task["Bucket"] == "images", "{task}");
        let file = self.dir.path().join("image.bin");
        self.copy(&self.from, &format!("s3://images/{key}"), &file.display().to_string()).await?;
        Ok(file)
    }

    async fn copy(&self, aws: &Aws, from: &str, to: &str) -> Result<()> {
        aws.run(&["s3", "cp", "--quiet", from, to], &[]).await?.expect_code(0).map(drop)
    }

    /// Puts a file into the other partition and restores it there; answers the image once it has ended.
    async fn restore(&self, file: &Path, name: &str) -> Result<Value> {
        let target = format!("s3://landing/{name}.bin");
        self.copy(&self.to, &file.display().to_string(), &target).await?;
        let tags = [
            "ResourceType=image,Tags=[{Key=stage,Value=prod}]",
            "ResourceType=snapshot,Tags=[{Key=stage,Value=prod}]",
        ];
        let key = format!("{name}.bin");
        let create = ["ec2", "create-restore-image-task", "--object-key", &key];
        let create = [create.as_slice(), &["--bucket", "landing", "--name", name]].concat();
        let create = [create.as_slice(), &["--tag-specifications"], &tags].concat();
        let created = self.to.json(&create).await?;
        let id = created["ImageId"].as_str().with_context(|| created.to_string())?;
        ensure!(self.gov.ec2().image(id).is_some_and(|image| image.state == ImageState::Pending));
        let describe = ["ec2", "describe-images", "--image-ids", id];
        let ended = |images: &Value| images["Images"][0]["State"] != "pending";
        Ok(self.to.until(&describe, ended).await?["Images"][0].clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_carries_an_image_from_one_partition_to_the_other() -> Result<()> {
    let clouds = Clouds::new().await?;
    let (from, to) = (&clouds.from, &clouds.to);
    let identity = from.json(&["sts", "get-caller-identity"]).await?;
    ensure!(identity["Account"] == "111122223333", "{identity}");
    let identity = to.json(&["sts", "get-caller-identity"]).await?;
    ensure!(identity["Arn"] == "arn:aws-us-gov:iam::444455556666:user/sandbox", "{identity}");

    let file = clouds.store().await?;
    let key = format!("{}.bin", clouds.image);
    let head = ["s3api", "head-object", "--bucket", "images", "--key", &key];
    let metadata = &from.json(&head).await?["Metadata"];
    ensure!(metadata["ami-name"] == "golden-1", "{metadata}");
    ensure!(metadata["ami-owner-account"] == "111122223333", "{metadata}");

    let new = clouds.restore(&file, "golden-2").await?;
    ensure!(new["State"] == "available", "{new}");
    let owned = ["ec2", "describe-images", "--owners", "self"];
    let old = from.json(&owned).await?["Images"][0].clone();
    for field in [
        "Architecture",
        "BootMode",
        "Description",
        "EnaSupport",
        "ImdsSupport",
        "PlatformDetails",
        "RootDeviceName",
        "RootDeviceType",
        "SriovNetSupport",
        "TpmSupport",
        "VirtualizationType",
    ] {
        ensure!(!old[field].is_null() && old[field] == new[field], "{field}: {old} {new}");
    }
    ensure!(new["Name"] == "golden-2" && new["ImageId"] != old["ImageId"], "{new}");
    ensure!(new["OwnerId"] == "444455556666", "{new}");
    let tagged = ["ec2", "describe-images", "--filters", "Name=tag:stage,Values=pr*"];
    ensure!(to.json(&tagged).await?["Images"].as_array().is_some_and(|them| them.len() == 1));
    let snapshots = to.json(&["ec2", "describe-snapshots", "--owner-ids", "self"]).await?;
    let snapshots = snapshots["Snapshots"].as_array().context("no snapshots")?;
    ensure!(snapshots.len() == 2, "{snapshots:?}");
    ensure!(snapshots.iter().all(|s| s["State"] == "completed" && s["Progress"] == "100%"));

    let id = new["ImageId"].as_str().unwrap_or_default();
    let put = ["ssm", "put-parameter", "--name", "/golden", "--type", "String", "--value", id];
    let put = to.json(&[put.as_slice(), &["--data-type", "aws:ec2:image"]].concat()).await?;
    ensure!(put["Version"] == 1, "{put}");
    let get = ["ssm", "get-parameter", "--name", "/golden"];
    let parameter = to.json(&get).await?["Parameter"].clone();
    ensure!(parameter["Value"] == id && parameter["DataType"] == "aws:ec2:image", "{parameter}");
    let (stored, restored) = (clouds.commercial.ec2().quotas(), clouds.gov.ec2().quotas());
    ensure!((stored.store.greatest_gib, stored.store.rule_broken) == (28, 0), "{stored:?}");
    ensure!((restored.restore.greatest_gib, restored.restore.admitted) == (28, 1), "{restored:?}");
    ensure!(clouds.gov.stats().calls("CreateRestoreImageTask") == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_one_wrong_bit_is_restored_by_no_means() -> Result<()> {
    let clouds = Clouds::new().await?;
    let file = clouds.store().await?;
    let mut bytes = std::fs::read(&file)?;
    bytes[6_000_000] ^= 4;
    std::fs::write(&file, &bytes)?;
    let image = clouds.restore(&file, "wrong").await?;
    ensure!(image["State"] == "failed", "{image}");
    let reason = image["StateReason"]["Message"].as_str().unwrap_or_default();
    ensure!(reason.contains("not those that were stored"), "{image}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_tags_registers_and_retires_images() -> Result<()> {
    let clouds = Clouds::new().await?;
    let (aws, id) = (&clouds.from, clouds.image.as_str());
    let ec2 = async |args: &[&str]| aws.json(&[&["ec2"], args].concat()).await;
    let on = ["--image-id", id];
    ec2(&["create-tags", "--resources", id, "--tags", "Key=a,Value=b c"]).await?;
    let tags = ec2(&["describe-tags", "--filters", "Name=key,Values=a"]).await?;
    ensure!(tags["Tags"][0]["Value"] == "b c" && tags["Tags"][0]["ResourceId"] == id, "{tags}");
    let describe = ["describe-images", "--image-ids", id];
    let created = ec2(&describe).await?["Images"][0]["CreationDate"].clone();
    let year: u16 = created.as_str().and_then(|date| date.get(..4)).unwrap_or_default().parse()?;
    let at = format!("{}-07-01T00:00:00", year + 1);
    let when = ["--deprecate-at", &format!("{at}Z")];
    ec2(&[&["enable-image-deprecation"], on.as_slice(), &when].concat()).await?;
    let image = ec2(&describe).await?["Images"][0].clone();
    ensure!(image["DeprecationTime"] == format!("{at}.000Z"), "{image}");
    ec2(&[&["disable-image-deprecation"], on.as_slice()].concat()).await?;
    ec2(&[&["disable-image"], on.as_slice()].concat()).await?;
    let listed = ec2(&["describe-images", "--owners", "self"]).await?;
    ensure!(listed["Images"].as_array().is_some_and(Vec::is_empty), "{listed}");
    ec2(&[&["enable-image"], on.as_slice()].concat()).await?;
    let default = ec2(&["get-ebs-encryption-by-default"]).await?;
    ensure!(default["EbsEncryptionByDefault"] == false, "{default}");

    let snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"].as_str();
    let snapshot = snapshot.with_context(|| image.to_string())?;
    let devices = format!("DeviceName=/dev/xvda,Ebs={{SnapshotId={snapshot}}}");
    let register = ["register-image", "--name", "repaired", "--root-device-name", "/dev/xvda"];
    let how = ["--architecture", "x86_64", "--virtualization-type", "hvm", "--boot-mode", "uefi"];
    let devices = ["--block-device-mappings", devices.as_str(), "--ena-support"];
    let registered = ec2(&[register.as_slice(), &how, &devices].concat()).await?;
    let repaired = registered["ImageId"].as_str().unwrap_or_default();
    let page = ec2(&["describe-images", "--owners", "self", "--page-size", "1"]).await?;
    ensure!(page["Images"].as_array().is_some_and(|all| all.len() == 2), "{page}");
    let delete = ["ec2", "delete-snapshot", "--snapshot-id", snapshot];
    ensure!(aws.refused(&delete).await? == "InvalidSnapshot.InUse");
    let deregister = ["deregister-image", "--delete-associated-snapshots", "--image-id"];
    let gone = ec2(&[deregister.as_slice(), &[id]].concat()).await?;
    let codes: Vec<_> = gone["DeleteSnapshotResults"].as_array().into_iter().flatten().collect();
    ensure!(codes.iter().any(|it| it["SnapshotId"] == snapshot && it["ReturnCode"] == "skipped"));
    ensure!(codes.iter().any(|it| it["ReturnCode"] == "success"), "{gone}");
    ec2(&["deregister-image", "--image-id", repaired]).await?;
    aws.json(&delete).await?;
    ensure!(clouds.commercial.ec2().snapshots().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aws_cli_reads_parameters_and_assumes_a_role() -> Result<()> {
    let clouds = Clouds::new().await?;
    let aws = &clouds.to;
    let put = ["ssm", "put-parameter", "--name", "/a/b", "--type", "String", "--value"];
    aws.json(&[put.as_slice(), &["one"]].concat()).await?;
    ensure!(aws.refused(&[put.as_slice(), &["two"]].concat()).await? == "ParameterAlreadyExists");
    let second = aws.json(&[put.as_slice(), &["two", "--overwrite"]].concat()).await?;
    ensure!(second["Version"] == 2, "{second}");
    let many = aws.json(&["ssm", "get-parameters", "--names", "/a/b", "/none"]).await?;
    ensure!(many["Parameters"][0]["Value"] == "two", "{many}");
    ensure!(many["InvalidParameters"][0] == "/none", "{many}");
    let history = aws.json(&["ssm", "get-parameter-history", "--name", "/a/b"]).await?;
    ensure!(history["Parameters"].as_array().is_some_and(|all| all.len() == 2), "{history}");
    aws.json(&["ssm", "delete-parameter", "--name", "/a/b"]).await?;
    let get = ["ssm", "get-parameter", "--name", "/a/b"];
    ensure!(aws.refused(&get).await? == "ParameterNotFound");

    let role = "arn:aws-us-gov:iam::444455556666:role/images";
    let assume = ["sts", "assume-role", "--role-session-name", "test", "--role-arn"];
    let assumed = aws.json(&[assume.as_slice(), &[role]].concat()).await?;
    let text = |field: &str| assumed["Credentials"][field].as_str().unwrap_or_default().to_owned();
    let mut other = Aws {
        access_key_id: text("AccessKeyId"),
        secret_access_key: text("SecretAccessKey"),
        session_token: Some(text("SessionToken")),
        ..aws.clone()
    };
    let identity = other.json(&["sts", "get-caller-identity"]).await?;
    let arn = "arn:aws-us-gov:sts::444455556666:assumed-role/images/test";
    ensure!(identity["Arn"] == arn, "{identity}");
    other.run(&["s3", "ls", "s3://landing"], &[]).await?.expect_code(0)?;
    clouds.gov.expire_credentials(&other.access_key_id);
    ensure!(other.refused(&["sts", "get-caller-identity"]).await? == "ExpiredToken");
    other.session_token = None;
    let foreign = "arn:aws:iam::111122223333:role/images";
    ensure!(aws.refused(&[assume.as_slice(), &[foreign]].concat()).await? == "AccessDenied");
    Ok(())
}

/// Another partition's keys, another's secret, an operation that is forbidden.
#[tokio::test(flavor = "multi_thread")]
async fn each_service_says_no_in_its_own_words() -> Result<()> {
    let clouds = Clouds::new().await?;
    let calls: [&[&str]; 3] = [
        &["ec2", "describe-images"],
        &["ssm", "get-parameter", "--name", "/x"],
        &["sts", "get-caller-identity"],
    ];
    let own = clouds.commercial.credentials().clone();
    let foreign = clouds.gov.credentials().clone();
    let forged = Credentials::new(own.access_key_id, "not-the-secret");
    for (keys, codes) in [
        (foreign, ["AuthFailure", "UnrecognizedClientException", "InvalidClientTokenId"]),
        (forged, ["AuthFailure", "InvalidSignatureException", "SignatureDoesNotMatch"]),
    ] {
        let aws = Aws {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            ..clouds.from.clone()
        };
        for (call, code) in calls.iter().zip(codes) {
            ensure!(aws.refused(call).await? == code, "{call:?}");
        }
    }
    let store = ["ec2", "create-store-image-task", "--bucket", "images", "--dry-run"];
    let store = [store.as_slice(), &["--image-id", &clouds.image]].concat();
    ensure!(clouds.from.refused(&store).await? == "DryRunOperation");
    clouds.commercial.deny(["CreateStoreImageTask", "GetParameter"]);
    ensure!(clouds.from.refused(&store).await? == "UnauthorizedOperation");
    ensure!(clouds.from.refused(calls[1]).await? == "AccessDeniedException");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_strikes_these_operations_too() -> Result<()> {
    let clouds = Clouds::new().await?;
    let aws = &clouds.from;
    let throttled = Action::Status("RequestLimitExceeded".to_owned());
    clouds.commercial.faults([
        Fault::on("DescribeImages", throttled).count(1),
        Fault::on("CreateStoreImageTask", Action::LoseRequest).call(1),
        Fault::on("CreateStoreImageTask", Action::LoseAnswer).key(&clouds.image).call(2),
        Fault::on("GetCallerIdentity", Action::DelayMs(300)),
    ]);
    let images = ["ec2", "describe-images"];
    ensure!(aws.refused(&images).await? == "RequestLimitExceeded");
    aws.json(&images).await?;
    let store = ["ec2", "create-store-image-task", "--bucket", "images", "--image-id"];
    let store = [store.as_slice(), &[&clouds.image]].concat();
    let once = [("AWS_MAX_ATTEMPTS", "1")];
    for (admitted, what) in [(0, "the request was lost"), (1, "the answer was lost")] {
        let output = aws.run(&store, &once).await?;
        ensure!(output.code != 0 && !output.stderr.contains("An error occurred ("), "{output:?}");
        ensure!(clouds.commercial.ec2().quotas().store.admitted == admitted, "{what}");
    }
    aws.json(&["sts", "get-caller-identity"]).await?;
    let stats = clouds.commercial.stats();
    ensure!((stats.faults_fired, stats.calls("CreateStoreImageTask")) == (4, 2), "{stats:?}");
    let keys: Vec<&str> = stats.logged("CreateStoreImageTask").map(|c| c.key.as_str()).collect();
    ensure!(keys == [&clouds.image, &clouds.image], "{keys:?}");
    ensure!(stats.logged("DescribeImages").map(|call| call.status).eq([Some(503), Some(200)]));
    Ok(())
}
