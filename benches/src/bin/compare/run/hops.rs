//! Tools that know one side at a time: two of their processes with a pipe between, or one after the
//! other with a disk between.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ground::{Ground, Side};
use super::pipeline::{self, Pipeline};
use super::tools::{Measured, Tool};
use super::work::{Work, WorkName};
use crate::server::key;

/// What lies between the two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    Pipe,
    Disk,
}

/// Whose command line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    S5cmd,
    /// The AWS CLI with its transfer client: `classic` or `crt`.
    Aws(&'static str),
}

/// A tool that goes in two hops.
#[derive(Debug)]
pub struct TwoHops {
    pub name: &'static str,
    pub program: PathBuf,
    pub manner: Manner,
    pub between: Between,
}

/// Pipes at a time where there are several objects.
const PIPES: usize = 2;

impl TwoHops {
    /// The program, as it reaches one side.
    fn command(&self, side: &Side, ground: &Ground) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        command.envs(side.environment());
        let url = match self.manner {
            Manner::Aws("crt") => side.url_without_port()?,
            _ => side.url(),
        };
        if let Manner::Aws(_) = self.manner {
            command.env("AWS_CONFIG_FILE", config_path(ground)).env("AWS_PAGER", "").arg("s3");
        }
        command.arg("--endpoint-url").arg(url);
        Ok(command)
    }

    fn pipes(&self, ground: &Ground) -> anyhow::Result<Vec<Pipeline>> {
        let pipe = |index| {
            let (from, to) = addresses(&key(index));
            let mut read = self.command(&ground.source, ground)?;
            let mut write = self.command(&ground.target, ground)?;
            match self.manner {
                Manner::S5cmd => {
                    read.args(["cat", "--concurrency", "8", "--part-size", "16", &from]);
                    write.args(["pipe", "--concurrency", "8", "--part-size", "16", &to]);
                }
                Manner::Aws(_) => {
                    let size = ground.work.size.to_string();
                    read.args(["cp", "--only-show-errors", &from, "-"]);
                    write.args(["cp", "--only-show-errors", "--expected-size", &size, "-", &to]);
                }
            }
            Ok(vec![read, write])
        };
        (0..ground.work.objects).map(pipe).collect()
    }

    /// Two commands, to be run one after the other.
    fn hops(&self, ground: &Ground, disk: &Path) -> anyhow::Result<Vec<Pipeline>> {
        let mut read = self.command(&ground.source, ground)?;
        let mut write = self.command(&ground.target, ground)?;
        let (from, to) = ("s3://source/", "s3://target/");
        match self.manner {
            Manner::S5cmd => {
                read.arg("cp").arg(format!("{from}*")).arg(format!("{}/", disk.display()));
                write.arg("cp").arg(format!("{}/", disk.display())).arg(to);
            }
            Manner::Aws(_) => {
                read.args(["cp", "--only-show-errors", "--recursive", from]).arg(disk);
                write.args(["cp", "--only-show-errors", "--recursive"]).arg(disk).arg(to);
            }
        }
        Ok(vec![vec![read], vec![write]])
    }
}

impl Tool for TwoHops {
    fn name(&self) -> &str {
        self.name
    }

    fn is_peer(&self) -> bool {
        true
    }

    fn settings(&self, work: &Work) -> Option<String> {
        // 4,000 processes say nothing of how a tool moves bytes.
        let is_able = self.between == Between::Disk || work.name != WorkName::Small;
        let settings = match self.manner {
            Manner::S5cmd => "concurrency 8, parts of 16 MiB".to_owned(),
            Manner::Aws(_) => {
                config(work, self.manner).split_whitespace().skip(3).collect::<Vec<_>>().join(" ")
            }
        };
        let between = match self.between {
            Between::Pipe if work.objects > 1 => format!("{PIPES} pipes at a time"),
            Between::Pipe => "a pipe".to_owned(),
            Between::Disk => "through a disk".to_owned(),
        };
        is_able.then(|| format!("{between}; {settings}"))
    }

    fn run(&self, ground: &Ground, _is_warm_up: bool) -> anyhow::Result<Measured> {
        std::fs::write(config_path(ground), config(&ground.work, self.manner))?;
        let disk = ground.directory.join("disk");
        std::fs::create_dir(&disk)?;
        let (pipelines, at_once) = match self.between {
            Between::Pipe => (self.pipes(ground)?, PIPES),
            Between::Disk => (self.hops(ground, &disk)?, 1),
        };
        let meter = ground.meter(&[])?;
        pipeline::run(pipelines, at_once, &meter, &ground.directory.join("log"))?;
        Ok(meter.end()?.into())
    }
}

fn addresses(name: &str) -> (String, String) {
    (format!("s3://source/{name}"), format!("s3://target/{name}"))
}

fn config_path(ground: &Ground) -> PathBuf {
    ground.directory.join("aws-config")
}

/// The AWS CLI's settings.
fn config(work: &Work, manner: Manner) -> String {
    let Manner::Aws(client) = manner else { return String::new() };
    let requests = match work.name {
        WorkName::Slow | WorkName::Small => 32,
        WorkName::Big | WorkName::Many => 10,
    };
    format!(
        "[default]\ns3 =\n  preferred_transfer_client = {client}\n  \
         max_concurrent_requests = {requests}\n  multipart_chunksize = 16MB\n"
    )
}
