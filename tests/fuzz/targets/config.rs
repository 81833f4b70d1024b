//! Feeds the reader of `causewayd.toml`: the text of the file, and after a NUL the variables over it, one
//! `NAME=VALUE` a line.
//!
//! What must hold:
//! - It gives a whole configuration or faults, each of which names what it is about.
//! - No secret of the text is in a fault, nor in what `Debug` prints of a configuration.
#![no_main]

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use causewayd::config::Config;
use libfuzzer_sys::fuzz_target;

/// Keys whose values are secrets. An access key's id is none: it stands in every presigned URL.
const SECRETS: [&str; 3] = ["secret_access_key", "session_token", "secret"];
/// Shorter ones stand in any text.
const SECRET_BYTES_MIN: usize = 8;

thread_local! {
    static DIR: RefCell<tempfile::TempDir> = RefCell::new(causeway_fuzz::scratch());
}

fuzz_target!(|text: &str| {
    let (file, variables) = text.split_once('\0').unwrap_or((text, ""));
    // It would be read: no fault of the reader, and slow.
    if file.contains("/dev/") || variables.contains("/dev/") || file.contains("/proc/") {
        return;
    }
    let path = DIR.with_borrow(|dir| dir.path().join("causewayd.toml"));
    fs::write(&path, file).expect("room");
    let secrets = secrets(file);
    let printed = match load(path, variables) {
        Ok(config) => {
            judge(&config);
            format!("{config:?}")
        }
        Err(faults) => {
            assert!(faults.iter().next().is_some(), "refused for a reason");
            for fault in faults.iter() {
                assert!(!fault.path.is_empty() && !fault.problem.is_empty(), "{fault:?}");
            }
            format!("{faults}\n{faults:?}")
        }
    };
    for secret in &secrets {
        assert!(!printed.contains(secret.as_str()), "{secret:?} is in {printed}");
    }
});

fn load(path: PathBuf, variables: &str) -> Result<Config, causewayd::config::Faults> {
    let pairs = variables.lines().filter_map(|line| line.split_once('='));
    let named = pairs.map(|(name, value)| (format!("CAUSEWAY__{name}"), value));
    Config::load(&path, named.map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

fn judge(config: &Config) {
    assert!(!config.remotes.is_empty(), "at least one");
    let parts = u64::from(config.transfer.max_parts_in_flight);
    assert!(config.transfer.memory_budget.0 >= parts << 20, "{:?}", config.transfer);
    assert!(config.transfer.max_active_jobs > 0 && parts > 0, "{:?}", config.transfer);
    for remote in config.remotes.values() {
        assert!(causewayd::remote::partition_of(&remote.region).is_some(), "{}", remote.region);
        let account = remote.expected_account.as_ref();
        assert!(account.is_none_or(|it| it.len() == 12 && it.bytes().all(|c| c.is_ascii_digit())));
    }
}

/// The values of the keys that are secrets, also of lines that are no TOML, as far as they stand in the text
/// but once: another place may be one where the same words are none.
fn secrets(file: &str) -> Vec<String> {
    let value = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let name =
            name.trim().rsplit('.').next().unwrap_or_default().trim_matches(['"', '\'', ' ', '\t']);
        let value = value.trim().trim_matches(['"', '\'']);
        let legal =
            value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/_-".contains(&byte));
        let is_one = SECRETS.contains(&name) && value.len() >= SECRET_BYTES_MIN && legal;
        (is_one && file.matches(value).count() == 1).then(|| value.to_owned())
    };
    file.lines().filter_map(value).collect()
}
