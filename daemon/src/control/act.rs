//! Acting on jobs: by their ids, by a filter, or on all.
//!
//! An id that is named is answered, whatever becomes of it. A filter selects: among its jobs only
//! those are changed for which the action is legal, and the others are not a fault.

use causeway_proto::v1;
use futures::{StreamExt as _, stream};
use tonic::{Code, Status};

use super::convert::{self, Invalid};
use super::service::Service;
use crate::base::clock;
use crate::ledger::{Error, Filter};
use crate::model::{Change, Job, JobId, JobState};

/// Results that an answer lists.
const RESULTS_MAX: usize = 1000;
/// Changes that are on their way to the disk together.
const CHANGED_AT_ONCE_MAX: usize = 256;
/// Jobs read at a time.
const PAGE_SIZE: usize = 1000;

/// Applies the change to the selected jobs, and answers once all of it is on disk.
///
/// # Errors
/// Where the selection is wrong, where its only id is unknown, or where the ledger cannot be written.
pub(super) async fn act(
    service: &Service,
    selection: Option<v1::Selection>,
    change: Change,
    actor: &str,
) -> Result<v1::ActionResponse, Status> {
    let tally = match Selected::new(selection.unwrap_or_default())? {
        Selected::Ids(ids) => by_id(service, ids, change, actor).await?,
        Selected::Matching(filter) => matching(service, filter, change, actor).await?,
    };
    Ok(tally.0)
}

enum Selected {
    Ids(Vec<JobId>),
    Matching(Filter),
}

impl Selected {
    fn new(selection: v1::Selection) -> Result<Self, Invalid> {
        const FIELD: &str = "selection";
        match (selection.job_ids.as_slice(), selection.filter, selection.all) {
            ([], None, true) => Ok(Self::Matching(Filter::default())),
            // A label that a script left empty must not cancel everything.
            ([], Some(filter), false) if filter == v1::JobFilter::default() => Err(Invalid::new(
                FIELD,
                "the filter is empty and would select every job: restrict it, or set `all`",
            )),
            ([], Some(filter), false) => convert::job_filter(filter).map(Self::Matching),
            ([], None, false) => {
                Err(Invalid::new(FIELD, "it is empty: give job ids, or a filter, or set `all`"))
            }
            (ids, None, false) => {
                let ids = ids.iter().map(|id| convert::job_id("selection.job_ids", id));
                ids.collect::<Result<_, _>>().map(Self::Ids)
            }
            _ => Err(Invalid::new(FIELD, "give either job ids, or a filter, or `all`, not two")),
        }
    }
}

async fn by_id(
    service: &Service,
    ids: Vec<JobId>,
    change: Change,
    actor: &str,
) -> Result<Tally, Status> {
    let only = ids.len() == 1;
    let mut tally = Tally::default();
    let mut changes = changes(service, ids, change, actor);
    while let Some((id, outcome)) = changes.next().await {
        match outcome {
            Ok(job) => tally.changed(&job),
            Err(error @ Error::NoSuchJob(_)) if only => return Err(error.into()),
            Err(error) => {
                let state = service.ledger.get(id).ok().map(|job| convert::state(job.state));
                tally.refused(id, state, &error.into());
            }
        }
    }
    Ok(tally)
}

async fn matching(
    service: &Service,
    filter: Filter,
    change: Change,
    actor: &str,
) -> Result<Tally, Status> {
    let mut tally = Tally::default();
    let mut after = None;
    let filter = unfinished(filter);
    loop {
        let page = service.page(filter.clone(), PAGE_SIZE, after).await?;
        let now = clock::now();
        // The transition is pure, so that asking whether it is legal costs nothing.
        let legal = |job: &&Job| job.apply(change.clone(), now).is_ok();
        let ids = page.jobs.iter().filter(legal).map(|job| job.id).collect();
        let mut changes = changes(service, ids, change.clone(), actor);
        while let Some((_, outcome)) = changes.next().await {
            match outcome.map_err(Status::from) {
                Ok(job) => tally.changed(&job),
                // It moved on in between: it is no longer one of those that were meant.
                Err(status)
                    if matches!(status.code(), Code::FailedPrecondition | Code::NotFound) => {}
                // What could not be written for one cannot be written for the next.
                Err(status) => return Err(status),
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(tally),
        }
    }
}

/// A job that has succeeded is final: a million of them need not be read to learn it again.
fn unfinished(filter: Filter) -> Filter {
    if !filter.states.is_empty() {
        return filter;
    }
    let states = JobState::ALL.into_iter().filter(|state| *state != JobState::Succeeded);
    Filter { states: states.collect(), ..filter }
}

/// Changes them many at a time, so that one flush serves many, and answers in their order.
fn changes<'a>(
    service: &'a Service,
    ids: Vec<JobId>,
    change: Change,
    actor: &'a str,
) -> stream::BoxStream<'a, (JobId, Result<Job, Error>)> {
    stream::iter(ids)
        .map(move |id| {
            let change = change.clone();
            async move { (id, service.ledger.control(id, change, actor).await) }
        })
        .buffered(CHANGED_AT_ONCE_MAX)
        .boxed()
}

#[derive(Default)]
struct Tally(v1::ActionResponse);

impl Tally {
    fn changed(&mut self, job: &Job) {
        self.0.changed += 1;
        self.list(job.id, Some(convert::state(job.state)), None);
    }

    fn refused(&mut self, id: JobId, state: Option<v1::JobState>, status: &Status) {
        self.0.refused += 1;
        self.list(id, state, Some(convert::fault(status)));
    }

    fn list(&mut self, id: JobId, state: Option<v1::JobState>, fault: Option<v1::Fault>) {
        if self.0.results.len() < RESULTS_MAX {
            let state = state.unwrap_or(v1::JobState::Unspecified).into();
            self.0.results.push(v1::ActionResult { job_id: id.to_string(), state, fault });
        }
    }
}
