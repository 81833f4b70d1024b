//! `jobs`: the list, newest first, fetched page by page and printed as it comes.

use causeway::v1::{Job, ListRequest};
use causeway::words::Word;
use causeway::{Client, Exit, view};
use comfy_table::Cell;

use crate::cli::{self, Jobs};
use crate::ends;
use crate::print::{self, Out};
use crate::table;

const PAGE_MAX: u64 = 1_000;

const HEADINGS: [&str; 9] =
    ["JOB", "STATE", "KIND", "DONE", "SIZE", "PRIO", "SUBMITTED", "SOURCE", "TARGET"];

pub async fn jobs(client: &Client, out: &mut Out, arguments: &Jobs) -> anyhow::Result<Exit> {
    let filter = cli::filter(&arguments.states, &arguments.labels);
    let mut page_token = arguments.page_token.clone();
    let mut left = if arguments.limit == 0 { u64::MAX } else { arguments.limit };
    let mut list = List { pending: Vec::new(), has_header: false };
    loop {
        let page_size = u32::try_from(left.min(PAGE_MAX))?;
        let request =
            ListRequest { filter: Some(filter.clone()), page_size, page_token: page_token.clone() };
        let page = client.list(request).await?;
        // A daemon may answer with fewer than were asked for, and must not answer with more.
        left = left.saturating_sub(u64::try_from(page.jobs.len())?);
        list.add(out, page.jobs)?;
        let stuck = page.next_page_token == page_token;
        page_token = page.next_page_token;
        if left == 0 || page_token.is_empty() || stuck || out.is_closed() {
            break;
        }
    }
    list.print(out)?;
    if !list.has_header && !out.is_json() {
        print::note("no jobs");
    }
    if !page_token.is_empty() && !out.is_closed() {
        print::note(format_args!("more follow: --page-token {page_token}"));
    }
    Ok(Exit::Done)
}

/// Jobs on their way to stdout: JSON at once, tables a thousand rows at a time, because the width of a
/// column follows from its cells and memory must not follow from the number of jobs.
struct List {
    pending: Vec<Job>,
    has_header: bool,
}

impl List {
    fn add(&mut self, out: &mut Out, jobs: Vec<Job>) -> anyhow::Result<()> {
        if out.is_json() {
            return jobs.iter().try_for_each(|job| out.json(&view::Job::from(job)));
        }
        self.pending.extend(jobs);
        match u64::try_from(self.pending.len())? >= PAGE_MAX {
            true => self.print(out),
            false => Ok(()),
        }
    }

    fn print(&mut self, out: &mut Out) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let headings: &[&str] = if self.has_header { &[] } else { &HEADINGS };
        self.has_header = true;
        let mut table = table::new(headings);
        for job in self.pending.drain(..) {
            table.add_row(row(&job, out.has_colour()));
        }
        out.write(&table::text(&table))
    }
}

fn row(job: &Job, colour: bool) -> [Cell; 9] {
    [
        table::cell(&job.id),
        table::state_cell(job, colour),
        table::cell(job.kind().word().unwrap_or("unknown")),
        table::cell(&table::done(job)),
        table::cell(&table::size(job.bytes_total)),
        table::cell(&job.priority.to_string()),
        table::cell(&table::ago(job.submitted_at.as_ref())),
        table::cell(table::or_dash(ends::source(job))),
        table::cell(table::or_dash(&ends::target(job))),
    ]
}

#[cfg(test)]
mod tests {
    use causeway::v1::{
        ImageProgress, ImageRef, JobKind, JobState, MigrateSpec, Stage, StageProgress,
    };

    use super::*;

    fn words(job: &Job) -> Vec<String> {
        row(job, false).iter().map(Cell::content).collect()
    }

    #[test]
    fn a_row_of_a_migration_shows_its_images_and_how_far_ec2_is() {
        let stage =
            StageProgress { stage: Stage::Storing.into(), percent: 37, ..Default::default() };
        let spec =
            MigrateSpec { image: "com:ami-1".into(), target: "gov:".into(), ..Default::default() };
        let mut job = Job {
            kind: JobKind::Migrate.into(),
            state: JobState::Running.into(),
            stage: Stage::Storing.into(),
            migrate: Some(spec),
            image: Some(ImageProgress { stages: vec![stage], ..Default::default() }),
            ..Default::default()
        };
        let row = words(&job);
        assert_eq!(row[1..4], ["storing", "migrate", "37%"]);
        assert_eq!(row[7..], ["com:ami-1", "gov:"]);
        job.state = JobState::Succeeded.into();
        let image =
            ImageRef { remote: "gov".into(), image_id: "ami-9".into(), ..Default::default() };
        job.image.get_or_insert_default().restored = Some(image);
        assert_eq!(words(&job)[8], "gov:ami-9");
    }

    #[test]
    fn a_job_of_an_unknown_kind_has_dashes() {
        assert_eq!(words(&Job::default())[7..], ["-", "-"]);
    }
}
