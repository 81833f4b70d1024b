//! `watch`: follows jobs until they end.

use std::collections::HashSet;

use causeway::v1::{Job, JobFilter, JobState, ListRequest, WatchRequest};
use causeway::{Client, Exit, view};

use crate::cli::{self, Watch};
use crate::follow::{self, Display, Events, Progress, Tally};
use crate::print::{self, Out};

const PAGE_MAX: u32 = 1_000;

/// Characters of an id.
const ID_LENGTH: usize = 26;

/// More endings than this are counted and not shown: a list of them is what `jobs` is for.
const SHOWN_MAX: u64 = 20;

pub async fn watch(client: &Client, out: &mut Out, arguments: &Watch) -> anyhow::Result<Exit> {
    let filter = (!arguments.labels.is_empty()).then(|| cli::filter(&[], &arguments.labels));
    let request = WatchRequest {
        job_ids: arguments.jobs.iter().map(|id| as_told(id)).collect(),
        filter: filter.clone(),
        cursor: String::new(),
    };
    let mut counted = HashSet::new();
    let mut keep = |job: &Job| {
        if job.state() != JobState::Succeeded {
            counted.insert(job.id.clone());
        }
        Ok(())
    };
    let display: &mut dyn Display =
        if out.is_json() { &mut Events::new(out) } else { &mut Progress::new(out) };
    let mut tally = follow::follow(client, request.clone(), display, &mut keep).await?;
    let earlier = match filter.filter(|_| !out.is_closed()) {
        Some(filter) => tokio::select! {
            interrupted = follow::interrupted(&request) => return Err(interrupted.into()),
            earlier = earlier(client, out, filter, &counted) => earlier?,
        },
        None => Tally::default(),
    };
    tally.add(&earlier);
    if tally.ended() == 0 && arguments.jobs.is_empty() {
        print::note("nothing to watch: no job runs or waits");
    } else if tally.ended() > 1 {
        print::note(tally);
    }
    match earlier.ended() {
        0 => {}
        ended @ 1..=SHOWN_MAX => print::note(format_args!("{ended} had ended before")),
        ended => print::note(format_args!(
            "{ended} had ended before, {SHOWN_MAX} of them are shown: `causeway jobs --state \
             failed,cancelled{}` lists them",
            request.filter.as_ref().map(follow::labels).unwrap_or_default()
        )),
    }
    Ok(tally.exit())
}

/// An id as the daemon writes it, which reads small letters too: what it tells of a job is found by its id. What is
/// no id is refused, and named as it was typed.
fn as_told(id: &str) -> String {
    match id.len() {
        ID_LENGTH => id.to_ascii_uppercase(),
        _ => id.to_owned(),
    }
}

/// The jobs that had failed or been cancelled before: a snapshot holds none of them, and a batch would look
/// done. They are asked for when all others have ended and by then `counted`, since of a job that ends
/// between a list at the start and the snapshot neither would tell.
async fn earlier(
    client: &Client,
    out: &mut Out,
    filter: JobFilter,
    counted: &HashSet<String>,
) -> anyhow::Result<Tally> {
    let states = vec![JobState::Failed.into(), JobState::Cancelled.into()];
    let filter = JobFilter { states, ..filter };
    let mut tally = Tally::default();
    let mut page_token = String::new();
    loop {
        let request = ListRequest {
            filter: Some(filter.clone()),
            page_size: PAGE_MAX,
            page_token: page_token.clone(),
        };
        let page = client.list(request).await?;
        for job in page.jobs.iter().filter(|job| !counted.contains(&job.id)) {
            tally.count(job);
            show(out, job, tally.ended() <= SHOWN_MAX)?;
        }
        let stuck = page.next_page_token == page_token;
        page_token = page.next_page_token;
        if page_token.is_empty() || stuck || out.is_closed() {
            return Ok(tally);
        }
    }
}

/// As the displays show an ending: who reads events gets every one.
fn show(out: &mut Out, job: &Job, is_told: bool) -> anyhow::Result<()> {
    if out.is_json() {
        out.json(&view::Event::Job { job: Box::new(view::Job::from(job)) })?;
    }
    match (is_told, out.is_json()) {
        (true, true) => out.error(follow::ending(job)),
        (true, false) => print::note(follow::ending(job)),
        (false, _) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `watch nope` said that `NOPE` is no id.
    #[test]
    fn what_is_no_id_stays_as_it_was_typed() {
        assert_eq!(as_told("01k7z3m8q4t5v6w7x8y9z0a1b2"), "01K7Z3M8Q4T5V6W7X8Y9Z0A1B2");
        assert_eq!(as_told("nope"), "nope");
    }
}
