//! What `causewayd check` tells besides faults: what does not keep the daemon from starting, and does keep a remote
//! from working.

use std::path::Path;

use super::check;
use crate::config::{Config, Fault, Faults};
use crate::remote::{Credentials, ProfileFiles};

/// Where the package's unit, and the container's image, have the daemon look for profiles.
const OF_THE_SERVICE: &str = "/etc/causeway/aws";

/// Reads and validates the configuration, as [`check`], and looks at what it leaves for later. One warning a key.
///
/// # Errors
/// Every fault of it, in one error.
pub async fn warnings(path: &Path) -> Result<Vec<Fault>, Faults> {
    let config = check(path)?;
    // What is beside it is another configuration's, or nobody's.
    let service = Path::new(OF_THE_SERVICE);
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let is_of_the_service = path.parent() == service.parent() && service.is_dir();
    let variable = |name: &str| std::env::var_os(name);
    let files = ProfileFiles::found(variable, is_of_the_service.then_some(service));
    Ok(of_profiles(&config, &files).await)
}

async fn of_profiles(config: &Config, files: &ProfileFiles) -> Vec<Fault> {
    let mut warnings = Vec::new();
    for (name, remote) in &config.remotes {
        let (key, profile) = match &remote.credentials {
            Credentials::Profile(profile) => ("profile", profile),
            Credentials::AssumeRole { source_profile: Some(profile), .. } => {
                ("source_profile", profile)
            }
            Credentials::AssumeRole { source_profile: None, .. }
            | Credentials::Static { .. }
            | Credentials::Imds => continue,
        };
        if let Some(lack) = files.lack(profile).await {
            let path = format!("remotes.{name}.{key}");
            let problem = format!(
                "{lack}; the daemon starts all the same, and jobs of this remote wait for it"
            );
            warnings.push(Fault { path, problem });
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_profile_in_no_file_is_one_warning_by_its_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("causewayd.toml");
        let text = "[remotes.com]\nregion = \"us-east-2\"\nprofile = \"there\"\n\
            [remotes.gov]\nregion = \"us-gov-west-1\"\nprofile = \"absent\"\n\
            [remotes.role]\nregion = \"us-east-1\"\nrole_arn = \"arn:aws:iam::111122223333:role/r\"\n\
            source_profile = \"none\"\n\
            [remotes.host]\nregion = \"us-west-2\"\nimds = true\n";
        std::fs::write(&file, text).expect("room");
        std::fs::write(dir.path().join("credentials"), "[there]\n").expect("room");
        let config = check(&file).expect("no fault");
        let files = ProfileFiles::found(|_| None, Some(dir.path()));
        let warnings = of_profiles(&config, &files).await;
        let paths: Vec<_> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, ["remotes.gov.profile", "remotes.role.source_profile"]);
        let told = warnings[0].to_string();
        let credentials = dir.path().join("credentials");
        assert!(told.contains(&format!("{} has no [absent]", credentials.display())), "{told}");
        assert!(told.ends_with("jobs of this remote wait for it"), "{told}");
    }
}
