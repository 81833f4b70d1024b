//! A `causewayd.toml` for two endpoints, ready to run.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::{Credentials, Endpoint};

/// What keeps a configuration from being written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No port is free on loopback.
    #[error("no free port on 127.0.0.1")]
    Port(#[source] io::Error),
    /// TOML cannot say it.
    #[error("cannot be written as TOML")]
    Toml(#[from] toml::ser::Error),
    /// A key path runs through something that is not a table.
    #[error("{0} is not a table")]
    NotATable(String),
}

/// A configuration of causewayd, to be changed key by key before it is written.
#[derive(Debug, Clone)]
pub struct DaemonConfig {
    work_dir: PathBuf,
    telemetry: SocketAddr,
    table: Table,
}

impl DaemonConfig {
    /// Two remotes, `commercial` and `gov`, with everything else below `work_dir`. The endpoints'
    /// authorities are written there at once.
    ///
    /// # Errors
    /// When a file cannot be written or no port is free.
    pub fn new(work_dir: &Path, commercial: &Endpoint, gov: &Endpoint) -> Result<Self, Error> {
        let telemetry = free_port().map_err(Error::Port)?;
        let table = Table::new();
        let mut config = Self { work_dir: work_dir.to_owned(), telemetry, table };
        config.set("data_dir", work_dir.join("data").display().to_string())?;
        config.set("control.listen", config.control_endpoint())?;
        config.set("telemetry.listen", telemetry.to_string())?;
        config.set("telemetry.log", "info")?;
        config.set("telemetry.log_format", "text")?;
        // Presigned sources and webhooks are here as well, which no daemon takes by itself.
        let hosts = ["s3", "localhost:*", "127.0.0.0/8:*", "[::1]:*"];
        config.set("allowed_hosts", hosts.to_vec())?;
        config.remote("commercial", commercial)?;
        config.remote("gov", gov)?;
        Ok(config)
    }

    /// Adds or replaces a remote.
    ///
    /// # Errors
    /// When its authority cannot be written.
    pub fn remote(&mut self, name: &str, endpoint: &Endpoint) -> Result<(), Error> {
        let key = |key: &str| format!("remotes.{name}.{key}");
        self.set(&key("region"), endpoint.region())?;
        self.set(&key("credentials"), credentials(endpoint.credentials()))?;
        for service in ["s3_endpoint", "ec2_endpoint", "ssm_endpoint"] {
            self.set(&key(service), endpoint.url())?;
        }
        self.set(&key("path_style"), true)?;
        if let Some(pem) = endpoint.ca_pem() {
            let path = self.work_dir.join(format!("{name}-ca.pem"));
            std::fs::write(&path, pem)
                .map_err(|source| Error::Write { path: path.clone(), source })?;
            self.set(&key("ca_bundle"), path.display().to_string())?;
        }
        Ok(())
    }

    /// Has the daemon ask a remote's STS who it is before it is used; the account has to be the
    /// endpoint's.
    ///
    /// # Errors
    /// None but those of [`DaemonConfig::set`].
    pub fn identify(&mut self, name: &str, endpoint: &Endpoint) -> Result<(), Error> {
        self.set(&format!("remotes.{name}.sts_endpoint"), endpoint.url())?;
        self.set(&format!("remotes.{name}.expected_account"), endpoint.account())
    }

    /// Sets one key, e.g. `transfer.memory_budget`.
    ///
    /// # Errors
    /// When the path runs through something that is not a table.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> Result<(), Error> {
        let mut table = &mut self.table;
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            if keys.peek().is_none() {
                table.insert(key.to_owned(), value.into());
                break;
            }
            let entry = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
            table = entry.as_table_mut().ok_or_else(|| Error::NotATable(path.to_owned()))?;
        }
        Ok(())
    }

    /// One key, if it is set.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<Value> {
        let mut keys = path.split('.');
        let first = self.table.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.get(key)).cloned()
    }

    /// What `causeway --endpoint` takes.
    #[must_use]
    pub fn control_endpoint(&self) -> String {
        format!("unix:{}", self.work_dir.join("control.sock").display())
    }

    /// Where the daemon serves `/metrics`, `/healthz` and `/readyz`.
    #[must_use]
    pub fn telemetry(&self) -> SocketAddr {
        self.telemetry
    }

    /// The file's text.
    ///
    /// # Errors
    /// When TOML cannot say it.
    pub fn to_toml(&self) -> Result<String, Error> {
        Ok(toml::to_string(&self.table)?)
    }

    /// Writes `causewayd.toml` into the work directory and answers its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<PathBuf, Error> {
        let path = self.work_dir.join("causewayd.toml");
        let text = self.to_toml()?;
        std::fs::write(&path, text)
            .map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }
}

/// Writes a `causewayd.toml` for two endpoints below `work_dir`, as it is with no key changed.
///
/// # Errors
/// When it cannot be written.
pub fn config_toml(
    work_dir: &Path,
    commercial: &Endpoint,
    gov: &Endpoint,
) -> Result<PathBuf, Error> {
    DaemonConfig::new(work_dir, commercial, gov)?.write()
}

fn credentials(credentials: &Credentials) -> Table {
    let mut table = Table::new();
    let mut insert = |key: &str, value: &str| table.insert(key.to_owned(), value.into());
    insert("access_key_id", &credentials.access_key_id);
    insert("secret_access_key", &credentials.secret_access_key);
    if let Some(token) = &credentials.session_token {
        insert("session_token", token);
    }
    table
}

/// The daemon binds it a moment later; nothing else on the machine is likely to in between.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
