//! Two partitions that store and restore images, and a daemon between them that is asked over its API.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use causeway::client::Action;
use causeway::{Client, v1};
use causewayd::base::NoObserver;
use causewayd::image::Images;
use causewayd::remote::{Options, Remote};
use sandbox::{DeviceSpec, Ec2, Ec2Options, EndpointOptions, Image, ImageSpec, ImageState};

use crate::{Daemon, World, remote_options};

/// What EC2 takes for a GiB, where nothing else is said: 160 ms for an image of 8 GiB.
const MS_PER_GIB: u64 = 20;

/// A world whose remotes know who they are, as image jobs need it to tell whose an image is.
#[derive(Debug)]
pub struct ImageWorld {
    pub world: World,
}

/// A daemon at work, and its client.
#[derive(Debug)]
pub struct Running {
    pub daemon: Daemon,
    pub client: Client,
}

impl ImageWorld {
    /// One in which EC2 is quick.
    pub async fn new() -> Result<Self> {
        Self::taking(MS_PER_GIB).await
    }

    /// One in which stores, and restores, take so long for a GiB.
    pub async fn taking(ms_per_gib: u64) -> Result<Self> {
        let mut commercial = EndpointOptions::commercial().bucket("images");
        let mut gov = EndpointOptions::gov().bucket("landing");
        for options in [&mut commercial, &mut gov] {
            options.ec2 = Ec2Options::taking(ms_per_gib);
        }
        let mut world = World::of(commercial, gov).await?;
        world.config.identify("commercial", &world.commercial)?;
        world.config.identify("gov", &world.gov)?;
        Ok(Self { world })
    }

    /// Starts the daemon.
    pub async fn start(&self) -> Result<Running> {
        let daemon = self.world.start().await?;
        let client = Client::connect(&self.world.config.control_endpoint()).await?;
        Ok(Running { daemon, client })
    }

    /// Puts a plain image of 8 GiB into the first partition; answers its id.
    pub fn add(&self, name: &str) -> String {
        self.from().add_image(ImageSpec::new(name))
    }

    /// Puts an image there that has all that a restore may lose.
    pub fn add_golden(&self) -> String {
        self.from().add_image(golden())
    }

    /// The EC2 of the image's partition.
    pub fn from(&self) -> Ec2 {
        self.world.commercial.ec2()
    }

    /// The EC2 of the partition that it goes to.
    pub fn to(&self) -> Ec2 {
        self.world.gov.ec2()
    }

    /// EC2 and SSM of a partition as somebody else asks them, without the daemon.
    pub async fn somebody_else(&self, remote: &str) -> Result<Images> {
        let endpoint = match remote {
            "gov" => &self.world.gov,
            _ => &self.world.commercial,
        };
        let options = Options {
            ca_bundle: Some(self.world.path(&format!("{remote}-ca.pem"))),
            ..remote_options(remote, endpoint)?
        };
        Ok(Images::new(Remote::connect(options, Arc::new(NoObserver)).await?))
    }

    /// Has a parameter of the second partition name an image of it, as somebody else would.
    pub async fn set_alias(&self, name: &str, image: &str) -> Result<()> {
        let version = self.somebody_else("gov").await?.put_parameter(name, image, true).await?;
        let holds = Some((image.to_owned(), version));
        for _ in 0..1_000 {
            if self.world.gov.ssm().value(name) == holds {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("{name} never came to hold {image}")
    }

    /// The only image of the second partition but for those `beside` it. It has to be one that can be launched.
    pub fn the_only_new_image(&self, beside: &[&str]) -> Result<Image> {
        let mut images = self.to().images();
        images.retain(|id, _| !beside.contains(&id.as_str()));
        ensure!(images.len() == 1, "not one image: {images:#?}");
        let image = images.into_values().next().context("one")?;
        ensure!(image.state == ImageState::Available, "{image:?}");
        Ok(image)
    }

    /// Whether the new image's volumes hold the bytes of the other's, and no snapshot stands beside them but
    /// those of the images `beside` it.
    pub async fn assert_same_volumes(
        &self,
        old: &Image,
        new: &Image,
        beside: &[&str],
    ) -> Result<()> {
        let (from, mut to) = (self.from().snapshots(), self.to().snapshots());
        ensure!(old.devices.len() == new.devices.len(), "{:?} {:?}", old.devices, new.devices);
        for (old, new) in old.snapshot_ids().zip(new.snapshot_ids()) {
            let old = from.get(old).context("the old snapshot is there")?;
            let new = to.remove(new).context("the new snapshot is there")?;
            let (was, is) = (old.content().read_all().await?, new.content().read_all().await?);
            ensure!(was == is, "{} holds other bytes than {}", new.id, old.id);
        }
        let known = beside.iter().filter_map(|id| self.to().image(id));
        let known: Vec<String> =
            known.flat_map(|it| it.snapshot_ids().map(str::to_owned).collect::<Vec<_>>()).collect();
        to.retain(|id, _| !known.contains(id));
        ensure!(to.is_empty(), "snapshots are left over: {to:?}");
        Ok(())
    }

    /// Nothing was begun on either side, and nothing stands there.
    pub fn assert_untouched(&self) -> Result<()> {
        for (endpoint, bucket) in [(&self.world.commercial, "images"), (&self.world.gov, "landing")]
        {
            let stats = endpoint.stats();
            for operation in ["CreateStoreImageTask", "CreateRestoreImageTask", "RegisterImage"] {
                ensure!(stats.calls(operation) == 0, "{operation} was asked for");
            }
            ensure!(endpoint.keys(bucket).is_empty(), "{:?}", endpoint.keys(bucket));
            ensure!(endpoint.uploads().is_empty(), "{:?}", endpoint.uploads());
        }
        Ok(())
    }
}

/// UEFI, TPM, IMDS, UEFI variables, a description, tags, and two volumes of together 28 GiB.
fn golden() -> ImageSpec {
    let mut spec = ImageSpec::new("golden-1").content_bytes(9 << 20).tag("team", "images");
    spec = spec.tag("stage", "prod");
    spec.traits.description = "golden & good".to_owned();
    spec.traits.boot_mode = Some("uefi".to_owned());
    spec.traits.tpm_support = Some("v2.0".to_owned());
    spec.traits.uefi_data = Some("QU1aTlVFRkk=".to_owned());
    spec.devices.push(DeviceSpec::volume("/dev/xvdb", 20));
    spec
}

/// A migration of this image, with nothing asked for beside.
pub fn migrate(image: &str) -> v1::MigrateSpec {
    v1::MigrateSpec {
        image: format!("commercial:{image}"),
        target: "gov:".to_owned(),
        via: "images".to_owned(),
        landing: "landing".to_owned(),
        ..v1::MigrateSpec::default()
    }
}

/// A migration of this image, which `alias` is to name.
pub fn aliased(image: &str, alias: &str) -> v1::MigrateSpec {
    let restored = v1::RestoredImage { alias: alias.to_owned(), ..v1::RestoredImage::default() };
    v1::MigrateSpec { restored: Some(restored), ..migrate(image) }
}

/// A store of this image in a bucket, or below a prefix of one.
pub fn store(image: &str, target: &str) -> v1::StoreSpec {
    v1::StoreSpec {
        image: format!("commercial:{image}"),
        target: format!("commercial:{target}"),
        ..v1::StoreSpec::default()
    }
}

/// Tags, as a specification has them.
pub fn tags<const N: usize>(tags: [(&str, &str); N]) -> HashMap<String, String> {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    tags.map(owned).into()
}

/// A job as a specification asks for it.
pub trait Asked {
    fn request(self) -> v1::SubmitRequest;
}

impl Asked for v1::SubmitRequest {
    fn request(self) -> v1::SubmitRequest {
        self
    }
}

impl Asked for v1::MigrateSpec {
    fn request(self) -> v1::SubmitRequest {
        v1::SubmitRequest { migrate: Some(self), ..v1::SubmitRequest::default() }
    }
}

impl Asked for v1::StoreSpec {
    fn request(self) -> v1::SubmitRequest {
        v1::SubmitRequest { store: Some(self), ..v1::SubmitRequest::default() }
    }
}

impl Asked for v1::RestoreSpec {
    fn request(self) -> v1::SubmitRequest {
        v1::SubmitRequest { restore: Some(self), ..v1::SubmitRequest::default() }
    }
}

impl Running {
    /// Submits it; answers its id.
    pub async fn submit(&self, asked: impl Asked) -> Result<String> {
        let answer = self.client.submit(asked.request()).await?;
        Ok(answer.job.context("the answer has no job")?.id)
    }

    /// The job, as it is now.
    pub async fn job(&self, id: &str) -> Result<v1::Job> {
        self.client.get(id, false).await?.job.context("the answer has no job")
    }

    /// Asks for the job until `seen` says yes.
    pub async fn until(&self, id: &str, seen: impl Fn(&v1::Job) -> bool) -> Result<v1::Job> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let job = self.job(id).await?;
            if seen(&job) {
                return Ok(job);
            }
            ensure!(Instant::now() < deadline, "two minutes have passed: {job:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the job works at this stage.
    pub async fn at(&self, id: &str, stage: v1::Stage) -> Result<v1::Job> {
        let job = self.until(id, |job| job.stage() == stage || is_over(job)).await?;
        ensure!(!is_over(&job), "it was never {stage:?}: {job:#?}");
        Ok(job)
    }

    /// Waits for its end, however it ends.
    pub async fn end(&self, id: &str) -> Result<v1::Job> {
        self.until(id, is_over).await
    }

    /// Waits for its end, which has to be a good one.
    pub async fn succeeds(&self, id: &str) -> Result<v1::Job> {
        let job = self.end(id).await?;
        ensure!(job.state() == v1::JobState::Succeeded, "{job:#?}");
        Ok(job)
    }

    /// Submits it, and waits for its good end.
    pub async fn done(&self, asked: impl Asked) -> Result<v1::Job> {
        let id = self.submit(asked).await?;
        self.succeeds(&id).await
    }

    /// Submits it, and waits for its failure, which has to speak of all of `words`.
    pub async fn fails(&self, asked: impl Asked, words: &[&str]) -> Result<v1::Job> {
        let id = self.submit(asked).await?;
        self.has_failed(&id, words).await
    }

    /// Waits for its failure, which has to speak of all of `words`.
    pub async fn has_failed(&self, id: &str, words: &[&str]) -> Result<v1::Job> {
        let job = self.end(id).await?;
        ensure!(job.state() == v1::JobState::Failed, "{job:#?}");
        let failure = job.failure.as_ref().context("it says why")?;
        eprintln!("{}", failure.message);
        for word in words {
            ensure!(failure.message.contains(word), "nothing of `{word}`: {}", failure.message);
        }
        ensure!(!failure.remedy.is_empty(), "no remedy: {failure:?}");
        Ok(job)
    }

    /// Pauses, resumes, cancels or retries it.
    pub async fn act(&self, action: Action, id: &str) -> Result<()> {
        let selection = v1::Selection { job_ids: vec![id.to_owned()], ..v1::Selection::default() };
        let answer = self.client.act(action, selection).await?;
        ensure!(answer.changed == 1, "{action:?}: {answer:?}");
        Ok(())
    }

    /// What became of an image job so far.
    pub async fn progress(&self, id: &str) -> Result<v1::ImageProgress> {
        self.job(id).await?.image.context("an image job tells how far it is")
    }
}

/// Whether nothing is done for it any more.
pub fn is_over(job: &v1::Job) -> bool {
    matches!(job.state(), v1::JobState::Succeeded | v1::JobState::Failed | v1::JobState::Cancelled)
}

/// The differences that a report tells, by field: what it was, and what it is.
pub fn differences(progress: &v1::ImageProgress) -> BTreeMap<&str, (&str, &str)> {
    let fidelity = progress.fidelity.iter();
    let all = fidelity.flat_map(|fidelity| &fidelity.differences);
    all.map(|it| (it.field.as_str(), (it.source.as_str(), it.restored.as_str()))).collect()
}
