//! Image jobs as they are asked for, and every way in which they are refused.

use super::*;
use crate::model::{JobKind, Timestamp, Verify};

const IMAGE: &str = "com:ami-0123456789abcdef0";

fn read(request: v1::SubmitRequest) -> Result<Submission, Invalid> {
    let defaults = Defaults { verify: Verify::Auto, if_exists: IfExists::Fail };
    super::super::submission(request, defaults, Timestamp(0))
}

fn store(change: impl FnOnce(&mut v1::StoreSpec)) -> v1::SubmitRequest {
    let mut asked = v1::StoreSpec {
        image: IMAGE.to_owned(),
        target: "com:vault/".to_owned(),
        ..v1::StoreSpec::default()
    };
    change(&mut asked);
    v1::SubmitRequest { store: Some(asked), ..Default::default() }
}

fn restore(change: impl FnOnce(&mut v1::RestoreSpec)) -> v1::SubmitRequest {
    let mut asked = v1::RestoreSpec {
        source: "gov:landing/ami-0123456789abcdef0.bin".to_owned(),
        restored: Some(v1::RestoredImage::default()),
    };
    change(&mut asked);
    v1::SubmitRequest { restore: Some(asked), ..Default::default() }
}

fn migrate(change: impl FnOnce(&mut v1::MigrateSpec)) -> v1::SubmitRequest {
    let mut asked = v1::MigrateSpec {
        image: IMAGE.to_owned(),
        target: "gov:".to_owned(),
        via: "via".to_owned(),
        landing: "landing".to_owned(),
        restored: Some(v1::RestoredImage::default()),
        ..v1::MigrateSpec::default()
    };
    change(&mut asked);
    v1::SubmitRequest { migrate: Some(asked), ..Default::default() }
}

fn restored(of: &mut v1::MigrateSpec) -> &mut v1::RestoredImage {
    of.restored.get_or_insert_default()
}

#[test]
fn a_store_carries_only_where_the_object_is_to_stand_elsewhere() {
    let plain = read(store(|_| {})).expect("legal");
    assert_eq!((plain.kind(), &plain.spec), (JobKind::Store, &None));
    assert!(!plain.image.expect("an image").clean_up_stored);
    let cold = read(store(|asked| {
        asked.target = "com:vault/cold/".to_owned();
        asked.storage_class = Some("DEEP_ARCHIVE".to_owned());
    }));
    let cold = cold.expect("legal");
    let spec = cold.spec.expect("it is carried on");
    assert_eq!(spec.source.to_string(), "com:vault/ami-0123456789abcdef0.bin");
    assert_eq!(spec.target.to_string(), "com:vault/cold/ami-0123456789abcdef0.bin");
    assert_eq!(spec.storage_class.as_deref(), Some("DEEP_ARCHIVE"));
    assert!(cold.image.expect("an image").clean_up_stored);
    let other = read(store(|asked| asked.via = "first".to_owned())).expect("legal");
    let spec = other.spec.expect("it is carried on");
    assert_eq!(spec.source.to_string(), "com:first/ami-0123456789abcdef0.bin");
}

#[test]
fn a_migrate_knows_its_whole_road_beforehand() {
    let submission = read(migrate(|asked| asked.copy_tags = true)).expect("legal");
    assert_eq!(submission.kind(), JobKind::Migrate);
    let spec = submission.spec.expect("it carries");
    assert_eq!(spec.source.to_string(), "com:via/ami-0123456789abcdef0.bin");
    assert_eq!(spec.target.to_string(), "gov:landing/ami-0123456789abcdef0.bin");
    let restore = submission.image.and_then(|image| image.restore).expect("it restores");
    assert_eq!(restore.object, spec.target);
    assert!(restore.copy_tags);
    assert_eq!(read(restore_request()).expect("legal").kind(), JobKind::Restore);
}

fn restore_request() -> v1::SubmitRequest {
    restore(|_| {})
}

#[test]
fn what_cannot_be_is_refused_with_its_field_and_a_remedy() {
    for (request, said) in [
        (store(|a| a.image = "com:ami-xyz".into()), "store.image: 'com:ami-xyz' is not an image"),
        (store(|a| a.target = "gov:vault/".into()), "store.target: it is at gov"),
        (store(|a| a.target = "com:vault/key".into()), "end it with a slash"),
        (store(|a| a.storage_class = Some("COLD".into())), "store.storage_class: 'COLD'"),
        (store(|a| a.storage_class = Some("GLACIER".into())), "name a prefix"),
        (restore(|a| a.source = "gov:landing/".into()), "restore.source: it is a prefix"),
        (restore(|a| a.restored.get_or_insert_default().repair = true), "migrate it to repair it"),
        (migrate(|a| a.target = "com:".into()), "is where the image is"),
        (migrate(|a| a.target = "gov".into()), "expected REMOTE:"),
        (migrate(|a| a.via = String::new()), "migrate.via: it is empty"),
        (migrate(|a| a.landing = "Landing".into()), "migrate.landing: 'Landing' is not a bucket"),
        (migrate(|a| restored(a).name = "a*".into()), "restored.name: 'a*'"),
        (migrate(|a| restored(a).alias = "golden/web".into()), "restored.alias: 'golden/web'"),
        (migrate(|a| restored(a).deprecate_after = Some(5)), "restored.deprecate_after: 5 s"),
        (migrate(|a| a.retire_source = 9), "migrate.retire_source"),
        (
            migrate(|a| drop(restored(a).tags.insert("aws:x".into(), String::new()))),
            "'aws:x' begins with 'aws:'",
        ),
        (
            v1::SubmitRequest { restore: restore_request().restore, ..store(|_| {}) },
            "more than one kind",
        ),
    ] {
        let refused = read(request).expect_err(said).to_string();
        assert!(refused.contains(said), "{said}: {refused}");
    }
}
