//! The AWS CLI, a client that none of us wrote, as `tests/run` installs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sandbox::Endpoint;
use serde_json::Value;

use crate::{Output, venv};

/// The CLI at one endpoint, with one key pair.
#[derive(Debug, Clone)]
pub struct Aws {
    pub url: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// The authority that vouches for the endpoint, where it speaks TLS.
    pub ca_bundle: Option<PathBuf>,
}

impl Aws {
    /// At an endpoint of the sandbox; its authority is written into `dir`.
    pub fn of(endpoint: &Endpoint, dir: &Path) -> Result<Self> {
        let ca_bundle = match endpoint.ca_pem() {
            None => None,
            Some(pem) => {
                let path = dir.join(format!("{}-ca.pem", endpoint.region()));
                std::fs::write(&path, pem)?;
                Some(path)
            }
        };
        let keys = endpoint.credentials().clone();
        Ok(Self {
            url: endpoint.url(),
            region: endpoint.region().to_owned(),
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
            ca_bundle,
        })
    }

    /// Runs it once, however it ends.
    pub async fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Result<Output> {
        let mut command = tokio::process::Command::new(venv("aws"));
        command
            .args(["--endpoint-url", &self.url, "--region", &self.region, "--output", "json"])
            .args(args)
            // Nothing of whoever runs the test.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_ACCESS_KEY_ID", &self.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret_access_key)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(token) = &self.session_token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        if let Some(path) = &self.ca_bundle {
            command.env("AWS_CA_BUNDLE", path);
        }
        let output = command.output().await;
        Output::of(output.context("the AWS CLI cannot be started: tests/run installs it")?)
    }

    /// Its JSON, if it ended well; null where it prints none.
    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        let output = self.run(args, &[]).await?.expect_code(0)?;
        match output.stdout.trim().is_empty() {
            true => Ok(Value::Null),
            false => output.json(),
        }
    }

    /// The code of a call that has to fail; it is tried once.
    pub async fn refused(&self, args: &[&str]) -> Result<String> {
        let output = self.run(args, &[("AWS_MAX_ATTEMPTS", "1")]).await?;
        let told = output.stderr.split_once("An error occurred (");
        let code = told.and_then(|(_, rest)| rest.split_once(')'));
        Ok(code.with_context(|| format!("{args:?}: {output:#?}"))?.0.to_owned())
    }

    /// Asks until `seen` says yes.
    pub async fn until(&self, args: &[&str], seen: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        for _ in 0..60 {
            last = self.json(args).await?;
            if seen(&last) {
                return Ok(last);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{args:?}: {last}")
    }
}
