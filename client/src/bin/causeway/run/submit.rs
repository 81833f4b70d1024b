//! `submit`: one job of any kind here, many in `many`.

use std::time::Duration;

use causeway::units::{format_duration, format_rate, format_size};
use causeway::v1::{
    ImageProgress, Job, Plan, SubmitPrefixRequest, SubmitRequest, SubmitResponse, WatchRequest,
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

/// `01K… succeeded: 8.00 GiB in 12s (683 MiB/s), blake3 …, verified by s3-checksum`
pub fn ending(job: &Job) -> String {
    let mut line = format!("{} {}", plain(&job.id), job.state().word().unwrap_or("unknown"));
    let elapsed = table::between(job.started_at.as_ref(), job.finished_at.as_ref());
    if let Some(image) = &job.image {
        line.push_str(&image_ending(job, image, elapsed));
    } else if let Some(bytes) = job.bytes_total {
        line.push_str(&format!(": {}", format_size(bytes)));
        if let Some(elapsed) = elapsed.filter(|elapsed| !elapsed.is_zero()) {
            let rate = u128::from(bytes) * 1_000_000 / elapsed.as_micros().max(1);
            let rate = format_rate(u64::try_from(rate).unwrap_or(u64::MAX));
            line.push_str(&format!(" in {} ({rate})", format_duration(elapsed)));
        }
    }
    if let Some(receipt) = job.receipt.as_ref().filter(|receipt| !receipt.blake3.is_empty()) {
        line.push_str(&plain(&format!(
            ", blake3 {}, verified by {}",
            receipt.blake3, receipt.verified_by
        )));
    }
    line
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
    use causeway::v1::{Alias, Difference, Fidelity, ImageRef, JobState, MigrateSpec, Receipt};
    use prost_types::Timestamp;

    use super::*;

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
