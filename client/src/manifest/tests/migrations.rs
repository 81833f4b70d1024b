//! Manifests whose lines are migrations.

use super::*;
use crate::v1::{MigrateSpec, RestoredImage, RetireSource};

/// What `migrate --manifest` gives without a flag.
fn migrations() -> SubmitRequest {
    SubmitRequest { migrate: Some(MigrateSpec::default()), ..Default::default() }
}

fn outcome(text: &str, defaults: SubmitRequest) -> Result<SubmitRequest, String> {
    read_with(text.as_bytes(), defaults).pop().expect("a line").outcome
}

fn migrate(text: &str, defaults: SubmitRequest) -> MigrateSpec {
    outcome(text, defaults).expect("good").migrate.expect("a migration")
}

fn full() -> MigrateSpec {
    MigrateSpec {
        image: "com:ami-1".into(),
        target: "gov:".into(),
        via: "east".into(),
        landing: "west".into(),
        restored: Some(RestoredImage {
            name: "golden-web".into(),
            tags: [("a".to_owned(), "1".to_owned())].into(),
            alias: "/golden/web".into(),
            deprecate_after: Some(90 * 86_400),
            require_encryption: true,
            repair: true,
        }),
        copy_tags: true,
        clean_up_stored: true,
        clean_up_landed: true,
        retire_source: RetireSource::Disable.into(),
        reuse_stored: true,
        allow_decrypted: true,
    }
}

#[test]
fn both_formats_take_every_field_of_a_migration() {
    let json = r#"{"image":"com:ami-1","target":"gov:","via":"east","landing":"west","name":"golden-web","tags":{"a":"1"},"copy_tags":true,"alias":"/golden/web","deprecate_after":"90d","clean_up":"both","retire_source":"disable","reuse_stored":true,"allow_decrypted":true,"require_encryption":true,"repair":true,"priority":-5,"labels":{"l":"2"},"idempotency_key":"k","notify":["ops","web"]}"#;
    let csv = "image,target,via,landing,name,tags,copy_tags,alias,deprecate_after,clean_up,\
        retire_source,reuse_stored,allow_decrypted,require_encryption,repair,priority,labels,\
        idempotency_key,notify\n\
        com:ami-1,gov:,east,west,golden-web,a=1,true,/golden/web,90d,both,disable,true,true,true,\
        true,-5,l=2,k,ops;web\n";
    let expected = SubmitRequest {
        migrate: Some(full()),
        priority: -5,
        labels: [("l".to_owned(), "2".to_owned())].into(),
        idempotency_key: Some("k".into()),
        notify: vec!["ops".into(), "web".into()],
        ..Default::default()
    };
    assert_eq!(outcome(json, migrations()), Ok(expected.clone()));
    assert_eq!(outcome(csv, migrations()), Ok(expected));
}

#[test]
fn a_line_overrides_the_flags_of_the_command_and_adds_to_their_tags() {
    let defaults = SubmitRequest { migrate: Some(full()), priority: 4, ..Default::default() };
    let plain = r#"{"image":"com:ami-2","target":"gov:"}"#;
    let expected = MigrateSpec { image: "com:ami-2".into(), ..full() };
    assert_eq!(migrate(plain, defaults.clone()), expected);

    let text = r#"{"image":"com:ami-2","target":"gov:","via":"other","repair":false,"clean_up":"stored","tags":{"b":"2"}}"#;
    let own = migrate(text, defaults);
    let restored = own.restored.expect("there");
    assert_eq!((own.via.as_str(), own.landing.as_str()), ("other", "west"));
    assert_eq!((own.clean_up_stored, own.clean_up_landed), (true, false));
    assert_eq!((restored.repair, restored.require_encryption), (false, true));
    assert_eq!(restored.tags.len(), 2);
}

#[test]
fn a_faulty_migration_is_reported_by_its_line() {
    for (text, number, part) in [
        ("image,target,via,landing\ncom:ami-1,gov:,,west\n", 2, "via: no bucket"),
        ("image,target,via,landing\n,gov:,east,west\n", 2, "image and target must not be empty"),
        ("image,via,landing\ncom:ami-1,east,west\n", 1, "no column `target`"),
        ("image,target,source\n", 1, "unknown column `source`"),
        ("image,target,repair\ncom:ami-1,gov:,yes\n", 2, "`yes` is neither `true` nor `false`"),
        (
            "{\"image\":\"com:ami-1\",\"target\":\"gov:\",\"clean_up\":\"all\"}",
            1,
            "stored, landed, both",
        ),
        ("{\"image\":\"a\",\"target\":\"b\",\"retire_source\":\"x\"}", 1, "disable, deregister"),
        (
            "{\"image\":\"a\",\"target\":\"b\",\"deprecate_after\":\"3mo\"}",
            1,
            "not a length of time",
        ),
        ("{\"image\":\"a\",\"target\":\"b\",\"verify\":\"auto\"}", 1, "unknown field `verify`"),
        ("{\"source\":\"a\",\"target\":\"b\"}", 1, "unknown field `source`"),
    ] {
        let lines = read_with(text.as_bytes(), migrations());
        let line = lines.into_iter().find(|line| line.outcome.is_err()).expect("a fault");
        let message = line.outcome.expect_err("a fault");
        assert_eq!(line.number, number, "{text}");
        assert!(message.contains(part), "{text}: {message}");
    }
}
