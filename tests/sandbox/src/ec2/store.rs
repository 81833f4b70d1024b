//! CreateStoreImageTask and DescribeStoreImageTasks. There is no client token: asked twice, the second is
//! refused while the first runs or its object exists.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateStoreImageTask.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-store-restore.html>

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Ec2;
use super::admission::Admitted;
use super::describe::{Filters, page};
use super::image::{Image, ImageState, Owner};
use super::state::State;
use super::stored::{self, Description, StoredDevice, StoredVolume};
use crate::api::Refused;
use crate::clock::stamp;
use crate::content::Content;
use crate::lock::lock;
use crate::query::{Form, Written};
use crate::store::object::Attributes;

/// Tasks are shown for so long.
const SHOWN: SignedDuration = SignedDuration::from_hours(31 * 24);
/// Images that can be asked for by id at once.
const IDS_MAX: usize = 20;

/// How a store stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoreState {
    InProgress { from: Instant, until: Instant },
    Completed,
    Failed { reason: String },
}

/// One store, from its request on.
#[derive(Debug, Clone)]
pub(super) struct StoreTask {
    pub(super) number: usize,
    pub(super) image_id: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) started: Timestamp,
    pub(super) state: StoreState,
    pub(super) admitted: Admitted,
}

impl StoreTask {
    fn state_name(&self) -> &'static str {
        match self.state {
            StoreState::InProgress { .. } => "InProgress",
            StoreState::Completed => "Completed",
            StoreState::Failed { .. } => "Failed",
        }
    }

    fn percentage(&self, now: Instant) -> u128 {
        match self.state {
            StoreState::InProgress { from, until } => progress(from, until, now),
            StoreState::Completed => 100,
            StoreState::Failed { .. } => 0,
        }
    }
}

/// In percent; 100 is for what has ended.
pub(super) fn progress(from: Instant, until: Instant, now: Instant) -> u128 {
    let whole = until.saturating_duration_since(from).as_millis().max(1);
    (now.saturating_duration_since(from).as_millis() * 100 / whole).min(99)
}

impl Ec2 {
    pub(super) fn create_store(&self, form: &Form) -> Result<Written, Refused> {
        let (image_id, bucket) = (form.need("ImageId")?, form.need("Bucket")?);
        let tags: BTreeMap<String, String> = form
            .members("S3ObjectTag")
            .iter()
            .map(|tag| Ok((tag.need("Key")?.to_owned(), tag.need("Value")?.to_owned())))
            .collect::<Result<_, Refused>>()?;
        let key = format!("{image_id}.bin");
        let mut state = lock(&self.0.state);
        let image = storable(&state, image_id)?.clone();
        self.check_bucket(bucket)?;
        let running = |task: &StoreTask| {
            matches!(task.state, StoreState::InProgress { .. })
                && task.bucket == bucket
                && task.key == key
        };
        if state.stores.iter().any(running) || self.0.partition.find(bucket, &key, None).is_ok() {
            let message = format!("Bucket {bucket} has a copy of {image_id} already: {key}");
            return Err(Refused::new("InvalidRequest", message));
        }
        let (gib, limit) = (image.gib(), state.options.store_in_progress_gb);
        let code = state.options.quota_code.clone();
        let admitted = state.storing.admit(gib, limit, &code)?;
        let from = Instant::now();
        let until = from + Duration::from_millis(state.options.store_ms_per_gib * gib);
        let task = StoreTask {
            number: state.stores.len(),
            image_id: image_id.to_owned(),
            bucket: bucket.to_owned(),
            key: key.clone(),
            started: self.0.clock.now(),
            state: StoreState::InProgress { from, until },
            admitted,
        };
        state.stores.push(task.clone());
        let ec2 = self.clone();
        self.spawn(async move {
            tokio::time::sleep_until(until).await;
            let outcome = ec2.write(&task, &image, tags).await;
            ec2.stored(&task, outcome);
        });
        Ok(Box::new(|xml| xml.leaf("objectKey", key)))
    }

    /// # Errors
    /// AWS's page names no code for these: this one is EC2's for a parameter's value.
    pub(super) fn check_bucket(&self, bucket: &str) -> Result<(), Refused> {
        let store = &self.0.partition.store;
        let message = match store.bucket(bucket, |bucket| Ok(bucket.options.region.clone())) {
            Ok(None) => return Ok(()),
            Ok(Some(region)) => format!(
                "Bucket {bucket} is in {region}; it must be in the Region of the request, {}",
                self.0.partition.region
            ),
            Err(_) => format!("Bucket {bucket} does not exist"),
        };
        Err(Refused::new("InvalidParameterValue", message))
    }

    /// Writes the object, as it is when the task ends.
    async fn write(
        &self,
        task: &StoreTask,
        image: &Image,
        tags: BTreeMap<String, String>,
    ) -> Result<(), String> {
        let (description, payloads) = {
            let state = lock(&self.0.state);
            if let Some(reason) = &state.options.store_failure {
                return Err(reason.clone());
            }
            describe(&state, image)?
        };
        let content = stored::compose(&description, payloads).await;
        let content = content.map_err(|error| format!("a snapshot cannot be read: {error}"))?;
        let owner = match &image.owner {
            Owner::Own => &self.0.partition.account,
            Owner::SharedBy(account) | Owner::Public(account) => account,
        };
        let metadata = metadata(image, owner, self.0.clock.now());
        let attributes = Attributes { metadata, tags, ..Attributes::default() };
        let placed = self.0.partition.place(&task.bucket, &task.key, content, attributes).await;
        placed.map(drop).map_err(|error| format!("the bucket cannot be written to: {error}"))
    }

    fn stored(&self, task: &StoreTask, outcome: Result<(), String>) {
        let mut state = lock(&self.0.state);
        state.storing.release(task.admitted);
        if let Some(task) = state.stores.get_mut(task.number) {
            task.state = match outcome {
                Ok(()) => StoreState::Completed,
                Err(reason) => StoreState::Failed { reason },
            };
        }
    }

    /// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeStoreImageTasks.html>
    pub(super) fn describe_stores(&self, form: &Form) -> Result<Written, Refused> {
        let (ids, filters) = (form.list("ImageId"), Filters::of(form));
        if ids.len() > IDS_MAX {
            let message = format!("At most {IDS_MAX} image ids can be given");
            return Err(Refused::new("InvalidParameterValue", message));
        }
        if !ids.is_empty() && form.get("MaxResults").is_some() {
            let message = "MaxResults and ImageId cannot be given together";
            return Err(Refused::new("InvalidParameterCombination", message));
        }
        let state = lock(&self.0.state);
        let now = self.0.clock.now();
        let mut tasks = Vec::new();
        for task in state.stores.iter().filter(|task| now.duration_since(task.started) <= SHOWN) {
            let wanted = match ids.is_empty() {
                // With ids the filters are ignored.
                false => ids.contains(&task.image_id.as_str()),
                true => filters.pass(|name| match name {
                    "task-state" => Some(vec![task.state_name().to_owned()]),
                    "bucket" => Some(vec![task.bucket.clone()]),
                    _ => None,
                })?,
            };
            if wanted {
                tasks.push(task.clone());
            }
        }
        // Newest first: the order is ascending by what is left to the largest number.
        let order = |task: &StoreTask| format!("{:020}", usize::MAX - task.number);
        let (tasks, next) = page(form, tasks, order, 1..=200)?;
        let now = Instant::now();
        Ok(Box::new(move |xml| {
            xml.list("storeImageTaskResultSet", tasks, |xml, task| {
                xml.leaf("amiId", &task.image_id);
                xml.leaf("bucket", &task.bucket);
                xml.leaf("progressPercentage", task.percentage(now));
                xml.leaf("s3objectKey", &task.key);
                if let StoreState::Failed { reason } = &task.state {
                    xml.leaf("storeTaskFailureReason", reason);
                }
                xml.leaf("storeTaskState", task.state_name());
                xml.leaf("taskStartTime", stamp(task.started));
            });
            xml.leaf_if("nextToken", next);
        }))
    }
}

/// An image that can be stored: EBS-backed, not paravirtual, ours or shared directly with us, not too
/// large. The page documents each rule, and no code but those of ids and of rights.
fn storable<'a>(state: &'a State, id: &str) -> Result<&'a Image, Refused> {
    let image = state.image(id)?;
    if let Owner::Public(_) = image.owner {
        return Err(Refused::new("AuthFailure", format!("Not authorized for image:{id}")));
    }
    if image.state != ImageState::Available {
        let message = format!("The image '{id}' is {}", image.state.name());
        return Err(Refused::new("InvalidAMIID.Unavailable", message));
    }
    if !image.is_ebs_backed() || image.traits.virtualization == "paravirtual" {
        let kind = if image.is_ebs_backed() { "paravirtual" } else { "instance store-backed" };
        let message = format!("The image '{id}' is {kind}: it cannot be stored");
        return Err(Refused::new("UnsupportedOperation", message));
    }
    for snapshot_id in image.snapshot_ids() {
        state.snapshot(snapshot_id)?;
    }
    let (gib, max) = (image.gib(), state.options.image_size_gb);
    if gib > max {
        let message = format!("The image '{id}' has {gib} GB; at most {max} GB can be stored");
        return Err(Refused::new("InvalidParameterValue", message));
    }
    Ok(image)
}

/// What the object says of the image, and its bytes. The snapshots have to be there still: AWS's page says
/// that the task fails when they are deleted while it runs.
fn describe(state: &State, image: &Image) -> Result<(Description, Vec<Content>), String> {
    let (mut devices, mut payloads) = (Vec::new(), Vec::new());
    for device in &image.devices {
        let volume = match &device.volume {
            None => None,
            Some(volume) => {
                let gone = || format!("the snapshot {} is gone", volume.snapshot_id);
                let snapshot = state.snapshots.get(&volume.snapshot_id).ok_or_else(gone)?;
                payloads.push(snapshot.payload.clone());
                let (shape, tags) = (volume.shape.clone(), snapshot.tags());
                Some(StoredVolume { shape, bytes: snapshot.payload.len(), tags })
            }
        };
        devices.push(StoredDevice { device_name: device.device_name.clone(), volume });
    }
    let description = Description {
        image_id: image.id.clone(),
        name: image.name.clone(),
        traits: image.traits.clone(),
        tags: image.tags(),
        devices,
    };
    Ok((description, payloads))
}

/// AWS's page lists what is written: name, description, registration date, owner and store time. It does
/// not give the names.
fn metadata(image: &Image, owner: &str, now: Timestamp) -> BTreeMap<String, String> {
    let pairs = [
        ("ami-name", image.name.clone()),
        ("ami-description", header_text(&image.traits.description)),
        ("ami-owner-account", owner.to_owned()),
        ("ami-registered-date", stamp(image.created)),
        ("ami-store-date", stamp(now)),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A header carries ASCII; S3 gives other text back as RFC 2047 has it.
fn header_text(text: &str) -> String {
    match text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        true => text.to_owned(),
        false => format!("=?UTF-8?B?{}?=", BASE64.encode(text)),
    }
}
