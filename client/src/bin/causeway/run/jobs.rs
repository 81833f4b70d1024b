//! `jobs`: the list, newest first, fetched page by page and printed as it comes. On a terminal a job is one line,
//! as far as its width allows: addresses lose their middle, and columns that say least are left out, the source's at
//! last. Its id is whole at any width.

use causeway::v1::{Job, ListRequest};
use causeway::words::Word;
use causeway::{Client, Exit, view};
use comfy_table::Table;

use crate::cli::{self, Jobs};
use crate::ends;
use crate::print::{self, Out, plain};
use crate::table::{self, fit};

const PAGE_MAX: u64 = 1_000;

const HEADINGS: [&str; 9] =
    ["JOB", "STATE", "KIND", "DONE", "SIZE", "PRIO", "SUBMITTED", "SOURCE", "TARGET"];
const STATE: usize = 1;
const KIND: usize = 2;
const SIZE: usize = 4;
const PRIORITY: usize = 5;
const SUBMITTED: usize = 6;
const SOURCE: usize = 7;
const TARGET: usize = 8;

/// Blanks beside a cell.
const PADDING: usize = 2;
/// Columns of a source and a target together: below them the next layout is tried, where there is one. With fewer,
/// what is left of a key is its bucket's first letters.
const ADDRESSES: usize = 36;
/// The same, below which the line is wider than the terminal.
const ADDRESSES_MIN: usize = 16;

/// What of a job is shown.
#[derive(Clone, Copy, Debug)]
struct Layout {
    has_short_states: bool,
    /// Columns that are left out.
    hidden: &'static [usize],
}

/// From the widest to the narrowest.
const LAYOUTS: [Layout; 7] = [
    Layout { has_short_states: false, hidden: &[] },
    Layout { has_short_states: true, hidden: &[] },
    Layout { has_short_states: true, hidden: &[PRIORITY] },
    Layout { has_short_states: true, hidden: &[PRIORITY, KIND] },
    Layout { has_short_states: true, hidden: &[PRIORITY, KIND, SIZE] },
    // The list is in this order.
    Layout { has_short_states: true, hidden: &[PRIORITY, KIND, SIZE, SUBMITTED] },
    NARROWEST,
];
const NARROWEST: Layout =
    Layout { has_short_states: true, hidden: &[PRIORITY, KIND, SIZE, SUBMITTED, SOURCE] };

/// The terminal that is written to.
#[derive(Clone, Copy, Debug)]
struct Screen {
    width: usize,
    /// What stands for what is left out.
    mark: &'static str,
}

impl Screen {
    /// `None` where it is a pipe: that gets everything.
    fn of_stdout() -> Option<Self> {
        table::width().map(|width| Self { width, mark: fit::ellipsis(fit::has_utf8()) })
    }
}

pub async fn jobs(client: &Client, out: &mut Out, arguments: &Jobs) -> anyhow::Result<Exit> {
    let filter = cli::filter(&arguments.states, &arguments.labels);
    let mut page_token = arguments.page_token.clone();
    let mut left = if arguments.limit == 0 { u64::MAX } else { arguments.limit };
    let mut list = List { pending: Vec::new(), layout: None };
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
    if list.layout.is_none() && !out.is_json() {
        print::note("no jobs");
    }
    if !page_token.is_empty() && !out.is_closed() {
        print::note(format_args!("more follow: --page-token {}", plain(&page_token)));
    }
    Ok(Exit::Done)
}

/// Jobs on their way to stdout: JSON at once, tables a thousand rows at a time, because the width of a
/// column follows from its cells and memory must not follow from the number of jobs.
struct List {
    pending: Vec<Job>,
    /// As the first rows were printed, below their headings: the rest stands in the same columns.
    layout: Option<Layout>,
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
        let screen = Screen::of_stdout();
        let is_first = self.layout.is_none();
        let layout = *self.layout.get_or_insert_with(|| layout(&self.pending, screen));
        let headings: &[&str] = if is_first { &HEADINGS } else { &[] };
        let table = rows(&self.pending, headings, layout, screen, out.has_colour());
        self.pending.clear();
        out.write(&table::text(&table))
    }
}

/// The first in which the addresses have room, else the narrowest.
fn layout(jobs: &[Job], screen: Option<Screen>) -> Layout {
    let Some(Screen { width, .. }) = screen else { return LAYOUTS[0] };
    let fits = |layout: &Layout| {
        let widths = widths(&words(jobs, *layout));
        room(&widths, *layout, width) >= ADDRESSES.min(widths[SOURCE] + widths[TARGET])
    };
    LAYOUTS.into_iter().find(fits).unwrap_or(NARROWEST)
}

fn rows(
    jobs: &[Job],
    headings: &[&str],
    layout: Layout,
    screen: Option<Screen>,
    colour: bool,
) -> Table {
    let mut words = words(jobs, layout);
    if let Some(screen) = screen {
        shorten(&mut words, layout, screen);
    }
    let is_shown = |at: usize| !layout.hidden.contains(&at);
    let headings: Vec<&str> =
        (0..).zip(headings).filter(|(at, _)| is_shown(*at)).map(|(_, heading)| *heading).collect();
    let mut table = table::new(&headings);
    for (job, words) in jobs.iter().zip(words) {
        let shown = (0..).zip(words).filter(|(at, _)| is_shown(*at));
        table.add_row(shown.map(|(at, words)| match at {
            STATE => table::state_cell(&words, job.state(), colour),
            _ => table::cell(&words),
        }));
    }
    table::keep_whole(&mut table, 0..HEADINGS.len());
    table
}

/// What is said of each job, a text a column.
fn words(jobs: &[Job], layout: Layout) -> Vec<[String; 9]> {
    let state = |job: &Job| match layout.has_short_states {
        true => table::short_state(job).to_owned(),
        false => table::state(job),
    };
    let words = |job: &Job| {
        [
            plain(&job.id),
            state(job),
            job.kind().word().unwrap_or("unknown").to_owned(),
            table::done(job),
            table::size(job.bytes_total),
            job.priority.to_string(),
            table::ago(job.submitted_at.as_ref()),
            plain(table::or_dash(ends::source(job))),
            plain(table::or_dash(&ends::target(job))),
        ]
    };
    jobs.iter().map(words).collect()
}

/// How wide each column is, its heading included.
fn widths(words: &[[String; 9]]) -> [usize; 9] {
    let mut widths = HEADINGS.map(fit::columns);
    for row in words {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = fit::columns(text).max(*width);
        }
    }
    widths
}

/// What the other columns leave to source and target.
fn room(widths: &[usize; 9], layout: Layout, width: usize) -> usize {
    let shown = (0..).zip(widths).filter(|(at, _)| !layout.hidden.contains(at));
    let taken = shown.map(|(at, width)| match at {
        SOURCE | TARGET => PADDING,
        _ => width + PADDING,
    });
    width.saturating_sub(taken.sum())
}

/// Takes as much out of the addresses as makes the lines fit. Of two that are too long, each gets a half.
fn shorten(words: &mut [[String; 9]], layout: Layout, screen: Screen) {
    let widths = widths(words);
    let room = room(&widths, layout, screen.width).max(ADDRESSES_MIN);
    let source = if layout.hidden.contains(&SOURCE) { 0 } else { widths[SOURCE] };
    let target = widths[TARGET];
    let for_target = target.min(room / 2).max(room.saturating_sub(source));
    for row in words {
        for (at, width) in [(SOURCE, room - for_target.min(room)), (TARGET, for_target)] {
            let text = std::mem::take(&mut row[at]);
            row[at] = fit::with_more_of_end(text, width, screen.mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway::v1::{
        ImageProgress, ImageRef, JobKind, JobState, MigrateSpec, Stage, StageProgress,
        TransferSpec, WaitReason,
    };
    use comfy_table::ContentArrangement;

    use super::*;

    const IDS: [&str; 3] =
        ["01K7Z3M8Q4T5V6W7X8Y9Z0A1B2", "01K7Z3M8Q4T5V6W7X8Y9Z0A1B3", "01K7Z3M8Q4T5V6W7X8Y9Z0A1B4"];

    /// What is said of one job in a pipe.
    fn said(job: &Job) -> [String; 9] {
        words(std::slice::from_ref(job), LAYOUTS[0]).remove(0)
    }

    /// One that succeeded, one that waits, one that is cancelled while it runs.
    fn jobs() -> Vec<Job> {
        let spec = TransferSpec {
            source: "commercial:golden-images-us-east-2/store/ami-0123456789abcdef0.bin".into(),
            target: "gov:landing-us-gov-west-1/ami-0123456789abcdef0.bin".into(),
            ..Default::default()
        };
        let job = |(id, state): (&str, JobState)| Job {
            id: id.into(),
            kind: JobKind::Transfer.into(),
            state: state.into(),
            stage: Stage::Transferring.into(),
            wait_reason: WaitReason::Credentials.into(),
            transfer: Some(spec.clone()),
            bytes_total: Some(8 << 30),
            ..Default::default()
        };
        let states = [JobState::Succeeded, JobState::Running, JobState::Running];
        let mut jobs: Vec<Job> = IDS.into_iter().zip(states).map(job).collect();
        jobs[2].cancel_requested = true;
        jobs
    }

    /// As on a terminal of so many columns.
    fn printed(width: usize) -> Vec<String> {
        let screen = Some(Screen { width, mark: "..." });
        let jobs = jobs();
        let mut table = rows(&jobs, &HEADINGS, layout(&jobs, screen), screen, false);
        table.set_width(u16::try_from(width).expect("small"));
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table::text(&table).lines().map(str::to_owned).collect()
    }

    /// On 80 columns an id stood on three lines, and could not be copied.
    #[test]
    fn a_job_is_a_line_of_a_terminal_and_its_id_is_whole() {
        for width in [80, 100, 120, 200] {
            let lines = printed(width);
            assert_eq!(lines.len(), 1 + IDS.len(), "{lines:#?}");
            assert!(lines.iter().all(|line| fit::columns(line) <= width), "{width}: {lines:#?}");
            for (line, id) in lines[1..].iter().zip(IDS) {
                assert!(line.starts_with(&format!("{id}  ")), "{width}: {lines:#?}");
            }
        }
        let narrow = printed(80);
        assert_eq!(
            narrow[0].split_whitespace().collect::<Vec<_>>(),
            ["JOB", "STATE", "DONE", "TARGET"]
        );
        assert!(narrow[2].contains("  waits: keys  "), "{narrow:#?}");
        assert!(narrow[3].contains("  cancelling "), "{narrow:#?}");
        // Of two addresses in 16 columns nothing could be told.
        let ends_well = narrow[1].contains("  gov:") && narrow[1].ends_with("89abcdef0.bin");
        assert!(narrow[1].contains("...") && ends_well, "{narrow:#?}");
        assert!(printed(100)[0].contains("  SOURCE  "), "there is room for both");
        assert!(printed(200)[0].contains("KIND"), "there is room for everything");
    }

    /// Where nothing helps, the line is wider than the terminal.
    #[test]
    fn an_id_is_whole_at_any_width() {
        for width in 1..80 {
            let lines = printed(width);
            assert_eq!(lines.len(), 1 + IDS.len(), "{width}: {lines:#?}");
            assert!(lines[1].starts_with(IDS[0]), "{width}: {lines:#?}");
        }
    }

    #[test]
    fn a_pipe_gets_everything() {
        let jobs = jobs();
        let text = table::text(&rows(&jobs, &HEADINGS, layout(&jobs, None), None, false));
        let line = text.lines().nth(2).expect("the second job");
        assert!(line.contains("transferring, waits: credentials"), "{text}");
        let source = "commercial:golden-images-us-east-2/store/ami-0123456789abcdef0.bin";
        assert!(line.contains(source), "{text}");
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
        let row = said(&job);
        assert_eq!(row[1..4], ["storing", "migrate", "37%"]);
        assert_eq!(row[7..], ["com:ami-1", "gov:"]);
        job.state = JobState::Succeeded.into();
        let image =
            ImageRef { remote: "gov".into(), image_id: "ami-9".into(), ..Default::default() };
        job.image.get_or_insert_default().restored = Some(image);
        assert_eq!(said(&job)[8], "gov:ami-9");
    }

    #[test]
    fn a_job_of_an_unknown_kind_has_dashes() {
        assert_eq!(said(&Job::default())[7..], ["-", "-"]);
    }
}
