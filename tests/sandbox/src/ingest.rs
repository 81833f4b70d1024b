//! Takes an upload's body in: hashes it while it comes, puts it where it belongs, and compares what
//! it computed with what the client claims.
//!
//! # Invariants
//! - Nothing is stored when a claim does not hold.
//! - A body on its way to a file or a sink takes a few MiB of memory at most, whatever its length.

pub(crate) mod receiver;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, StatusCode};
use md5::{Digest as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, TrailingHeaders, s3_error};

use self::receiver::Receiver;
use crate::checksum::{self, Algorithm, Hasher, Value};
use crate::content::Content;
use crate::fault::{Tamper, body::flipped};
use crate::lock::lock;
use crate::refusal::refusal;

/// How ETags of parts and of single objects are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EtagStyle {
    /// The MD5 of the bytes, as S3 does without KMS.
    #[default]
    Md5,
    /// 32 hexadecimal digits that mean nothing, as S3 does with KMS; MD5 would be the slowest thing
    /// in the process.
    Opaque,
}

/// What the client says of a body, before and after it.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    headers: Vec<(Algorithm, String)>,
    announced: Vec<Algorithm>,
    trailers: Option<TrailingHeaders>,
    content_md5: Option<String>,
    length: Option<u64>,
}

impl Claims {
    /// Reads the claims off a request's headers.
    ///
    /// # Errors
    /// `InvalidRequest` when a value cannot be one, or the algorithm is unknown.
    pub(crate) fn of(headers: &HeaderMap, trailers: Option<TrailingHeaders>) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut claims = Self { trailers, content_md5: text("content-md5"), ..Self::default() };
        let length = text("x-amz-decoded-content-length").or_else(|| text("content-length"));
        claims.length = length.and_then(|length| length.parse().ok());
        for algorithm in Algorithm::ALL {
            if let Some(value) = text(algorithm.header()) {
                if !checksum::is_well_formed(algorithm, &value) {
                    return Err(s3_error!(
                        InvalidRequest,
                        "Value for {} header is invalid.",
                        algorithm.header()
                    ));
                }
                claims.headers.push((algorithm, value));
            }
        }
        if let Some(trailer) = text("x-amz-trailer") {
            let announced = |name: &str| Algorithm::ALL.into_iter().find(|a| a.header() == name);
            claims.announced = trailer.split(',').filter_map(|n| announced(n.trim())).collect();
        }
        Ok(claims)
    }

    /// Claims nothing: for a server that supports no checksums.
    pub(crate) fn without_checksums(self) -> Self {
        Self { headers: Vec::new(), announced: Vec::new(), trailers: None, ..self }
    }

    /// The algorithm the client chose, if it chose one.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.headers.first().map(|(algorithm, _)| *algorithm).or(self.announced.first().copied())
    }
}

/// What to make of a body.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) claims: Claims,
    /// The checksum that is kept; none when the endpoint keeps none.
    pub(crate) keep: Option<Algorithm>,
    pub(crate) etag: EtagStyle,
    /// The ETag when it means nothing.
    pub(crate) opaque_etag: String,
    pub(crate) tamper: Tamper,
    pub(crate) receiver: Receiver,
}

/// A body that was taken in.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) content: Content,
    pub(crate) etag: String,
    pub(crate) checksum: Option<Value>,
    pub(crate) compared_at: Option<u64>,
}

/// The hashes of one body.
struct Hashes {
    checksums: Vec<(Algorithm, Hasher)>,
    md5: Option<Md5>,
    len: u64,
}

impl Hashes {
    fn new(intake: &Intake) -> Self {
        let claimed = intake.claims.headers.iter().map(|(algorithm, _)| *algorithm);
        let announced = intake.claims.announced.iter().copied();
        let mut algorithms: Vec<Algorithm> = claimed.chain(announced).chain(intake.keep).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let md5 = intake.etag == EtagStyle::Md5 || intake.claims.content_md5.is_some();
        Self {
            checksums: algorithms.into_iter().map(|a| (a, Hasher::new(a))).collect(),
            md5: md5.then(Md5::new),
            len: 0,
        }
    }

    fn update(&mut self, frame: &[u8]) {
        self.len += frame.len() as u64;
        for (_, hasher) in &mut self.checksums {
            hasher.update(frame);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(frame);
        }
    }
}

/// Reads the body to its end and keeps it, if it is what the client says it is.
///
/// # Errors
/// `IncompleteBody`, `BadDigest`, `InvalidDigest`, `XAmzContentSHA256Mismatch`,
/// `SignatureDoesNotMatch`; `InternalError` when the disk fails.
pub(crate) async fn take_in(body: Option<StreamingBlob>, mut intake: Intake) -> S3Result<Received> {
    let mut hashes = Hashes::new(&intake);
    if let Some(mut body) = body {
        while let Some(frame) = body.next().await {
            let mut frame: Bytes = frame.map_err(|error| body_error(&*error))?;
            let at = hashes.len;
            frame = tampered(frame, at, intake.tamper.flip_received);
            hashes.update(&frame);
            frame = tampered(frame, at, intake.tamper.flip_stored);
            intake.receiver.write(frame).await.map_err(S3Error::internal_error)?;
        }
    }
    if intake.claims.length.is_some_and(|length| length != hashes.len) {
        return Err(s3_error!(IncompleteBody));
    }
    let len = hashes.len;
    let md5 = hashes.md5.map(|md5| md5.finalize().to_vec());
    let values: Vec<Value> =
        hashes.checksums.into_iter().map(|(_, hasher)| hasher.finish()).collect();
    check_claims(&intake.claims, &values, md5.as_deref())?;

    if let Some(raw) = &intake.tamper.raw {
        let raw = std::mem::take(&mut *lock(raw));
        intake.receiver = Receiver::holding(raw);
    }
    let (content, compared_at) = intake.receiver.finish(len).await?;
    let etag = match (intake.etag, md5) {
        (EtagStyle::Md5, Some(md5)) => hex::encode(md5),
        (EtagStyle::Md5 | EtagStyle::Opaque, _) => intake.opaque_etag,
    };
    let checksum = values.into_iter().find(|value| Some(value.algorithm) == intake.keep);
    Ok(Received { content, etag, checksum, compared_at })
}

fn tampered(frame: Bytes, at: u64, flip: Option<u64>) -> Bytes {
    let index = flip.and_then(|flip| flip.checked_sub(at)).and_then(|i| usize::try_from(i).ok());
    match index {
        Some(index) if index < frame.len() => flipped(&frame, index),
        Some(_) | None => frame,
    }
}

fn check_claims(claims: &Claims, values: &[Value], md5: Option<&[u8]>) -> S3Result<()> {
    let mut claimed = claims.headers.clone();
    if let Some(trailers) = claims.trailers.as_ref().and_then(TrailingHeaders::take) {
        for algorithm in Algorithm::ALL {
            let value = trailers.get(algorithm.header()).and_then(|v| v.to_str().ok());
            claimed.extend(value.map(|value| (algorithm, value.to_owned())));
        }
    }
    for (algorithm, claim) in &claimed {
        let computed = values.iter().find(|value| value.algorithm == *algorithm);
        if computed.is_none_or(|value| value.base64() != *claim) {
            return Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                algorithm.name()
            ));
        }
    }
    if let Some(missing) = claims.announced.iter().find(|a| claimed.iter().all(|(b, _)| b != *a)) {
        let message = format!("the trailer {} was announced and did not come", missing.header());
        return Err(refusal(StatusCode::BAD_REQUEST, "MalformedTrailerError", message));
    }
    let Some(claim) = &claims.content_md5 else { return Ok(()) };
    match BASE64.decode(claim) {
        Ok(claim) if claim.len() != 16 => Err(s3_error!(InvalidDigest)),
        Err(_) => Err(s3_error!(InvalidDigest)),
        Ok(claim) if md5 != Some(&claim[..]) => Err(s3_error!(
            BadDigest,
            "The Content-MD5 you specified did not match what we received."
        )),
        Ok(_) => Ok(()),
    }
}

/// s3s keeps its body errors to itself: what they say is all there is to tell them apart.
fn body_error(error: &(dyn std::error::Error + Send + Sync)) -> S3Error {
    let text = format!("{error} {error:?}").to_lowercase();
    if text.contains("signature") {
        return s3_error!(SignatureDoesNotMatch, "{error}");
    }
    if text.contains("checksum") || text.contains("sha256") {
        let code = "XAmzContentSHA256Mismatch";
        return refusal(StatusCode::BAD_REQUEST, code, error.to_string());
    }
    s3_error!(IncompleteBody, "{error}")
}
