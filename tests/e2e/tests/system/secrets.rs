//! Secrets stay where they are: every command and every fault with marked secrets, and then a search for
//! the marks in all that the daemon says, writes and answers.
//!
//! The one place where a secret may stand is `data/secrets`, for presigned sources of jobs that are not over.

mod hooks;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use causeway::{Client, v1};
use e2e::{Daemon, LogCheck, Output, World, images};
use sandbox::{Action, Credentials, EndpointOptions, Fault};

use self::hooks::Hooks;

const STATIC_KEY: &str = "MARKEDsecretACCESSkey0123456789abcdefXYZ";
const SESSION_TOKEN: &str = "MARKEDsessionTOKEN0123456789abcdefghijk";
const OTHER_KEY: &str = "MARKEDotherKEY0123456789abcdefghijklmnop";

/// What must be nowhere, by name.
struct Marks(BTreeMap<String, String>);

impl Marks {
    fn new() -> Self {
        let fixed = [
            ("static key", STATIC_KEY),
            ("session token", SESSION_TOKEN),
            ("other key", OTHER_KEY),
        ];
        Self(fixed.map(|(name, mark)| (name.to_owned(), mark.to_owned())).into())
    }

    /// The signature of a presigned URL is as good as a key, for as long as it lives.
    fn add_signature(&mut self, url: &str) -> Result<()> {
        let signature = url.split("X-Amz-Signature=").nth(1).context("it is signed")?;
        let name = format!("signature {}", self.0.len());
        self.0.insert(name, signature.split('&').next().unwrap_or_default().to_owned());
        Ok(())
    }

    fn add(&mut self, name: &str, mark: &str) {
        self.0.insert(name.to_owned(), mark.to_owned());
    }

    /// Each mark that stands in `bytes`, as it is, in hexadecimal, or in Base64.
    fn found(&self, bytes: &[u8]) -> Vec<&str> {
        let holds =
            |mark: &String| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
        let is_in = |mark: &str| forms(mark).iter().any(holds);
        self.0.iter().filter(|(_, mark)| is_in(mark)).map(|(name, _)| name.as_str()).collect()
    }

    /// Fails where one stands in what is called `place`.
    fn search(&self, place: &str, bytes: &[u8]) -> Result<()> {
        let found = self.found(bytes);
        ensure!(found.is_empty(), "{place} holds {found:?}: {}", excerpt(bytes, &self.0));
        Ok(())
    }

    /// Every file below `dir`, but for those whose path holds `but`.
    fn search_files(&self, dir: &Path, but: Option<&str>) -> Result<usize> {
        let mut searched = 0;
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let shown = path.display().to_string();
            if but.is_some_and(|but| shown.contains(but)) {
                continue;
            }
            if path.is_dir() {
                searched += self.search_files(&path, but)?;
            } else {
                self.search(&shown, &std::fs::read(&path)?)?;
                searched += 1;
            }
        }
        Ok(searched)
    }
}

/// What a text looks like as it is, in hexadecimal, and in Base64, wherever in what is encoded it begins.
fn forms(mark: &str) -> Vec<String> {
    let mut forms = vec![mark.to_owned()];
    forms.push(mark.bytes().map(|byte| format!("{byte:02x}")).collect());
    for (before, blurred) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&vec![0; before], mark.as_bytes()].concat();
        // What the bytes before and behind it would change is left out.
        let whole = bytes.len() * 8 / 6;
        for alphabet in [STANDARD, URL_SAFE] {
            forms.push(alphabet.encode(&bytes)[blurred..whole].to_owned());
        }
    }
    forms
}

fn excerpt(bytes: &[u8], marks: &BTreeMap<String, String>) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = |mark: &String| text.lines().find(|line| line.contains(mark.as_str()));
    let line = marks.values().find_map(line).unwrap_or("(in another form)");
    line.chars().take(1000).collect()
}

/// A world with marked keys, and a daemon that says all it can.
async fn marked_world() -> Result<World> {
    let commercial = EndpointOptions::commercial().bucket("images");
    let gov = EndpointOptions::gov().bucket("landing");
    let mut world = World::of(commercial, gov).await?;
    for (remote, endpoint, key, token) in [
        ("commercial", &world.commercial, STATIC_KEY, Some(SESSION_TOKEN)),
        ("gov", &world.gov, OTHER_KEY, None),
    ] {
        let credentials = Credentials {
            access_key_id: format!("AKIAMARKED{}", remote.to_uppercase()),
            secret_access_key: key.to_owned(),
            session_token: token.map(str::to_owned),
        };
        endpoint.add_credentials(credentials.clone());
        let mut table = toml::Table::new();
        table.insert("access_key_id".into(), credentials.access_key_id.into());
        table.insert("secret_access_key".into(), credentials.secret_access_key.into());
        table.extend(token.map(|token| ("session_token".to_owned(), token.into())));
        world.config.set(&format!("remotes.{remote}.credentials"), table)?;
    }
    world.config.set("telemetry.log", "trace")?;
    world.config.set("transfer.max_parts_in_flight", 4)?;
    Ok(world)
}

async fn said(world: &World, args: &[&str]) -> Result<Output> {
    let mut printed = world.causeway(args).await?;
    for format in [["--output", "json"], ["--output", "table"]] {
        // Those that act do so once; what they print the second time is a refusal, which counts as well.
        let again: Vec<&str> = format.iter().chain(args).copied().collect();
        let output = world.causeway(&again).await?;
        printed.stdout.push_str(&output.stdout);
        printed.stderr.push_str(&output.stderr);
    }
    Ok(printed)
}

/// Each command of the client, on jobs that succeeded, failed, wait and run.
async fn every_command(world: &World, jobs: &[String], marks: &Marks) -> Result<()> {
    let remote = ["commercial:images/a.bin", "gov:landing/b.bin"];
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["jobs"],
        vec!["jobs", "--state", "failed"],
        vec!["status"],
        vec!["limits"],
        vec!["limits", "set", "gov", "--write-bandwidth", "1GiB/s", "--persist"],
        vec!["limits", "reset", "gov"],
        vec!["preflight", remote[0], remote[1]],
        vec!["preflight", "restore", "gov:landing/ami-0123456789abcdef0.bin", "--name", "x"],
        vec!["submit", remote[0], remote[1], "--dry-run"],
        vec!["submit", "--recursive", "commercial:images/", "gov:landing/all/", "--dry-run"],
        vec!["submit", remote[0], "nowhere:landing/b.bin"],
        vec!["store", "commercial:ami-0123456789abcdef0", "commercial:images/"],
        vec!["drain"],
        vec!["drain", "--undo"],
        vec!["pause", "--all"],
        vec!["resume", "--all"],
        vec!["retry", "--state", "failed"],
        vec!["reprioritize", "--priority", "3", "--all"],
    ];
    for job in jobs {
        commands.extend([
            vec!["show", job.as_str()],
            vec!["receipt", job],
            vec!["alias", "rollback", job],
        ]);
    }
    for command in commands {
        let printed = said(world, &command).await?;
        marks.search(&format!("{command:?}"), format!("{printed:?}").as_bytes())?;
    }
    let client = Client::connect(&world.config.control_endpoint()).await?;
    for job in jobs {
        let answer = client.get(job, true).await?;
        marks.search("Get", format!("{answer:?}").as_bytes())?;
    }
    marks.search("Status", format!("{:?}", client.status().await?).as_bytes())?;
    let all = client.list(v1::ListRequest { page_size: 1000, ..Default::default() }).await?;
    marks.search("List", format!("{all:?}").as_bytes())
}

/// What the kernel would write of a daemon that dies: nothing, into no file.
fn core_dumps_are_off(daemon: &Daemon) -> Result<()> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id()))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let fields: Vec<_> = core.context("a limit")?.split_whitespace().collect();
    ensure!(fields[4..6] == ["0", "0"], "{fields:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_said_written_or_answered() -> Result<()> {
    let mut marks = Marks::new();
    let mut world = marked_world().await?;
    let hooks = Hooks::add_to(&mut world, &mut marks).await?;
    let roots = world.path("commercial-ca.pem").display().to_string();
    let daemon = world.spawn(&[("SSL_CERT_FILE", &roots)])?.ready().await?;
    core_dumps_are_off(&daemon)?;
    world.put("a.bin", images(24 << 20)).await?;
    world.put("small.bin", images(1000)).await?;
    let mut jobs = Vec::new();
    let named = ["--notify", "taken", "--notify", "filed"];
    let carried = ["commercial:images/a.bin", "gov:landing/a.bin"].iter().chain(&named).copied();
    let carried = world.submit(&carried.collect::<Vec<_>>()).await?;
    world.causeway(&["watch", &carried]).await?.expect_code(0)?;
    jobs.push(carried);

    // Presigned: one that is carried, one small, one that is over, one refused, one that is retried.
    let presigned = |key: &str, seconds| {
        world.commercial.presigned_get("images", key, Duration::from_secs(seconds))
    };
    for (key, seconds) in [("a.bin", 600), ("small.bin", 600), ("absent.bin", 600), ("a.bin", 0)] {
        let url = presigned(key, seconds);
        marks.add_signature(&url)?;
        let target = format!("gov:landing/presigned-{}.bin", jobs.len());
        let printed = said(&world, &["submit", &url, &target, "--wait"]).await?;
        marks.search("submit of a presigned URL", format!("{printed:?}").as_bytes())?;
        let ids = printed.stdout.split(|c: char| !c.is_ascii_alphanumeric());
        jobs.extend(ids.filter(|word| word.len() == 26).map(str::to_owned).take(1));
    }
    // What is no good as a source is not repeated with its signature either.
    let url = presigned("a.bin", 600);
    marks.add_signature(&url)?;
    let bad = [
        url.replacen("https://", "http://", 1),
        url.replacen("127.0.0.1", "169.254.169.254", 1),
        url.replacen("https://", "https://user:MARKED@", 1),
        format!("{url}\n"),
        format!("{url}#fragment"),
    ];
    for source in &bad {
        let printed = said(&world, &["submit", source, "gov:landing/x.bin"]).await?;
        marks.search("submit of a bad URL", format!("{printed:?}").as_bytes())?;
    }
    let printed = said(&world, &["submit", "commercial:images/a.bin", &url]).await?;
    marks.search("submit to a URL", format!("{printed:?}").as_bytes())?;
    let manifest = world.path("manifest.jsonl");
    let lines = bad.iter().map(|source| {
        serde_json::json!({ "source": source, "target": "gov:landing/x.bin" }).to_string()
    });
    let lines: Vec<_> = lines.chain([format!("{{ \"source\": \"{url}\" ")]).collect();
    std::fs::write(&manifest, lines.join("\n"))?;
    let printed = said(&world, &["submit", "--manifest", "manifest.jsonl"]).await?;
    std::fs::remove_file(&manifest)?;
    marks.search("submit of a manifest", format!("{printed:?}").as_bytes())?;

    // Each side refuses, breaks and lies.
    for code in
        ["AccessDenied", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "SlowDown", "501"]
    {
        for operation in ["HeadObject", "GetObject", "UploadPart", "CompleteMultipartUpload"] {
            let fault = Fault::on(operation, Action::Status(code.to_owned())).count(2);
            world.commercial.faults([fault.clone()]);
            world.gov.faults([fault]);
            let target = format!("gov:landing/{code}-{operation}.bin");
            jobs.push(world.submit(&["commercial:images/a.bin", &target]).await?);
        }
    }
    for action in [Action::Reset, Action::Truncate, Action::FlipBit, Action::LoseAnswer] {
        world.commercial.faults([Fault::on("GetObject", action.clone()).count(2)]);
        world.gov.faults([Fault::on("UploadPart", action).count(2)]);
        let target = format!("gov:landing/broken-{}.bin", jobs.len());
        jobs.push(world.submit(&["commercial:images/a.bin", &target]).await?);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    every_command(&world, &jobs, &marks).await?;
    marks.search("/metrics", daemon.get("/metrics").await?.as_bytes())?;
    marks.search("/readyz", daemon.get("/readyz").await?.as_bytes())?;
    marks.search_files(&world.path("data"), Some("data/secrets"))?;
    world.causewayd(&["audit", "verify"]).await?;

    hooks.were_told(&marks).await?;

    // Killed and started again, with everything under way; then cancelled.
    daemon.kill()?;
    let daemon = world.spawn(&[("SSL_CERT_FILE", &roots)])?.ready().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    said(&world, &["cancel", "--all"]).await?;
    marks.search("the log", daemon.log().as_bytes())?;
    daemon.stop(LogCheck::Expected(&[""])).await?;

    // Configurations that do not work, with their secrets in the wrong places.
    for (key, value) in [
        ("remotes.gov.credentials", STATIC_KEY),
        ("remotes.gov.credentials.secret_access_key.deeper", STATIC_KEY),
        ("secret_access_key", STATIC_KEY),
    ] {
        let mut broken = world.config.clone();
        // A path through a text is no table: that one is left as it was.
        let _ = broken.set(key, value);
        let file = world.path("broken.toml");
        for text in [broken.to_toml()?, format!("{}\nx = \"{STATIC_KEY}\n", broken.to_toml()?)] {
            std::fs::write(&file, text)?;
            let printed = world.causewayd_with(&file, &["check"]).await?;
            marks.search("check", format!("{printed:?}").as_bytes())?;
        }
        std::fs::remove_file(&file)?;
    }

    hooks.break_configurations(&world, &marks).await?;

    // The log, the ledger, the audit log, the client's and the daemon's other files; all but the file that
    // gives the daemon its keys.
    let config = std::fs::read(world.path("causewayd.toml"))?;
    ensure!(
        marks.found(&config).len() == 7,
        "what is there is not found: {:?}",
        marks.found(&config)
    );
    std::fs::remove_file(world.path("causewayd.toml"))?;
    std::fs::remove_file(world.path("filed.key"))?;
    let searched = marks.search_files(&world.path(""), Some("data/secrets"))?;
    ensure!(searched > 5, "{searched} files");
    eprintln!("{} marks, {searched} files, {} jobs: 0 hits", marks.0.len(), jobs.len());
    Ok(())
}

/// A search that finds nothing proves something only where it would have found it.
#[test]
fn a_mark_is_found_in_every_form_and_wherever_it_begins() -> Result<()> {
    let marks = Marks::new();
    let hex: String = STATIC_KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut texts = vec![format!("a{STATIC_KEY}b"), format!("0{hex}0")];
    for before in ["", "a", "ab", "abc"] {
        for behind in ["", "x", "xy"] {
            let text = format!("{before}{STATIC_KEY}{behind}");
            texts.extend([STANDARD.encode(&text), URL_SAFE.encode(&text)]);
        }
    }
    for text in texts {
        ensure!(marks.found(text.as_bytes()) == ["static key"], "{text}");
    }
    ensure!(marks.found(b"nothing").is_empty());
    Ok(())
}
