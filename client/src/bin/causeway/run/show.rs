//! `show` and `receipt`: everything known of one job.

mod image;

use std::fmt::Write;

use causeway::units::{format_rate, format_size};
use causeway::v1::{Job, JobKind, ObjectRef, Part, PartState, TransferSpec};
use causeway::words::Word;
use causeway::{Client, Error, Exit, view};
use serde::Serialize;

use crate::print::{Out, plain};
use crate::table;

/// Characters of the parts map: it must fit a terminal of 80 columns, and a screen.
const MAP_WIDTH: usize = 64;
const MAP_HEIGHT: usize = 8;

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    job: view::Job,
    parts: Vec<view::Part>,
}

pub async fn show(client: &Client, out: &mut Out, job_id: &str) -> anyhow::Result<Exit> {
    let answer = client.get(job_id, true).await?;
    let job = answer.job.ok_or(Error::Incomplete { field: "job" })?;
    if out.is_json() {
        let parts = answer.parts.iter().map(view::Part::from).collect();
        out.json(&Shown { job: view::Job::from(&job), parts })?;
    } else {
        out.write(&describe(&job, &answer.parts))?;
    }
    Ok(Exit::Done)
}

/// JSON in both forms: a receipt is kept, and compared, as it is.
pub async fn receipt(client: &Client, out: &mut Out, job_id: &str) -> anyhow::Result<Exit> {
    let receipt = view::Receipt::from(&client.receipt(job_id).await?);
    if out.is_json() {
        out.json(&receipt)?;
    } else {
        out.line(serde_json::to_string_pretty(&receipt)?)?;
    }
    Ok(Exit::Done)
}

/// Lines of a name and a value.
struct Page(String);

impl Page {
    fn row(&mut self, name: &str, value: impl AsRef<str>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{name:<14}{}", plain(value.as_ref()));
    }

    fn known(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.row(name, value);
        }
    }

    /// Lines of another form, below a blank one.
    fn block(&mut self, text: &str) {
        self.0.push('\n');
        self.0.push_str(text);
    }
}

/// The failure comes first: it is what people look for.
fn describe(job: &Job, parts: &[Part]) -> String {
    let mut page = Page(String::new());
    if let Some(failure) = &job.failure {
        page.row("failure", format!("{} ({})", failure.message, failure.class));
        if !failure.remedy.is_empty() && !failure.message.contains(&failure.remedy) {
            page.row("remedy", &failure.remedy);
        }
    }
    page.row("job", &job.id);
    page.row("kind", job.kind().word().unwrap_or("unknown"));
    page.row("state", table::state(job));
    if let Some(reason) = job.wait_reason().word() {
        page.row("waits for", format!("{reason}: {}", job.wait_detail));
    }
    image::describe_spec(&mut page, job);
    if let Some(transfer) = &job.transfer {
        describe_transfer(&mut page, job, transfer);
    }
    describe_place(&mut page, job);
    if job.transfer.is_some() {
        describe_progress(&mut page, job);
    }
    describe_history(&mut page, job);
    for warning in &job.warnings {
        page.row("warning", warning);
    }
    if let Some(receipt) = job.receipt.as_ref().filter(|receipt| !receipt.blake3.is_empty()) {
        page.row("blake3", &receipt.blake3);
        page.row("crc64nvme", &receipt.crc64nvme);
        page.row("verified by", &receipt.verified_by);
        page.known("target etag", receipt.target.as_ref().map(|target| &target.etag));
        page.known("target version", receipt.target.as_ref().and_then(|t| t.version_id.as_ref()));
    }
    if let Some(image) = &job.image {
        image::describe_progress(&mut page, image);
    }
    if !parts.is_empty() {
        page.0.push_str(&parts_map(parts));
    }
    page.0
}

/// Of an image job, this is the object on its way.
fn describe_transfer(page: &mut Page, job: &Job, spec: &TransferSpec) {
    let [source, target] = match job.kind() {
        JobKind::Transfer | JobKind::Unspecified => ["source", "target"],
        JobKind::Store | JobKind::Restore | JobKind::Migrate => ["carries", "carries to"],
    };
    page.row(source, &spec.source);
    page.row(target, &spec.target);
    page.known("pinned", job.source.as_ref().map(pinned));
    page.known("verify", spec.verify().word());
    page.known("if exists", spec.if_exists().word());
    describe_target(page, spec);
    page.known("expect blake3", spec.expect_blake3.as_ref());
}

/// Where it stands in the queue.
fn describe_place(page: &mut Page, job: &Job) {
    page.row("priority", job.priority.to_string());
    page.known("labels", pairs(&job.labels));
    page.known("idempotency", job.idempotency_key.as_ref());
    page.known("notify", Some(job.notify.join(", ")).filter(|names| !names.is_empty()));
}

fn describe_target(page: &mut Page, spec: &TransferSpec) {
    page.known("storage class", spec.storage_class.as_ref());
    page.known("encryption", spec.sse().word());
    page.known("kms key", spec.sse_kms_key_id.as_ref());
    page.known("tags", pairs(&spec.tags));
}

fn describe_progress(page: &mut Page, job: &Job) {
    let percent = table::percent(job.bytes_done, job.bytes_total);
    page.row(
        "done",
        format!("{} of {} {percent}", format_size(job.bytes_done), table::size(job.bytes_total))
            .trim_end(),
    );
    if job.bytes_per_second > 0 {
        page.row("rate", format_rate(job.bytes_per_second));
    }
    if job.bytes_sent > 0 {
        page.row("sent", format!("{}, repeats included", format_size(job.bytes_sent)));
    }
    if job.parts_total > 0 {
        let (done, total, size) = (job.parts_done, job.parts_total, format_size(job.part_size));
        page.row("parts", format!("{done} of {total}, {size} each"));
    }
}

fn describe_history(page: &mut Page, job: &Job) {
    for (name, at) in [
        ("submitted", job.submitted_at.as_ref()),
        ("started", job.started_at.as_ref()),
        ("finished", job.finished_at.as_ref()),
    ] {
        page.known(name, view::time(at).map(|time| format!("{time}  ({})", table::ago(at))));
    }
    if !job.actor.is_empty() {
        page.row("submitted by", &job.actor);
    }
    page.row("attempts", job.attempts.to_string());
    page.row("revision", job.revision.to_string());
}

fn pinned(object: &ObjectRef) -> String {
    let version = object.version_id.as_ref().map(|id| format!(", version {id}"));
    format!(
        "etag {}{}, {} in {} {}",
        object.etag,
        version.unwrap_or_default(),
        format_size(object.size),
        object.partition,
        object.region
    )
}

fn pairs(map: &std::collections::HashMap<String, String>) -> Option<String> {
    let mut pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.sort();
    (!pairs.is_empty()).then(|| pairs.join(" "))
}

/// Where the parts stand, at most 64 by 8 characters: each stands for one part, or as many as it takes.
fn parts_map(parts: &[Part]) -> String {
    let each = parts.len().div_ceil(MAP_WIDTH * MAP_HEIGHT);
    let cells: Vec<char> = parts.chunks(each).map(map_cell).collect();
    let mut map = String::from("\n");
    for row in cells.chunks(MAP_WIDTH) {
        map.push_str("  ");
        map.extend(row);
        map.push('\n');
    }
    map.push_str("  # done  > under way  + partly done  . to do");
    if each > 1 {
        let _ = write!(map, "  (each: {each} parts)");
    }
    let repeated = parts.iter().filter(|part| part.attempts > 1).count();
    if repeated > 0 {
        let _ = write!(map, "\n  {repeated} parts were sent more than once");
    }
    map.push('\n');
    map
}

fn map_cell(parts: &[Part]) -> char {
    let has = |state| parts.iter().any(|part| part.state() == state);
    if parts.iter().all(|part| part.state() == PartState::Done) {
        '#'
    } else if has(PartState::Active) {
        '>'
    } else if has(PartState::Done) {
        '+'
    } else {
        '.'
    }
}

#[cfg(test)]
mod tests {
    use causeway::v1::{Failure, JobState};

    use super::*;

    fn parts(count: u32, state: impl Fn(u32) -> PartState) -> Vec<Part> {
        (1..=count)
            .map(|number| Part { number, state: state(number).into(), ..Default::default() })
            .collect()
    }

    #[test]
    fn a_small_map_shows_each_part() {
        let map = parts_map(&parts(6, |number| match number {
            1..=3 => PartState::Done,
            4 => PartState::Active,
            _ => PartState::Pending,
        }));
        assert!(map.starts_with("\n  ###>..\n"), "{map}");
    }

    /// 10,000 parts are the most that S3 admits: the map still fits a screen, and no part is left out.
    #[test]
    fn the_largest_map_fits_a_screen() {
        let map = parts_map(&parts(10_000, |number| match number {
            1..=25 => PartState::Done,
            _ => PartState::Pending,
        }));
        let lines: Vec<&str> = map.lines().filter(|line| !line.contains("done")).collect();
        assert!(lines.len() <= MAP_HEIGHT + 1, "{map}");
        assert!(lines.iter().all(|line| line.len() <= MAP_WIDTH + 2), "{map}");
        assert!(map.contains("  #+."), "25 done of 20 a character: one full, one partly: {map}");
        assert!(map.contains("each: 20 parts"));
    }

    #[test]
    fn the_failure_comes_first() {
        let job = Job {
            id: "01J".into(),
            state: JobState::Failed.into(),
            failure: Some(Failure {
                class: "permanent".into(),
                message: "s3:GetObject on b/k: the source changed".into(),
                remedy: "submit again".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let text = describe(&job, &[]);
        let expected = "failure       s3:GetObject on b/k: the source changed (permanent)\n\
                        remedy        submit again\njob           01J\n";
        assert!(text.starts_with(expected), "{text}");
    }
}
