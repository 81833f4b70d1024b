//! `jobs`: the list, newest first, fetched page by page and printed as it comes.

use causeway::v1::{Job, ListRequest};
use causeway::{Client, Exit, view};

use crate::cli::{self, Jobs};
use crate::print::{self, Out};
use crate::table;

const PAGE_MAX: u64 = 1_000;

pub async fn jobs(client: &Client, out: &mut Out, arguments: &Jobs) -> anyhow::Result<Exit> {
    let filter = cli::filter(&arguments.states, &arguments.labels);
    let mut page_token = arguments.page_token.clone();
    let mut left = if arguments.limit == 0 { u64::MAX } else { arguments.limit };
    let mut is_first = true;
    loop {
        let page_size = u32::try_from(left.min(PAGE_MAX))?;
        let request =
            ListRequest { filter: Some(filter.clone()), page_size, page_token: page_token.clone() };
        let page = client.list(request).await?;
        // A daemon may answer with fewer than were asked for, and must not answer with more.
        left = left.saturating_sub(u64::try_from(page.jobs.len())?);
        print_page(out, &page.jobs, is_first)?;
        is_first = false;
        let stuck = page.next_page_token == page_token;
        page_token = page.next_page_token;
        if left == 0 || page_token.is_empty() || stuck || out.is_closed() {
            break;
        }
    }
    if !page_token.is_empty() && !out.is_closed() {
        print::note(format_args!("more follow: --page-token {page_token}"));
    }
    Ok(Exit::Done)
}

fn print_page(out: &mut Out, jobs: &[Job], is_first: bool) -> anyhow::Result<()> {
    if out.is_json() {
        for job in jobs {
            out.json(&view::Job::from(job))?;
        }
        return Ok(());
    }
    if jobs.is_empty() && is_first {
        print::note("no jobs");
        return Ok(());
    }
    let mut table =
        table::new(&["JOB", "STATE", "DONE", "SIZE", "PRIO", "SUBMITTED", "SOURCE", "TARGET"]);
    for job in jobs {
        let transfer = job.transfer.clone().unwrap_or_default();
        table.add_row([
            table::cell(&job.id),
            table::state_cell(job, out.has_colour()),
            table::cell(&table::percent(job.bytes_done, job.bytes_total)),
            table::cell(&table::size(job.bytes_total)),
            table::cell(&job.priority.to_string()),
            table::cell(&table::ago(job.submitted_at.as_ref())),
            table::cell(&transfer.source),
            table::cell(&transfer.target),
        ]);
    }
    out.write(&table::text(&table))
}
