//! What `show` says of an image job: what was asked for, its stages, its images, and how they differ.

use causeway::units::format_size;
use causeway::v1::{
    Alias, Fidelity, ImageProgress, ImageRef, Job, MigrateSpec, ObjectRef, RestoredImage,
    StageProgress, StoreSpec,
};
use causeway::view;
use causeway::words::{CleanUp, Word};

use super::{Page, pairs};
use crate::table;

/// What was asked for.
pub fn describe_spec(page: &mut Page, job: &Job) {
    if let Some(store) = &job.store {
        describe_store(page, store);
    }
    if let Some(restore) = &job.restore {
        page.row("object", &restore.source);
        describe_restored(page, restore.restored.as_ref());
    }
    if let Some(migrate) = &job.migrate {
        describe_migrate(page, migrate);
    }
}

fn describe_store(page: &mut Page, spec: &StoreSpec) {
    page.row("image", &spec.image);
    page.row("target", &spec.target);
    page.known("via", Some(&spec.via).filter(|via| !via.is_empty()));
    page.known("storage class", spec.storage_class.as_ref());
    page.known("object tags", pairs(&spec.tags));
    page.known(
        "options",
        words(&[("reuse-stored", spec.reuse_stored), ("allow-decrypted", spec.allow_decrypted)]),
    );
}

fn describe_migrate(page: &mut Page, spec: &MigrateSpec) {
    page.row("image", &spec.image);
    page.row("target", &spec.target);
    page.row("via", &spec.via);
    page.row("landing", &spec.landing);
    describe_restored(page, spec.restored.as_ref());
    page.known("clean up", CleanUp::of(spec.clean_up_stored, spec.clean_up_landed).word());
    page.known("retire source", spec.retire_source().word());
    page.known(
        "options",
        words(&[
            ("copy-tags", spec.copy_tags),
            ("reuse-stored", spec.reuse_stored),
            ("allow-decrypted", spec.allow_decrypted),
        ]),
    );
}

fn describe_restored(page: &mut Page, spec: Option<&RestoredImage>) {
    let Some(spec) = spec else { return };
    page.known("new name", Some(&spec.name).filter(|name| !name.is_empty()));
    page.known("image tags", pairs(&spec.tags));
    page.known("new alias", Some(&spec.alias).filter(|alias| !alias.is_empty()));
    page.known(
        "deprecated",
        spec.deprecate_after.map(|seconds| {
            let after = causeway::units::format_duration(std::time::Duration::from_secs(seconds));
            format!("{after} after it is made")
        }),
    );
    page.known(
        "asked of it",
        words(&[("require-encryption", spec.require_encryption), ("repair", spec.repair)]),
    );
}

/// The names of what is set.
fn words(flags: &[(&str, bool)]) -> Option<String> {
    let set: Vec<&str> = flags.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
    (!set.is_empty()).then(|| set.join(" "))
}

/// How far it is, and what came of it.
pub fn describe_progress(page: &mut Page, image: &ImageProgress) {
    for stage in &image.stages {
        let word = stage.stage().word().unwrap_or("unknown");
        page.row("stage", format!("{word:<14}{}", stage_state(stage)));
    }
    page.known("source image", image.source.as_ref().map(image_words));
    page.known("stored", image.stored.as_ref().map(object_words));
    page.known("new image", image.restored.as_ref().map(image_words));
    page.known("alias", image.alias.as_ref().map(alias_words));
    for line in &image.aftermath {
        page.row("aftermath", line);
    }
    if let Some(fidelity) = &image.fidelity {
        describe_fidelity(page, fidelity);
    }
}

fn stage_state(stage: &StageProgress) -> String {
    match (&stage.started_at, &stage.finished_at) {
        (from, Some(to)) => match table::between(from.as_ref(), Some(to)) {
            Some(took) => format!("done in {}", causeway::units::format_duration(took)),
            None => "done".to_owned(),
        },
        (Some(_), None) => format!("{}%", stage.percent),
        (None, None) => "ahead".to_owned(),
    }
}

/// `gov:ami-9 golden-web, 30 GiB, aws-us-gov us-gov-west-1 account 111122223333, created …`
fn image_words(image: &ImageRef) -> String {
    let mut text = format!("{}:{}", image.remote, image.image_id);
    if !image.name.is_empty() {
        text.push_str(&format!(" {}", image.name));
    }
    if image.size_gib > 0 {
        text.push_str(&format!(", {}", table::gib(image.size_gib)));
    }
    text.push_str(&format!(", {} {}", image.partition, image.region));
    if !image.account.is_empty() {
        text.push_str(&format!(" account {}", image.account));
    }
    if let Some(created) = view::time(image.created_at.as_ref()) {
        text.push_str(&format!(", created {created}"));
    }
    text
}

fn object_words(object: &ObjectRef) -> String {
    let ObjectRef { remote, bucket, key, etag, size, .. } = object;
    format!("{remote}:{bucket}/{key}, {}, etag {etag}", format_size(*size))
}

fn alias_words(alias: &Alias) -> String {
    let before = alias.previous.as_deref().unwrap_or("nothing");
    let state = if alias.rolled_back { ", put back" } else { "" };
    format!("{} version {}, before: {before}{state}", alias.parameter, alias.version)
}

fn describe_fidelity(page: &mut Page, fidelity: &Fidelity) {
    page.row("encrypted", if fidelity.encrypted { "yes" } else { "no, not all of its snapshots" });
    if fidelity.repaired {
        page.row("repaired", "registered anew because of what was lost");
    }
    for lost in &fidelity.lost_by_design {
        page.row("not carried", lost);
    }
    if fidelity.differences.is_empty() {
        page.row("fidelity", "no difference");
        return;
    }
    let mut table = table::new(&["FIELD", "WAS", "IS"]);
    for difference in &fidelity.differences {
        table.add_row([
            table::cell(&difference.field),
            table::cell(table::or_dash(&difference.source)),
            table::cell(table::or_dash(&difference.restored)),
        ]);
    }
    page.block(&table::text(&table));
}

#[cfg(test)]
mod tests {
    use causeway::v1::{Difference, JobKind, JobState, Stage};
    use prost_types::Timestamp;

    use super::super::describe;
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn image(remote: &str, id: &str, name: &str) -> ImageRef {
        ImageRef {
            remote: remote.into(),
            partition: "aws".into(),
            region: "us-east-2".into(),
            image_id: id.into(),
            name: name.into(),
            size_gib: 30,
            ..Default::default()
        }
    }

    fn migrated() -> Job {
        let stage = |stage: Stage, from, to| StageProgress {
            stage: stage.into(),
            started_at: from,
            finished_at: to,
            percent: 37,
        };
        let fidelity = Fidelity {
            differences: vec![Difference {
                field: "BootMode".into(),
                source: "uefi".into(),
                restored: String::new(),
            }],
            lost_by_design: vec!["launch permissions".into()],
            repaired: false,
            encrypted: true,
        };
        let progress = ImageProgress {
            stages: vec![
                stage(Stage::Storing, at(0), at(61)),
                stage(Stage::Restoring, at(61), None),
                stage(Stage::Aliasing, None, None),
            ],
            source: Some(image("com", "ami-1", "golden-web")),
            stored: Some(ObjectRef {
                remote: "com".into(),
                bucket: "east".into(),
                key: "ami-1.bin".into(),
                etag: "e-2".into(),
                size: 1 << 30,
                ..Default::default()
            }),
            restored: Some(image("gov", "ami-9", "")),
            fidelity: Some(fidelity),
            alias: Some(Alias {
                parameter: "/golden/web".into(),
                version: 3,
                previous: Some("ami-8".into()),
                rolled_back: false,
            }),
            aftermath: vec!["deleted com:east/ami-1.bin".into()],
        };
        let spec = MigrateSpec {
            image: "com:ami-1".into(),
            target: "gov:".into(),
            via: "east".into(),
            landing: "west".into(),
            clean_up_stored: true,
            copy_tags: true,
            ..Default::default()
        };
        Job {
            id: "01J".into(),
            kind: JobKind::Migrate.into(),
            state: JobState::Running.into(),
            migrate: Some(spec),
            image: Some(progress),
            ..Default::default()
        }
    }

    #[test]
    fn a_migration_shows_its_stages_its_images_and_what_is_other() {
        let text = describe(&migrated(), &[]);
        for line in [
            "image         com:ami-1",
            "target        gov:",
            "via           east",
            "landing       west",
            "clean up      stored",
            "options       copy-tags",
            "stage         storing       done in 1m 01s",
            "stage         restoring     37%",
            "stage         aliasing      ahead",
            "source image  com:ami-1 golden-web, 30 GiB, aws us-east-2",
            "stored        com:east/ami-1.bin, 1.00 GiB, etag e-2",
            "new image     gov:ami-9, 30 GiB, aws us-east-2",
            "alias         /golden/web version 3, before: ami-8",
            "aftermath     deleted com:east/ami-1.bin",
            "encrypted     yes",
            "not carried   launch permissions",
            "FIELD     WAS   IS",
            "BootMode  uefi  -",
        ] {
            assert!(text.lines().any(|shown| shown == line), "`{line}` in {text}");
        }
        assert!(!text.contains("\ndone "), "nothing is carried yet: {text}");
    }

    #[test]
    fn a_store_shows_the_bucket_that_ec2_writes_to_first() {
        let spec = StoreSpec {
            image: "com:ami-1".into(),
            target: "com:archive/2026/".into(),
            via: "landing".into(),
            ..Default::default()
        };
        let mut job = Job { kind: JobKind::Store.into(), store: Some(spec), ..Default::default() };
        let text = describe(&job, &[]);
        assert!(
            text.contains("\ntarget        com:archive/2026/\nvia           landing\n"),
            "{text}"
        );
        job.store.get_or_insert_default().via.clear();
        assert!(!describe(&job, &[]).contains("\nvia "), "none was given");
    }

    #[test]
    fn an_image_that_is_the_same_says_so() {
        let mut job = migrated();
        let fidelity = Fidelity { encrypted: false, ..Default::default() };
        job.image.get_or_insert_default().fidelity = Some(fidelity);
        let text = describe(&job, &[]);
        assert!(text.contains("\nfidelity      no difference\n"), "{text}");
        assert!(text.contains("\nencrypted     no, not all of its snapshots\n"), "{text}");
        assert!(!text.contains("FIELD"), "{text}");
    }
}
