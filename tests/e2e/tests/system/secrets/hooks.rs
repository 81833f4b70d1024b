//! Webhooks with marked keys and marked paths: delivered, refused, unreachable, and wrong in the configuration.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Receiver, World, binary};
use tokio::process::Command;
use toml::{Table, Value};

use super::Marks;

/// What each signs with. In the configuration they stand in Base64.
const TAKEN_KEY: &str = "MARKEDtakenHOOKkey0123456789abcdefghij";
const REFUSED_KEY: &str = "MARKEDrefusedHOOKkey0123456789abcdefgh";
const FILED_KEY: &str = "MARKEDfiledHOOKkey0123456789abcdefghij";
const CLOSED_KEY: &str = "MARKEDclosedHOOKkey0123456789abcdefghi";
/// A path may be as good as a key.
const PATH: &str = "MARKEDhookPATH0123456789abcdefghijklm";

/// Who is told.
pub struct Hooks {
    taken: Receiver,
    refused: Receiver,
    filed: Receiver,
}

fn written(key: &str) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

impl Hooks {
    /// Three that listen, one of them with its key in a file and one that always refuses; and one where nobody does.
    pub async fn add_to(world: &mut World, marks: &mut Marks) -> Result<Self> {
        let hooks = Self {
            taken: Receiver::start(Some(&written(TAKEN_KEY)), 0).await?,
            refused: Receiver::start(Some(&written(REFUSED_KEY)), usize::MAX).await?,
            filed: Receiver::start(Some(&written(FILED_KEY)), 0).await?,
        };
        let closed = format!("http://{}", e2e::free_port()?);
        for (name, url, key) in [
            ("taken", &hooks.taken.url, TAKEN_KEY),
            ("refused", &hooks.refused.url, REFUSED_KEY),
            ("filed", &hooks.filed.url, FILED_KEY),
            ("closed", &closed, CLOSED_KEY),
        ] {
            marks.add(&format!("key of the webhook {name}"), key);
            let mut set = |what: &str, value: Value| {
                world.config.set(&format!("webhooks.{name}.{what}"), value)
            };
            set("url", format!("{url}/{PATH}").into())?;
            set("all_jobs", (name != "filed").into())?;
            let events = ["queued", "started", "paused", "succeeded", "failed", "cancelled"];
            set("events", events.to_vec().into())?;
            match name {
                "filed" => set("secret_file", "filed.key".into())?,
                _ => set("secret", written(key).into())?,
            }
        }
        marks.add("path of the webhooks", PATH);
        write(world, "filed.key", &written(FILED_KEY), 0o600)?;
        Ok(hooks)
    }

    /// Each that listens got what was signed with its key; and no notice holds a secret.
    pub async fn were_told(&self, marks: &Marks) -> Result<()> {
        for (receiver, status) in [(&self.taken, 200), (&self.filed, 200), (&self.refused, 500)] {
            for delivery in receiver.until(2).await? {
                ensure!(delivery.status == status, "{delivery:?}");
                marks.search("a notice", delivery.body.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Everything that somebody may get wrong about a key.
    pub async fn break_configurations(&self, world: &World, marks: &Marks) -> Result<()> {
        let good = written(TAKEN_KEY);
        let cut = good.trim_end_matches('=').trim_end_matches(char::is_alphanumeric).to_owned();
        write(world, "open.key", &good, 0o644)?;
        write(world, "wrong.key", &format!("{good}!"), 0o600)?;
        let mut refused = 0;
        for (key, value) in [
            ("secret", Value::from(format!("{good}!"))),
            ("secret", format!("{good}{good}").into()),
            ("secret", TAKEN_KEY.into()),
            ("secret", format!("{cut}?{good}").into()),
            ("secret", vec![good.clone()].into()),
            ("secret", Table::from_iter([("deeper".to_owned(), Value::from(good.clone()))]).into()),
            ("key", good.clone().into()),
            ("secret_file", good.clone().into()),
            ("secret_file", "open.key".into()),
            ("secret_file", "wrong.key".into()),
            ("url", format!("http://hooks.example.com/{PATH}").into()),
            ("url", format!("https://{PATH}@hooks.example.com/{PATH}").into()),
            ("url", format!("ftp://127.0.0.1/{PATH}").into()),
            ("url", format!("https:// {PATH}").into()),
            ("", good.clone().into()),
        ] {
            let mut table: Table = world.config.to_toml()?.parse()?;
            let hook = table["webhooks"].as_table_mut().context("a table")?;
            if key.is_empty() {
                hook.insert("taken".to_owned(), value);
            } else {
                let hook = hook["taken"].as_table_mut().context("a table")?;
                if ["key", "secret_file"].contains(&key) {
                    hook.remove("secret");
                }
                hook.insert(key.to_owned(), value);
            }
            write(world, "broken.toml", &toml::to_string(&table)?, 0o600)?;
            refused += refuses(world, "broken.toml", &[], marks).await?;
        }
        let line = format!("{}\n[webhooks.taken]\nsecret = \"{good}\"\n", world.config.to_toml()?);
        write(world, "broken.toml", &line, 0o600)?;
        refused += refuses(world, "broken.toml", &[], marks).await?;
        let config = world.config.to_toml()?;
        write(world, "broken.toml", &config.replace(&format!("\"{good}\""), &good), 0o600)?;
        refused += refuses(world, "broken.toml", &[], marks).await?;
        write(world, "good.toml", &config, 0o600)?;
        for variable in ["CAUSEWAY__WEBHOOKS__TAKEN__SECRET", "CAUSEWAY__WEBHOOKS__TAKEN"] {
            refused +=
                refuses(world, "good.toml", &[(variable, &format!("{good}!"))], marks).await?;
        }
        for file in ["open.key", "wrong.key", "broken.toml", "good.toml"] {
            std::fs::remove_file(world.path(file))?;
        }
        eprintln!("{refused} wrong configurations of webhooks");
        Ok(())
    }
}

fn write(world: &World, name: &str, text: &str, mode: u32) -> Result<()> {
    std::fs::write(world.path(name), text)?;
    let mode = std::fs::Permissions::from_mode(mode);
    Ok(std::fs::set_permissions(world.path(name), mode)?)
}

/// `check` and `run` refuse it, and say nothing that is marked.
async fn refuses(world: &World, file: &str, env: &[(&str, &str)], marks: &Marks) -> Result<u32> {
    for command in ["check", "run"] {
        let mut daemon = Command::new(binary("causewayd"));
        daemon.args([command, "--config"]).arg(world.path(file)).envs(env.iter().copied());
        let output = daemon.kill_on_drop(true).output().await?;
        let printed = format!("{output:?}");
        marks.search(&format!("{command} of a wrong webhook"), &output.stderr)?;
        marks.search(&format!("{command} of a wrong webhook"), &output.stdout)?;
        ensure!(output.status.code() == Some(78), "it is taken: {printed}");
    }
    Ok(1)
}
