//! Where a job of any kind starts and ends: what people know it by.

use causeway::v1::{ImageRef, Job, Stage, StageProgress};

/// The address it starts from, as submitted.
pub fn source(job: &Job) -> &str {
    if let Some(migrate) = &job.migrate {
        &migrate.image
    } else if let Some(store) = &job.store {
        &store.image
    } else if let Some(restore) = &job.restore {
        &restore.source
    } else {
        job.transfer.as_ref().map(|transfer| transfer.source.as_str()).unwrap_or_default()
    }
}

/// The address it ends at: the new image once it has an id, else as submitted.
pub fn target(job: &Job) -> String {
    if let Some(image) = restored(job) {
        return format!("{}:{}", image.remote, image.image_id);
    }
    if let Some(migrate) = &job.migrate {
        migrate.target.clone()
    } else if let Some(store) = &job.store {
        store.target.clone()
    } else if let Some(restore) = &job.restore {
        // The image is made where its object is.
        let remote = restore.source.split(':').next().unwrap_or_default();
        format!("{remote}:")
    } else {
        job.transfer.as_ref().map(|transfer| transfer.target.clone()).unwrap_or_default()
    }
}

/// The new image, once EC2 has named it.
pub fn restored(job: &Job) -> Option<&ImageRef> {
    job.image.as_ref()?.restored.as_ref()
}

/// The stages of an image job, with those ahead; none of a transfer.
pub fn stages(job: &Job) -> &[StageProgress] {
    job.image.as_ref().map(|image| image.stages.as_slice()).unwrap_or_default()
}

/// The stage of an image job that a stage belongs to: to that job, all of carrying is one.
pub fn stage_of_job(stage: Stage) -> Stage {
    match stage {
        Stage::Planning | Stage::Transferring | Stage::Sealing | Stage::Verifying => {
            Stage::Transferring
        }
        Stage::Storing | Stage::Restoring | Stage::Aliasing | Stage::Unspecified => stage,
    }
}

/// How far EC2 is, where it is EC2's turn: 0 to 100.
pub fn percent_of_ec2(job: &Job, stage: Stage) -> Option<u32> {
    match stage {
        Stage::Storing | Stage::Restoring => {
            let stage = stages(job).iter().find(|row| row.stage() == stage)?;
            Some(stage.percent.min(100))
        }
        Stage::Planning
        | Stage::Transferring
        | Stage::Sealing
        | Stage::Verifying
        | Stage::Aliasing
        | Stage::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use causeway::v1::{ImageProgress, MigrateSpec, RestoreSpec, StoreSpec, TransferSpec};

    use super::*;

    fn ends(job: &Job) -> (&str, String) {
        (source(job), target(job))
    }

    #[test]
    fn every_kind_of_job_has_two_ends() {
        let carried =
            TransferSpec { source: "c:b/k".into(), target: "g:b/".into(), ..Default::default() };
        let transfer = Job { transfer: Some(carried.clone()), ..Default::default() };
        assert_eq!(ends(&transfer), ("c:b/k", "g:b/".into()));
        let spec =
            StoreSpec { image: "c:ami-1".into(), target: "c:b/".into(), ..Default::default() };
        let store = Job { store: Some(spec), ..Default::default() };
        assert_eq!(ends(&store), ("c:ami-1", "c:b/".into()));
        let spec = RestoreSpec { source: "g:b/ami-1.bin".into(), restored: None };
        let restore = Job { restore: Some(spec), ..Default::default() };
        assert_eq!(ends(&restore), ("g:b/ami-1.bin", "g:".into()));
        let spec =
            MigrateSpec { image: "c:ami-1".into(), target: "g:".into(), ..Default::default() };
        let migrate = Job { migrate: Some(spec), transfer: Some(carried), ..Default::default() };
        assert_eq!(ends(&migrate), ("c:ami-1", "g:".into()), "not the object on the way");
        assert_eq!(ends(&Job::default()), ("", String::new()));
    }

    #[test]
    fn the_new_image_is_the_end_once_it_has_an_id() {
        let image = ImageRef { remote: "g".into(), image_id: "ami-9".into(), ..Default::default() };
        let progress = ImageProgress { restored: Some(image), ..Default::default() };
        let spec =
            MigrateSpec { image: "c:ami-1".into(), target: "g:".into(), ..Default::default() };
        let job = Job { migrate: Some(spec), image: Some(progress), ..Default::default() };
        assert_eq!(target(&job), "g:ami-9");
    }
}
