//! What a person reads who got something wrong.

use super::*;

/// Each fault as the one line that a person reads.
#[test]
fn each_fault_names_its_key_and_what_was_expected() {
    for (text, line) in [
        (
            "data = 1",
            "data: is not a key of this version; known here: data_dir, allowed_hosts, control, telemetry, transfer, remotes, webhooks",
        ),
        (
            "\"\\u0001\" = 1",
            "\"\": is not a key of this version; known here: data_dir, allowed_hosts, control, telemetry, transfer, remotes, webhooks",
        ),
        (
            "allowed_hosts = [\"s3\", \"https://a.example/\"]",
            "allowed_hosts: 'https://a.example/' is no host: expected a name, *.SUFFIX, an address or a CIDR block, each with :PORT or :* where 443 is not meant, or s3",
        ),
        (
            "[webhooks.ops]\nurl = \"https://b.s3.amazonaws.com/s3cr3t\"",
            "webhooks.ops: has no key: give secret or secret_file",
        ),
        (
            "[webhooks.ops]\nurl = \"https://hooks.example/s3cr3t\"\nsecret = \"hunter2\"",
            "webhooks.ops.url: host hooks.example is not among allowed_hosts; name another host, or have the daemon's operator admit this one by allowed_hosts\nwebhooks.ops.secret: is no signing key: expected whsec_ and 24 to 64 bytes in base64, as of `openssl rand -base64 32`",
        ),
        (
            "[webhooks.Ops]\nurl = \"https://b.s3.amazonaws.com/\"",
            "webhooks.Ops: has no legal name: expected 1 to 63 of a-z, 0-9, '-' and '_'",
        ),
        (
            "[control]\nlisten = \"localhost\"",
            "control.listen: 'localhost' is no address: expected such as 127.0.0.1:9464 or unix:PATH",
        ),
        (
            "[control]\nlisten = \"0.0.0.0:7443\"",
            "control.listen: 0.0.0.0:7443 is not on loopback: that needs [control.tls] with cert, key and client_ca; or use unix:PATH or 127.0.0.1:7443",
        ),
        (
            "[control.tls]\ncert = \"/no/such\"",
            "control.tls.key: is missing\ncontrol.tls.client_ca: is missing",
        ),
        (
            "[control.tls]\ncert = \"/no/such\"\nkey = \"/no/such\"\nclient_ca = \"/no/such\"",
            "control.tls.cert: /no/such cannot be read: No such file or directory (os error 2)",
        ),
        (
            "[control]\nlisten = \"0.0.0.0:7443\"\n[control.tls]",
            "control.tls.cert: is missing\ncontrol.tls.key: is missing\ncontrol.tls.client_ca: is missing",
        ),
        ("[[control.access]]\nrole = \"admin\"", "control.access[1].identity: is missing"),
        (
            "[[control.access]]\nidentity = \"uid:7\"\nrole = \"king\"",
            "control.access[1].role: 'king' is none of: viewer, operator, admin",
        ),
        (
            "[[control.access]]\nidentity = \"alice\"\nrole = \"admin\"",
            "control.access[1].identity: 'alice' cannot be proved on a Unix socket: expected a user id, such as uid:1000",
        ),
        (
            "[[control.access]]\nidentity = \"uid:7\"\nrole = \"viewer\"\n[[control.access]]\nidentity = \"uid:07\"\nrole = \"admin\"",
            "control.access[2].identity: 'uid:7' has a role in an entry above",
        ),
        (
            "[control]\nlisten = \"127.0.0.1:7443\"\n[[control.access]]\nidentity = \"alice\"\nrole = \"admin\"",
            "control.access: nobody is authenticated on plain TCP: add [control.tls], or listen on unix:PATH",
        ),
        (
            "[control]\nsubmissions_per_second = 0",
            "control.submissions_per_second: 0 is not within 1 to 1000000",
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
}

#[test]
fn a_ca_bundle_that_cannot_work_is_a_fault() {
    for (file, end) in [
        ("no.pem", "/no.pem is not a file"),
        (".", "/. is not a file"),
        ("empty.pem", "/empty.pem cannot be used: it holds no certificate"),
        ("causewayd.toml", "/causewayd.toml cannot be used: it holds no certificate"),
    ] {
        let bundle = format!("ca_bundle = \"{file}\"\n");
        for (path, text) in [
            ("remotes.gov", format!("{REMOTE}{bundle}")),
            ("webhooks.ops", format!("{HOOK}secret = \"{SIGNING_KEY}\"\n{bundle}{REMOTE}")),
        ] {
            let fault = faults(&text);
            assert!(fault.starts_with(&format!("{path}.ca_bundle: /")), "{fault}");
            assert!(fault.ends_with(end) && fault.lines().count() == 1, "{fault}");
        }
    }
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
            "colour: is not a key of this version; known here: data_dir, allowed_hosts, control, telemetry, \
             transfer, remotes, webhooks (set by CAUSEWAY__COLOUR__OF__ALL)",
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
        "credentials = { secret_access_key = 7777777777777777777777777777 }",
        "credentials = { secret_access_key = 7e7777 }",
        "credentials = { secret_access_key = 0x77777777 }",
        "credentials = { secret_access_key = 7777-07-07 }",
        "s3_endpoint = \"https://me:hunter2@s3.example\"",
        "s3_endpoint = \"https://s3.example/?X-Amz-Signature=hunter2\"",
        "role_arn = \"hunter2\"",
    ] {
        let faults = faults(&format!("[remotes.gov]\nregion = \"us-east-2\"\n{broken}\n"));
        assert!(!faults.contains("hunter2") && !faults.contains("77"), "{broken}: {faults}");
    }
}

#[test]
fn a_file_that_is_none_is_one_fault() {
    let error = Config::load(Path::new("/no/such/file.toml"), []).expect_err("no such file");
    assert!(error.to_string().starts_with("/no/such/file.toml: cannot be read: "), "{error}");
    let error = faults("data_dir = \"/a\"\n[control\n");
    assert!(error.contains("causewayd.toml: line 2, column "), "{error}");
    let error = faults("data_dir = \"/a\"\n[transfer]\nmax_active_jobs = 9223372036854775808\n");
    assert!(
        error.contains("causewayd.toml: line 3, column 19 has a number beyond 64 bits"),
        "{error}"
    );
}
