//! Taking jobs: one, many, or all below a prefix.
//!
//! Many are written at once and answered in order, so that the ledger's group commit makes one
//! flush of them. Nothing is taken while the daemon drains.

use std::collections::VecDeque;

use causeway_proto::v1;
use causeway_proto::v1::submit_many_response::Outcome;
use futures::{Stream, StreamExt as _, stream};
use tonic::Status;

use super::access::Admitted;
use super::convert::{self, Prefix};
use super::service::{Answers, Service};
use crate::base::{chain, clock};
use crate::model::Submission;

/// Submissions of one stream that are on their way to the disk together.
const WRITTEN_AT_ONCE_MAX: usize = 256;

/// Takes one.
pub(super) async fn one(
    service: &Service,
    request: v1::SubmitRequest,
    by: &Admitted,
) -> Result<v1::SubmitResponse, Status> {
    let dry_run = request.dry_run;
    let submission = convert::submission(request, service.engine.defaults(), clock::now())?;
    accept(service, submission, dry_run, by).await
}

/// Takes each line as it comes and answers them in their order.
pub(super) fn many<S>(service: &Service, lines: S, by: Admitted) -> Answers<v1::SubmitManyResponse>
where
    S: Stream<Item = Result<v1::SubmitManyRequest, Status>> + Send + 'static,
{
    let stop = service.stop.clone();
    let stopping = stop.clone();
    let service = service.clone();
    let answers = lines
        .take_until(stop.cancelled_owned())
        .map(move |line| {
            let (service, by) = (service.clone(), by.clone());
            async move {
                let v1::SubmitManyRequest { line, request } = line?;
                let taken = one(&service, request.unwrap_or_default(), &by).await;
                Ok(answer(line, taken))
            }
        })
        .buffered(WRITTEN_AT_ONCE_MAX);
    // Lines that were not read are not taken: the client must not take the end for success.
    let end = stream::once(async move { stopping.is_cancelled().then(|| Err(stopping_status())) });
    answers.chain(end.filter_map(|end| async move { end })).boxed()
}

/// Lists a prefix and takes every object of it that is asked for.
///
/// # Errors
/// Where the request is wrong, or new work is refused.
pub(super) async fn prefix(
    service: &Service,
    request: v1::SubmitPrefixRequest,
    by: Admitted,
) -> Result<Answers<v1::SubmitManyResponse>, Status> {
    let asked = request.request.unwrap_or_default();
    let dry_run = asked.dry_run;
    let prefix = Prefix::new(asked, &request.include, service.engine.defaults())?;
    check(service, prefix.template(), dry_run).await?;
    let service = service.clone();
    let answers = keys(service.clone(), prefix.clone())
        .enumerate()
        .map(move |(at, key)| {
            let (service, by, prefix) = (service.clone(), by.clone(), prefix.clone());
            async move {
                let key = key?;
                let taken = match prefix.submission(&key) {
                    Ok(submission) => accept(&service, submission, dry_run, &by).await,
                    Err(invalid) => Err(invalid.into()),
                };
                let named = taken.map_err(|fault| of_object(&prefix, &key, &fault));
                Ok(answer(u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1), named))
            }
        })
        .buffered(WRITTEN_AT_ONCE_MAX);
    Ok(answers.boxed())
}

/// A fault among thousands has to say which object it is about.
fn of_object(prefix: &Prefix, key: &str, fault: &Status) -> Status {
    let source = prefix.source();
    let message = format!("{}:{}/{key}: {}", source.remote, source.bucket, fault.message());
    Status::new(fault.code(), message)
}

/// The keys to carry, listed a page ahead at most.
fn keys(service: Service, prefix: Prefix) -> impl Stream<Item = Result<String, Status>> + Send {
    let start = Listing {
        service,
        prefix,
        page: VecDeque::new(),
        given: Given::default(),
        token: None,
        ended: false,
    };
    stream::try_unfold(start, |mut listing| async move {
        loop {
            if let Some(key) = listing.page.pop_front() {
                return Ok(Some((key, listing)));
            }
            if listing.ended {
                return Ok(None);
            }
            listing.read().await?;
        }
    })
}

struct Listing {
    service: Service,
    prefix: Prefix,
    page: VecDeque<String>,
    given: Given,
    token: Option<String>,
    ended: bool,
}

/// Keys by which a page is known again.
#[derive(Default)]
struct Given {
    /// The first of all.
    first: Option<String>,
    /// The first and the last of the page before.
    before: Option<[String; 2]>,
}

impl Given {
    /// Takes the next page. Whether it, or its beginning, was given before: by a page's first key alone, since no
    /// order can be relied on.
    fn again(&mut self, page: &[String]) -> bool {
        let Some((first, last)) = page.first().zip(page.last()) else { return false };
        let mut known = self.first.iter().chain(self.before.iter().flatten());
        let again = known.any(|key| key == first);
        self.first.get_or_insert_with(|| first.clone());
        self.before = Some([first.clone(), last.clone()]);
        again
    }
}

impl Listing {
    async fn read(&mut self) -> Result<(), Status> {
        let listed = self.service.engine.list_prefix(self.prefix.source(), self.token.clone());
        let page = tokio::select! {
            () = self.service.stop.cancelled() => return Err(stopping_status()),
            page = listed => page.map_err(|failure| convert::listing_failed(&failure))?,
        };
        // Some servers give the same token for ever, others ignore it: what they would list never ends.
        let repeated = match page.next.is_some() && page.next == self.token {
            true => Some("the page token"),
            false => self.given.again(&page.keys).then_some("a page"),
        };
        if let Some(repeated) = repeated {
            return Err(Status::failed_precondition(format!(
                "the listing of {} does not move on: its server repeats {repeated}",
                self.prefix.source()
            )));
        }
        self.page = page.keys.into_iter().filter(|key| self.prefix.takes(key)).collect();
        self.ended = page.next.is_none();
        self.token = page.next;
        Ok(())
    }
}

/// Whether the submission is taken now at all.
async fn check(service: &Service, submission: &Submission, dry_run: bool) -> Result<(), Status> {
    service.engine.check(submission).map_err(Status::invalid_argument)?;
    if dry_run {
        return Ok(());
    }
    if service.engine.is_draining() {
        return Err(Status::unavailable(
            "the daemon drains and takes no new work: undo the drain, or submit to another daemon",
        ));
    }
    let writable = service.ledger.writable().await;
    writable.map_err(|why| Status::unavailable(format!("no new work is taken: {}", chain(&*why))))
}

async fn accept(
    service: &Service,
    submission: Submission,
    dry_run: bool,
    by: &Admitted,
) -> Result<v1::SubmitResponse, Status> {
    by.caller.submission().await;
    by.still()?;
    check(service, &submission, dry_run).await?;
    if dry_run {
        return plan(service, &submission, by).await;
    }
    let submitted = service.ledger.submit(submission, &by.actor).await?;
    Ok(v1::SubmitResponse {
        job: Some(service.show(&submitted.job)),
        existed: submitted.existed,
        plan: None,
    })
}

async fn plan(
    service: &Service,
    submission: &Submission,
    by: &Admitted,
) -> Result<v1::SubmitResponse, Status> {
    let _turn = service.turns.ask(&by.caller).await?;
    let Some(spec) = submission.spec.as_ref().filter(|_| submission.image.is_none()) else {
        let message = "an image job has no plan beforehand: ask for its preflight";
        return Err(Status::invalid_argument(message));
    };
    let run = service.engine.dry_run(spec).await;
    let run = run.map_err(|failure| convert::side_failed(&failure))?;
    Ok(v1::SubmitResponse { plan: Some(convert::plan(&run)), ..Default::default() })
}

fn answer(line: u64, taken: Result<v1::SubmitResponse, Status>) -> v1::SubmitManyResponse {
    let outcome = match taken {
        Ok(response) => Outcome::Accepted(response),
        Err(status) => Outcome::Refused(convert::fault(&status)),
    };
    v1::SubmitManyResponse { line, outcome: Some(outcome) }
}

/// How every stream ends when the daemon stops.
pub(super) fn stopping_status() -> Status {
    Status::unavailable("the daemon is stopping: connect again once it is back")
}
