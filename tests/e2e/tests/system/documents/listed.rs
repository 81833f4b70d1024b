//! What the documents tell people to type and a test cannot: why, and how far it is looked at all the same.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::binary;

use super::block::root;
use super::words;

/// One of them, as it stands there, without the comment behind it.
#[derive(Debug)]
pub struct Listed {
    pub command: &'static str,
    pub why: &'static str,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// A program of the repository, which says in its own text what it takes.
    Script,
    /// The same; what it takes says the program that it builds and calls.
    ScriptOf(&'static str),
    /// Another test does it: this file has that text.
    DoneBy(&'static str, &'static str),
    /// The package has the name that `deploy/package` gives it.
    Package,
    /// A program of the system, whose help has the options, where it is there.
    System(&'static [&'static str]),
}

use Check::{DoneBy, Package, Script, ScriptOf, System};

const RUNS_THIS: &str = "it is what runs this test";
const MEASURES: &str = "it builds anew and measures, from a minute to hours";
const INSTALLS: &str = "it installs on this machine; deploy/tests/package has a clean one";
const JOURNAL: &str = "the journal is systemd's; deploy/tests/package reads it";

pub const LISTED: &[Listed] = &[
    Listed { command: "tests/run", why: RUNS_THIS, check: Script },
    Listed { command: "tests/run -p causewayd", why: RUNS_THIS, check: Script },
    Listed { command: "tests/run --soak 60", why: RUNS_THIS, check: Script },
    Listed { command: "tests/run --fuzz 10", why: "it takes an hour and a half", check: Script },
    Listed { command: ".ci/run", why: RUNS_THIS, check: Script },
    Listed {
        command: "cargo build --release",
        why: "it is what built this test",
        check: System(&["cargo", "build", "--help"]),
    },
    Listed { command: "benches/compare", why: MEASURES, check: ScriptOf("compare") },
    Listed {
        command: "benches/compare --rounds 1 --shrink 64",
        why: MEASURES,
        check: ScriptOf("compare"),
    },
    Listed {
        command: "benches/compare --work big --tools causeway,hyper,rclone --json big.json",
        why: MEASURES,
        check: ScriptOf("compare"),
    },
    Listed {
        command: "benches/compare endurance --minutes 10",
        why: MEASURES,
        check: ScriptOf("compare"),
    },
    Listed {
        command: "benches/compare --profile release --rounds 1",
        why: MEASURES,
        check: ScriptOf("compare"),
    },
    Listed {
        command: "deploy/package",
        why: "it builds for minutes; deploy/tests/package calls it",
        check: Script,
    },
    Listed {
        command: "apt install ./target/package/causeway_0.1.0-1_amd64.deb",
        why: INSTALLS,
        check: Package,
    },
    Listed {
        command: "dnf install ./target/package/causeway-0.1.0-1.x86_64.rpm",
        why: INSTALLS,
        check: Package,
    },
    Listed { command: "dnf install ./causeway-0.1.0-1.x86_64.rpm", why: INSTALLS, check: Package },
    Listed { command: "apt install ./causeway_0.1.0-1_amd64.deb", why: INSTALLS, check: Package },
    Listed { command: "apt install ./causeway_0.1.1-1_amd64.deb", why: INSTALLS, check: Package },
    Listed {
        command: "apt install --allow-downgrades ./causeway_0.1.0-1_amd64.deb",
        why: INSTALLS,
        check: Package,
    },
    Listed {
        command: "editor /etc/causeway/causewayd.toml",
        why: "it is a person's work; the package puts the file there",
        check: DoneBy("deploy/tests/package", "/etc/causeway/causewayd.toml"),
    },
    Listed {
        command: "journalctl -u causewayd -p warning --since -1h",
        why: JOURNAL,
        check: System(&["journalctl", "--help"]),
    },
    Listed {
        command: "journalctl -u causewayd -n 20",
        why: JOURNAL,
        check: System(&["journalctl", "--help"]),
    },
    Listed {
        command: "journalctl -u causewayd --since -1d | grep -i crc64nvme",
        why: JOURNAL,
        check: System(&["journalctl", "--help"]),
    },
    Listed {
        command: "journalctl -u causewayd --since -1h | grep -i webhook",
        why: JOURNAL,
        check: System(&["journalctl", "--help"]),
    },
    Listed {
        command: "systemd-analyze security causewayd",
        why: "it asks systemd; deploy/tests/package does",
        check: DoneBy("deploy/tests/package", "systemd-analyze security"),
    },
    Listed {
        command: "causewayd restore --from DIR",
        why: "it needs a daemon that is stopped; OPERATIONS has the whole of it, which is run",
        check: DoneBy("deploy/OPERATIONS.md", "-- causewayd restore --from"),
    },
    Listed {
        command: "systemctl restart grafana-server",
        why: "Debian has no Grafana",
        check: System(&["systemctl", "--help"]),
    },
];

/// The entry of this command, if there is one.
pub fn listed(command: &str) -> Option<&'static Listed> {
    let typed = command.split(" #").next().unwrap_or_default().trim();
    LISTED.iter().find(|entry| entry.command == typed)
}

impl Listed {
    /// Looks at it as far as that goes without running it.
    pub fn check(&self) -> Result<()> {
        // What it prints into is everywhere.
        let options = words::options(self.command.split(" | ").next().unwrap_or_default())?;
        let program = self.command.split(' ').next().unwrap_or_default();
        match self.check {
            Script => has(&options, &script(program)?),
            ScriptOf(name) => {
                let mut text = script(program)?;
                for command in ["run", "endurance"] {
                    text.push_str(&printed(Command::new(binary(name)).args([command, "--help"]))?);
                }
                has(&options, &text)
            }
            DoneBy(file, words) => {
                let text = std::fs::read_to_string(root().join(file))?;
                ensure!(text.contains(words), "{file} has no `{words}`");
                Ok(())
            }
            Package => package(self.command),
            // A machine without it has no help to look at.
            System(help) => match printed(Command::new(help[0]).args(&help[1..])) {
                Ok(text) => has(&options, &text),
                Err(_) => Ok(()),
            },
        }
    }
}

/// A program of the repository that can be run: its text.
fn script(program: &str) -> Result<String> {
    let path = root().join(program);
    let mode = std::fs::metadata(&path).with_context(|| format!("no {program}"))?.permissions();
    ensure!(mode.mode() & 0o111 != 0, "{program} cannot be run");
    Ok(std::fs::read_to_string(path)?)
}

fn printed(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

fn has(options: &[String], text: &str) -> Result<()> {
    let is_told = |option: &&String| {
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        text.split(option.as_str()).skip(1).any(ends)
    };
    let unknown: Vec<_> = options.iter().filter(|option| !is_told(option)).collect();
    ensure!(unknown.is_empty(), "it knows no {unknown:?}");
    Ok(())
}

/// `causeway_0.1.0-1_amd64.deb`: Debian's form, with the revision that `deploy/package` gives.
fn package(command: &str) -> Result<()> {
    let file = command.rsplit('/').next().unwrap_or_default();
    let deb = file.strip_prefix("causeway_").and_then(|it| it.strip_suffix("-1_amd64.deb"));
    let rpm = file.strip_prefix("causeway-").and_then(|it| it.strip_suffix("-1.x86_64.rpm"));
    let name = deb.or(rpm);
    let version = name.with_context(|| format!("{file} is not what deploy/package makes"))?;
    let numbers: Vec<Result<u32, _>> = version.split('.').map(str::parse).collect();
    ensure!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "{version} is no version");
    ensure!(script("deploy/package")?.contains("($version-1)"), "another revision");
    Ok(())
}
