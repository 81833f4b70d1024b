//! rclone, with two remotes.

use std::path::PathBuf;
use std::process::Command;

use super::ground::{Ground, Side};
use super::pipeline;
use super::tools::{Measured, Places, Tool};
use super::work::{Work, WorkName};

/// rclone.
#[derive(Debug)]
pub struct Rclone {
    program: PathBuf,
}

impl Rclone {
    pub fn new(places: &Places) -> anyhow::Result<Self> {
        Ok(Self { program: places.peer("rclone")? })
    }

    /// What a small sweep found best.
    fn flags(work: &Work) -> &'static [&'static str] {
        match work.name {
            WorkName::Big => &[
                "--multi-thread-streams=8",
                "--multi-thread-chunk-size=16M",
                "--s3-chunk-size=16M",
                "--s3-upload-concurrency=8",
            ],
            WorkName::Many => &[
                "--transfers=2",
                "--multi-thread-streams=4",
                "--multi-thread-chunk-size=16M",
                "--s3-chunk-size=16M",
                "--s3-upload-concurrency=4",
            ],
            WorkName::Small => &[
                "--transfers=8",
                "--checkers=8",
                "--no-traverse",
                "--s3-no-head",
                "--s3-no-head-object",
            ],
            WorkName::Slow => &[
                "--multi-thread-streams=32",
                "--multi-thread-chunk-size=16M",
                "--s3-chunk-size=16M",
                "--s3-upload-concurrency=32",
            ],
        }
    }
}

impl Tool for Rclone {
    fn name(&self) -> &str {
        "rclone"
    }

    fn is_peer(&self) -> bool {
        true
    }

    fn settings(&self, work: &Work) -> Option<String> {
        Some(Self::flags(work).join(" "))
    }

    fn run(&self, ground: &Ground, _is_warm_up: bool) -> anyhow::Result<Measured> {
        // It takes authorities from one file for both remotes.
        let bundle = ground.directory.join("ca.pem");
        let read = |side: &Side| std::fs::read_to_string(&side.ca);
        std::fs::write(&bundle, read(&ground.source)? + &read(&ground.target)?)?;
        let mut command = Command::new(&self.program);
        command
            .args(["copy", "source:source", "target:target", "--config", "/dev/null"])
            // A run that had to begin again is no figure.
            .arg("--retries=1")
            .arg("--ca-cert")
            .arg(&bundle)
            .args(Self::flags(&ground.work));
        for (name, side) in [("SOURCE", &ground.source), ("TARGET", &ground.target)] {
            let option = |option: &str| format!("RCLONE_CONFIG_{name}_{option}");
            command
                .env(option("TYPE"), "s3")
                .env(option("PROVIDER"), "AWS")
                .env(option("ENDPOINT"), side.url())
                .env(option("REGION"), side.region)
                .env(option("ACCESS_KEY_ID"), &side.access_key_id)
                .env(option("SECRET_ACCESS_KEY"), &side.secret_access_key)
                .env(option("FORCE_PATH_STYLE"), "true")
                .env(option("NO_CHECK_BUCKET"), "true")
                // The servers' ETags are no MD5s.
                .env(option("USE_MULTIPART_ETAG"), "false");
        }
        let meter = ground.meter(&[])?;
        pipeline::run(vec![vec![command]], 1, &meter, &ground.directory.join("log"))?;
        Ok(meter.end()?.into())
    }
}
