//! An image job, its progress and what came of it, as the API shows them.

use causeway_proto::v1;

use super::{Places, timestamp, words};
use crate::control::engine::Place;
use crate::model::{
    Image, ImageProgress, ImageSpec, Job, JobKind, JobState, Live, ObjectAddress, ObjectRef,
    RemoteName, RestoreSpec, Stage, StoreSpec, Timestamp,
};

/// As it was submitted; `None` for another kind.
pub fn store(job: &Job) -> Option<v1::StoreSpec> {
    let spec = spec(job, JobKind::Store)?;
    let store = spec.store.as_ref()?;
    let carried = job.spec.as_ref();
    let landed = carried.map_or_else(|| store.stored(), |carried| carried.target.clone());
    let prefix = landed.key.strip_suffix(&store.image.image.stored_key()).unwrap_or_default();
    let via = if landed.bucket == store.bucket { "" } else { &store.bucket };
    Some(v1::StoreSpec {
        image: store.image.to_string(),
        target: format!("{}:{}/{prefix}", landed.remote, landed.bucket),
        storage_class: carried.and_then(|carried| carried.storage_class.clone()),
        reuse_stored: store.reuse_stored,
        allow_decrypted: store.allow_decrypted,
        tags: store.tags.clone().into_iter().collect(),
        via: via.to_owned(),
    })
}

/// As it was submitted; `None` for another kind.
pub fn restore(job: &Job) -> Option<v1::RestoreSpec> {
    let restore = spec(job, JobKind::Restore)?.restore.as_ref()?;
    Some(v1::RestoreSpec { source: restore.object.to_string(), restored: Some(restored(restore)) })
}

/// As it was submitted; `None` for another kind.
pub fn migrate(job: &Job) -> Option<v1::MigrateSpec> {
    let spec = spec(job, JobKind::Migrate)?;
    let (StoreSpec { image, bucket, .. }, restore) = (spec.store.as_ref()?, spec.restore.as_ref()?);
    Some(v1::MigrateSpec {
        image: image.to_string(),
        target: format!("{}:", restore.object.remote),
        via: bucket.clone(),
        landing: restore.object.bucket.clone(),
        restored: Some(restored(restore)),
        copy_tags: restore.copy_tags,
        clean_up_stored: spec.clean_up_stored,
        clean_up_landed: spec.clean_up_landed,
        retire_source: words::retire(spec.retire_source).into(),
        reuse_stored: spec.store.as_ref().is_some_and(|store| store.reuse_stored),
        allow_decrypted: spec.store.as_ref().is_some_and(|store| store.allow_decrypted),
    })
}

fn spec(job: &Job, kind: JobKind) -> Option<&ImageSpec> {
    job.image.as_ref().filter(|_| job.kind == kind).map(|image| &image.spec)
}

fn restored(restore: &RestoreSpec) -> v1::RestoredImage {
    v1::RestoredImage {
        name: restore.name.clone().unwrap_or_default(),
        tags: restore.tags.clone().into_iter().collect(),
        alias: restore.alias.clone().unwrap_or_default(),
        deprecate_after: restore.deprecate_after,
        require_encryption: restore.require_encryption,
        repair: restore.repair,
    }
}

/// How far it is; `None` for a transfer.
pub fn progress(job: &Job, live: Option<&Live>, place: &Places<'_>) -> Option<v1::ImageProgress> {
    let work = job.image.as_ref()?;
    let (spec, now) = (&work.spec, &work.progress);
    Some(v1::ImageProgress {
        stages: stages(job, live),
        source: spec.store.as_ref().map(|store| {
            let known = now.source.as_deref();
            image_ref(&store.image.remote, store.image.image.as_str(), known, place)
        }),
        stored: spec.store.as_ref().zip(now.stored.as_ref()).map(|(store, stored)| {
            let object = &stored.fact;
            let version = object.version_id.clone();
            object_at(&store.stored(), object.size, &object.etag, version, place)
        }),
        restored: spec.restore.as_ref().zip(now.restoring.as_ref()).map(|(restore, id)| {
            let known = now.available.as_ref().map(|image| &image.fact.image);
            let image = image_ref(&restore.object.remote, id.as_str(), known, place);
            let name = work.name().unwrap_or_default().to_owned();
            v1::ImageRef { name: if image.name.is_empty() { name } else { image.name }, ..image }
        }),
        fidelity: fidelity(now),
        alias: alias(spec, now),
        aftermath: now.chores.iter().map(|(_, line)| line.clone()).collect(),
    })
}

fn fidelity(now: &ImageProgress) -> Option<v1::Fidelity> {
    let fidelity = &now.available.as_ref()?.fact.fidelity;
    let difference = |one: &crate::model::Difference| v1::Difference {
        field: one.field.clone(),
        source: one.source.clone(),
        restored: one.restored.clone(),
    };
    Some(v1::Fidelity {
        differences: fidelity.differences.iter().map(difference).collect(),
        lost_by_design: fidelity.lost_by_design.clone(),
        repaired: fidelity.repaired,
        encrypted: fidelity.encrypted,
    })
}

fn alias(spec: &ImageSpec, now: &ImageProgress) -> Option<v1::Alias> {
    Some(v1::Alias {
        parameter: spec.restore.as_ref()?.alias.clone()?,
        version: now.aliased?,
        previous: now.alias_asked.as_ref().and_then(|asked| asked.fact.previous.clone()),
        rolled_back: now.alias_rolled_back,
    })
}

/// The stages that the job has, each with when it began and ended, as far as it did.
fn stages(job: &Job, live: Option<&Live>) -> Vec<v1::StageProgress> {
    let Some(work) = &job.image else { return Vec::new() };
    let (spec, now) = (&work.spec, &work.progress);
    let ended = job.finished_at.filter(|_| job.state == JobState::Succeeded);
    let has_last = spec.restore.as_ref().is_some_and(|restore| restore.alias.is_some())
        || !now.chores.is_empty()
        || spec.clean_up_stored
        || spec.clean_up_landed
        || spec.retire_source.is_some()
        || spec.restore.as_ref().is_some_and(|restore| restore.deprecate_after.is_some());
    let all = [
        (Stage::Storing, spec.store.is_some(), now.stored.as_ref().map(|at| at.at)),
        (Stage::Transferring, job.spec.is_some(), now.carried.as_ref().map(|at| at.at)),
        (Stage::Restoring, spec.restore.is_some(), now.available.as_ref().map(|at| at.at)),
        (Stage::Aliasing, has_last, ended),
    ];
    let mut begun = job.started_at;
    let mut stages = Vec::new();
    for (stage, is_asked, finished) in all {
        if !is_asked {
            continue;
        }
        stages.push(v1::StageProgress {
            stage: words::stage(stage).into(),
            started_at: begun.map(timestamp),
            finished_at: finished.map(timestamp),
            percent: match (finished, begun) {
                (Some(_), _) => 100,
                (None, Some(_)) => percent(job, stage, live),
                (None, None) => 0,
            },
        });
        begun = finished;
    }
    stages
}

/// Of the stage that the job is in.
fn percent(job: &Job, stage: Stage, live: Option<&Live>) -> u32 {
    let said = live.and_then(|live| live.percent).map_or(0, u32::from);
    match (stage, job.size()) {
        (Stage::Transferring, Some(size)) if size > 0 => {
            let done = live.map_or(0, |live| live.bytes_done).max(job.progress.bytes);
            u32::try_from(done.min(size).saturating_mul(100) / size).unwrap_or(100)
        }
        (Stage::Transferring, _) => 0,
        _ => said,
    }
}

/// An image at a remote, with as much as is known of it.
fn image_ref(
    remote: &RemoteName,
    id: &str,
    known: Option<&Image>,
    place: &Places<'_>,
) -> v1::ImageRef {
    let Place { partition, region, account } = place(remote).unwrap_or_default();
    v1::ImageRef {
        remote: remote.to_string(),
        partition,
        account: account.unwrap_or_default(),
        region,
        image_id: id.to_owned(),
        name: known.map(|image| image.name.clone()).unwrap_or_default(),
        size_gib: known.map_or(0, Image::gib),
        created_at: known.and_then(|image| image.created_at).map(|at: Timestamp| timestamp(at)),
    }
}

/// An image that a listing found.
pub fn listed(remote: &RemoteName, image: &Image, place: &Places<'_>) -> v1::ImageRef {
    image_ref(remote, image.id.as_str(), Some(image), place)
}

fn object_at(
    address: &ObjectAddress,
    size: u64,
    etag: &str,
    version_id: Option<String>,
    place: &Places<'_>,
) -> v1::ObjectRef {
    let Place { partition, region, account } = place(&address.remote).unwrap_or_default();
    super::job::object_ref(&ObjectRef {
        remote: address.remote.to_string(),
        partition,
        account,
        region,
        bucket: address.bucket.clone(),
        key: address.key.clone(),
        version_id,
        etag: etag.to_owned(),
        size,
    })
}
