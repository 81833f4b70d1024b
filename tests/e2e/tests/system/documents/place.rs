//! Where the documents are followed: two partitions, a daemon, and a shell in which its files, ports and units are
//! those that the documents speak of.

use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{Receiver, World, binary, free_port, images, prometheus_program};
use sandbox::{Action, Attributes, EndpointOptions, Fault, ImageSpec, Synthetic};
use serde_json::Value;
use toml::Table;

use super::block::{Block, Command, Kind, blocks, root};
use super::listed::listed;
use super::tables::{ABOUT, Arrange, BEFORE, CAUSEWAYD, SAYS, SUBSTITUTIONS, SYSTEMCTL};

/// What tells the jobs that are arranged from those that the documents submit.
const OURS: &str = "--label arranged=yes";
/// How long the commands of a block may take together.
const PATIENCE: Duration = Duration::from_secs(120);

/// One of them. Dropped, its daemon is killed.
pub struct Place {
    world: World,
    receiver: Receiver,
    control: SocketAddr,
    /// One that succeeded, once somebody asked for it.
    job: Option<String>,
    /// What was arranged is so from then on.
    arranged: Vec<Arrange>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.world.path("pid")).unwrap_or_default();
        // Only what is still the daemon: the number may be somebody else's by now.
        let comm =
            std::fs::read_to_string(format!("/proc/{}/comm", pid.trim())).unwrap_or_default();
        if comm.trim() == "causewayd" {
            let _ = std::process::Command::new("kill").args(["-KILL", pid.trim()]).status();
        }
    }
}

impl Place {
    /// One with all that the documents name, but a daemon that runs.
    pub async fn new() -> Result<Self> {
        let mut commercial = EndpointOptions::commercial().bucket("images").bucket("my-images");
        let named = |id: Option<&str>, name: &str| ImageSpec {
            id: id.map(str::to_owned),
            ..ImageSpec::new(name).tag("team", "web")
        };
        commercial = commercial.image(named(Some("ami-0123456789abcdef0"), "web"));
        for name in ["golden-1", "golden-2", "golden-3", "golden-4"] {
            commercial = commercial.image(named(None, name));
        }
        let gov = EndpointOptions::gov().bucket("landing").bucket("my-landing");
        let world = World::of(commercial, gov).await?;
        let receiver = Receiver::start(None, 0).await?;
        let mut place =
            Self { world, receiver, control: free_port()?, job: None, arranged: Vec::new() };
        place.furnish().await?;
        place.configure().await?;
        Ok(place)
    }

    /// Objects, files and programs.
    async fn furnish(&self) -> Result<()> {
        for key in ["ami-0abc.bin", "a.bin", "known.bin", "line.bin", "golden/disk.bin"] {
            self.world.put(key, images(100_000)).await?;
        }
        let endpoint = &self.world.commercial;
        let disk = images(100_000);
        endpoint.put("my-images", "golden/disk.bin", disk, Attributes::default()).await?;
        let directories = ["bin", "home", "etc/causeway", "var/lib", "var/backups", "run/causeway"];
        for directory in directories {
            std::fs::create_dir_all(self.world.path(directory))?;
        }
        for directory in ["deploy", "benches", "tests"] {
            symlink(root().canonicalize()?.join(directory), self.path("home", directory))?;
        }
        symlink(binary("causeway"), self.path("bin", "causeway"))?;
        symlink(binary("sandbox"), self.path("bin", "sandbox"))?;
        symlink(which(prometheus_program("promtool"))?, self.path("bin", "promtool"))?;
        for (name, text) in [("causewayd", CAUSEWAYD), ("systemctl", SYSTEMCTL)] {
            let path = self.path("bin", name);
            std::fs::write(&path, self.filled(text))?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
        }
        let manifest =
            r#"{"source": "commercial:images/line.bin", "target": "gov:landing/line.bin"}"#;
        Ok(std::fs::write(self.path("home", "images.jsonl"), manifest)?)
    }

    /// The sandbox's two remotes, which know who they are, and the webhook as OPERATIONS configures it; its key and
    /// the certificates are made as OPERATIONS makes them.
    async fn configure(&mut self) -> Result<()> {
        let World { config, commercial, gov, .. } = &mut self.world;
        config.identify("commercial", commercial)?;
        config.identify("gov", gov)?;
        config.set("transfer.max_parts_in_flight", 2)?;
        let table = self.world.config.to_toml()?.parse()?;
        std::fs::write(self.path("home", "base.toml"), toml::to_string(&table)?)?;
        let mut table: Table = table;
        table.insert(
            "data_dir".into(),
            self.path("var/lib", "causeway").display().to_string().into(),
        );
        let socket = format!("unix:{}", self.path("run/causeway", "control.sock").display());
        table["control"]["listen"] = socket.into();
        merge(&mut table, self.block("OPERATIONS", Kind::Toml, "[webhooks.ops]")?.parse()?);
        self.write(&table)?;
        for needle in ["openssl req", "/etc/causeway/tls\n", "rand -base64 32"] {
            let text = self.block("OPERATIONS", Kind::Sh, needle);
            let text = text.or_else(|_| self.block("OPERATIONS", Kind::Console, needle))?;
            let lines = text.lines().filter(|line| !line.contains("systemctl"));
            let text =
                lines.map(|line| line.trim_start_matches("# ")).collect::<Vec<_>>().join("\n");
            self.shell(&text).await?;
        }
        Ok(())
    }

    fn path(&self, directory: &str, name: &str) -> PathBuf {
        self.world.path(directory).join(name)
    }

    fn write(&self, table: &Table) -> Result<()> {
        Ok(std::fs::write(self.path("etc/causeway", "causewayd.toml"), toml::to_string(table)?)?)
    }

    /// The configuration as it is.
    fn configuration(&self) -> Result<Table> {
        Ok(std::fs::read_to_string(self.path("etc/causeway", "causewayd.toml"))?.parse()?)
    }

    /// The text of the first block that holds `needle`, as it is typed here.
    fn block(&self, document: &str, kind: Kind, needle: &str) -> Result<String> {
        let blocks = blocks(&format!("deploy/{document}.md"))?;
        let found = blocks.iter().find(|it| it.kind == kind && it.text.contains(needle));
        Ok(self.typed(&found.with_context(|| format!("no block with {needle}"))?.text))
    }

    /// What is typed instead of `text`.
    fn typed(&self, text: &str) -> String {
        let replace = |text: String, (stands, typed): &(&str, &str)| text.replace(stands, typed);
        self.filled(&SUBSTITUTIONS.iter().fold(text.to_owned(), replace))
    }

    fn filled(&self, text: &str) -> String {
        let dir = self.world.path("");
        text.replace("{root}", dir.display().to_string().trim_end_matches('/'))
            .replace("{telemetry}", &self.world.config.telemetry().to_string())
            .replace("{control}", &self.control.to_string())
            .replace("{webhook}", &self.receiver.url)
            .replace("{causewayd}", &binary("causewayd").display().to_string())
    }

    /// Runs it in a shell of its own; answers what it printed. It has to end well.
    async fn shell(&self, script: &str) -> Result<String> {
        let path = format!("{}:{}", self.world.path("bin").display(), std::env::var("PATH")?);
        let socket = format!("unix:{}", self.path("run/causeway", "control.sock").display());
        let mut bash = tokio::process::Command::new("bash");
        bash.args(["-c", script])
            .current_dir(self.world.path("home"))
            .env("PATH", path)
            .env("CAUSEWAY_ENDPOINT", socket)
            // What DNS would lead to this host.
            .env("CAUSEWAY_TLS_SERVER_NAME", "bastion.example.org")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, bash.output());
        let output = output.await.with_context(|| format!("it does not end:\n{script}"))??;
        let printed = String::from_utf8([output.stdout, output.stderr].concat())?;
        ensure!(output.status.success(), "{}\n{script}\n{printed}", output.status);
        Ok(printed)
    }

    /// Types the commands of a block, one after the other, in one shell. Answers how many.
    pub async fn run(&mut self, document: &str, block: &Block) -> Result<usize> {
        let commands = block.commands()?;
        let commands: Vec<_> =
            commands.into_iter().filter(|it| listed(&it.text).is_none()).collect();
        if commands.is_empty() {
            return Ok(0);
        }
        // Where a block starts the daemon, it does not run before; everywhere else it does.
        let starts = block.text.contains("systemctl enable --now");
        self.shell(&format!("systemctl {} causewayd", if starts { "stop" } else { "start" }))
            .await?;
        for (needle, arrange) in BEFORE {
            if block.text.contains(needle) {
                self.arrange(*arrange).await?;
            }
        }
        let mut script = String::from("set -o pipefail\n");
        for (n, command) in commands.iter().enumerate() {
            let mut typed = self.typed(&command.text);
            if typed.contains("{job}") {
                typed = typed.replace("{job}", &self.job(&command.text).await?);
            }
            if is_name(block, command) {
                typed.push_str(" --help");
            }
            script.push_str(&format!("{{ {typed}\n}} >../{n}.out 2>&1; echo $? >../{n}.code\n"));
        }
        // Whatever the last one ended with: each is looked at by itself.
        let told = self.shell(&format!("{script}:")).await?;
        for (n, command) in commands.iter().enumerate() {
            let ended = self.ended_well(n, command, is_name(block, command));
            ended
                .with_context(|| format!("{document}:{}: {}{told}", command.line, command.text))?;
            eprintln!("{document}:{}: {}", command.line, command.text);
        }
        Ok(commands.len())
    }

    fn ended_well(&self, n: usize, command: &Command, is_name: bool) -> Result<()> {
        let read = |suffix: &str| {
            let path = self.world.path(&format!("{n}.{suffix}"));
            std::fs::read_to_string(&path).with_context(|| "it was not run")
        };
        let (printed, code) = (read("out")?, read("code")?);
        ensure!(code.trim() == "0", "it ended with {}: {printed}", code.trim());
        // What goes into a file or another program is not seen.
        let is_seen = !is_name && !command.text.contains(['|', '>']);
        let due = SAYS.iter().rfind(|(words, _)| command.text.contains(words));
        if let Some((_, says)) = due.filter(|_| is_seen) {
            ensure!(printed.contains(says), "it does not say `{says}`: {printed}");
        }
        for name in ["out", "code"] {
            std::fs::remove_file(self.world.path(&format!("{n}.{name}")))?;
        }
        Ok(())
    }

    async fn arrange(&mut self, arrange: Arrange) -> Result<()> {
        if self.arranged.contains(&arrange) {
            return Ok(());
        }
        self.arranged.push(arrange);
        match arrange {
            Arrange::Tls => {
                let mut table = self.configuration()?;
                std::fs::copy(
                    self.path("etc/causeway", "causewayd.toml"),
                    self.path("home", "socket.toml"),
                )?;
                merge(&mut table, self.block("OPERATIONS", Kind::Toml, "[control.tls]")?.parse()?);
                self.write(&table)
            }
            Arrange::Socket if !self.arranged.contains(&Arrange::Tls) => Ok(()),
            Arrange::Socket => {
                let back =
                    "cp socket.toml ../etc/causeway/causewayd.toml; systemctl restart causewayd";
                self.shell(back).await.map(drop)
            }
            Arrange::Refusal => self.refusal().await,
            Arrange::Jobs => {
                // Two parts a second, of 400.
                let slow = Synthetic::new(1, 2000 << 20);
                self.world
                    .commercial
                    .put("images", "slow.bin", slow, Attributes::default())
                    .await?;
                self.world.gov.faults([Fault::on("UploadPart", Action::DelayMs(1000)).key("slow")]);
                let submit = format!("causeway submit {OURS} commercial:images");
                let both = format!(
                    "{submit}/absent.bin gov:landing/; {submit}/slow.bin gov:landing/ --part-size 5MiB"
                );
                self.shell(&both).await.map(drop)
            }
        }
    }

    /// `nobody` asks at a socket that somebody opened for all.
    async fn refusal(&self) -> Result<()> {
        let open = "chmod 755 .. ../run ../run/causeway && chmod 666 ../run/causeway/control.sock";
        self.shell(open).await?;
        let program = self.path("run/causeway", "client");
        std::fs::copy(binary("causeway"), &program)?;
        let socket = format!("unix:{}", self.path("run/causeway", "control.sock").display());
        let mut client = tokio::process::Command::new(program);
        let ended = client.args(["--endpoint", &socket, "status"]).uid(65_534).output().await?;
        ensure!(ended.status.code() == Some(5), "{ended:?}");
        // Nobody waits for that line: it comes with the ledger's next cycle.
        let wait = "until grep -qs refused ../var/lib/causeway/audit/*; do sleep 0.05; done";
        self.shell(wait).await.map(drop)
    }

    /// The id of the job that a command is about.
    async fn job(&mut self, command: &str) -> Result<String> {
        let about = ABOUT.iter().find(|(words, _)| command.contains(words));
        if let Some((_, state)) = about.filter(|_| self.arranged.contains(&Arrange::Jobs)) {
            return self.job_in(state).await;
        }
        if self.job.is_none() {
            let known = "commercial:images/known.bin gov:landing/known.bin";
            self.shell(&format!("causeway submit {OURS} {known} --wait")).await?;
            self.job = Some(self.job_in("succeeded").await?);
        }
        self.job.clone().context("it was carried")
    }

    /// The newest job of ours in a state, once there is one.
    async fn job_in(&self, state: &str) -> Result<String> {
        let ask = format!("causeway --output json jobs --limit 1 --state {state} {OURS}");
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(job) = self.shell(&ask).await?.lines().next() {
                let job: Value = serde_json::from_str(job)?;
                return Ok(job["job_id"].as_str().context("no id")?.to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("no job is {state}")
    }

    /// Whether the daemon takes such a configuration; a part of one is put into the README's.
    pub async fn check(&self, block: &Block) -> Result<()> {
        let readme = blocks("README.md")?;
        let whole = readme.iter().find(|it| it.kind == Kind::Toml).context("the README has one")?;
        let mut table: Table = self.typed(&whole.text).parse()?;
        merge(&mut table, self.typed(&block.text).parse()?);
        let file = self.path("home", "checked.toml");
        std::fs::write(&file, toml::to_string(&table)?)?;
        self.shell("causewayd check --config checked.toml").await.map(drop)
    }

    /// The real thing that a JSON block shows.
    pub async fn real(&mut self, shown: &Value) -> Result<Value> {
        if shown["type"].is_null() {
            let job = self.job("").await?;
            return Ok(serde_json::from_str(
                &self.shell(&format!("causeway receipt {job}")).await?,
            )?);
        }
        self.shell("systemctl start causewayd; causeway submit commercial:images/none.bin gov:landing/ --label batch=7")
            .await?;
        let told = self.receiver.until(1).await?;
        Ok(serde_json::from_str(&told.last().context("one came")?.body)?)
    }

    /// Ends the daemon, which has to end well, and to have said nothing on WARN or ERROR but this.
    pub async fn leave(self, expected: &[&str]) -> Result<()> {
        self.shell("causeway cancel --all >/dev/null 2>&1; systemctl stop causewayd").await?;
        let log = std::fs::read_to_string(self.world.path("causewayd.log")).unwrap_or_default();
        let loud = |line: &&str| line.contains(" WARN ") || line.contains("ERROR ");
        let unexpected = |line: &&str| !expected.iter().any(|text| line.contains(text));
        let lines: Vec<_> = log.lines().filter(loud).filter(unexpected).collect();
        ensure!(lines.is_empty(), "the log says what was not expected:\n{}", lines.join("\n"));
        Ok(())
    }
}

/// Whether it is only the name of a command, in a sentence: then it is asked for its help.
fn is_name(block: &Block, command: &Command) -> bool {
    let words: Vec<_> = command.text.split(' ').collect();
    block.kind == Kind::Inline && words.len() == 2 && !words[1].starts_with('-')
}

/// Puts the tables of the one into those of the other, and everything else in its place.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(from)) => merge(into, from),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// A program by its path, where it is to be looked for in `PATH`.
fn which(program: PathBuf) -> Result<PathBuf> {
    if program.is_absolute() {
        return Ok(program);
    }
    let path = std::env::var("PATH")?;
    let mut places = path.split(':').map(|dir| PathBuf::from(dir).join(&program));
    let found = places.find(|path| path.exists());
    found.with_context(|| format!("no {}: tests/run installs it", program.display()))
}
