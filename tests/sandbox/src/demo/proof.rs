//! Reads the target again, over HTTPS and with a URL signed here, and compares it with the source
//! file byte by byte, or a restored volume with the one that was stored: nothing of the daemon takes part.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::TryStreamExt as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use sandbox::{Content, Endpoint};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Answers the BLAKE3 of the target when everything holds.
pub(super) async fn read_back(
    endpoint: &Endpoint,
    bucket: &str,
    key: &str,
    source: &Path,
    receipt: &Value,
) -> anyhow::Result<String> {
    let url = endpoint.presigned_get(bucket, key, Duration::from_secs(3600));
    let mut body = get(endpoint, &url).await?;
    let mut file = File::open(source)?;
    let mut expected = Vec::new();
    let mut hasher = blake3::Hasher::new();
    let mut at = 0u64;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        expected.resize(data.len(), 0);
        file.read_exact(&mut expected).context("the target is longer than the source")?;
        ensure!(expected == data, "target and source differ within {} bytes of {at}", data.len());
        hasher.update(&data);
        at += data.len() as u64;
    }
    ensure!(file.read(&mut [0])? == 0, "the target ends at {at}, before the source does");
    let blake3 = hasher.finalize().to_hex().to_string();
    let said = receipt.get("blake3").and_then(Value::as_str).unwrap_or_default();
    ensure!(said == blake3, "the receipt says {said}, the target's BLAKE3 is {blake3}");
    Ok(blake3)
}

/// Answers the BLAKE3 of both when all their bytes are the same.
pub(super) async fn same_bytes(was: &Content, is: &Content) -> anyhow::Result<String> {
    let (was, is) = (digest(was).await?, digest(is).await?);
    ensure!(was == is, "the bytes differ: the BLAKE3 was {was}, and is {is}");
    Ok(is)
}

async fn digest(content: &Content) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut frames = content.read(0..content.len());
    while let Some(frame) = frames.try_next().await? {
        hasher.update(&frame);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// A job that succeeded leaves no upload open: it would cost its owner money.
pub(super) fn nothing_left(endpoint: &Endpoint) -> anyhow::Result<()> {
    let open = endpoint.uploads();
    ensure!(open.is_empty(), "{} multipart uploads were left open", open.len());
    Ok(())
}

async fn get(endpoint: &Endpoint, url: &str) -> anyhow::Result<Incoming> {
    let mut roots = RootCertStore::empty();
    let pem = endpoint.ca_pem().context("the endpoint has no authority")?;
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(endpoint.address()).await?;
    let name = ServerName::from(endpoint.address().ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the response, or with the sender when this function fails.
    tokio::spawn(connection);
    let uri: http::Uri = url.parse()?;
    let path = uri.path_and_query().context("a URL without a path")?.as_str();
    let request = http::Request::get(path)
        .header(http::header::HOST, endpoint.address().to_string())
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if response.status() != http::StatusCode::OK {
        bail!("reading the target again is answered with {}", response.status());
    }
    Ok(response.into_body())
}
