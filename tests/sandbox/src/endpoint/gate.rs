//! Between HTTP and the services: counts each call, makes it suffer its faults, and lends it the habits that
//! have to do with HTTP rather than with S3. The services besides S3 pass through `gate/cloud.rs`.

mod cloud;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::dto::StreamingBlob;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3ErrorCode};

use super::Shared;
use crate::api;
use crate::call::{Call, credential_scope};
use crate::content::reader::Blob;
use crate::credentials::Keys;
use crate::fault::body::{Leftover, Returned, Scripted};
use crate::fault::{Action, Fault, Side, Tamper, events};
use crate::habit::Habits;
use crate::lock::lock;
use crate::s3::Service;
use crate::stats::{Recorder, Ticket};
use crate::wire::{Fate, Severed};

/// The service of every connection.
#[derive(Clone)]
pub(super) struct Gate {
    shared: Arc<Shared>,
    s3: S3Service,
}

/// The connection is dropped instead of answering.
#[derive(Debug, thiserror::Error)]
pub(super) enum Dropped {
    #[error("the script drops this connection")]
    Scripted,
    #[error("the connection breaks as this server's do")]
    Habit,
    #[error("the request cannot be read")]
    Unread,
    #[error("s3s cannot answer: {0:?}")]
    Broken(s3s::HttpError),
}

type Answer = Response<Scripted<Body>>;

/// One call on its way.
struct Passage {
    call: Call,
    faults: Vec<Fault>,
    habits: Habits,
    ticket: Ticket,
    fate: Arc<Fate>,
}

impl Gate {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut builder = S3ServiceBuilder::new(Service(Arc::clone(&shared.partition)));
        let keys = Keys(Arc::clone(&shared.keys));
        builder.set_auth(keys.clone());
        builder.set_access(keys);
        Self { shared, s3: builder.build() }
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    pub(super) async fn handle(
        &self,
        request: Request<Incoming>,
        fate: Arc<Fate>,
    ) -> Result<Answer, Dropped> {
        let (parts, body) = request.into_parts();
        if let Some(service) = api::Service::of(&parts) {
            return self.cloud(service, &parts, body, fate).await;
        }
        let mut passage = self.passage(Call::of(&parts), fate);
        passage.delay().await;
        passage.drop_at(&Action::LoseRequest)?;

        let leftover = Leftover::default();
        let (body, tamper) = passage.request_body(body, Arc::clone(&leftover), &parts.headers);
        let early = passage.scripted_answer().or_else(|| self.refused(&parts, &passage.habits));
        let answer = if let Some(answer) = early {
            // Dropping it hands over what is to be read before the answer.
            drop(body);
            answer
        } else {
            let mut request = Request::from_parts(parts, Body::http_body_unsync(body));
            request.extensions_mut().insert(tamper);
            self.s3.call(request).await.map_err(Dropped::Broken)?
        };
        passage.drop_at(&Action::LoseAnswer)?;
        let answer = self.with_attributes_habit(answer, &passage);
        self.after(answer, &mut passage, &leftover).await
    }

    fn passage(&self, call: Call, fate: Arc<Fate>) -> Passage {
        let faults = self.shared.faults.due(&call);
        self.shared.recorder.fired(faults.len());
        let ticket = self.shared.recorder.begin(&call);
        let habits = self.shared.partition.habits();
        Passage { call, faults, habits, ticket, fate }
    }

    /// What is refused before s3s sees it.
    fn refused(&self, parts: &http::request::Parts, habits: &Habits) -> Option<Response<Body>> {
        if habits.refuse_trailers && parts.headers.contains_key("x-amz-trailer") {
            return Some(error_answer("InvalidRequest", "trailers are not supported", None));
        }
        let (access_key_id, region) = credential_scope(parts)?;
        let expected = &self.shared.partition.region;
        if region == *expected || !self.shared.keys.knows(&access_key_id) {
            return None;
        }
        let message = format!(
            "The authorization header is malformed; the region '{region}' is wrong; expecting \
             '{expected}'"
        );
        Some(error_answer("AuthorizationHeaderMalformed", &message, Some(expected)))
    }

    /// The habit of answering GetObjectAttributes with the object.
    fn with_attributes_habit(&self, answer: Response<Body>, passage: &Passage) -> Response<Body> {
        let call = &passage.call;
        let habit = passage.habits.attributes_answer_body
            && call.operation == "GetObjectAttributes"
            && answer.status() == StatusCode::OK;
        let found = habit.then(|| self.shared.partition.find(&call.bucket, &call.key, None).ok());
        let Some(object) = found.flatten() else { return answer };
        let mut answer = Response::new(Body::from(StreamingBlob::new(Blob(
            object.content.read(0..object.size()),
        ))));
        let octets = HeaderValue::from_static("application/octet-stream");
        answer.headers_mut().insert(header::CONTENT_TYPE, octets);
        answer.headers_mut().insert(header::CONTENT_LENGTH, object.size().into());
        answer
    }

    /// Sees to the request's unread body and puts the answer's body under the script.
    async fn after(
        &self,
        answer: Response<Body>,
        passage: &mut Passage,
        leftover: &Leftover,
    ) -> Result<Answer, Dropped> {
        let status = answer.status();
        let unread = lock(leftover).take();
        if let Some(mut unread) = unread.filter(|unread| !hyper::body::Body::is_end_stream(unread))
        {
            if status.is_client_error() && passage.habits.break_connection_on_error {
                passage.fate.sever(Severed::Reset);
                return Err(Dropped::Habit);
            }
            // Read to the end, so that the client gets to read the answer.
            while let Some(Ok(_)) = unread.frame().await {}
        }
        passage.ticket.status = Some(status.as_u16());
        let events = events(&passage.faults, Side::Response);
        let counter = Arc::clone(&passage.ticket.bytes_out);
        let fate = Arc::clone(&passage.fate);
        Ok(answer.map(|body| Scripted::new(body, events, fate, counter)))
    }
}

impl Passage {
    async fn delay(&self) {
        for fault in &self.faults {
            if let Action::DelayMs(ms) = fault.action {
                tokio::time::sleep(Duration::from_millis(ms)).await;
            }
        }
    }

    /// Drops the connection when the script has `action` for this call.
    fn drop_at(&self, action: &Action) -> Result<(), Dropped> {
        if self.faults.iter().any(|fault| fault.action == *action) {
            self.fate.sever(Severed::Closed);
            return Err(Dropped::Scripted);
        }
        Ok(())
    }

    fn scripted_answer(&self) -> Option<Response<Body>> {
        let (code, in_200) = self.faults.iter().find_map(|fault| fault.action.error())?;
        let mut answer = error_answer(code, "the script says so", None);
        if in_200 {
            *answer.status_mut() = StatusCode::OK;
        }
        Some(answer)
    }

    /// The request's body under the script, and what is done to its bytes below the framing.
    fn request_body(
        &self,
        body: Incoming,
        leftover: Leftover,
        headers: &http::HeaderMap,
    ) -> (Scripted<Returned>, Tamper) {
        let mut tamper = Tamper::of(&self.faults);
        let framed = headers
            .get("x-amz-content-sha256")
            .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
        if self.habits.store_chunk_framing && framed {
            tamper.raw = Some(Arc::default());
        }
        let body = Returned::new(body, leftover, tamper.raw.clone());
        let events = events(&self.faults, Side::Request);
        let counter = Arc::clone(&self.ticket.bytes_in);
        (Scripted::new(body, events, Arc::clone(&self.fate), counter), tamper)
    }
}

/// An error as S3 writes it. `code` may also be a status, such as `429`.
fn error_answer(code: &str, message: &str, region: Option<&str>) -> Response<Body> {
    let known = S3ErrorCode::from_bytes(code.as_bytes()).and_then(|code| code.status_code());
    let (code, status) = match code.parse::<u16>().ok().and_then(|n| StatusCode::from_u16(n).ok()) {
        Some(StatusCode::TOO_MANY_REQUESTS) => ("TooManyRequests", StatusCode::TOO_MANY_REQUESTS),
        Some(status) => (status.canonical_reason().unwrap_or("Unknown"), status),
        None => (code, known.unwrap_or(StatusCode::BAD_REQUEST)),
    };
    let region = region.map(|region| format!("<Region>{region}</Region>")).unwrap_or_default();
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}\
         </Message>{region}<RequestId>SANDBOX</RequestId></Error>"
    );
    let mut answer = Response::new(Body::from(Bytes::from(xml)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}
