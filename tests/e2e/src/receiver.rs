//! Who a webhook tells: a receiver on loopback that verifies what comes, as the specification says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One delivery.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: String,
    pub body: String,
    /// What it was answered.
    pub status: u16,
}

/// A receiver that takes whatever comes, whichever the path.
#[derive(Debug, Clone)]
pub struct Receiver {
    pub url: String,
    came: Arc<Mutex<Vec<Result<Delivery, String>>>>,
}

impl Receiver {
    /// One that refuses the first `refusals` deliveries. Those that are not signed by `key`, where one is given,
    /// are errors to whoever looks at the deliveries.
    pub async fn start(key: Option<&str>, refusals: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let receiver = Self { url, came: Arc::default() };
        let came = Arc::clone(&receiver.came);
        let key = key.map(str::to_owned);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let count = came.lock().expect("no panic under it").len();
                let status = if count < refusals { 500 } else { 200 };
                let delivery = receive(&mut stream, key.as_deref(), status)
                    .await
                    .map_err(|e| format!("{e:#}"));
                came.lock().expect("no panic under it").push(delivery);
            }
        });
        Ok(receiver)
    }

    /// What came so far.
    pub fn deliveries(&self) -> Result<Vec<Delivery>> {
        let came = self.came.lock().expect("no panic under it").clone();
        came.into_iter().map(|delivery| delivery.map_err(anyhow::Error::msg)).collect()
    }

    /// Waits until so many deliveries came.
    pub async fn until(&self, count: usize) -> Result<Vec<Delivery>> {
        for _ in 0..1_200 {
            let came = self.deliveries()?;
            if came.len() >= count {
                return Ok(came);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("a minute has passed: {:?}", self.deliveries())
    }
}

/// Reads one request, verifies its signature as the specification says, and answers.
async fn receive(stream: &mut TcpStream, key: Option<&str>, status: u16) -> Result<Delivery> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4 << 10]);
    let (head, length) = loop {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "the request breaks off");
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length: usize = header(head, "content-length")?.parse()?;
            break (head.to_owned(), length);
        }
    };
    let whole = head.len() + 4 + length;
    while bytes.len() < whole {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "the body breaks off");
        bytes.extend_from_slice(&buffer[..read]);
    }
    let body = String::from_utf8(bytes[head.len() + 4..].to_vec())?;
    let (id, at) = (header(&head, "webhook-id")?, header(&head, "webhook-timestamp")?);
    if let Some(key) = key {
        let key = STANDARD.decode(key.trim_start_matches("whsec_"))?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        let due = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        ensure!(header(&head, "webhook-signature")? == due, "another signature: {head}");
    }
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    Ok(Delivery { id, body, status })
}

fn header(head: &str, name: &str) -> Result<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
    Ok(found.with_context(|| format!("no {name}: {head}"))?.1.trim().to_owned())
}
