//! An object behind a presigned `https://` URL, as a source.
//!
//! The URL is signed for GET alone, so that even the first look is a GET of one byte. It is a secret:
//! errors carry host and path, never the query, and redirects are not followed, because they would
//! hand the signature on.

mod answer;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use reqwest::header::{self, HeaderMap};
use reqwest::{Response, StatusCode};

use super::call::{ANSWER_PATIENCE, Operation};
use super::frames::exactly;
use super::head::quoted;
use super::s3::{changed, check_range};
use super::{Error, Exchange, Frames, Source};
use crate::base::{Pace, SharedObserver, chain, clock};
use crate::egress::{self, Egress};
use crate::model::host::Refused;
use crate::model::{ByteRange, ObjectRef, PinnedObject, PresignedUrl, Timestamp};
use crate::remote::{Fault, count, partition_of};

const GET: Operation = Operation::new("GetObject", "s3:GetObject");
/// What measures are reported under.
const NAME: &str = "presigned";

/// One object behind a presigned URL.
#[derive(Clone)]
pub struct PresignedObject {
    url: PresignedUrl,
    client: reqwest::Client,
    egress: Egress,
    pace: Arc<Pace>,
    observer: SharedObserver,
    /// The server refused `If-Match`: the version is asked for by `If-Range`.
    if_range: Arc<AtomicBool>,
}

impl PresignedObject {
    /// The object behind `url`. `ca_bundle`: PEM certificates trusted besides the system's.
    ///
    /// # Errors
    /// Where the URL's host is not allowed, or the bundle cannot be used.
    pub fn new(
        url: PresignedUrl,
        pace: Arc<Pace>,
        observer: SharedObserver,
        egress: &Egress,
        ca_bundle: Option<&[u8]>,
    ) -> Result<Self, Error> {
        egress.check(url.expose()).map_err(|refused| not_allowed(&url, &refused))?;
        let client = egress.client(url.expose(), ca_bundle).map_err(|error| {
            Error::Untrusted(Box::new(Exchange { message: chain(&error), ..asked(&url) }))
        })?;
        Ok(Self { url, client, egress: egress.clone(), pace, observer, if_range: Arc::default() })
    }

    /// When the URL's signature ends, where the URL says so.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.url.expires_at()
    }

    /// An error about an answer that came, and is not one to the request.
    fn bad_answer(&self, message: impl Into<String>) -> Error {
        Error::BadAnswer(Box::new(Exchange { message: message.into(), ..asked(&self.url) }))
    }

    fn expired(&self, at: Timestamp) -> Error {
        let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
        let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        let message = format!("its signature ended at {at:.0}");
        Error::Expired(Box::new(Exchange { message, ..asked(&self.url) }))
    }

    /// Sends one GET with `headers`; answers that are no success are errors.
    async fn get(&self, headers: HeaderMap) -> Result<Response, Error> {
        self.pace.request().await;
        let begun = Instant::now();
        let answer = self.exchange(headers).await;
        let class = answer.as_ref().err().map(Error::class);
        count(&self.observer, NAME, GET.api, begun.elapsed(), class);
        answer
    }

    async fn exchange(&self, headers: HeaderMap) -> Result<Response, Error> {
        if let Some(at) = self.url.expires_at().filter(|at| *at <= clock::now()) {
            return Err(self.expired(at));
        }
        // It may have been taken under another configuration.
        let admitted = self.egress.check(self.url.expose());
        admitted.map_err(|refused| not_allowed(&self.url, &refused))?;
        let request = self.client.get(self.url.expose().clone()).headers(headers).send();
        let answer = match tokio::time::timeout(ANSWER_PATIENCE, request).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unsent(&self.url, &error.without_url())),
            Err(_) => {
                let message = format!("no answer within {} seconds", ANSWER_PATIENCE.as_secs());
                return Err(Error::Unanswered(Box::new(Exchange { message, ..asked(&self.url) })));
            }
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(answer::refusal(asked(&self.url), answer).await)
    }

    /// The range of the pinned version: by `If-Match`, or where the server refuses that, `If-Range`.
    async fn get_pinned(&self, etag: &str, range: ByteRange) -> Result<Response, Error> {
        if !self.if_range.load(Ordering::Relaxed) {
            let headers =
                headers(&[(header::RANGE, range.header()), (header::IF_MATCH, quoted(etag))]);
            match self.get(headers).await {
                // Nothing else in the request could displease a server that answered the first GET.
                Err(Error::Unsupported(_) | Error::Refused(_)) => {
                    self.if_range.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        self.get(headers(&[(header::RANGE, range.header()), (header::IF_RANGE, quoted(etag))]))
            .await
    }

    /// An object without a byte has no first byte to ask for.
    async fn pin_empty(&self) -> Result<Response, Error> {
        let answer = self.get(HeaderMap::new()).await?;
        match answer.content_length() {
            Some(0) => Ok(answer),
            _ => Err(self.bad_answer("it has bytes, but no first one")),
        }
    }
}

#[async_trait]
impl Source for PresignedObject {
    fn name(&self) -> &str {
        NAME
    }

    fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }

    async fn pin(&self) -> Result<(PinnedObject, Vec<String>), Error> {
        let first = ByteRange { start: 0, len: 1 };
        let answer = match self.get(headers(&[(header::RANGE, first.header())])).await {
            Err(error) if error.exchange().status == Some(416) => self.pin_empty().await?,
            answer => answer?,
        };
        let size = match answer.status() {
            StatusCode::PARTIAL_CONTENT => answer::total(answer.headers()),
            _ => answer.content_length(),
        };
        let size = size.ok_or_else(|| self.bad_answer("the answer does not say the size"))?;
        answer::pinned(size, answer.headers()).ok_or_else(|| {
            self.bad_answer("the answer gives no ETag: versions cannot be told apart")
        })
    }

    async fn read(&self, pinned: &PinnedObject, range: ByteRange) -> Result<Frames, Error> {
        if range.len == 0 {
            return Ok(Box::pin(futures::stream::empty()));
        }
        let answer = self.get_pinned(&pinned.etag, range).await.map_err(|error| match error {
            Error::PreconditionFailed(exchange) => Error::SourceChanged(exchange),
            Error::Refused(exchange) if exchange.status == Some(416) => {
                Error::SourceChanged(exchange)
            }
            error => error,
        })?;
        let found = answer::etag(answer.headers()).unwrap_or_default();
        if found != pinned.etag {
            return Err(changed(asked(&self.url), &pinned.etag, &found));
        }
        let content_range = answer::text(answer.headers(), header::CONTENT_RANGE.as_str());
        let length = answer.content_length().and_then(|length| i64::try_from(length).ok());
        check_range(content_range.as_deref(), length, pinned.size, range)
            .map_err(|message| self.bad_answer(message))?;
        let frames = futures::StreamExt::map(answer.bytes_stream(), |frame| {
            frame.map_err(reqwest::Error::without_url)
        });
        Ok(exactly(frames, range.len, asked(&self.url)))
    }

    /// The bucket is the host: which part of a host names a bucket, only its owner knows.
    fn describe(&self, pinned: &PinnedObject) -> ObjectRef {
        let url = self.url.expose();
        let region = answer::signed_region(url).unwrap_or_default();
        let key = url.path().trim_start_matches('/');
        ObjectRef {
            remote: NAME.to_owned(),
            partition: partition_of(&region).unwrap_or_default().to_owned(),
            account: None,
            region,
            bucket: url.host_str().unwrap_or_default().to_owned(),
            key: percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned(),
            version_id: pinned.version_id.clone(),
            etag: pinned.etag.clone(),
            size: pinned.size,
        }
    }
}

/// What is asked, without the signature.
fn asked(url: &PresignedUrl) -> Exchange {
    let exposed = url.expose();
    let resource = format!("{}{}", exposed.host_str().unwrap_or_default(), exposed.path());
    Exchange { api: GET.api, operation: GET.action, resource, ..Exchange::default() }
}

fn headers(list: &[(header::HeaderName, String)]) -> HeaderMap {
    let value = |(name, text): &(header::HeaderName, String)| {
        // A range is made of digits, and an ETag came from a header.
        Some((name.clone(), header::HeaderValue::from_str(text).ok()?))
    };
    list.iter().filter_map(value).collect()
}

/// Why no answer came.
fn unsent(url: &PresignedUrl, error: &(dyn StdError + 'static)) -> Error {
    match egress::refused(error) {
        Some(refused) => not_allowed(url, refused),
        None => Fault::silent(asked(url), error).into(),
    }
}

fn not_allowed(url: &PresignedUrl, refused: &Refused) -> Error {
    Error::HostNotAllowed(Box::new(Exchange { message: refused.to_string(), ..asked(url) }))
}

impl fmt::Debug for PresignedObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresignedObject({})", self.url)
    }
}
