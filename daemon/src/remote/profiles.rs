//! Where profiles are looked for, and whether one is there: what can be told before anybody asks for credentials.
//!
//! The daemon reads them by the SDK's rules whenever it needs keys, so that a profile may come later. Whoever
//! configures it wants to know at once, and is mostly another user, with another home, than the daemon.
//!
//! # Invariants
//! - Nobody is asked over the network.
//! - No message repeats a line of a file.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use aws_config::profile;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};

use crate::base::chain;

const CONFIG: &str = "AWS_CONFIG_FILE";
const CREDENTIALS: &str = "AWS_SHARED_CREDENTIALS_FILE";

/// The two files that profiles are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFiles {
    config: PathBuf,
    credentials: PathBuf,
    place: Place,
}

/// Why it is these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The environment names them.
    Named,
    /// A service's environment would.
    Service,
    /// Nobody names both.
    Home,
}

impl ProfileFiles {
    /// Those that `environment` names, as the SDK finds them. Where it names neither, those in the directory
    /// `service`, which a service's environment names; without one, those in the home.
    pub fn found(environment: impl Fn(&str) -> Option<OsString>, service: Option<&Path>) -> Self {
        let given = (environment(CONFIG), environment(CREDENTIALS));
        if let (None, None, Some(dir)) = (&given.0, &given.1, service) {
            let (config, credentials) = (dir.join("config"), dir.join("credentials"));
            return Self { config, credentials, place: Place::Service };
        }
        let is_named = given.0.is_some() && given.1.is_some();
        let place = if is_named { Place::Named } else { Place::Home };
        let home = environment("HOME").map(PathBuf::from);
        let at = |given: Option<OsString>, default: &str| {
            let path = given.map_or_else(|| PathBuf::from(default), PathBuf::from);
            let below = path.strip_prefix("~").map(Path::to_path_buf);
            match (below, &home) {
                (Ok(below), Some(home)) => home.join(below),
                (Ok(_), None) | (Err(_), _) => path,
            }
        };
        let config = at(given.0, "~/.aws/config");
        Self { config, credentials: at(given.1, "~/.aws/credentials"), place }
    }

    /// Why the profile `name` gives no credentials, as the files are now, in one line that names them; `None`
    /// where it is there. Blocks for a moment.
    pub async fn lack(&self, name: &str) -> Option<String> {
        let config = seen(&self.config, EnvConfigFileKind::Config, name).await;
        let credentials = seen(&self.credentials, EnvConfigFileKind::Credentials, name).await;
        let lack = match (config, credentials) {
            (Err(one) | Ok(Some(one)), Err(other) | Ok(Some(other))) => format!("{one}; {other}"),
            // One that does not parse is in the way of both.
            (Err(why), Ok(None)) | (Ok(None), Err(why)) => why,
            (Ok(None), Ok(_)) | (Ok(Some(_)), Ok(None)) => return None,
        };
        let place = match self.place {
            Place::Named => String::new(),
            Place::Service => " (where the service looks)".to_owned(),
            Place::Home => format!(
                " (by the HOME of this command: the daemon's may be another; {CONFIG} and {CREDENTIALS} \
                 name other files)"
            ),
        };
        Some(format!("{lack}{place}"))
    }
}

/// Whether the file has the profile: `None`, or what it has not.
///
/// # Errors
/// What keeps the SDK from reading either file.
async fn seen(path: &Path, kind: EnvConfigFileKind, name: &str) -> Result<Option<String>, String> {
    // The SDK may take a file that it cannot read for an empty one: the system's own word comes first.
    match std::fs::read_to_string(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(format!("{} is not there", path.display())));
        }
        // By default it is as if it were empty.
        Err(error) => return Ok(Some(format!("{} cannot be read: {error}", path.display()))),
    }
    let files = EnvConfigFiles::builder().with_file(kind, path).build();
    let read = profile::load(&Fs::real(), &Env::real(), &files, None).await;
    // Its words name the line, and break in two.
    let sections = read.map_err(|error| chain(&error).replace("\n ", ""))?;
    if sections.get_profile(name).is_some() {
        return Ok(None);
    }
    let word = match kind {
        EnvConfigFileKind::Config if name != "default" => "profile ",
        EnvConfigFileKind::Config | EnvConfigFileKind::Credentials => "",
    };
    Ok(Some(format!("{} has no [{word}{}]", path.display(), name.escape_debug())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(variables: &[(&str, &str)], service: Option<&Path>) -> ProfileFiles {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(*value))
        };
        ProfileFiles::found(variable, service)
    }

    #[test]
    fn the_files_are_where_the_daemons_environment_would_have_them() {
        let service = Some(Path::new("/etc/causeway/aws"));
        let (config, credentials) = ((CONFIG, "/a/config"), (CREDENTIALS, "~/keys"));
        let home = ("HOME", "/home/me");
        for (variables, service, expected) in [
            (vec![home], None, ("/home/me/.aws/config", "/home/me/.aws/credentials", Place::Home)),
            (vec![], None, ("~/.aws/config", "~/.aws/credentials", Place::Home)),
            (
                vec![home],
                service,
                ("/etc/causeway/aws/config", "/etc/causeway/aws/credentials", Place::Service),
            ),
            (vec![home, config], service, ("/a/config", "/home/me/.aws/credentials", Place::Home)),
            (
                vec![home, config, credentials],
                service,
                ("/a/config", "/home/me/keys", Place::Named),
            ),
        ] {
            let (config, credentials, place) = expected;
            let expected =
                ProfileFiles { config: config.into(), credentials: credentials.into(), place };
            assert_eq!(found(&variables, service), expected, "{variables:?}");
        }
    }

    #[tokio::test]
    async fn what_a_profile_lacks_is_told_by_its_files_and_never_by_their_lines() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = found(&[], Some(dir.path()));
        let (config, credentials) = (dir.path().join("config"), dir.path().join("credentials"));
        let told = async |name: &str| {
            let told = files.lack(name).await.unwrap_or_default();
            assert!(!told.contains('\n') && !told.contains("s3cr3t"), "{told}");
            told.replace(&dir.path().display().to_string(), "DIR")
                .replace(" (where the service looks)", "")
        };
        let absent = "DIR/config is not there; DIR/credentials is not there";
        assert_eq!(told("gov").await, absent);

        fs::write(&credentials, "[gov]\naws_secret_access_key = s3cr3t\n").expect("room");
        assert_eq!(told("gov").await, "");
        assert_eq!(told("com").await, "DIR/config is not there; DIR/credentials has no [com]");

        // There the word is part of the name.
        fs::write(&config, "[com]\n[profile role]\nrole_arn = x\n").expect("room");
        let both = "DIR/config has no [profile com]; DIR/credentials has no [com]";
        assert_eq!(told("com").await, both);
        assert_eq!(told("role").await, "");

        fs::write(&config, "[profile gov]\ns3cr3t\n").expect("room");
        let broken = told("gov").await;
        assert!(broken.contains("DIR/config on line 2: Expected"), "{broken}");
        fs::remove_file(&credentials).expect("there");
        fs::create_dir(&credentials).expect("room");
        let both = told("gov").await;
        assert!(both.contains("on line 2") && both.contains("DIR/credentials cannot be read: "));
        fs::write(&config, "[profile gov]\n").expect("room");
        assert_eq!(told("gov").await, "", "it is in the other");
    }

    /// Root's home is not the daemon's, and root runs it by hand.
    #[tokio::test]
    async fn files_of_a_home_are_told_with_whose_home_it_is() {
        let home = tempfile::tempdir().expect("a directory");
        let at = home.path().display().to_string();
        let told = found(&[("HOME", at.as_str())], None).lack("gov").await.expect("no file");
        assert!(told.contains(&format!("{at}/.aws/credentials is not there")), "{told}");
        assert!(told.contains("by the HOME of this command"), "{told}");
    }
}
