//! The image jobs of the fake: two stages, a new image, an alias.

use causeway::v1::{
    Alias, Difference, Fidelity, ImageProgress, ImageRef, Job, JobKind, Stage, StageProgress,
    SubmitRequest,
};
use prost_types::Timestamp;

/// What a request starts from.
pub fn source(request: &SubmitRequest) -> String {
    let image = request.migrate.as_ref().map(|spec| &spec.image);
    let stored = request.store.as_ref().map(|spec| &spec.image);
    let object = request.restore.as_ref().map(|spec| &spec.source);
    let transfer = request.transfer.as_ref().map(|spec| &spec.source);
    image.or(stored).or(object).or(transfer).cloned().unwrap_or_default()
}

pub fn kind(request: &SubmitRequest) -> JobKind {
    if request.migrate.is_some() {
        JobKind::Migrate
    } else if request.store.is_some() {
        JobKind::Store
    } else if request.restore.is_some() {
        JobKind::Restore
    } else {
        JobKind::Transfer
    }
}

pub fn named(remote: &str, number: u32) -> ImageRef {
    ImageRef {
        remote: remote.into(),
        image_id: format!("ami-{number}-ok"),
        name: format!("golden-{number}"),
        size_gib: 30,
        ..Default::default()
    }
}

fn stage(stage: Stage, started: Option<i64>, finished: Option<i64>) -> StageProgress {
    let at = |seconds: Option<i64>| seconds.map(|seconds| Timestamp { seconds, nanos: 0 });
    StageProgress {
        stage: stage.into(),
        started_at: at(started),
        finished_at: at(finished),
        percent: 0,
    }
}

/// An image job begins with EC2; a transfer is left as it is.
pub fn store(job: &mut Job) {
    if job.kind() != JobKind::Transfer {
        job.stage = Stage::Storing.into();
        let stages =
            vec![stage(Stage::Storing, Some(0), None), stage(Stage::Restoring, None, None)];
        job.image = Some(ImageProgress { stages, ..Default::default() });
    }
}

pub fn succeed(job: &mut Job) {
    let Some(image) = &mut job.image else { return };
    image.stages =
        vec![stage(Stage::Storing, Some(0), Some(61)), stage(Stage::Restoring, Some(61), Some(65))];
    image.restored = Some(ImageRef { image_id: "ami-9".into(), ..named("gov", 9) });
    image.alias = Some(Alias {
        parameter: "/golden/web".into(),
        version: 3,
        previous: Some("ami-8".into()),
        rolled_back: false,
    });
    let difference =
        Difference { field: "BootMode".into(), source: "uefi".into(), restored: String::new() };
    image.fidelity = Some(Fidelity { differences: vec![difference], ..Default::default() });
    let image = image.clone();
    if let Some(receipt) = &mut job.receipt {
        receipt.image = Some(image);
    }
}
