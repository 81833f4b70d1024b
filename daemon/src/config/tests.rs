//! What a file says, and what it leaves out; the contract's example first.

mod faults;
mod schedule;

use std::fs;

use super::*;
use crate::base::{Origin, Rules};
use crate::control::Listen;
use crate::model::{Bandwidth, JobEvent, Timestamp};
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
    fs::write(folder.path().join("empty.pem"), "").expect("writable");
    if text.contains("ca.pem") {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
        fs::write(folder.path().join("ca.pem"), made.cert.pem()).expect("writable");
    }
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

fn admits(config: &Config, url: &str) -> bool {
    config.allowed_hosts.check(&url.parse().expect("a URL")).is_ok()
}

#[test]
fn what_a_reload_leaves_as_it_was_is_told() {
    let text = format!("[transfer]\nmax_active_jobs = 2\n{REMOTE}");
    let before = load(&text, &[]).expect("legal");
    let changed = |variables: &[(&str, &str)]| {
        before.needs_restart(&load(&text, variables).expect("legal")).join(" ")
    };
    assert_eq!(changed(&[]), "");
    for (variable, value, told) in [
        ("CAUSEWAY__REMOTES__GOV__LIMITS__READ_BANDWIDTH", "1MiB/s", ""),
        ("CAUSEWAY__TELEMETRY__LOG", "debug", ""),
        ("CAUSEWAY__TRANSFER__MAX_ACTIVE_JOBS", "3", "transfer"),
        ("CAUSEWAY__REMOTES__GOV__EXPECTED_ACCOUNT", "444455556666", "remotes.gov"),
        ("CAUSEWAY__CONTROL__LISTEN", "127.0.0.1:7443", "control.listen"),
        ("CAUSEWAY__CONTROL__SUBMISSIONS_PER_SECOND", "7", "control.submissions_per_second"),
        ("CAUSEWAY__TELEMETRY__LISTEN", "127.0.0.1:1", "telemetry.listen"),
    ] {
        assert_eq!(changed(&[(variable, value)]), told, "{variable}");
    }
}

#[test]
fn allowed_hosts_are_s3s_own_or_what_the_file_says() {
    let (s3, other) = ("https://b.s3.us-east-2.amazonaws.com/k", "https://a.example.com:8443/k");
    let absent = load(REMOTE, &[]).expect("legal");
    assert!(admits(&absent, s3) && !admits(&absent, other));
    let given = load(&format!("allowed_hosts = [\"*.example.com:8443\"]\n{REMOTE}"), &[]);
    let given = given.expect("legal");
    assert!(!admits(&given, s3) && admits(&given, other));
    let none = load(&format!("allowed_hosts = []\n{REMOTE}"), &[]).expect("legal");
    assert!(!admits(&none, s3) && !admits(&none, other));
    let variable = [("CAUSEWAY__ALLOWED_HOSTS", "s3, a.example.com:8443")];
    let both = load(REMOTE, &variable).expect("legal");
    assert!(admits(&both, s3) && admits(&both, other));
}

const HOOK: &str = "allowed_hosts = [\"hooks.example.com\"]\n[webhooks.ops]\nurl = \"https://hooks.example.com/T0\"\n";
const SIGNING_KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_webhook_is_told_of_the_ends_of_jobs_that_name_it_where_the_file_says_no_more() {
    let plain = format!("{HOOK}secret = \"{SIGNING_KEY}\"\n{REMOTE}");
    let hook = load(&plain, &[]).expect("legal").webhooks.remove(0);
    assert_eq!((hook.name.as_str(), hook.all_jobs), ("ops", false));
    assert_eq!(hook.events, JobEvent::ENDS);
    let more = format!(
        "{HOOK}secret = \"{SIGNING_KEY}\"\nevents = [\"failed\", \"queued\"]\nall_jobs = true\n{REMOTE}"
    );
    let hook = load(&more, &[]).expect("legal").webhooks.remove(0);
    assert_eq!((hook.events, hook.all_jobs), (vec![JobEvent::Failed, JobEvent::Queued], true));
    let variable = [("CAUSEWAY__WEBHOOKS__OPS__EVENTS", "failed, cancelled,started")];
    let hook = load(&more, &variable).expect("legal").webhooks.remove(0);
    assert_eq!(hook.events, [JobEvent::Failed, JobEvent::Cancelled, JobEvent::Started]);
    let wrong = more.replace("queued", "done");
    assert!(faults(&wrong).contains("'done' is none of: queued, started"), "{}", faults(&wrong));
}

/// A key that everybody on the bastion can read signs for everybody.
#[test]
fn a_key_comes_from_a_file_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("key");
    fs::write(&file, format!("{SIGNING_KEY}\n")).expect("writable");
    let text = format!("{HOOK}secret_file = \"{}\"\n{REMOTE}", file.display());
    let set = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
    set(0o640);
    assert_eq!(faults(&text), "webhooks.ops.secret_file: is open to others: chmod 600");
    set(0o600);
    let hook = load(&text, &[]).expect("legal").webhooks.remove(0);
    assert_eq!(hook.key, SIGNING_KEY.parse().expect("a key"));
    let both = text.replace("secret_file", "secret = \"x\"\nsecret_file");
    assert!(faults(&both).contains("has secret and secret_file: keep one"));
}

#[test]
fn the_contracts_example_says_what_it_says() {
    let config = load(EXAMPLE, &[]).expect("legal");
    assert_eq!(config.data_dir, Path::new("/var/lib/causeway"));
    assert_eq!(config.control.listen, Listen::Unix("/run/causeway/control.sock".into()));
    assert_eq!((config.control.tls, config.control.roles.len()), (None, 0));
    assert_eq!(config.telemetry.listen, SocketAddr::from(([127, 0, 0, 1], 9464)));
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
    assert_eq!(config.transfer.memory_budget, ByteCount::mib(256));
    assert_eq!(config.transfer.max_parts_in_flight, 64);
    assert_eq!(config.transfer.held_max(), ByteCount::mib(192));
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
    let options = remote.options("gov".parse().expect("legal"), Limits::default());
    for (endpoint, expected) in [
        (&options.s3_endpoint, "https://s3.example"),
        (&options.sts_endpoint, "https://sts.example"),
        (&options.ec2_endpoint, "https://ec2.example"),
        (&options.ssm_endpoint, "http://127.0.0.1:8000"),
    ] {
        assert_eq!(endpoint.as_deref(), Some(expected));
    }
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

#[test]
fn a_socket_is_unix_or_loopback() {
    let listen = |text: &str| {
        load(&format!("[control]\nlisten = \"{text}\"\n{REMOTE}"), &[])
            .map(|config| config.control.listen)
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
