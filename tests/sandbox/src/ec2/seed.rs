//! What a test arranges and sees without a request.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::image::{
    Device, DeviceSpec, Image, ImageSpec, ImageState, Owner, Snapshot, SnapshotState, Volume,
};
use super::options::Ec2Options;
use super::state::State;
use super::tags::Tags;
use super::{Ec2, Quotas};
use crate::Synthetic;
use crate::content::synthetic::mix;
use crate::lock::lock;

impl Ec2 {
    /// Puts an image there, available and seen at once, and answers its id. A name or an id that is taken is
    /// taken once more: what a test arranges is its own affair.
    pub fn add_image(&self, spec: ImageSpec) -> String {
        let mut state = lock(&self.0.state);
        let id = spec.id.unwrap_or_else(|| state.new_id("ami"));
        let now = Instant::now();
        let devices = spec.devices.into_iter();
        let devices = devices.map(|device| self.add_device(&mut state, device, &spec.owner));
        let image = Image {
            id: id.clone(),
            name: spec.name,
            traits: spec.traits,
            devices: devices.collect(),
            owner: spec.owner,
            state: ImageState::Available,
            protected: spec.protected,
            deprecated_at: None,
            created: self.0.clock.now(),
            tags: Tags::new(spec.tags, now),
            visible_at: now,
        };
        state.deregistered.remove(&id);
        state.images.insert(id.clone(), image);
        id
    }

    fn add_device(&self, state: &mut State, spec: DeviceSpec, owner: &Owner) -> Device {
        let Some(shape) = spec.volume else {
            return Device { device_name: spec.device_name, volume: None };
        };
        let (id, now) = (state.new_id("snap"), Instant::now());
        let seed = id.bytes().fold(0, |seed, byte| mix(seed ^ u64::from(byte)));
        let snapshot = Snapshot {
            id: id.clone(),
            gib: shape.gib,
            encrypted: spec.encrypted,
            state: SnapshotState::Completed,
            description: String::new(),
            owner: owner.clone(),
            started: self.0.clock.now(),
            span: (now, now),
            payload: Synthetic::new(seed, spec.content_bytes).into(),
            tags: Tags::new(spec.tags, now),
            visible_at: now,
        };
        state.snapshots.insert(id.clone(), snapshot);
        Device { device_name: spec.device_name, volume: Some(Volume { snapshot_id: id, shape }) }
    }

    /// An image as it is, whether or not it is seen already.
    #[must_use]
    pub fn image(&self, id: &str) -> Option<Image> {
        lock(&self.0.state).images.get(id).cloned()
    }

    /// All images as they are, by id.
    #[must_use]
    pub fn images(&self) -> BTreeMap<String, Image> {
        lock(&self.0.state).images.clone()
    }

    /// All snapshots as they are, by id.
    #[must_use]
    pub fn snapshots(&self) -> BTreeMap<String, Snapshot> {
        lock(&self.0.state).snapshots.clone()
    }

    /// What was admitted so far.
    #[must_use]
    pub fn quotas(&self) -> Quotas {
        let state = lock(&self.0.state);
        Quotas { store: state.storing.counted(), restore: state.restoring.counted() }
    }

    /// Changes how it behaves from now on; tasks under way keep their time.
    pub fn change(&self, change: impl FnOnce(&mut Ec2Options)) {
        change(&mut lock(&self.0.state).options);
    }

    /// Sets or lifts an image's deregistration protection.
    pub fn protect(&self, image_id: &str, protected: bool) {
        if let Some(image) = lock(&self.0.state).images.get_mut(image_id) {
            image.protected = protected;
        }
    }

    /// Deletes a snapshot whoever stands on it, as somebody with the rights and no care would.
    pub fn remove_snapshot(&self, snapshot_id: &str) {
        lock(&self.0.state).snapshots.remove(snapshot_id);
    }

    /// Whether SSM may take this for an image of the account.
    pub(crate) fn is_available(&self, image_id: &str) -> bool {
        let state = lock(&self.0.state);
        state.image(image_id).is_ok_and(|image| image.state == ImageState::Available)
    }
}
