//! What the command line accepts, and what it must refuse.

use causeway::v1::{IfExists, ServerSideEncryption, Verify};
use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

mod image;

fn parse(arguments: &[&str]) -> Result<Command, ErrorKind> {
    let arguments = std::iter::once("causeway").chain(arguments.iter().copied());
    read(arguments).map(|cli| cli.command).map_err(|error| error.kind())
}

/// As `main` does.
fn read<'a>(arguments: impl Iterator<Item = &'a str>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::of(&mut command, &matches)
}

fn submit(arguments: &[&str]) -> Submit {
    match parse(&[&["submit"], arguments].concat()) {
        Ok(Command::Submit(submit)) => *submit,
        other => panic!("{arguments:?}: {other:?}"),
    }
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

/// Of two values of a label, `cancel` took the last alone, and with it more jobs than matched both.
#[test]
fn a_key_with_two_values_is_refused_wherever_pairs_are_taken() {
    let flags = [("labels", "--label"), ("tags", "--tag")];
    for [first, second] in [["e=dev", "e=prod"], ["e=", "e=prod"]] {
        for line in [
            "submit c:b/k g:b/k FLAG",
            "submit --manifest f FLAG",
            "store c:ami-1 c:b/ FLAG",
            "restore g:b/k FLAG",
            "migrate c:ami-1 g: --via v --landing l FLAG",
            "preflight c:b/k g:b/k FLAG",
            "preflight store c:ami-1 c:b/ FLAG",
            "jobs FLAG",
            "watch FLAG",
            "cancel FLAG",
            "retry FLAG",
            "reprioritize --priority 1 FLAG",
        ] {
            for (id, flag) in flags {
                let of = |words: &str| {
                    let line = format!("causeway {}", line.replace("FLAG", words));
                    read(line.split_whitespace())
                };
                if of(&format!("{flag} a=b")).is_err() {
                    assert_eq!(id, "tags", "{line}");
                    continue;
                }
                let error = of(&format!("{flag} {first} {flag} {second}")).expect_err(line);
                let text = format!("{flag} e= is there twice with different values");
                assert!(error.to_string().contains(&text), "{error}");
                assert_eq!(error.exit_code(), 2);
                assert!(of(&format!("{flag} {second} {flag} x=y {flag} {second}")).is_ok());
            }
        }
    }
    // A flag of pairs under another id would escape the check.
    let mut root = Cli::command();
    root.build();
    for argument in commands(&root).into_iter().flat_map(clap::Command::get_arguments) {
        let Some(long) = argument.get_long() else { continue };
        let paired = flags.iter().find(|(_, flag)| *flag == format!("--{long}"));
        assert!(paired.is_none_or(|(id, _)| argument.get_id() == id), "{argument}");
    }
}

/// All commands, and those below them.
fn commands(command: &clap::Command) -> Vec<&clap::Command> {
    let below = command.get_subcommands().flat_map(commands);
    std::iter::once(command).chain(below).collect()
}

/// The examples are the part of a help text that people read.
fn helps() -> Vec<(String, String)> {
    let help = |command: &clap::Command| {
        let help = command.get_after_help().map(ToString::to_string);
        (command.get_name().to_owned(), help.unwrap_or_default())
    };
    commands(&Cli::command()).into_iter().map(help).collect()
}

#[test]
fn every_command_has_examples() {
    for (name, help) in helps() {
        assert!(help.starts_with("Examples:\n  "), "{name}");
    }
}

/// What is printed as an example must parse.
#[test]
fn the_examples_parse() {
    let mut count = 0;
    for (_, help) in helps() {
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "it would wrap: {line}");
            let Some((_, command)) =
                line.split_once("causeway ").filter(|_| line.starts_with("  "))
            else {
                continue;
            };
            let end = command.find(['|', '>']).unwrap_or(command.len());
            let words: Vec<&str> =
                command[..end].split_whitespace().map(|word| word.trim_matches('\'')).collect();
            assert!(parse(&words).is_ok(), "{line}");
            count += 1;
        }
    }
    assert!(count > 40, "{count} examples");
}

#[test]
fn every_flag_of_submit_reaches_the_request() {
    let request = submit(&[
        "c:b/k",
        "g:b/k",
        "--priority",
        "-7",
        "--verify",
        "readback",
        "--if-exists",
        "replace",
        "--part-size",
        "256MiB",
        "--storage-class",
        "STANDARD_IA",
        "--sse",
        "aws:kms",
        "--sse-kms-key-id",
        "alias/x",
        "--tag",
        "a=1",
        "--label",
        "b=x=y",
        "--expect-blake3",
        "AB",
        "--idempotency-key",
        "k",
        "--notify",
        "ops",
        "--notify",
        "web",
        "--dry-run",
    ])
    .request();
    let transfer = request.transfer.expect("a transfer");
    assert_eq!((transfer.source.as_str(), transfer.target.as_str()), ("c:b/k", "g:b/k"));
    assert_eq!(transfer.verify, i32::from(Verify::Readback));
    assert_eq!(transfer.if_exists, i32::from(IfExists::Replace));
    assert_eq!(transfer.part_size, Some(256 << 20));
    assert_eq!(transfer.storage_class.as_deref(), Some("STANDARD_IA"));
    assert_eq!(transfer.sse, i32::from(ServerSideEncryption::AwsKms));
    assert_eq!(transfer.sse_kms_key_id.as_deref(), Some("alias/x"));
    assert_eq!(transfer.tags.get("a").map(String::as_str), Some("1"));
    assert_eq!(transfer.expect_blake3.as_deref(), Some("ab"));
    assert_eq!((request.priority, request.dry_run), (-7, true));
    assert_eq!(request.labels.get("b").map(String::as_str), Some("x=y"));
    assert_eq!(request.idempotency_key.as_deref(), Some("k"));
    assert_eq!(request.notify, ["ops", "web"]);
}

#[test]
fn submit_takes_a_pair_or_a_manifest() {
    assert!(parse(&["submit", "--manifest", "-"]).is_ok());
    assert_eq!(parse(&["submit"]).err(), Some(ErrorKind::MissingRequiredArgument));
    assert_eq!(parse(&["submit", "c:b/k"]).err(), Some(ErrorKind::MissingRequiredArgument));
    for arguments in [
        &["submit", "c:b/k", "g:b/k", "--manifest", "f"][..],
        &["submit", "--manifest", "f", "--recursive"],
        &["submit", "--manifest", "f", "--idempotency-key", "k"],
        &["submit", "c:b/k", "g:b/k", "--wait", "--dry-run"],
        &["submit", "c:b/", "g:b/", "--recursive", "--expect-blake3", "00"],
    ] {
        assert_eq!(parse(arguments).err(), Some(ErrorKind::ArgumentConflict), "{arguments:?}");
    }
    assert!(parse(&["submit", "c:b/k", "g:b/k", "--include", "*"]).is_err());
    assert!(parse(&["submit", "c:b/k", "g:b/k", "--priority", "101"]).is_err());
}

#[test]
fn an_action_is_for_ids_or_a_filter_or_all_and_never_for_nothing() {
    assert_eq!(parse(&["cancel"]).err(), Some(ErrorKind::MissingRequiredArgument));
    assert!(parse(&["cancel", "01J", "01K"]).is_ok());
    assert!(parse(&["cancel", "--all"]).is_ok());
    assert!(parse(&["cancel", "--state", "queued,paused", "--label", "a=b"]).is_ok());
    for arguments in [
        &["cancel", "01J", "--all"][..],
        &["cancel", "01J", "--label", "a=b"],
        &["cancel", "--all", "--state", "failed"],
    ] {
        assert_eq!(parse(arguments).err(), Some(ErrorKind::ArgumentConflict), "{arguments:?}");
    }
    match parse(&["reprioritize", "--priority", "-10", "--label", "a=b"]) {
        Ok(Command::Reprioritize(arguments)) => {
            let selection = arguments.select.selection();
            assert_eq!(arguments.priority, -10);
            assert!(selection.job_ids.is_empty() && !selection.all);
            assert_eq!(selection.filter.expect("a filter").labels.len(), 1);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_are_rates_or_unlimited() {
    let set = |arguments: &[&str]| match parse(&[&["limits", "set", "gov"], arguments].concat()) {
        Ok(Command::Limits(Limits { command: Some(LimitsCommand::Set(set)) })) => Ok(set),
        Ok(other) => panic!("{other:?}"),
        Err(kind) => Err(kind),
    };
    let both = set(&["--read-bandwidth", "5Gbit/s", "--requests-per-second", "unlimited"]);
    let both = both.expect("good");
    assert_eq!((both.read_bandwidth, both.write_bandwidth), (Some(625_000_000), None));
    assert_eq!(both.requests_per_second, Some(0));
    assert_eq!(set(&["--persist"]).err(), Some(ErrorKind::MissingRequiredArgument));
    assert!(set(&["--write-bandwidth", "0MiB/s"]).is_err());
    assert!(matches!(
        parse(&["limits", "reset", "gov"]),
        Ok(Command::Limits(Limits { command: Some(LimitsCommand::Reset { .. }) }))
    ));
    assert_eq!(parse(&["limits", "reset"]).err(), Some(ErrorKind::MissingRequiredArgument));
    assert!(matches!(parse(&["limits"]), Ok(Command::Limits(Limits { command: None }))));
}

/// Who names certificates believes that they are shown, and was told that the daemon is not there.
#[test]
fn flags_of_tls_are_refused_where_it_is_not_spoken() {
    for flag in ["--tls-ca", "--tls-cert", "--tls-key", "--tls-server-name"] {
        for endpoint in ["unix:/x", "http://127.0.0.1:7443", "localhost:7443"] {
            for arguments in [
                ["--endpoint", endpoint, flag, "f", "status"],
                [flag, "f", "status", "--endpoint", endpoint],
                ["status", flag, "f", "--endpoint", endpoint],
            ] {
                let refused = parse(&arguments).err();
                assert_eq!(refused, Some(ErrorKind::ArgumentConflict), "{arguments:?}");
            }
        }
        assert!(parse(&["status", flag, "f", "--endpoint", "https://bastion:7443"]).is_ok());
    }
    let nonsense = parse(&["status", "--tls-ca", "f", "--endpoint", "http://10.0.0.1:7443"]);
    assert!(nonsense.is_ok(), "it has a fault of its own");
}

#[test]
fn global_options_go_before_and_after_the_command() {
    for arguments in [
        ["causeway", "--output", "json", "jobs", "--endpoint", "unix:/x"],
        ["causeway", "jobs", "--output", "json", "--endpoint", "unix:/x"],
    ] {
        let cli = Cli::try_parse_from(arguments).expect("good");
        assert_eq!(cli.global.output, Format::Json);
        assert_eq!(cli.global.endpoint, "unix:/x");
    }
}
