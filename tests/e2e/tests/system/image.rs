//! The daemon's adapter for EC2 and SSM, each operation and its refusals, against the sandbox's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use causewayd::base::NoObserver;
use causewayd::image::{
    By, Deletion, Error, Images, Registration, SnapshotState, StoreState, StoreTask,
};
use causewayd::model::{Device, FailureClass, Image, ImageState, Tags, Timestamp, Traits, Volume};
use causewayd::remote::{Credentials, Remote, Secret};
use e2e::remote_options;
use sandbox::{Action, DeviceSpec, Endpoint, EndpointOptions, Fault, ImageSpec, Owner};

/// One partition's EC2, S3 and SSM with the bucket `images`, and the adapter at it.
struct Cloud {
    endpoint: Endpoint,
    images: Images,
}

impl Cloud {
    async fn new() -> Result<Self> {
        let options = EndpointOptions { plain_http: true, ..EndpointOptions::commercial() };
        let endpoint = Endpoint::start(options.bucket("images")).await?;
        let options = remote_options("commercial", &endpoint)?;
        let remote = Remote::connect(options, Arc::new(NoObserver)).await?;
        Ok(Self { endpoint, images: Images::new(remote) })
    }

    fn add(&self, name: &str) -> String {
        self.endpoint.ec2().add_image(ImageSpec::new(name).content_bytes(1 << 20))
    }

    /// Stores the image and waits for the task's end.
    async fn store(&self, id: &str) -> Result<String> {
        let key = self.images.store(id, "images", &tags("kind", "image")).await?;
        self.stored(id).await?;
        Ok(key)
    }

    async fn stored(&self, id: &str) -> Result<StoreTask> {
        let ids = [id.to_owned()];
        let ended = async || {
            let task = self.images.store_tasks(&ids).await?.into_iter().next();
            anyhow::Ok(task.filter(|task| task.state != StoreState::InProgress))
        };
        until(ended).await
    }

    /// The image once it is made, or cannot be.
    async fn restored(&self, id: &str) -> Result<Image> {
        let image = async || {
            let image = self.images.image(id).await?;
            anyhow::Ok(image.filter(|image| image.state != ImageState::Pending))
        };
        until(image).await
    }
}

/// Asks until there is an answer.
async fn until<T>(ask: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    for _ in 0..1_000 {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("ten seconds have passed")
}

fn tags(key: &str, value: &str) -> Tags {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

fn some(word: &str) -> Option<String> {
    Some(word.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_stored_restored_and_found_again_with_all_that_it_is() -> Result<()> {
    let cloud = Cloud::new().await?;
    let images = &cloud.images;
    let mut spec = ImageSpec::new("golden-1").content_bytes(3 << 20).tag("team", "a & b");
    spec.traits.description = "golden & good".to_owned();
    spec.traits.tpm_support = some("v2.0");
    spec.traits.boot_mode = some("uefi");
    spec.devices.push(DeviceSpec::volume("/dev/xvdb", 20));
    spec.devices.push(DeviceSpec { volume: None, ..DeviceSpec::volume("/dev/xvdc", 1) });
    let id = cloud.endpoint.ec2().add_image(spec);

    let old = images.image(&id).await?.context("it is there")?;
    let volume = |device: &Device, gib| {
        let Some(volume) = &device.volume else { anyhow::bail!("no volume: {device:?}") };
        let expected = Volume {
            snapshot: volume.snapshot.clone(),
            gib: Some(gib),
            kind: some("gp3"),
            iops: Some(3_000),
            throughput: Some(125),
            encrypted: Some(false),
            kms_key: None,
            delete_on_termination: Some(true),
        };
        ensure!(*volume == expected && volume.snapshot.is_some(), "{volume:?}");
        Ok(())
    };
    ensure!(old.devices.len() == 3 && old.gib() == 28 && old.snapshots().count() == 2, "{old:?}");
    volume(&old.devices[0], 8)?;
    volume(&old.devices[1], 20)?;
    ensure!(old.devices[2].virtual_name == some("ephemeral0"), "{old:?}");
    let traits = Traits {
        architecture: some("x86_64"),
        virtualization: some("hvm"),
        root_device_name: some("/dev/xvda"),
        ena_support: Some(true),
        sriov_net_support: some("simple"),
        boot_mode: some("uefi"),
        tpm_support: some("v2.0"),
        imds_support: some("v2.0"),
    };
    ensure!(old.traits == traits, "{old:?}");
    ensure!(old.owner == "111122223333" && !old.is_public && old.name == "golden-1", "{old:?}");
    ensure!(old.platform_details == some("Linux/UNIX") && old.platform.is_none(), "{old:?}");
    ensure!(old.root_device_type == some("ebs") && old.created_at.is_some(), "{old:?}");
    ensure!(old.description == some("golden & good") && old.tags == tags("team", "a & b"));
    ensure!(old.deregistration_protection == some("disabled"), "{old:?}");

    let key = cloud.store(&id).await?;
    ensure!(key == format!("{id}.bin"), "{key}");
    let task = cloud.stored(&id).await?;
    ensure!(task.state == StoreState::Completed && task.percent == 100, "{task:?}");
    ensure!(task.bucket == "images" && task.key == key && task.started_at.is_some(), "{task:?}");
    let object = cloud.endpoint.object("images", &key).context("the object")?;
    ensure!(object.attributes.tags == tags("kind", "image"), "{:?}", object.attributes);

    let new = images.restore("images", &key, Some("golden-2"), &tags("job", "1")).await?;
    let new = cloud.restored(&new).await?;
    ensure!(new.state == ImageState::Available && new.traits == old.traits, "{new:?}");
    ensure!(new.description == old.description && new.gib() == old.gib(), "{new:?}");
    ensure!(new.tags.get("job").map(String::as_str) == Some("1"), "{new:?}");
    let snapshots: Vec<String> = new.snapshots().map(str::to_owned).collect();
    let found = images.snapshots(&snapshots).await?;
    ensure!(found.len() == 2, "{found:?}");
    for snapshot in found {
        ensure!(snapshot.state == SnapshotState::Completed, "{snapshot:?}");
        ensure!(snapshot.percent == Some(100) && !snapshot.encrypted, "{snapshot:?}");
        ensure!(snapshot.owner == "111122223333" && snapshot.tags.contains_key("job"));
        ensure!(matches!(snapshot.gib, Some(8 | 20)), "{snapshot:?}");
    }
    ensure!(images.find_images(By::Name("golden-2")).await? == std::slice::from_ref(&new));
    ensure!(images.find_images(By::Tag { key: "job", value: "1" }).await? == [new]);
    ensure!(images.find_images(By::Name("golden-*")).await?.is_empty(), "no wildcards");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_end_badly_say_why() -> Result<()> {
    let cloud = Cloud::new().await?;
    let id = cloud.add("golden");
    let ec2 = cloud.endpoint.ec2();
    ec2.change(|options| options.store_failure = Some("the disk is full".to_owned()));
    let images = &cloud.images;
    images.store(&id, "images", &Tags::new()).await?;
    let StoreState::Failed { reason } = cloud.stored(&id).await?.state else {
        anyhow::bail!("it has to fail")
    };
    ensure!(reason == "the disk is full", "{reason}");

    ec2.change(|options| options.store_failure = None);
    let key = cloud.store(&id).await?;
    let all = images.store_tasks(&[id]).await?;
    ensure!(all.len() == 2 && all[0].state == StoreState::Completed, "newest first: {all:?}");
    ec2.change(|options| options.restore_failure = Some("the object is broken".to_owned()));
    let new = images.restore("images", &key, Some("copy"), &Tags::new()).await?;
    let new = cloud.restored(&new).await?;
    ensure!(new.state == ImageState::Failed, "{new:?}");
    let reason = new.state_reason.as_deref().unwrap_or_default();
    ensure!(reason == "Client.ImportFailed: the object is broken", "{reason}");
    let snapshots: Vec<String> = new.snapshots().map(str::to_owned).collect();
    let found = images.snapshots(&snapshots).await?;
    ensure!(found.iter().all(|it| it.state == SnapshotState::Failed), "{found:?}");
    ensure!(found.iter().all(|it| it.state_message.is_some()), "{found:?}");
    Ok(())
}

/// A quota's code is not documented: whatever it is, it means wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_told_apart_whatever_its_code() -> Result<()> {
    let cloud = Cloud::new().await?;
    let (ec2, images) = (cloud.endpoint.ec2(), &cloud.images);
    let (first, second, third) = (cloud.add("first"), cloud.add("second"), cloud.add("third"));
    let key = cloud.store(&first).await?;
    ec2.change(|options| {
        (options.store_in_progress_gb, options.restore_in_progress_gb) = (8, 8);
        (options.store_ms_per_gib, options.restore_ms_per_gib) = (60_000, 60_000);
    });
    images.store(&second, "images", &Tags::new()).await?;
    images.restore("images", &key, Some("copy"), &Tags::new()).await?;
    for code in ["ResourceLimitExceeded", "StoreImageTaskLimitExceeded", "ServiceQuotaExceeded"] {
        ec2.change(|options| options.quota_code = code.to_owned());
        let store = images.store(&third, "images", &Tags::new()).await;
        let restore = images.restore("images", &key, Some("another"), &Tags::new()).await;
        for answer in [store, restore] {
            let Err(error @ Error::Quota(_)) = answer else { anyhow::bail!("{code}: {answer:?}") };
            ensure!(error.class() == FailureClass::Transient && !error.answer_lost(), "{error}");
        }
    }
    ensure!(ec2.quotas().store.refused == 3 && ec2.quotas().restore.refused == 3);
    Ok(())
}

/// Stores of other people count towards the quota, so all are listed: 200 fit on a page.
#[tokio::test(flavor = "multi_thread")]
async fn lists_longer_than_a_page_are_whole() -> Result<()> {
    let cloud = Cloud::new().await?;
    let (ec2, images) = (cloud.endpoint.ec2(), &cloud.images);
    ec2.change(|options| {
        (options.store_in_progress_gb, options.store_ms_per_gib) = (1_000_000, 60_000);
    });
    let mut ids = Vec::new();
    for n in 0..205 {
        let id = cloud.add(&format!("golden-{n}"));
        images.store(&id, "images", &Tags::new()).await?;
        ids.push(id);
    }
    let ended = cloud.add("ended");
    ec2.change(|options| options.store_ms_per_gib = 0);
    cloud.store(&ended).await?;
    let listed = images.store_tasks_in_progress().await?;
    let newest_first: Vec<&String> = ids.iter().rev().collect();
    ensure!(listed.iter().map(|task| &task.image).collect::<Vec<_>>() == newest_first);
    ensure!(listed.iter().all(|task| task.percent < 100), "{listed:?}");
    ids.push(ended);
    let asked = images.store_tasks(&ids).await?;
    ensure!(asked.len() == 206, "twenty at once: {}", asked.len());
    // Two pages, and eleven times twenty ids.
    ensure!(cloud.endpoint.stats().calls("DescribeStoreImageTasks") >= 2 + 11);

    for n in 0..1_005 {
        ec2.add_image(ImageSpec::new(format!("many-{n}")).tag("of", "many"));
    }
    let before = cloud.endpoint.stats().calls("DescribeImages");
    let found = images.find_images(By::Tag { key: "of", value: "many" }).await?;
    ensure!(found.len() == 1_005, "{}", found.len());
    ensure!(cloud.endpoint.stats().calls("DescribeImages") - before == 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_made_may_not_be_seen_yet() -> Result<()> {
    let cloud = Cloud::new().await?;
    let (ec2, images) = (cloud.endpoint.ec2(), &cloud.images);
    let id = cloud.add("golden");
    let key = cloud.store(&id).await?;
    ec2.change(|options| options.visible_after_ms = 3_000);
    let new = images.restore("images", &key, Some("copy"), &tags("job", "1")).await?;
    ensure!(images.image(&new).await?.is_none(), "not yet");
    ensure!(images.find_images(By::Name("copy")).await?.is_empty(), "not yet");
    // The name is taken all the same: that is how a lost answer shows.
    let error =
        images.restore("images", &key, Some("copy"), &Tags::new()).await.expect_err("taken");
    ensure!(matches!(error, Error::NameTaken(_)), "{error}");
    let copy = cloud.restored(&new).await?;
    ensure!(copy.tags == tags("job", "1"), "{copy:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_deprecated_disabled_and_deregistered() -> Result<()> {
    let cloud = Cloud::new().await?;
    let (ec2, images) = (cloud.endpoint.ec2(), &cloud.images);
    let id = ec2.add_image(ImageSpec::new("golden").content_bytes(1 << 20).tag("job", "a=b, c"));
    let snapshots: Vec<String> =
        images.image(&id).await?.context("there")?.snapshots().map(str::to_owned).collect();

    let created = images.image(&id).await?.and_then(|image| image.created_at).context("a date")?;
    // To the minute.
    let at = Timestamp((created.0 / 60_000 + 24 * 60) * 60_000);
    images.deprecate(&id, at).await?;
    let image = images.image(&id).await?.context("there")?;
    ensure!(image.deprecated_at == Some(at) && image.tags == tags("job", "a=b, c"), "{image:?}");
    images.disable(&id).await?;
    images.disable(&id).await?;
    let image = images.image(&id).await?.context("disabled ones are shown")?;
    ensure!(image.state == ImageState::Disabled, "{image:?}");
    ensure!(images.find_images(By::Name("golden")).await?.len() == 1, "disabled ones, too");

    ec2.protect(&id, true);
    let error = images.deregister(&id, true).await.expect_err("it is protected");
    ensure!(error.code() == Some("OperationNotPermitted"), "{error}");
    ensure!(error.to_failure(causewayd::model::Side::Source).remedy.contains("protection"));
    ec2.protect(&id, false);
    let other = register(images, "other", &snapshots[0]).await?;
    let deleted = images.deregister(&id, true).await?;
    ensure!(deleted.len() == 1 && deleted[0].deletion == Deletion::InUse, "{deleted:?}");
    let error = images.deregister(&id, true).await.expect_err("it is gone");
    ensure!(matches!(error, Error::NoSuchImage(_)), "{error}");
    ensure!(images.image(&id).await?.is_none());
    let deleted = images.deregister(&other, true).await?;
    ensure!(deleted[0].snapshot == snapshots[0], "{deleted:?}");
    ensure!(deleted[0].deletion == Deletion::Deleted, "{deleted:?}");
    let error = images.snapshots(&snapshots).await.expect_err("it is gone");
    ensure!(matches!(error, Error::NoSuchSnapshot(_)), "{error}");
    Ok(())
}

/// Registers an image as different from EC2's defaults as can be.
async fn register(images: &Images, name: &str, snapshot: &str) -> Result<String> {
    let volume = Volume {
        snapshot: some(snapshot),
        gib: Some(9),
        kind: some("io2"),
        iops: Some(4_000),
        throughput: None,
        encrypted: Some(false),
        kms_key: None,
        delete_on_termination: Some(false),
    };
    let ephemeral = Device {
        name: "/dev/sdb".to_owned(),
        virtual_name: some("ephemeral0"),
        ..Device::default()
    };
    let registration = Registration {
        uefi_data: None,
        name: name.to_owned(),
        description: some("repaired <again>"),
        traits: Traits {
            architecture: some("arm64"),
            virtualization: some("hvm"),
            root_device_name: some("/dev/sda1"),
            ena_support: Some(true),
            sriov_net_support: some("simple"),
            boot_mode: some("uefi"),
            tpm_support: some("v2.0"),
            imds_support: some("v2.0"),
        },
        devices: vec![
            Device { name: "/dev/sda1".to_owned(), volume: Some(volume), ..Device::default() },
            ephemeral,
        ],
        tags: tags("job", "2"),
    };
    let id = images.register(&registration).await?;
    let found = images.image(&id).await?.context("registered")?;
    ensure!(found.traits == registration.traits, "{found:?}");
    ensure!(found.devices == registration.devices && found.tags == registration.tags, "{found:?}");
    ensure!(found.name == name && found.description == registration.description, "{found:?}");
    Ok(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_says_whether_it_would_be_permitted_and_does_nothing() -> Result<()> {
    let cloud = Cloud::new().await?;
    let images = &cloud.images;
    let id = cloud.add("golden");
    let at = Timestamp(4_000_000_000_000);
    let traits = Traits {
        architecture: some("x86_64"),
        virtualization: some("hvm"),
        root_device_name: some("/dev/xvda"),
        ..Traits::default()
    };
    let image = Registration { name: "new".to_owned(), traits, ..Registration::default() };
    let tagged = tags("job", "3");
    let may_restore = || images.may_restore("images", "a.bin", Some("copy"), &tagged);
    let all = async || {
        [
            ("CreateStoreImageTask", images.may_store(&id, "images").await),
            ("CreateRestoreImageTask", may_restore().await),
            ("RegisterImage", images.may_register(&image).await),
            ("EnableImageDeprecation", images.may_deprecate(&id, at).await),
            ("DisableImage", images.may_disable(&id).await),
            ("DeregisterImage", images.may_deregister(&id, true).await),
        ]
    };
    let before = images.image(&id).await?;
    for (name, answer) in all().await {
        answer.with_context(|| format!("{name} would succeed"))?;
    }
    ensure!(images.image(&id).await? == before && cloud.endpoint.keys("images").is_empty());
    ensure!(
        cloud.endpoint.ec2().images().len() == 1
            && images.store_tasks(std::slice::from_ref(&id)).await?.is_empty()
    );

    cloud.endpoint.deny(all().await.map(|(name, _)| name));
    for (name, answer) in all().await {
        let Err(error @ Error::AccessDenied(_)) = answer else {
            anyhow::bail!("{name}: {answer:?}")
        };
        let failure = error.to_failure(causewayd::model::Side::Target);
        ensure!(failure.class == FailureClass::Permanent, "{failure}");
        ensure!(failure.operation == format!("ec2:{name}"), "{failure}");
        ensure!(failure.remedy.contains(&failure.operation), "{failure}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_holds_an_image_once_it_was_validated() -> Result<()> {
    let cloud = Cloud::new().await?;
    let images = &cloud.images;
    let (first, second) = (cloud.add("first"), cloud.add("second"));
    let holds = async |version| {
        let parameter = async || {
            let parameter = images.parameter("/golden").await?;
            anyhow::Ok(parameter.filter(|parameter| parameter.version == version))
        };
        until(parameter).await
    };
    ensure!(images.parameter("/golden").await?.is_none());
    ensure!(images.put_parameter("/golden", &first, false).await? == 1);
    ensure!(images.parameter("/golden").await?.is_none(), "answered before it was validated");
    let parameter = holds(1).await?;
    ensure!(parameter.value == first && parameter.data_type == "aws:ec2:image", "{parameter:?}");
    ensure!(parameter.modified_at.is_some(), "{parameter:?}");

    let error = images.put_parameter("/golden", &second, false).await.expect_err("it exists");
    ensure!(matches!(error, Error::ParameterExists(_)), "{error}");
    ensure!(images.put_parameter("/golden", &second, true).await? == 2);
    ensure!(holds(2).await?.value == second);
    let error = images.put_parameter("aws/x", &second, false).await.expect_err("a bad name");
    ensure!(matches!(error, Error::Refused(_)), "{error}");
    cloud.endpoint.deny(["PutParameter"]);
    let error = images.put_parameter("/golden", &second, true).await.expect_err("forbidden");
    ensure!(matches!(error, Error::AccessDenied(_)), "{error}");
    ensure!(error.exchange().operation == "ssm:PutParameter", "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_is_told_apart() -> Result<()> {
    let cloud = Cloud::new().await?;
    let (ec2, images, none) = (cloud.endpoint.ec2(), &cloud.images, Tags::new());
    let id = cloud.add("golden");
    let error = images.store("ami-00000000000000000", "images", &none).await.expect_err("no image");
    ensure!(matches!(error, Error::NoSuchImage(_)), "{error}");
    let error = images.store("ami-x", "images", &none).await.expect_err("no id");
    ensure!(matches!(error, Error::Refused(_)), "{error}");
    let error = images.store(&id, "nowhere", &none).await.expect_err("no bucket");
    ensure!(matches!(error, Error::Refused(_)), "{error}");
    cloud.store(&id).await?;
    let error = images.store(&id, "images", &none).await.expect_err("a copy is there");
    ensure!(matches!(error, Error::Refused(_)), "{error}");
    let remedy = error.to_failure(causewayd::model::Side::Source).remedy;
    ensure!(remedy.contains("a copy of the image"), "{remedy}");
    images.disable(&id).await?;
    let error = images.store(&id, "images", &none).await.expect_err("it is disabled");
    ensure!(matches!(error, Error::WrongState(_)), "{error}");

    let mut public = ImageSpec::new("public");
    public.owner = Owner::Public("999999999999".to_owned());
    let public = ec2.add_image(public);
    ensure!(images.image(&public).await?.is_some_and(|image| image.is_public));
    let error = images.store(&public, "images", &none).await.expect_err("not ours");
    ensure!(matches!(error, Error::AccessDenied(_)), "{error}");
    let mut old = ImageSpec::new("old");
    old.traits.virtualization = "paravirtual".to_owned();
    let error = images.store(&ec2.add_image(old), "images", &none).await.expect_err("too old");
    ensure!(matches!(error, Error::Unsupported(_)), "{error}");

    ec2.change(|options| options.encryption_by_default = true);
    ensure!(images.encrypts_by_default().await?);
    ensure!(images.default_key().await?.is_none(), "the account's own");
    let key = "arn:aws:kms:us-east-2:111122223333:key/0-1";
    ec2.change(|options| options.default_key = key.to_owned());
    ensure!(images.default_key().await?.as_deref() == Some(key));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_have_the_class_of_who_acts_next() -> Result<()> {
    use FailureClass::{Credentials, Permanent, Throttled, Transient};
    let cloud = Cloud::new().await?;
    let (images, none) = (&cloud.images, Tags::new());
    let id = cloud.add("golden");
    let status = |code: &str| Action::Status(code.to_owned());
    for (action, class, is_lost) in [
        (status("500"), Transient, true),
        (status("503"), Transient, true),
        (status("InternalError"), Transient, true),
        (status("Unavailable"), Transient, true),
        (Action::LoseAnswer, Transient, true),
        (Action::LoseRequest, Transient, true),
        (Action::Truncate, Transient, true),
        (status("RequestLimitExceeded"), Throttled, false),
        (status("Throttling"), Throttled, false),
        (status("429"), Throttled, false),
        (status("RequestExpired"), Credentials, false),
        (status("AuthFailure"), Credentials, false),
        (status("UnauthorizedOperation"), Permanent, false),
        (status("SomethingNew"), Permanent, false),
    ] {
        cloud.endpoint.faults([Fault::on("DescribeImages", action.clone())]);
        let error = images.image(&id).await.expect_err("scripted");
        ensure!(error.class() == class && error.answer_lost() == is_lost, "{action:?}: {error}");
    }
    for (code, class) in [("ThrottlingException", Throttled), ("InternalServerError", Transient)] {
        cloud.endpoint.faults([Fault::on("GetParameter", status(code))]);
        let error = images.parameter("/golden").await.expect_err("scripted");
        ensure!(error.class() == class, "{code}: {error}");
    }
    // The answer was lost and the task runs: its image's tasks tell.
    cloud.endpoint.faults([Fault::on("CreateStoreImageTask", Action::LoseAnswer)]);
    let error = images.store(&id, "images", &none).await.expect_err("scripted");
    ensure!(error.answer_lost(), "{error}");
    cloud.endpoint.faults([]);
    ensure!(cloud.stored(&id).await?.state == StoreState::Completed);
    // Nothing is tried twice here.
    ensure!(cloud.endpoint.stats().calls("CreateStoreImageTask") == 1);
    Ok(())
}

/// Keys of the other partition, an expired token, a wrong secret: all wait for a person, and none is shown.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_not_taken_are_told_and_not_shown() -> Result<()> {
    let cloud = Cloud::new().await?;
    let keys = cloud.endpoint.credentials().clone();
    let at = async |id: &str, secret: &str| {
        let mut options = remote_options("commercial", &cloud.endpoint)?;
        options.credentials = Credentials::Static {
            access_key_id: id.to_owned(),
            secret_access_key: Secret::new(secret),
            session_token: None,
        };
        let remote = Remote::connect(options, Arc::new(NoObserver)).await?;
        anyhow::Ok(Images::new(remote))
    };
    let strange = at("AKIAGOVCLOUD0SANDBOX", "gov-secret").await?;
    let wrong = at(&keys.access_key_id, "wrong-secret").await?;
    for images in [&strange, &wrong] {
        for error in [
            images.image("ami-00000000").await.expect_err("not taken"),
            images.parameter("/golden").await.expect_err("not taken"),
            images.may_store("ami-00000000", "images").await.expect_err("not taken"),
        ] {
            ensure!(error.class() == FailureClass::Credentials, "{error}");
            let told = format!("{error:?} {}", error.to_failure(causewayd::model::Side::Source));
            ensure!(!told.contains("-secret"), "{told}");
        }
    }
    cloud.endpoint.expire_credentials(&keys.access_key_id);
    let error = cloud.images.image("ami-00000000").await.expect_err("expired");
    ensure!(error.class() == FailureClass::Credentials, "{error}");
    Ok(())
}
