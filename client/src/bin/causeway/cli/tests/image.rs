//! The image jobs, and the preflight of each.

use causeway::v1::{MigrateSpec, RestoredImage, RetireSource, StoreSpec, SubmitRequest};

use super::*;

const RESTORED: [&str; 11] = [
    "--name",
    "golden-web",
    "--tag",
    "a=1",
    "--alias",
    "/golden/web",
    "--deprecate-after",
    "90d",
    "--require-encryption",
    "--repair",
    "--priority=-5",
];

fn restored() -> RestoredImage {
    RestoredImage {
        name: "golden-web".into(),
        tags: [("a".to_owned(), "1".to_owned())].into(),
        alias: "/golden/web".into(),
        deprecate_after: Some(90 * 86_400),
        require_encryption: true,
        repair: true,
    }
}

fn good(arguments: &[&str]) -> Command {
    match parse(arguments) {
        Ok(command) => command,
        Err(kind) => panic!("{arguments:?}: {kind:?}"),
    }
}

fn refused(arguments: &[&str]) -> ErrorKind {
    match parse(arguments) {
        Ok(command) => panic!("{arguments:?}: {command:?}"),
        Err(kind) => kind,
    }
}

/// `migrate` with what it cannot do without, and these.
fn migrate<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let road = ["migrate", "com:ami-1", "gov:", "--via", "east", "--landing", "west"];
    [&road[..], arguments].concat()
}

/// `migrate` of many, with what that cannot do without, and these.
fn newest<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let road = ["migrate", "com:", "gov:", "--via", "east", "--landing", "west"];
    [&road[..], arguments].concat()
}

#[test]
fn every_flag_of_store_reaches_the_request() {
    let arguments = [
        "store",
        "com:ami-1",
        "com:b/p/",
        "--storage-class",
        "GLACIER_IR",
        "--via",
        "first",
        "--reuse-stored",
        "--allow-decrypted",
        "--tag",
        "a=1",
        "--priority",
        "3",
        "--label",
        "b=2",
        "--idempotency-key",
        "k",
        "--wait",
    ];
    let Command::Store { job, course } = good(&arguments) else { panic!("another command") };
    let expected = StoreSpec {
        image: "com:ami-1".into(),
        target: "com:b/p/".into(),
        storage_class: Some("GLACIER_IR".into()),
        reuse_stored: true,
        allow_decrypted: true,
        tags: [("a".to_owned(), "1".to_owned())].into(),
        via: "first".into(),
    };
    let expected = SubmitRequest {
        store: Some(expected),
        priority: 3,
        labels: [("b".to_owned(), "2".to_owned())].into(),
        idempotency_key: Some("k".into()),
        ..Default::default()
    };
    assert_eq!(job.request(), expected);
    assert_eq!((course.wait, course.dry_run), (true, false));
}

#[test]
fn every_flag_of_restore_reaches_the_request() {
    let arguments = [&["restore", "gov:b/ami-1.bin"], &RESTORED[..], &["--dry-run"]].concat();
    let Command::Restore { job, course } = good(&arguments) else { panic!("another command") };
    let request = job.request();
    let spec = request.restore.expect("a restore");
    assert_eq!((spec.source.as_str(), spec.restored), ("gov:b/ami-1.bin", Some(restored())));
    assert_eq!((request.priority, course.dry_run), (-5, true));
}

#[test]
fn every_flag_of_migrate_reaches_the_request() {
    let flags = [
        "--copy-tags",
        "--clean-up",
        "landed",
        "--retire-source",
        "deregister",
        "--reuse-stored",
        "--allow-decrypted",
    ];
    let arguments = migrate(&[&flags[..], &RESTORED[..]].concat());
    let Command::Migrate { job, many, .. } = good(&arguments) else { panic!("another command") };
    let expected = MigrateSpec {
        image: "com:ami-1".into(),
        target: "gov:".into(),
        via: "east".into(),
        landing: "west".into(),
        restored: Some(restored()),
        copy_tags: true,
        clean_up_stored: false,
        clean_up_landed: true,
        retire_source: RetireSource::Deregister.into(),
        reuse_stored: true,
        allow_decrypted: true,
    };
    assert_eq!(job.request().migrate, Some(expected));
    assert!(many.manifest.is_none() && many.latest.is_none());
}

#[test]
fn an_image_job_asks_for_nothing_that_was_not_said() {
    let Command::Migrate { job, .. } = good(&migrate(&[])) else { panic!("another command") };
    let expected = MigrateSpec {
        image: "com:ami-1".into(),
        target: "gov:".into(),
        via: "east".into(),
        landing: "west".into(),
        restored: Some(RestoredImage::default()),
        ..Default::default()
    };
    let expected = SubmitRequest { migrate: Some(expected), ..Default::default() };
    assert_eq!(job.request(), expected);
}

#[test]
fn an_image_job_cannot_do_without_its_ends() {
    for arguments in [
        &["store", "com:ami-1"][..],
        &["restore"],
        &["migrate"],
        &["migrate", "com:ami-1", "--via", "e", "--landing", "w"],
        &["migrate", "com:ami-1", "gov:", "--via", "e"],
        &["migrate", "com:ami-1", "gov:", "--landing", "w"],
        &["migrate", "com:", "gov:", "--filter", "name=a", "--latest", "1", "--via", "e"],
        &["alias", "rollback"],
    ] {
        assert_eq!(refused(arguments), ErrorKind::MissingRequiredArgument, "{arguments:?}");
    }
    assert!(matches!(refused(&["alias"]), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand));
}

#[test]
fn a_manifest_of_migrations_needs_no_more_and_says_itself_what_is_one_images() {
    let Command::Migrate { job, many, .. } =
        good(&["migrate", "--manifest", "-", "--via", "east", "--copy-tags", "--wait"])
    else {
        panic!("another command")
    };
    assert!(many.manifest.is_some());
    let defaults = job.request().migrate.expect("a migration");
    assert_eq!((defaults.via.as_str(), defaults.copy_tags), ("east", true));
    for arguments in [
        &["--name", "x"][..],
        &["--alias", "/x"],
        &["--idempotency-key", "k"],
        &["--dry-run"],
        &["--filter", "name=a", "--latest", "1"],
        &["--latest", "1"],
        &["com:ami-1", "gov:"],
    ] {
        let arguments = [&["migrate", "--manifest", "f"], arguments].concat();
        assert_eq!(refused(&arguments), ErrorKind::ArgumentConflict, "{arguments:?}");
    }
}

#[test]
fn a_choice_needs_a_filter_and_how_many() {
    let filters = ["--filter", "name=golden-*", "--filter", "tag:a:b=c=d", "--latest", "3"];
    let Command::Migrate { many, .. } = good(&newest(&filters)) else { panic!("another command") };
    let tag = Pair { key: "a:b".into(), value: "c=d".into() };
    assert_eq!(many.filters, [Filter::Name("golden-*".into()), Filter::Tag(tag)]);
    assert_eq!(many.latest, Some(3));
    for arguments in [&["--filter", "name=a"][..], &["--latest", "1"]] {
        let arguments = newest(arguments);
        assert_eq!(refused(&arguments), ErrorKind::MissingRequiredArgument, "{arguments:?}");
    }
    for filter in ["name", "name=", "tag:=x", "state=available", "golden-*", "=x"] {
        let arguments = newest(&["--filter", filter, "--latest", "1"]);
        assert_eq!(refused(&arguments), ErrorKind::ValueValidation, "{filter}");
    }
    for latest in ["0", "1001", "all"] {
        let arguments = newest(&["--filter", "name=a", "--latest", latest]);
        assert_eq!(refused(&arguments), ErrorKind::ValueValidation, "{latest}");
    }
}

#[test]
fn values_that_are_none_are_refused_before_the_daemon_is_asked() {
    for (flag, value) in [
        ("--clean-up", "all"),
        ("--clean-up", "none"),
        ("--retire-source", "delete"),
        ("--deprecate-after", "90"),
        ("--deprecate-after", "0d"),
        ("--tag", "a"),
        ("--priority", "101"),
    ] {
        let kind = refused(&migrate(&[flag, value]));
        let expected = [ErrorKind::ValueValidation, ErrorKind::InvalidValue];
        assert!(expected.contains(&kind), "{flag} {value}: {kind:?}");
    }
    assert_eq!(refused(&migrate(&["--wait", "--dry-run"])), ErrorKind::ArgumentConflict);
}

/// Each flag is of the jobs that can do something with it.
#[test]
fn flags_of_other_jobs_are_refused() {
    for arguments in [
        &["store", "com:ami-1", "com:b/", "--alias", "/x"][..],
        &["store", "com:ami-1", "com:b/", "--repair"],
        &["restore", "gov:b/k", "--copy-tags"],
        &["restore", "gov:b/k", "--allow-decrypted"],
        &["restore", "gov:b/k", "--retire-source", "disable"],
        &["submit", "c:b/k", "g:b/k", "--reuse-stored"],
        &["preflight", "store", "com:ami-1", "com:b/", "--wait"],
        &["preflight", "migrate", "com:ami-1", "gov:", "--manifest", "f"],
    ] {
        assert_eq!(refused(arguments), ErrorKind::UnknownArgument, "{arguments:?}");
    }
}

fn preflight(arguments: &[&str]) -> (SubmitRequest, bool) {
    match good(&[&["preflight"], arguments].concat()) {
        Command::Preflight(preflight) => {
            let (request, printed) = preflight.job();
            (request, printed.print_policy)
        }
        other => panic!("{other:?}"),
    }
}

/// What is tried is what will be submitted.
#[test]
fn a_preflight_asks_for_the_same_job_as_the_command_behind_it() {
    let (request, _) = preflight(&migrate(&RESTORED));
    let Command::Migrate { job, .. } = good(&migrate(&RESTORED)) else { panic!("another command") };
    assert_eq!(request, job.request());
    let store = ["store", "com:ami-1", "com:b/", "--label", "a=b"];
    let Command::Store { job, .. } = good(&store) else { panic!("another command") };
    assert_eq!(preflight(&store).0, job.request());
    let restore = ["restore", "gov:b/ami-1.bin", "--repair"];
    let Command::Restore { job, .. } = good(&restore) else { panic!("another command") };
    assert_eq!(preflight(&restore).0, job.request());
    let transfer = ["c:b/k", "g:b/k", "--sse", "aws:kms", "--tag", "a=b"];
    assert_eq!(preflight(&transfer).0, submit(&transfer).request());
}

#[test]
fn the_policy_is_asked_for_behind_the_job() {
    assert!(preflight(&["c:b/k", "g:b/k", "--print-policy"]).1);
    assert!(preflight(&["restore", "gov:b/k", "--print-policy"]).1);
    assert!(!preflight(&["restore", "gov:b/k"]).1);
}

#[test]
fn a_preflight_is_of_a_transfer_or_of_an_image_job_and_never_of_nothing() {
    for arguments in [
        &["preflight"][..],
        &["preflight", "c:b/k"],
        &["preflight", "store", "com:ami-1"],
        &["preflight", "migrate", "com:ami-1", "gov:", "--via", "e"],
    ] {
        assert_eq!(refused(arguments), ErrorKind::MissingRequiredArgument, "{arguments:?}");
    }
    // An option before the word: clap would take `restore` for SRC.
    let misplaced = ["preflight", "--priority", "3", "restore", "gov:b/k"];
    assert_eq!(refused(&misplaced), ErrorKind::ValueValidation);
    assert!(parse(&["preflight", "c:b/k", "g:b/k", "migrate"]).is_err());
}

#[test]
fn an_alias_is_put_back_by_its_job() {
    let command = good(&["alias", "rollback", "01J"]);
    let Command::Alias { command: AliasCommand::Rollback { job } } = command else {
        panic!("another command")
    };
    assert_eq!(job, "01J");
}

/// Whoever reads the help before deregistering must find there what goes along.
#[test]
fn the_help_says_that_deregistering_deletes_the_snapshots() {
    let mut cli = Cli::command();
    let migrate = cli.find_subcommand_mut("migrate").expect("a command");
    let help = migrate.render_help().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("`deregister` it, which also deletes its snapshots"), "{help}");
    assert!(help.contains("does not ask again"), "{help}");
}
