//! The contract's example, and what a person reads who got something wrong.

use std::fs;

use super::*;
use crate::base::{Origin, Rules};
use crate::control::Listen;
use crate::model::{Bandwidth, Timestamp};
use crate::remote::Secret;

/// CONTRACT, section 2, with what it shows as alternatives taken in.
const EXAMPLE: &str = r#"
data_dir = "/var/lib/causeway"            # the sled ledger, the audit log

[control]                                 # gRPC
listen = "unix:/run/causeway/control.sock" # or "127.0.0.1:7443"; off loopback only with [control.tls]

[telemetry]
listen = "127.0.0.1:9464"                 # GET /metrics /healthz /readyz
log = "info"                              # an EnvFilter
log_format = "json"                       # or "text"

[transfer]
memory_budget = "256MiB"                  # hard bound on buffered object bytes
max_active_jobs = 8
max_parts_in_flight = 64                  # upper bound; adapts below it
verify = "auto"                           # "auto" | "checksum" | "readback"
if_exists = "fail"                        # "fail" | "skip" | "replace"

[remotes.commercial]
region = "us-east-2"                      # the partition is derived from it
profile = "commercial"
expected_account = "111122223333"

[remotes.commercial.limits]
read_bandwidth = "5Gbit/s"                # also bytes: "600MiB/s"; absent = unlimited
write_bandwidth = "5Gbit/s"
requests_per_second = 2000

[remotes.commercial.quotas]               # EC2's in-progress quotas, per account and Region
store_in_progress_gb = 1200
restore_in_progress_gb = 600
image_size_gb = 5000
"#;

const REMOTE: &str = "[remotes.gov]\nregion = \"us-gov-west-1\"\nimds = true\n";

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, Faults> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("causewayd.toml");
    fs::write(&file, text).expect("writable");
    fs::write(folder.path().join("ca.pem"), "").expect("writable");
    Config::load(&file, variables.iter().map(|(name, value)| (name.into(), value.into())))
}

/// The faults of a file, one a line.
fn faults(text: &str) -> String {
    load(text, &[]).expect_err("it has a fault").to_string()
}

fn remote(text: &str) -> RemoteConfig {
    let config = load(&format!("[remotes.gov]\n{text}"), &[]).expect("legal");
    config.remotes.into_values().next().expect("one remote")
}

#[test]
fn the_contracts_example_says_what_it_says() {
    let config = load(EXAMPLE, &[]).expect("legal");
    assert_eq!(config.data_dir, Path::new("/var/lib/causeway"));
    assert_eq!(config.control, Listen::Unix("/run/causeway/control.sock".into()));
    assert_eq!(config.telemetry.listen, SocketAddr::from(([127, 0, 0, 1], 9464)));
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
    assert_eq!(config.transfer.memory_budget, ByteCount::mib(256));
    assert_eq!(config.transfer.max_parts_in_flight, 64);
    let name: RemoteName = "commercial".parse().expect("legal");
    let remote = &config.remotes[&name];
    assert_eq!(remote.region, "us-east-2");
    assert_eq!(remote.credentials, Credentials::Profile("commercial".into()));
    assert_eq!(remote.limits.read_bandwidth, Some(Bandwidth(625_000_000)));
    assert_eq!(remote.limits.requests_per_second, Some(2000));
    assert_eq!(remote.quotas.restore_in_progress_gb, 600);
}

/// What the example shows is what a file that leaves it out gets.
#[test]
fn the_examples_values_are_the_defaults() {
    let shown = load(EXAMPLE, &[]).expect("legal");
    let least = load(REMOTE, &[]).expect("legal");
    assert_eq!(least.data_dir, shown.data_dir);
    assert_eq!(least.control, shown.control);
    assert_eq!(format!("{:?}", least.telemetry), format!("{:?}", shown.telemetry));
    assert_eq!(format!("{:?}", least.transfer), format!("{:?}", shown.transfer));
    let gov = least.remotes.values().next().expect("one");
    assert_eq!(gov.quotas, shown.remotes.values().next().expect("one").quotas);
    assert_eq!(gov.limits, Limits::default());
}

#[test]
fn every_key_of_a_remote_arrives() {
    let remote = remote(
        r#"
        region = "us-gov-west-1"
        credentials = { access_key_id = "AKIA", secret_access_key = "hunter2", session_token = "t" }
        fips = true
        dual_stack = true
        path_style = true
        s3_endpoint = "https://s3.example"
        sts_endpoint = "https://sts.example"
        ec2_endpoint = "https://ec2.example"
        ssm_endpoint = "http://127.0.0.1:8000"
        ca_bundle = "ca.pem"
        "#,
    );
    let Credentials::Static { access_key_id, secret_access_key, session_token } =
        &remote.credentials
    else {
        panic!("static keys were given")
    };
    assert_eq!(access_key_id, "AKIA");
    assert_eq!(secret_access_key.expose(), "hunter2");
    assert_eq!(session_token.as_ref().map(Secret::expose), Some("t"));
    assert!(remote.fips && remote.dual_stack && remote.path_style);
    assert_eq!(remote.s3_endpoint.as_deref(), Some("https://s3.example"));
    assert_eq!(remote.ssm_endpoint.as_deref(), Some("http://127.0.0.1:8000"));
    // Relative to the file, wherever the daemon was started.
    assert!(remote.ca_bundle.is_some_and(|path| path.is_absolute() && path.ends_with("ca.pem")));
}

#[test]
fn a_role_may_name_its_profile_and_external_id() {
    let role = "arn:aws-us-gov:iam::111122223333:role/carrier";
    let remote = remote(&format!(
        "region = \"us-gov-west-1\"\nrole_arn = \"{role}\"\nexternal_id = \"x\"\nimds = false"
    ));
    assert_eq!(
        remote.credentials,
        Credentials::AssumeRole {
            role_arn: role.into(),
            source_profile: None,
            external_id: Some("x".into())
        }
    );
}

/// Each fault as the one line that a person reads.
#[test]
fn each_fault_names_its_key_and_what_was_expected() {
    for (text, line) in [
        (
            "data = 1",
            "data: is not a key of this version; known here: data_dir, control, telemetry, transfer, remotes",
        ),
        (
            "[control]\nlisten = \"localhost\"",
            "control.listen: 'localhost' is no address: expected such as 127.0.0.1:9464 or unix:PATH",
        ),
        (
            "[control]\nlisten = \"0.0.0.0:7443\"",
            "control.listen: 0.0.0.0:7443 is not on loopback: that needs [control.tls], which is not part of this version; use unix:PATH or 127.0.0.1:7443",
        ),
        (
            "[control.tls]\ncert = \"a\"",
            "control.tls: TLS on the control port is not part of this version: listen on unix:PATH or on loopback, and remove this table",
        ),
        (
            "[[control.access]]\nrole = \"admin\"",
            "control.access: access by identity is not part of this version: who may open the socket may do everything; remove this table",
        ),
        (
            "[telemetry]\nlisten = 9464",
            "telemetry.listen: expected an address and port, found a whole number",
        ),
        (
            "[telemetry]\nlog = \"info=loud\"",
            "telemetry.log: 'info=loud' is no log filter: expected such as info",
        ),
        ("[telemetry]\nlog_format = \"xml\"", "telemetry.log_format: 'xml' is none of: json, text"),
        (
            "[transfer]\nmemory_budget = \"12 parsecs\"",
            "transfer.memory_budget: '12 parsecs' is not a size: expected a number and a unit, such as 256MiB or 8GB",
        ),
        (
            "[transfer]\nmemory_budget = \"8MiB\"\nmax_parts_in_flight = 4",
            "transfer.memory_budget: 8 MiB cannot be met: 4 parts in flight need 1 MiB each and 8 active jobs 8 MiB each, 68 MiB together",
        ),
        (
            "[transfer]\nmax_parts_in_flight = 512",
            "transfer.memory_budget: 256 MiB cannot be met: 512 parts in flight need 1 MiB each and 8 active jobs 8 MiB each, 576 MiB together",
        ),
        (
            "[transfer]\nmax_parts_in_flight = 0",
            "transfer.max_parts_in_flight: 0 is not within 1 to 1024",
        ),
        (
            "[transfer]\nmax_active_jobs = \"8\"",
            "transfer.max_active_jobs: expected a whole number, found a text",
        ),
        (
            "[transfer]\nverify = \"never\"",
            "transfer.verify: 'never' is none of: auto, checksum, readback",
        ),
        ("transfer = 1", "transfer: expected a table, found a whole number"),
        (
            "[remotes.Gov]",
            "remotes.Gov: 'Gov' is not a remote's name: expected 1 to 63 of a-z, 0-9, '-' and '_'",
        ),
        (
            "[remotes.presigned]",
            "remotes.presigned: is a reserved name: presigned sources are reported under it",
        ),
    ] {
        let with_remote = format!("{text}\n{REMOTE}");
        assert_eq!(faults(&with_remote), line, "{text}");
    }
    assert_eq!(faults(""), "remotes: has no remote: at least one [remotes.NAME] is needed");
}

#[test]
fn each_fault_of_a_remote_names_its_key_and_what_was_expected() {
    for (text, line) in [
        ("", "region: is missing"),
        ("region = \"mars-1\"", "region: 'mars-1' belongs to no known partition"),
        ("region = \"\"", "region: is empty"),
        (
            "expected_account = 11112222333",
            "expected_account: expected a text of 12 digits, found a whole number",
        ),
        (
            "expected_account = \"1111\"",
            "expected_account: '1111' is no account: expected 12 digits",
        ),
        ("fips = \"yes\"", "fips: expected true or false, found a text"),
        ("s3_endpoint = \"s3.example\"", "s3_endpoint: is no URL: relative URL without a base"),
        (
            "s3_endpoint = \"ftp://s3.example\"",
            "s3_endpoint: is no endpoint: expected https://HOST",
        ),
        (
            "ec2_endpoint = \"https://me:pw@ec2.example\"",
            "ec2_endpoint: carries a user name, a password or a query: expected https://HOST",
        ),
        ("source_profile = \"base\"", "source_profile: means nothing without role_arn"),
        (
            "limits.read_bandwidth = \"5Gbit\"",
            "limits.read_bandwidth: '5Gbit' is not a bandwidth: expected a number above 0 and a unit, such as 600MiB/s or 5Gbit/s",
        ),
        (
            "limits.write_bandwidth = 5",
            "limits.write_bandwidth: expected a text with a unit, found a whole number",
        ),
        (
            "limits.requests_per_second = 0",
            "limits.requests_per_second: 0 is not within 1 to 4294967295",
        ),
        (
            "limits.burst = 1",
            "limits.burst: is not a key of this version; known here: read_bandwidth, write_bandwidth, requests_per_second, schedule",
        ),
        (
            "quotas.image_size_gb = 1.5",
            "quotas.image_size_gb: expected a whole number, found a fraction",
        ),
    ] {
        let region =
            if text.contains("region") || text.is_empty() { "" } else { "region = \"us-east-2\"" };
        let text = format!("[remotes.gov]\nimds = true\n{region}\n{text}");
        assert_eq!(faults(&text), format!("remotes.gov.{line}"), "{text}");
    }
    let missing =
        faults("[remotes.gov]\nregion = \"us-east-2\"\nimds = true\nca_bundle = \"no.pem\"");
    assert!(missing.starts_with("remotes.gov.ca_bundle: /"), "{missing}");
    assert!(missing.ends_with("/no.pem is not a file"), "{missing}");
}

/// Two sources of credentials are how two sides end up with the same keys.
#[test]
fn credentials_are_given_exactly_once() {
    let remote = |text: &str| faults(&format!("[remotes.gov]\nregion = \"cn-north-1\"\n{text}"));
    let none =
        "remotes.gov: has no credentials: give one of profile, credentials, role_arn, imds = true";
    assert_eq!(remote(""), none);
    assert_eq!(remote("imds = false"), none);
    assert_eq!(
        remote("imds = true\nprofile = \"p\""),
        "remotes.gov: has its credentials given 2 times, by profile, imds: keep one"
    );
    assert_eq!(
        remote("credentials = { access_key_id = \"AKIA\" }"),
        "remotes.gov.credentials.secret_access_key: is missing"
    );
    assert_eq!(
        remote("role_arn = \"arn:aws:iam::111122223333:role/r\""),
        "remotes.gov.role_arn: is of partition aws, the region of aws-cn"
    );
    assert_eq!(
        remote("role_arn = \"r\""),
        "remotes.gov.role_arn: is no role: expected such as arn:aws:iam::111122223333:role/NAME"
    );
}

#[test]
fn all_faults_are_listed_at_once() {
    let text = "colour = \"blue\"\n[transfer]\nverify = \"no\"\nmax_active_jobs = 0\n\
                [remotes.a]\nregion = \"mars-1\"\n[remotes.b]\nregion = \"eu-west-1\"\nimds = 1\n";
    let variables = [("CAUSEWAY__TELEMETRY__LOG_FORMAT", "xml"), ("CAUSEWAY__", "x")];
    let faults = load(text, &variables).expect_err("eight faults");
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "CAUSEWAY__",
            "telemetry.log_format",
            "transfer.max_active_jobs",
            "transfer.verify",
            "remotes.a.region",
            "remotes.a",
            "remotes.b.imds",
            "remotes.b",
            "colour",
        ]
    );
    assert_eq!(faults.to_string().lines().count(), paths.len());
}

#[test]
fn variables_override_any_key() {
    let variables = [
        ("CAUSEWAY__TRANSFER__MEMORY_BUDGET", "1GiB"),
        ("CAUSEWAY__TRANSFER__MAX_ACTIVE_JOBS", "3"),
        ("CAUSEWAY__REMOTES__COMMERCIAL__FIPS", "true"),
        ("CAUSEWAY__REMOTES__COMMERCIAL__EXPECTED_ACCOUNT", "000022223333"),
        ("CAUSEWAY__REMOTES__US_GOV__REGION", "us-gov-east-1"),
        ("CAUSEWAY__REMOTES__NEW__REGION", "eu-west-1"),
        ("CAUSEWAY__REMOTES__NEW__CREDENTIALS__ACCESS_KEY_ID", "AKIA"),
        ("CAUSEWAY__REMOTES__NEW__CREDENTIALS__SECRET_ACCESS_KEY", "hunter2"),
        ("CAUSEWAY_ENDPOINT", "the client's, not ours"),
        ("PATH", "/bin"),
    ];
    let text = format!("{EXAMPLE}[remotes.us-gov]\nregion = \"us-gov-west-1\"\nimds = true\n");
    let config = load(&text, &variables).expect("legal");
    let remote = |name: &str| &config.remotes[&name.parse::<RemoteName>().expect("legal")];
    assert_eq!(config.remotes.len(), 3);
    assert_eq!(config.transfer.memory_budget, ByteCount::gib(1));
    assert_eq!(config.transfer.max_active_jobs, 3);
    assert!(remote("commercial").fips);
    assert_eq!(remote("commercial").expected_account.as_deref(), Some("000022223333"));
    assert_eq!(remote("us-gov").region, "us-gov-east-1");
    assert!(matches!(remote("new").credentials, Credentials::Static { .. }));
}

#[test]
fn a_fault_that_a_variable_brought_names_the_variable() {
    for (variable, value, line) in [
        (
            "CAUSEWAY__TRANSFER__VERIFY",
            "no",
            "transfer.verify: 'no' is none of: auto, checksum, readback (set by CAUSEWAY__TRANSFER__VERIFY)",
        ),
        (
            "CAUSEWAY__TRANSFER__MAX_ACTIVE_JOBS",
            "many",
            "transfer.max_active_jobs: expected a whole number, found a text (set by CAUSEWAY__TRANSFER__MAX_ACTIVE_JOBS)",
        ),
        (
            "CAUSEWAY__CONTROL__LISTEN__X",
            "1",
            "control.listen: expected a text, found a table (set by CAUSEWAY__CONTROL__LISTEN__X)",
        ),
        (
            "CAUSEWAY__COLOUR__OF__ALL",
            "blue",
            "colour: is not a key of this version; known here: data_dir, control, telemetry, \
             transfer, remotes (set by CAUSEWAY__COLOUR__OF__ALL)",
        ),
        (
            "CAUSEWAY__REMOTES__GOV__REGION__X",
            "1",
            "CAUSEWAY__REMOTES__GOV__REGION__X: names a key below one that is not a table",
        ),
        ("CAUSEWAY__TRANSFER__", "1", "CAUSEWAY__TRANSFER__: does not name a key"),
    ] {
        let faults = load(REMOTE, &[(variable, value)]).expect_err(variable);
        assert_eq!(faults.to_string(), line);
    }
}

/// Whatever is wrong with the file, what may be a secret is not in the message.
#[test]
fn secrets_do_not_print() {
    let keys = "region = \"us-east-2\"\ncredentials = { access_key_id = \"AKIA\", \
                secret_access_key = \"hunter2\", session_token = \"hunter2\" }\n";
    let config = load(&format!("[remotes.gov]\n{keys}"), &[]).expect("legal");
    let printed = format!("{config:?}{config:#?}{}", Secret::new("hunter2"));
    assert!(!printed.contains("hunter2") && printed.contains("REDACTED"), "{printed}");

    for broken in [
        "credentials = \"hunter2\"",
        "credentials = [\"hunter2\"]",
        "credentials = { access_key_id = { hunter = \"hunter2\" }, secret_access_key = [\"hunter2\"] }",
        "credentials = { access_key_id = \"\", secret_access_key = \"hunter2\", more = \"hunter2\" }",
        "credentials = { access_key_id = \"A\", secret_access_key = \"hunter2\" }\nprofile = \"p\"",
        // Not TOML at all: the parser would quote the line.
        "credentials = { secret_access_key = \"hunter2 }",
        "credentials = { secret_access_key = hunter2 }",
        "credentials = { secret_access_key = \"\\hunter2\" }",
        "credentials = { secret_access_key = \"hunter2\" \"hunter2\" }",
        "s3_endpoint = \"https://me:hunter2@s3.example\"",
        "s3_endpoint = \"https://s3.example/?X-Amz-Signature=hunter2\"",
        "role_arn = \"hunter2\"",
    ] {
        let faults = faults(&format!("[remotes.gov]\nregion = \"us-east-2\"\n{broken}\n"));
        assert!(!faults.contains("hunter2"), "{broken}: {faults}");
    }
}

#[test]
fn a_file_that_is_none_is_one_fault() {
    let error = Config::load(Path::new("/no/such/file.toml"), []).expect_err("no such file");
    assert!(error.to_string().starts_with("/no/such/file.toml: cannot be read: "), "{error}");
    let error = faults("data_dir = \"/a\"\n[control\n");
    assert!(error.contains("causewayd.toml: line 2, column "), "{error}");
}

#[test]
fn a_socket_is_unix_or_loopback() {
    let listen = |text: &str| {
        load(&format!("[control]\nlisten = \"{text}\"\n{REMOTE}"), &[]).map(|config| config.control)
    };
    let loopback = |text: &str| Ok(Listen::Tcp(text.parse().expect("legal")));
    assert_eq!(listen("127.0.0.1:7443"), loopback("127.0.0.1:7443"));
    assert_eq!(listen("[::1]:7443"), loopback("[::1]:7443"));
    assert!(matches!(listen("unix:run/c.sock"), Ok(Listen::Unix(path)) if path.is_absolute()));
    for text in ["unix:", "unix:/", "[::]:7443", "192.0.2.1:7443"] {
        assert!(listen(text).is_err(), "{text}");
    }
    assert!(listen(&format!("unix:/{}", "s".repeat(107))).is_err());
}

#[test]
fn a_schedule_says_when_which_limits_hold() {
    let remote = remote(
        r#"
        region = "us-gov-west-1"
        imds = true
        [remotes.gov.limits]
        requests_per_second = 9
        [[remotes.gov.limits.schedule]]
        days = ["mon-thu", "fri"]
        from = "08:00"
        to = "18:00"
        time_zone = "Europe/Berlin"
        write_bandwidth = "1Gbit/s"
        [[remotes.gov.limits.schedule]]
        from = "00:00"
        to = "24:00"
        days = "sat-sun"
        paused = true
        "#,
    );
    let mut rules = Rules::new(remote.limits, remote.schedule, None);
    let mut at = |text: &str| {
        let moment: jiff::Timestamp = text.parse().expect("a moment");
        rules.in_force(Timestamp(moment.as_millisecond().try_into().expect("after 1970")))
    };
    let friday = at("2026-11-20T08:00:00Z");
    let limits = Limits {
        write_bandwidth: Some(Bandwidth(125_000_000)),
        requests_per_second: Some(9),
        ..Limits::default()
    };
    assert_eq!((friday.limits, friday.origin), (limits, Origin::Schedule(1)));
    let sunday = at("2026-11-22T23:59:59Z");
    assert_eq!((sunday.paused, sunday.origin), (true, Origin::Schedule(2)));
    assert_eq!(at("2026-11-23T00:00:00Z").origin, Origin::Configured);
}

#[test]
fn each_fault_of_a_schedule_names_its_entry() {
    let entry = |text: &str| {
        let head = "imds = true\nregion = \"us-gov-west-1\"\n[[remotes.gov.limits.schedule]]\n";
        faults(&format!("[remotes.gov]\n{head}{text}"))
    };
    let times = "from = \"08:00\"\nto = \"18:00\"\n";
    for (text, line) in [
        ("to = \"08:00\"\npaused = true".to_owned(), "from: is missing"),
        (
            "from = \"8:00\"\nto = \"25:00\"\npaused = true".to_owned(),
            "from: '8:00' is no time of day: expected such as 08:00\n\
             remotes.gov.limits.schedule[1].to: '25:00' is no time of day: expected such as 08:00",
        ),
        (
            "from = \"08:00\"\nto = \"08:00\"\npaused = true".to_owned(),
            "to: is the same as from: from = \"00:00\" and to = \"24:00\" are a whole day",
        ),
        (
            format!("{times}paused = true\ndays = [\"mon\", \"mo-fri\"]"),
            "days: 'mo' is no day: expected one of mon, tue, wed, thu, fri, sat, sun, or such as mon-fri",
        ),
        (format!("{times}paused = true\ndays = []"), "days: is empty"),
        (
            format!("{times}paused = true\ntime_zone = \"Mars/Olympus\""),
            "time_zone: 'Mars/Olympus' is no time zone: expected such as Europe/Berlin",
        ),
        (
            format!("{times}read_bandwidth = \"fast\""),
            "read_bandwidth: 'fast' is not a bandwidth: expected a number above 0 and a unit, such as 600MiB/s or 5Gbit/s",
        ),
        (
            format!("{times}paused = true\nrequests_per_second = 5"),
            "paused: is true, and rates are given: keep one of the two",
        ),
        (
            format!("{times}paused = true\nzone = \"UTC\""),
            "zone: is not a key of this version; known here: from, to, time_zone, days, read_bandwidth, write_bandwidth, requests_per_second, paused",
        ),
    ] {
        assert_eq!(entry(&text), format!("remotes.gov.limits.schedule[1].{line}"));
    }
    let nothing = "changes nothing: give read_bandwidth, write_bandwidth, requests_per_second or paused = true";
    assert_eq!(entry(times), format!("remotes.gov.limits.schedule[1]: {nothing}"));
    let one = "[remotes.gov]\nimds = true\nregion = \"us-gov-west-1\"\nlimits = { schedule = 1 }";
    let wanted = "remotes.gov.limits.schedule: expected a list of tables, found a whole number";
    assert_eq!(faults(one), wanted);
}
