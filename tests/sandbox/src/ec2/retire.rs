//! How an image ends: deprecated, disabled, deregistered; and its snapshots deleted.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EnableImageDeprecation.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DisableImage.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeregisterImage.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSnapshot.html>

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};

use super::Ec2;
use super::image::ImageState;
use super::state::State;
use crate::api::Refused;
use crate::lock::lock;
use crate::query::{Form, Written};

/// How far ahead an image can be deprecated.
const DEPRECATION_MAX: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

fn done() -> Written {
    Box::new(|xml| xml.leaf("return", true))
}

impl Ec2 {
    pub(super) fn enable_deprecation(&self, form: &Form) -> Result<Written, Refused> {
        let id = form.need("ImageId")?;
        let text = form.need("DeprecateAt")?;
        let invalid = |why: &str| {
            let message = format!("The value {text} for DeprecateAt is invalid: {why}");
            Refused::new("InvalidParameterValue", message)
        };
        let at: Timestamp = text.parse().map_err(|_| invalid("not a time"))?;
        let minute = TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::HalfExpand);
        let at = at.round(minute).map_err(|_| invalid("not a time"))?;
        let now = self.0.clock.now();
        if at < now {
            return Err(invalid("in the past"));
        }
        if at.duration_since(now) > DEPRECATION_MAX {
            return Err(invalid("more than 10 years ahead"));
        }
        lock(&self.0.state).own_image(id)?.deprecated_at = Some(at);
        Ok(done())
    }

    pub(super) fn disable_deprecation(&self, form: &Form) -> Result<Written, Refused> {
        lock(&self.0.state).own_image(form.need("ImageId")?)?.deprecated_at = None;
        Ok(done())
    }

    pub(super) fn disable(&self, form: &Form) -> Result<Written, Refused> {
        self.switch(form.need("ImageId")?, &ImageState::Available, ImageState::Disabled)
    }

    pub(super) fn enable(&self, form: &Form) -> Result<Written, Refused> {
        self.switch(form.need("ImageId")?, &ImageState::Disabled, ImageState::Available)
    }

    /// What is so already is no error.
    fn switch(&self, id: &str, from: &ImageState, to: ImageState) -> Result<Written, Refused> {
        let mut state = lock(&self.0.state);
        let image = state.own_image(id)?;
        if image.state != *from && image.state != to {
            let message = format!("The image '{id}' is {}", image.state.name());
            return Err(Refused::new("InvalidAMIID.Unavailable", message));
        }
        image.state = to;
        Ok(done())
    }

    pub(super) fn deregister(&self, form: &Form) -> Result<Written, Refused> {
        let id = form.need("ImageId")?;
        let with_snapshots = form.flag("DeleteAssociatedSnapshots")?;
        let mut state = lock(&self.0.state);
        if state.own_image(id)?.protected {
            let message = format!(
                "The image '{id}' has deregistration protection. Disable the protection first."
            );
            return Err(Refused::new("OperationNotPermitted", message));
        }
        let Some(image) = state.images.remove(id) else { return Ok(done()) };
        state.deregistered.insert(image.id.clone());
        let mut results = Vec::new();
        for snapshot_id in image.snapshot_ids().filter(|_| with_snapshots) {
            let outcome = match holder(&state, snapshot_id) {
                Some(_) => "skipped",
                None => {
                    state.snapshots.remove(snapshot_id);
                    "success"
                }
            };
            results.push((snapshot_id.to_owned(), outcome));
        }
        Ok(Box::new(|xml| {
            xml.leaf("return", true);
            xml.list("deleteSnapshotResultSet", results, |xml, (id, outcome)| {
                xml.leaf("snapshotId", id);
                xml.leaf("returnCode", outcome);
            });
        }))
    }

    pub(super) fn delete_snapshot(&self, form: &Form) -> Result<Written, Refused> {
        let id = form.need("SnapshotId")?;
        let mut state = lock(&self.0.state);
        state.own_snapshot(id)?;
        if let Some(image_id) = holder(&state, id) {
            let message = format!("The snapshot {id} is currently in use by {image_id}");
            return Err(Refused::new("InvalidSnapshot.InUse", message));
        }
        state.snapshots.remove(id);
        Ok(done())
    }
}

/// An image that stands on the snapshot.
fn holder(state: &State, snapshot_id: &str) -> Option<String> {
    let holds = |id: &&String| state.images[*id].snapshot_ids().any(|held| held == snapshot_id);
    state.images.keys().find(holds).cloned()
}
