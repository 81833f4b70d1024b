//! `submit`: one job of any kind here, many in `many`.

use std::time::Duration;

use causeway::units::{format_duration, format_rate, format_size};
use causeway::v1::{
    ImageProgress, Job, JobState, Plan, SubmitPrefixRequest, SubmitRequest, SubmitResponse,
    WatchRequest,
};
use causeway::words::Word;
use causeway::{Client, Error, Exit, view};

use super::{many, preflight};
use crate::cli::{Course, Submit};
use crate::ends;
use crate::follow::{self, Progress};
use crate::print::{self, Out, plain};
use crate::table;

pub async fn submit(client: &Client, out: &mut Out, arguments: &Submit) -> anyhow::Result<Exit> {
    let (request, course) = (arguments.request(), arguments.course);
    if let Some(path) = &arguments.manifest {
        return many::manifest(client, out, path, request, course.wait).await;
    }
    if arguments.recursive {
        let include = arguments.include.clone().unwrap_or_default();
        let request = SubmitPrefixRequest { request: Some(request), include };
        return many::prefix(client, out, request, course.wait).await;
    }
    one(client, out, request, course).await
}

/// Submits one job, and follows it where that is asked for. Of an image job there is no plan: what a dry
/// run can tell is what a preflight finds.
pub async fn one(
    client: &Client,
    out: &mut Out,
    request: SubmitRequest,
    course: Course,
) -> anyhow::Result<Exit> {
    if course.dry_run && request.transfer.is_none() {
        return preflight::check(client, out, request).await;
    }
    let answer = client.submit(request).await.inspect_err(|error| {
        if matches!(error, Error::Unreachable { .. } | Error::TimedOut { .. }) {
            print::note(
                "the daemon may have taken the job: look with `causeway jobs` before repeating, \
                 or repeat safely with --idempotency-key",
            );
        }
    })?;
    if course.dry_run {
        let plan = answer.plan.ok_or(Error::Incomplete { field: "plan" })?;
        return print_plan(out, &plan);
    }
    let SubmitResponse { job, existed, .. } = answer;
    let job = job.ok_or(Error::Incomplete { field: "job" })?;
    if existed {
        print::note("the job was there already, by its idempotency key");
    }
    if course.wait {
        // In a box: with the job twice in it, the future would be moved around by the page.
        return Box::pin(wait(client, out, &job, existed)).await;
    }
    let id = plain(&job.id);
    let told = match out.is_json() {
        true => out.json(&view::Submitted { existed, job: view::Job::from(&job) }),
        // The id alone on stdout, so that `job=$(causeway submit …)` works.
        false => out.line(&id),
    };
    // Else nobody would know of it, and make it once more.
    told.inspect_err(|_| print::note(format_args!("the job was taken: {id}")))?;
    if !out.is_json() {
        let state = table::state(&job);
        print::note(format_args!("{state}; follow it: causeway watch {id}"));
    }
    Ok(Exit::Done)
}

/// Follows the job and prints how it ended: one object, or one line.
async fn wait(client: &Client, out: &mut Out, job: &Job, existed: bool) -> anyhow::Result<Exit> {
    print::note(format_args!("job {}", plain(&job.id)));
    let request = WatchRequest { job_ids: vec![job.id.clone()], ..Default::default() };
    let mut last = None;
    let mut keep = |job: &Job| {
        last = Some(job.clone());
        Ok(())
    };
    let progress = &mut Progress::new(out);
    let tally = follow::follow(client, request, progress, &mut keep).await?;
    let job = last.ok_or(Error::Incomplete { field: "job" })?;
    if out.is_json() {
        out.json(&view::Submitted { existed, job: view::Job::from(&job) })?;
    } else {
        out.line(ending(&job))?;
    }
    Ok(tally.exit())
}

/// `01K… succeeded: 8.00 GiB in 12s (683 MiB/s), blake3 …, verified by s3-checksum`, or
/// `01K… failed: 164 MiB of 8.00 GiB: s3:GetObject on b/k: the source changed`
pub fn ending(job: &Job) -> String {
    let mut line = format!("{} {}", plain(&job.id), job.state().word().unwrap_or("unknown"));
    let elapsed = table::between(job.started_at.as_ref(), job.finished_at.as_ref());
    if let Some(image) = &job.image {
        line.push_str(&image_ending(job, image, elapsed));
    } else if let Some(bytes) = job.bytes_total {
        line.push_str(": ");
        line.push_str(&match job.state() {
            JobState::Succeeded => moved(job, bytes, elapsed),
            _ => format!("{} of {}", format_size(job.bytes_done), format_size(bytes)),
        });
    }
    if let (JobState::Failed, Some(failure)) = (job.state(), &job.failure) {
        line.push_str(": ");
        line.push_str(&plain(&failure.message));
    }
    if let Some(receipt) = job.receipt.as_ref().filter(|receipt| !receipt.blake3.is_empty()) {
        line.push_str(&plain(&format!(
            ", blake3 {}, verified by {}",
            receipt.blake3, receipt.verified_by
        )));
    }
    line
}

/// `8.00 GiB in 12s (683 MiB/s)`. The rate is that of bytes that were sent: parts may have been there before.
fn moved(job: &Job, bytes: u64, elapsed: Option<Duration>) -> String {
    let receipt = job.receipt.as_ref();
    let sent = receipt.map_or(0, |receipt| receipt.bytes_sent).max(job.bytes_sent);
    let size = format_size(bytes);
    // What was read has a digest: an empty object, or one whose parts were there, was.
    if sent == 0 && receipt.is_none_or(|receipt| receipt.blake3.is_empty()) {
        return format!("{size} already there, nothing sent");
    }
    let Some(elapsed) = elapsed.filter(|elapsed| !elapsed.is_zero()) else { return size };
    let line = format!("{size} in {}", format_duration(elapsed));
    match u128::from(sent.min(bytes)) * 1_000_000 / elapsed.as_micros().max(1) {
        0 => line,
        rate => format!("{line} ({})", format_rate(u64::try_from(rate).unwrap_or(u64::MAX))),
    }
}

/// `: com:ami-1 -> gov:ami-9 in 1h 02m, alias /golden/web, 2 differences`
fn image_ending(job: &Job, image: &ImageProgress, elapsed: Option<Duration>) -> String {
    let mut line = format!(": {} -> {}", ends::source(job), ends::target(job));
    if let Some(elapsed) = elapsed {
        line.push_str(&format!(" in {}", format_duration(elapsed)));
    }
    if let Some(alias) = &image.alias {
        line.push_str(&format!(", alias {}", alias.parameter));
    }
    match image.fidelity.as_ref().map(|fidelity| fidelity.differences.len()) {
        None | Some(0) => {}
        Some(1) => line.push_str(", 1 difference"),
        Some(count) => line.push_str(&format!(", {count} differences")),
    }
    plain(&line)
}

/// What a transfer would do.
pub fn print_plan(out: &mut Out, plan: &Plan) -> anyhow::Result<Exit> {
    if out.is_json() {
        out.json(&view::Plan::from(plan))?;
        return Ok(Exit::Done);
    }
    for (side, object) in [("source", &plan.source), ("target", &plan.target)] {
        let object = object.clone().unwrap_or_default();
        out.line(plain(&format!(
            "{side:<12}{}:{}/{}  ({} {})",
            object.remote, object.bucket, object.key, object.partition, object.region
        )))?;
    }
    let size = plan.source.as_ref().map(|object| object.size);
    out.line(format_args!("{:<12}{}", "size", table::size(size)))?;
    out.line(match plan.parts {
        0 => format!("{:<12}one PutObject", "parts"),
        parts => format!("{:<12}{parts} of {}", "parts", format_size(plan.part_size)),
    })?;
    out.line(format_args!("{:<12}{}", "to send", format_size(plan.bytes_to_send)))?;
    out.line(format_args!("{:<12}{}", "verify", plan.verify().word().unwrap_or("-")))?;
    out.line(format_args!("{:<12}{}", "if exists", plan.if_exists().word().unwrap_or("-")))?;
    for warning in &plan.warnings {
        out.line(plain(&format!("{:<12}{warning}", "warning")))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use causeway::v1::{Alias, Difference, Failure, Fidelity, ImageRef, MigrateSpec, Receipt};
    use prost_types::Timestamp;

    use super::*;

    /// 8 GiB that took two seconds.
    fn transfer(state: JobState, sent: u64, blake3: &str) -> Job {
        let receipt = Receipt {
            blake3: blake3.into(),
            verified_by: "s3-checksum".into(),
            bytes_sent: sent,
            ..Default::default()
        };
        Job {
            id: "01J".into(),
            state: state.into(),
            started_at: Some(Timestamp { seconds: 0, nanos: 0 }),
            finished_at: Some(Timestamp { seconds: 2, nanos: 0 }),
            bytes_total: Some(8 << 30),
            bytes_done: 8 << 30,
            bytes_sent: sent,
            receipt: Some(receipt).filter(|_| state == JobState::Succeeded),
            ..Default::default()
        }
    }

    #[test]
    fn the_rate_is_that_of_the_bytes_that_were_sent() {
        let succeeded = |sent, blake3| ending(&transfer(JobState::Succeeded, sent, blake3));
        let proof = ", blake3 af13, verified by s3-checksum";
        assert_eq!(
            succeeded(9 << 30, "af13"),
            format!("01J succeeded: 8.00 GiB in 2s (4.00 GiB/s){proof}"),
            "what was sent twice is not carried faster"
        );
        assert_eq!(
            succeeded(2 << 30, "af13"),
            format!("01J succeeded: 8.00 GiB in 2s (1.00 GiB/s){proof}"),
            "the rest was there before"
        );
        assert_eq!(succeeded(0, ""), "01J succeeded: 8.00 GiB already there, nothing sent");
        let empty = Job { bytes_total: Some(0), ..transfer(JobState::Succeeded, 0, "af13") };
        assert_eq!(ending(&empty), format!("01J succeeded: 0 B in 2s{proof}"));
    }

    /// The whole size at a rate that never was stood behind `failed`.
    #[test]
    fn a_job_that_failed_says_how_far_it_came_and_why() {
        let failure = Failure { message: "the source\nchanged".into(), ..Default::default() };
        let mut job = Job {
            bytes_done: 164 << 20,
            failure: Some(failure),
            ..transfer(JobState::Failed, 164 << 20, "")
        };
        let expected = "01J failed: 164 MiB of 8.00 GiB: the source\\u{a}changed";
        assert_eq!(ending(&job), expected);
        job.state = JobState::Cancelled.into();
        assert_eq!(ending(&job), "01J cancelled: 164 MiB of 8.00 GiB");
        (job.state, job.bytes_total) = (JobState::Failed.into(), None);
        assert_eq!(ending(&job), "01J failed: the source\\u{a}changed");
    }

    #[test]
    fn the_end_of_a_migration_names_the_new_image_and_what_is_other() {
        let spec = MigrateSpec { image: "com:ami-1".into(), ..Default::default() };
        let image = ImageProgress {
            restored: Some(ImageRef {
                remote: "gov".into(),
                image_id: "ami-9".into(),
                ..Default::default()
            }),
            alias: Some(Alias { parameter: "/golden/web".into(), ..Default::default() }),
            fidelity: Some(Fidelity {
                differences: vec![Difference::default(), Difference::default()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let job = Job {
            id: "01J".into(),
            state: JobState::Succeeded.into(),
            started_at: Some(Timestamp { seconds: 0, nanos: 0 }),
            finished_at: Some(Timestamp { seconds: 61, nanos: 0 }),
            migrate: Some(spec),
            image: Some(image),
            bytes_total: Some(1),
            receipt: Some(Receipt::default()),
            ..Default::default()
        };
        let expected =
            "01J succeeded: com:ami-1 -> gov:ami-9 in 1m 01s, alias /golden/web, 2 differences";
        assert_eq!(ending(&job), expected);
    }
}
