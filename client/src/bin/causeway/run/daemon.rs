//! `status`, `limits` and `drain`: the daemon itself.

use std::time::Duration;

use causeway::units::{format_duration, format_rate, format_size};
use causeway::v1::{RemoteLimits, RemoteStatus, SetLimitsRequest, StatusResponse};
use causeway::words::Word;
use causeway::{Client, Exit, view};

use crate::cli::{Limits, LimitsCommand, SetLimits};
use crate::print::{self, Out, plain};
use crate::table;

pub async fn status(client: &Client, out: &mut Out) -> anyhow::Result<Exit> {
    let status = client.status().await?;
    if out.is_json() {
        out.json(&view::Status::from(&status))?;
        return Ok(Exit::Done);
    }
    out.write(&overview(&status))?;
    if !status.remotes.is_empty() {
        out.line("")?;
        out.write(&remotes(&status))?;
    }
    if !status.webhooks.is_empty() {
        out.line("")?;
        out.write(&webhooks(&status))?;
    }
    Ok(Exit::Done)
}

fn webhooks(status: &StatusResponse) -> String {
    let mut table = table::new(&["WEBHOOK", "HOST", "WAITING", "TAKEN", "TROUBLE"]);
    for webhook in &status.webhooks {
        table.add_row([
            table::cell(&webhook.webhook),
            table::cell(&webhook.host),
            table::cell(&webhook.pending.to_string()),
            table::cell(&webhook.delivered.to_string()),
            table::cell(table::or_dash(&webhook.last_error)),
        ]);
    }
    table::text(&table)
}

fn overview(status: &StatusResponse) -> String {
    let state = match (status.ready, status.draining) {
        (false, _) => format!("not ready: {}", status.not_ready_reason),
        (true, true) => "draining: takes no new work".to_owned(),
        (true, false) => "ready".to_owned(),
    };
    let mut queue = status.queue_depth.to_string();
    if status.queue_depth > 0 {
        let oldest = Duration::from_secs(status.queue_oldest_seconds);
        queue.push_str(&format!(", the oldest for {}", format_duration(oldest)));
    }
    let jobs: Vec<String> = status
        .jobs
        .iter()
        .map(|row| format!("{} {}", row.count, row.state().word().unwrap_or("unknown")))
        .collect();
    let memory = format!(
        "{} of {} for object bytes",
        format_size(status.memory_used),
        format_size(status.memory_budget)
    );
    let uptime = format_duration(Duration::from_secs(status.uptime_seconds));
    let mut text = String::new();
    for (name, value) in [
        ("daemon", format!("causewayd {}, up {uptime}", status.version)),
        ("state", state),
        ("data", status.data_dir.clone()),
        ("queue", queue),
        ("jobs", if jobs.is_empty() { "none".to_owned() } else { jobs.join(", ") }),
        ("in flight", format!("{} parts", status.parts_in_flight)),
        ("memory", memory),
    ] {
        text.push_str(format!("{name:<12}{}", plain(&value)).trim_end());
        text.push('\n');
    }
    text
}

/// A table, and below it what is too long for a cell: who each remote is, and what is wrong with it.
fn remotes(status: &StatusResponse) -> String {
    let headings =
        ["REMOTE", "PARTITION", "REGION", "ACCOUNT", "CREDENTIALS", "READ", "WRITE", "AT ONCE"];
    let mut table = table::new(&headings);
    for remote in &status.remotes {
        table.add_row([
            table::cell(&remote.remote),
            table::cell(&remote.partition),
            table::cell(&remote.region),
            table::cell(table::or_dash(&remote.account)),
            table::cell(&expiry(remote)),
            table::cell(&format_rate(remote.read_rate)),
            table::cell(&format_rate(remote.write_rate)),
            table::cell(&format!("{} r, {} w", remote.read_concurrency, remote.write_concurrency)),
        ]);
    }
    table::keep_whole(&mut table, 0..headings.len());
    let mut text = table::text(&table);
    for remote in &status.remotes {
        for (what, value) in [("identity", &remote.arn), ("problem", &remote.problem)] {
            if !value.is_empty() {
                text.push_str(&plain(&format!("{what} of {}: {value}", remote.remote)));
                text.push('\n');
            }
        }
    }
    text
}

fn expiry(remote: &RemoteStatus) -> String {
    match &remote.credentials_expire_at {
        Some(at) => table::expiry(at),
        // They never do, or nobody has asked for them yet.
        None => "no expiry known".to_owned(),
    }
}

pub async fn limits(client: &Client, out: &mut Out, arguments: &Limits) -> anyhow::Result<Exit> {
    let limits = match &arguments.command {
        None => client.limits(None).await?,
        Some(LimitsCommand::Show { remote }) => client.limits(remote.as_deref()).await?,
        Some(LimitsCommand::Set(set)) => client.set_limits(change(set)).await?,
        Some(LimitsCommand::Reset { remote }) => client.reset_limits(remote).await?,
    };
    print_limits(out, &limits)?;
    if let Some(LimitsCommand::Set(SetLimits { persist, .. })) = &arguments.command {
        let until = limits.first().and_then(|limits| view::time(limits.until.as_ref()));
        match (until, persist) {
            (Some(until), _) => {
                print::note(format!("in force until {until}, when the schedule changes it"));
            }
            (None, false) => print::note("in force until the daemon restarts; --persist keeps it"),
            (None, true) => {}
        }
    }
    Ok(Exit::Done)
}

fn change(set: &SetLimits) -> SetLimitsRequest {
    SetLimitsRequest {
        remote: set.remote.clone(),
        read_bandwidth: set.read_bandwidth,
        write_bandwidth: set.write_bandwidth,
        requests_per_second: set.requests_per_second,
        persist: set.persist,
    }
}

fn print_limits(out: &mut Out, limits: &[RemoteLimits]) -> anyhow::Result<()> {
    if out.is_json() {
        for remote in limits {
            out.json(&view::RemoteLimits::from(remote))?;
        }
        return Ok(());
    }
    let mut table = table::new(&["REMOTE", "READ", "WRITE", "REQUESTS", "WHY"]);
    for remote in limits {
        let rate = |limit: Option<u64>| limit.map_or_else(unlimited, format_rate);
        let requests = remote.requests_per_second.map(|requests| format!("{requests}/s"));
        table.add_row([
            table::cell(&remote.remote),
            table::cell(&rate(remote.read_bandwidth)),
            table::cell(&rate(remote.write_bandwidth)),
            table::cell(&requests.unwrap_or_else(unlimited)),
            table::cell(&why(remote)),
        ]);
    }
    out.write(&table::text(&table))
}

/// `schedule entry 2, until 2026-11-21T17:00:00.000Z`.
fn why(limits: &RemoteLimits) -> String {
    let mut text = if limits.paused { "paused by ".to_owned() } else { String::new() };
    text.push_str(limits.origin().word().unwrap_or("-"));
    if let Some(entry) = limits.schedule_entry {
        text.push_str(&format!(" entry {entry}"));
    }
    if let Some(until) = view::time(limits.until.as_ref()) {
        text.push_str(&format!(", until {until}"));
    }
    text
}

pub async fn drain(client: &Client, out: &mut Out, undo: bool) -> anyhow::Result<Exit> {
    let answer = client.drain(undo).await?;
    if out.is_json() {
        out.json(&view::Drain::from(&answer))?;
    } else if answer.draining {
        out.line(format_args!("draining: {} jobs still run", answer.jobs_running))?;
    } else {
        out.line("taking work")?;
    }
    Ok(Exit::Done)
}

fn unlimited() -> String {
    "unlimited".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A role's ARN left the other columns so little that their headings were broken.
    #[test]
    fn who_a_remote_is_and_what_is_wrong_stand_below_the_table() {
        let remote = |name: &str, arn: &str, problem: &str| RemoteStatus {
            remote: name.into(),
            arn: arn.into(),
            problem: problem.into(),
            ..Default::default()
        };
        let known = "arn:aws:sts::111122223333:assumed-role/mover/i-0";
        let remotes_of = vec![remote("com", known, ""), remote("gov", "", "no\x1b keys")];
        let text = remotes(&StatusResponse { remotes: remotes_of, ..Default::default() });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("REMOTE") && lines[0].ends_with("AT ONCE"), "{text}");
        assert!(lines[1].starts_with("com ") && lines[2].starts_with("gov "), "{text}");
        let below = [format!("identity of com: {known}"), r"problem of gov: no\u{1b} keys".into()];
        assert_eq!(lines[3..], below);
    }

    /// Of a remote that had not been asked yet it said that its keys never expire.
    #[test]
    fn an_end_of_credentials_that_is_not_known_is_not_made_up() {
        assert_eq!(expiry(&RemoteStatus::default()), "no expiry known");
    }
}
