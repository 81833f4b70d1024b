//! CreateRestoreImageTask: an image id at once, the image and its snapshots when they are made, and only if
//! the object is byte for byte what a store wrote. There is no task to describe: the image is the handle.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRestoreImageTask.html>

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Ec2;
use super::admission::Admitted;
use super::image::{Device, Image, ImageState, Owner, Snapshot, SnapshotState, Volume};
use super::state::State;
use super::stored::{self, Head};
use super::tags::{Specified, Tags};
use crate::api::Refused;
use crate::lock::lock;
use crate::query::{Form, Written};
use crate::store::object::StoredObject;

/// A restore under way.
struct Restore {
    image_id: String,
    object: Arc<StoredObject>,
    head: Head,
    admitted: Admitted,
}

impl Ec2 {
    pub(super) async fn create_restore(&self, form: &Form) -> Result<Written, Refused> {
        let (bucket, key) = (form.need("Bucket")?, form.need("ObjectKey")?);
        let tags = Specified::of(form)?;
        let invalid = |message: String| Refused::new("InvalidParameterValue", message);
        self.check_bucket(bucket)?;
        let missing = |_| invalid(format!("Bucket {bucket} has no object {key}"));
        let object = self.0.partition.find(bucket, key, None).map_err(missing)?;
        let head = stored::read_head(&object.content).await;
        let head = head.map_err(|reason| invalid(format!("{bucket}/{key}: {reason}")))?;
        let name = form.get("Name").unwrap_or(&head.description.name).to_owned();

        let mut state = lock(&self.0.state);
        state.check_name(&name)?;
        let volumes = head.description.devices.iter().filter_map(|d| d.volume.as_ref());
        let gib: u64 = volumes.map(|volume| volume.shape.gib).sum();
        let (limit, code) =
            (state.options.restore_in_progress_gb, state.options.quota_code.clone());
        let admitted = state.restoring.admit(gib, limit, &code)?;
        let from = Instant::now();
        let until = from + Duration::from_millis(state.options.restore_ms_per_gib * gib);
        let image_id = self.begin(&mut state, &object, &head, name, tags, (from, until));
        let restore = Restore { image_id: image_id.clone(), object, head, admitted };
        let ec2 = self.clone();
        self.spawn(async move {
            tokio::time::sleep_until(until).await;
            let outcome = restore.head.verify(&restore.object.content).await;
            ec2.restored(&restore, outcome);
        });
        Ok(Box::new(|xml| xml.leaf("imageId", image_id)))
    }

    /// The image and its snapshots, all pending.
    fn begin(
        &self,
        state: &mut State,
        object: &StoredObject,
        head: &Head,
        name: String,
        specified: Specified,
        span: (Instant, Instant),
    ) -> String {
        let id = state.new_id("ami");
        let (visible_at, now) = (state.visible_at(), self.0.clock.now());
        let mut payloads = head.payloads(&object.content).into_iter();
        let mut devices = Vec::new();
        for device in &head.description.devices {
            let device_name = device.device_name.clone();
            // An instance store's device has no bytes: it takes none of the next volume's.
            let volume = device.volume.as_ref();
            let Some((stored, payload)) = volume.and_then(|v| Some((v, payloads.next()?))) else {
                devices.push(Device { device_name, volume: None });
                continue;
            };
            let snapshot_id = state.new_id("snap");
            // The tags that it had, and over them those that are asked for.
            let mut tags = stored.tags.clone();
            tags.extend(specified.snapshot.clone());
            let snapshot = Snapshot {
                id: snapshot_id.clone(),
                gib: stored.shape.gib,
                encrypted: state.options.encryption_by_default,
                state: SnapshotState::Pending,
                description: format!("Created by AMI restore task for {id}"),
                owner: Owner::Own,
                started: now,
                span,
                payload,
                tags: Tags::new(tags, visible_at),
                visible_at,
            };
            state.snapshots.insert(snapshot_id.clone(), snapshot);
            let volume = Some(Volume { snapshot_id, shape: stored.shape.clone() });
            devices.push(Device { device_name, volume });
        }
        let mut tags = head.description.tags.clone();
        tags.extend(specified.image);
        let lost = state.options.lost_on_restore;
        let image = Image {
            id: id.clone(),
            name,
            traits: lost.take_from(head.description.traits.clone()),
            owner: Owner::Own,
            state: ImageState::Pending,
            devices,
            protected: false,
            deprecated_at: None,
            created: now,
            tags: Tags::new(tags, visible_at),
            visible_at,
        };
        state.images.insert(id.clone(), image);
        id
    }

    fn restored(&self, restore: &Restore, outcome: Result<(), String>) {
        let mut state = lock(&self.0.state);
        state.restoring.release(restore.admitted);
        let outcome = match state.options.restore_failure.clone() {
            Some(reason) => Err(reason),
            None => outcome,
        };
        // It may have been deregistered meanwhile.
        let Some(image) = state.images.get_mut(&restore.image_id) else { return };
        let ended = if outcome.is_ok() { SnapshotState::Completed } else { SnapshotState::Failed };
        image.state = match outcome {
            Ok(()) => ImageState::Available,
            Err(reason) => ImageState::Failed { reason },
        };
        let snapshot_ids: Vec<String> = image.snapshot_ids().map(str::to_owned).collect();
        for id in snapshot_ids {
            if let Some(snapshot) = state.snapshots.get_mut(&id) {
                snapshot.state = ended.clone();
            }
        }
    }
}
