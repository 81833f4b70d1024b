//! An STS that knows one account, for tests of who a remote is.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers GetCallerIdentity until it is dropped.
#[derive(Debug)]
pub struct Sts(JoinHandle<()>);

impl Sts {
    /// Listens at `at`, which nothing else does, and names `account` of the partition `aws-us-gov`.
    pub async fn start(at: SocketAddr, account: &str) -> Result<Self> {
        let arn = format!("arn:aws-us-gov:iam::{account}:user/mover");
        let body = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AIDAEXAMPLE</UserId>\
             <Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        let listener = TcpListener::bind(at).await?;
        Ok(Self(tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 16 << 10];
                // A request that is cut short gets the same answer, which its client then refuses.
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })))
    }
}

impl Drop for Sts {
    fn drop(&mut self) {
        self.0.abort();
    }
}
