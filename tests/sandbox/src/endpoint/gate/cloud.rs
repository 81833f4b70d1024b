//! Requests for EC2, SSM and STS: small, so each is read whole before anything else, since what it asks is
//! in its body. Faults within a request's body are therefore S3's alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::StatusCode;
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

use super::{Answer, Dropped, Gate, Passage};
use crate::api::{Command, Refused, Service};
use crate::fault::Action;
use crate::fault::body::Leftover;
use crate::wire::Fate;

/// AWS takes no larger ones either.
const BODY_BYTES_MAX: usize = 1 << 20;

impl Gate {
    pub(super) async fn cloud(
        &self,
        service: Service,
        parts: &Parts,
        body: Incoming,
        fate: Arc<Fate>,
    ) -> Result<Answer, Dropped> {
        let read = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = read.map_err(|_| Dropped::Unread)?.to_bytes();
        let command = Command::read(service, parts, &body);
        let mut passage = self.passage(command.call(), fate);
        passage.ticket.bytes_in.fetch_add(body.len() as u64, Ordering::Relaxed);
        passage.delay().await;
        passage.drop_at(&Action::LoseRequest)?;
        let cloud = &self.shared.cloud;
        let answer = match passage.scripted_refusal() {
            Some(refused) => service.refuse(&refused, &cloud.request_id()),
            None => cloud.answer(&command, parts, &body).await,
        };
        passage.drop_at(&Action::LoseAnswer)?;
        self.after(answer, &mut passage, &Leftover::default()).await
    }
}

impl Passage {
    fn scripted_refusal(&self) -> Option<Refused> {
        let (code, in_200) = self.faults.iter().find_map(|fault| fault.action.error())?;
        let refused = Refused::scripted(code);
        let status = if in_200 { StatusCode::OK } else { refused.status };
        Some(Refused { status, ..refused })
    }
}
