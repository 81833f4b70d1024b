//! Finds the daemon and the client beside this program, and builds them first under cargo.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// The real programs.
#[derive(Debug)]
pub(super) struct Binaries {
    pub(super) causewayd: PathBuf,
    pub(super) causeway: PathBuf,
}

impl Binaries {
    /// Builds when asked to and when there is a workspace to build from.
    pub(super) async fn find(build: bool) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot tell where this program is")?;
        let directory = own.parent().context("this program is in no directory")?;
        let binaries =
            Self { causewayd: directory.join("causewayd"), causeway: directory.join("causeway") };
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let cargo = std::env::var_os("CARGO");
        // Started by itself, with everything beside it, it is a package and not a checkout.
        if build && manifest.exists() && (cargo.is_some() || !binaries.exist()) {
            let mut command = Command::new(cargo.unwrap_or_else(|| "cargo".into()));
            // The sandbox is named too, so that cargo unifies features as it did for this build.
            command.args(["build", "-p", "sandbox", "-p", "causewayd", "-p", "causeway"]);
            command.arg("--manifest-path").arg(manifest).args(like_own(directory));
            let status = command.status().await.context("cannot run cargo")?;
            if !status.success() {
                bail!("cargo build failed");
            }
        }
        if !binaries.exist() {
            bail!("causewayd and causeway are not in {}: build them there", directory.display());
        }
        Ok(binaries)
    }

    fn exist(&self) -> bool {
        self.causewayd.exists() && self.causeway.exists()
    }
}

/// The profile and the target directory that this program was built with, told by its path.
fn like_own(directory: &Path) -> Vec<String> {
    let profile = directory.file_name().and_then(|name| name.to_str()).unwrap_or("release");
    let profile = if profile == "debug" { "dev" } else { profile };
    let mut arguments = vec!["--profile".to_owned(), profile.to_owned()];
    let target = directory.parent().filter(|target| target.join("CACHEDIR.TAG").exists());
    if let Some(target) = target.and_then(Path::to_str) {
        arguments.extend(["--target-dir".to_owned(), target.to_owned()]);
    }
    arguments
}
