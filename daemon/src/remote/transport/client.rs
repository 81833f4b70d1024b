//! A request from its URI to the head of its answer: over a connection that waits, or a fresh one.
//!
//! # Invariants
//! - A request is sent again once at most, over a fresh connection, and only where the one before had
//!   waited in the pool and gave not a byte of an answer.
//! - One that changes something is sent again only where the server cannot have had all of it: whether
//!   it did something is for the caller to find out, who is told that the answer was lost.

use aws_smithy_types::body::SdkBody;
use http::{Request, Response};

use super::Error;
use super::body::Body;
use super::dial::{Dial, Host};
use super::exchange::{Failed, Outcome, exchange};
use super::head::Outbound;
use super::pool::Pool;
use super::wire::{Tag, Wire};

/// Speaks HTTP/1.1. Clones share the pool.
#[derive(Debug, Clone)]
pub(super) struct Client {
    dial: Dial,
    pub(super) pool: Pool,
}

impl Client {
    pub(super) fn new(dial: Dial) -> Self {
        Self { dial, pool: Pool::default() }
    }

    /// Sends `request`. `seen` is told of each connection that it goes over.
    ///
    /// # Errors
    /// Where there is no connection, or no answer that makes sense.
    pub(super) async fn send(
        &self,
        request: Request<SdkBody>,
        seen: impl Fn(&Tag),
    ) -> Result<Response<Body>, Error> {
        let (head, mut body) = request.into_parts();
        let host = Host::of(&head.uri)?;
        let outbound = Outbound::new(&head, &body)?;
        if let Some(mut wire) = self.pool.take(&host) {
            seen(wire.tag());
            let again = body.try_clone();
            match exchange(&mut wire, &outbound, &mut body).await {
                Ok(outcome) => return Ok(self.answer(wire, &host, outcome)),
                Err(failed) if !may_repeat(&failed, &outbound, again.is_some()) => {
                    return Err(failed.error);
                }
                Err(failed) => {
                    tracing::debug!(error = %failed.error, "a connection was closed while it waited");
                    body = again.unwrap_or(body);
                }
            }
        }
        let mut wire = self.dial.dial(&host).await?;
        seen(wire.tag());
        let outcome = exchange(&mut wire, &outbound, &mut body).await;
        outcome.map(|outcome| self.answer(wire, &host, outcome)).map_err(|failed| failed.error)
    }

    fn answer(&self, wire: Wire, host: &Host, outcome: Outcome) -> Response<Body> {
        let Outcome { answered, unread, is_sent } = outcome;
        let place = (answered.keeps && is_sent).then(|| self.pool.place(host.clone()));
        let mut response = Response::new(Body::new(answered.framing, unread, wire, place));
        *response.status_mut() = answered.status;
        *response.headers_mut() = answered.headers;
        response
    }
}

fn may_repeat(failed: &Failed, request: &Outbound, has_body: bool) -> bool {
    failed.error.is_lost()
        && !failed.is_begun
        && (request.is_safe || !failed.is_sent)
        && (has_body || !failed.is_body_begun)
}
