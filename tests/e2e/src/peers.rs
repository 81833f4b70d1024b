//! S3 servers that none of us wrote: moto, from PyPI, and s3s-fs.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use sandbox::DaemonConfig;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use toml::{Table, Value};

use crate::{Aws, Output, venv};

/// One S3 server that stands for a partition, over plain HTTP.
#[derive(Debug)]
pub struct Peer {
    pub url: String,
    pub region: &'static str,
    access_key_id: String,
}

const SECRET: &str = "the-secret-of-a-test";

impl Peer {
    fn new(address: SocketAddr, region: &'static str) -> Self {
        Self { url: format!("http://{address}"), region, access_key_id: format!("AKIA{region}") }
    }

    /// Makes it a remote of the daemon.
    pub fn configure(&self, config: &mut DaemonConfig, remote: &str) -> Result<()> {
        let key = |key: &str| format!("remotes.{remote}.{key}");
        let mut credentials = Table::new();
        credentials.insert("access_key_id".into(), self.access_key_id.clone().into());
        credentials.insert("secret_access_key".into(), SECRET.into());
        config.set(&key("region"), self.region)?;
        config.set(&key("credentials"), Value::Table(credentials))?;
        config.set(&key("s3_endpoint"), self.url.clone())?;
        config.set(&key("path_style"), true)?;
        Ok(())
    }

    /// Runs the AWS CLI against it: a client that none of us wrote, either.
    pub async fn aws(&self, args: &[&str]) -> Result<Output> {
        let aws = Aws {
            url: self.url.clone(),
            region: self.region.to_owned(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: SECRET.to_owned(),
            session_token: None,
            ca_bundle: None,
        };
        aws.run(args, &[]).await?.expect_code(0)
    }

    /// Makes a bucket and puts one file into it.
    pub async fn put(&self, bucket: &str, key: &str, file: &Path, extra: &[&str]) -> Result<()> {
        let file = file.display().to_string();
        let uri = format!("s3://{bucket}/{key}");
        let args: Vec<&str> =
            ["s3", "cp", "--quiet", &file, &uri].iter().chain(extra).copied().collect();
        self.aws(&args).await.map(drop)
    }

    /// Gets one object's bytes.
    pub async fn get(&self, bucket: &str, key: &str, into: &Path) -> Result<Vec<u8>> {
        let file = into.display().to_string();
        self.aws(&["s3", "cp", "--quiet", &format!("s3://{bucket}/{key}"), &file]).await?;
        Ok(std::fs::read(into)?)
    }
}

/// moto's server, as a process.
#[derive(Debug)]
pub struct Moto {
    pub peer: Peer,
    child: Child,
}

impl Moto {
    /// A fresh one, empty.
    pub async fn start(region: &'static str, log: &Path) -> Result<Self> {
        let address = free_address()?;
        let log = std::fs::File::create(log)?;
        let child = Command::new(venv("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("moto cannot be started: tests/run installs it")?;
        let moto = Self { peer: Peer::new(address, region), child };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(address).await.is_err() {
            if Instant::now() > deadline {
                bail!("moto does not listen after a minute");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        eprintln!("this test runs against moto at {address}, as {region}");
        Ok(moto)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// s3s-fs in this process, on a directory of its own.
#[derive(Debug)]
pub struct Fs {
    pub peer: Peer,
    _dir: TempDir,
    server: JoinHandle<()>,
}

impl Fs {
    /// A fresh one, empty.
    pub async fn start(region: &'static str) -> Result<Self> {
        let dir = TempDir::with_prefix("causeway-s3s-fs-")?;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let peer = Peer::new(address, region);
        let fs = s3s_fs::FileSystem::new(dir.path())
            .map_err(|error| anyhow::anyhow!("s3s-fs: {error:?}"))?;
        let mut builder = S3ServiceBuilder::new(fs);
        builder.set_auth(SimpleAuth::from_single(peer.access_key_id.clone(), SECRET));
        let service = builder.build();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    // A client that goes away in mid-request is its own affair.
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        eprintln!("this test runs against s3s-fs at {address}, as {region}");
        Ok(Self { peer, _dir: dir, server })
    }
}

impl Drop for Fs {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
