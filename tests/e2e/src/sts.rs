//! An STS that knows one account, for tests of who a remote is.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// A port that refuses connections until [`Sts::start`].
#[derive(Debug)]
pub struct NoSts(TcpSocket);

impl NoSts {
    /// Takes a port, and listens on it to nobody.
    pub fn new() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Self(socket))
    }

    /// What `sts_endpoint` takes.
    pub fn url(&self) -> Result<String> {
        Ok(format!("http://{}", self.0.local_addr()?))
    }
}

/// Answers GetCallerIdentity until it is dropped.
#[derive(Debug)]
pub struct Sts(JoinHandle<()>);

impl Sts {
    /// Begins to listen, and names `account` of the partition `aws-us-gov`.
    pub fn start(at: NoSts, account: &str) -> Result<Self> {
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
        let listener = at.0.listen(16)?;
        Ok(Self(tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if asks(&mut stream).await {
                    // A client that is gone asks again.
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        })))
    }
}

/// Reads up to the end of the one request that STS is asked here.
async fn asks(stream: &mut TcpStream) -> bool {
    let mut request = Vec::new();
    while request.len() < 64 << 10 {
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return false,
            Ok(_)
                if String::from_utf8_lossy(&request)
                    .contains("Action=GetCallerIdentity&Version=2011-06-15") =>
            {
                return true;
            }
            Ok(_) => {}
        }
    }
    false
}

impl Drop for Sts {
    fn drop(&mut self) {
        self.0.abort();
    }
}
