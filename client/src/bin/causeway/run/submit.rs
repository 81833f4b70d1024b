//! `submit`: one transfer here, many in `many`.

use causeway::units::{format_rate, format_size};
use causeway::v1::{Job, Plan, SubmitResponse, WatchRequest};
use causeway::words::Word;
use causeway::{Client, Error, Exit, view};

use super::many;
use crate::cli::Submit;
use crate::follow::{self, Progress};
use crate::print::{self, Out, plain};
use crate::table;

pub async fn submit(client: &Client, out: &mut Out, arguments: &Submit) -> anyhow::Result<Exit> {
    if let Some(path) = &arguments.manifest {
        return many::manifest(client, out, arguments, path).await;
    }
    if arguments.recursive {
        return many::prefix(client, out, arguments).await;
    }
    let answer = client.submit(arguments.request()).await.inspect_err(|error| {
        if matches!(error, Error::Unreachable { .. } | Error::TimedOut { .. }) {
            print::note(
                "the daemon may have taken the job: look with `causeway jobs` before repeating, \
                 or repeat safely with --idempotency-key",
            );
        }
    })?;
    if arguments.dry_run {
        let plan = answer.plan.ok_or(Error::Incomplete { field: "plan" })?;
        return print_plan(out, &plan);
    }
    let SubmitResponse { job, existed, .. } = answer;
    let job = job.ok_or(Error::Incomplete { field: "job" })?;
    if existed {
        print::note("the job was there already, by its idempotency key");
    }
    if arguments.wait {
        return wait(client, out, &job, existed).await;
    }
    if out.is_json() {
        out.json(&view::Submitted { existed, job: view::Job::from(&job) })?;
    } else {
        // The id alone on stdout, so that `job=$(causeway submit …)` works.
        out.line(plain(&job.id))?;
        let (state, id) = (table::state(&job), plain(&job.id));
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
    let tally = follow::follow(client, request, &mut Progress::new(), &mut keep).await?;
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
    if let Some(bytes) = job.bytes_total {
        line.push_str(": ");
        line.push_str(&format_size(bytes));
        let elapsed = table::between(job.started_at.as_ref(), job.finished_at.as_ref());
        if let Some(elapsed) = elapsed.filter(|elapsed| !elapsed.is_zero()) {
            let rate = u128::from(bytes) * 1_000_000 / elapsed.as_micros().max(1);
            line.push_str(&format!(
                " in {} ({})",
                causeway::units::format_duration(elapsed),
                format_rate(u64::try_from(rate).unwrap_or(u64::MAX))
            ));
        }
    }
    if let Some(receipt) = &job.receipt {
        line.push_str(&plain(&format!(
            ", blake3 {}, verified by {}",
            receipt.blake3, receipt.verified_by
        )));
    }
    line
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
