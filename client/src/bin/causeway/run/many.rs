//! Many jobs over one stream: manifests, prefixes, images chosen by a filter.
//!
//! # Invariants
//! - Memory is bounded whatever the manifest's size: a thread reads it line by line into a small channel.
//!   Only `--wait` keeps something for each job: its id.
//! - Every line of a manifest gets exactly one outcome, on stdout when accepted or in JSON, and on stderr
//!   by its number when refused; a refused line does not stop the others.
//! - Where stdout cannot be written no further line is sent, and what is sent is told on stderr.
//! - Where a manifest cannot be read on, what was sent of it is answered and told all the same.

mod report;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use causeway::client::Answers;
use causeway::manifest::{Format, Line, Reader};
use causeway::v1::{SubmitManyRequest, SubmitPrefixRequest, SubmitRequest};
use causeway::{Client, Exit};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::print::Out;
use report::{Fault, OBJECT, Report};

/// Lines read ahead of the daemon.
const LINES_AHEAD: usize = 64;

/// Every line of a manifest; the request is the defaults of its lines.
pub async fn manifest(
    client: &Client,
    out: &mut Out,
    path: &Path,
    defaults: SubmitRequest,
    wait: bool,
) -> anyhow::Result<Exit> {
    let input: Box<dyn BufRead + Send> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path)
            .with_context(|| format!("cannot open the manifest `{}`", path.display()))?;
        Box::new(BufReader::with_capacity(64 << 10, file))
    };
    let lines = Reader::new(input, Format::of_path(path), defaults);
    let (request_sender, requests) = mpsc::channel(LINES_AHEAD);
    let (fault_sender, mut faults) = mpsc::channel(LINES_AHEAD);
    // A thread and not a blocking task: a read of stdin cannot be interrupted, and the runtime would
    // wait for it when the daemon has gone.
    let reader = std::thread::Builder::new()
        .name("manifest".to_owned())
        .spawn(move || read_ahead(lines, &request_sender, &fault_sender))?;

    let mut report = Report::new(out, "line", wait);
    let opening = client.submit_many(ReceiverStream::new(requests));
    tokio::pin!(opening);
    // The daemon may answer the call only with its first response, and the reader may find a hundred
    // faults before the first good line: both have to be served, or neither gets on.
    let mut answers = loop {
        tokio::select! {
            answers = &mut opening => break answers.inspect_err(|_| report.tell_unreadable())?,
            Some(fault) = faults.recv() => report.fault(fault),
        }
    };
    loop {
        tokio::select! {
            answer = answers.next() => match answer {
                Ok(Some(answer)) => report.answer(&answer)?,
                Ok(None) => break,
                Err(error) => return Err(report.broken(error)),
            },
            Some(fault) = faults.recv() => report.fault(fault),
        }
        if report.is_unwritable() {
            answers.stop();
        }
    }
    while !report.is_unwritable()
        && let Some(fault) = faults.recv().await
    {
        report.fault(fault);
    }
    // One that still reads, as stdin may be for ever, may find more.
    if reader.is_finished()
        && let Ok(Some(lines)) = reader.join()
    {
        report.expect(lines);
    }
    report.finish(client).await
}

/// Every object below a prefix.
pub async fn prefix(
    client: &Client,
    out: &mut Out,
    request: SubmitPrefixRequest,
    wait: bool,
) -> anyhow::Result<Exit> {
    let answers = client.submit_prefix(request).await?;
    collect(client, answers, Report::new(out, OBJECT, wait)).await
}

/// Each of some requests; `noun` is what one stands for.
pub async fn each(
    client: &Client,
    out: &mut Out,
    requests: Vec<SubmitRequest>,
    wait: bool,
    noun: &'static str,
) -> anyhow::Result<Exit> {
    let numbered = (1..)
        .zip(requests)
        .map(|(line, request)| SubmitManyRequest { line, request: Some(request) });
    let numbered: Vec<_> = numbered.collect();
    let mut report = Report::new(out, noun, wait);
    report.expect(numbered.len() as u64);
    let answers = client.submit_many(tokio_stream::iter(numbered)).await?;
    collect(client, answers, report).await
}

async fn collect(
    client: &Client,
    mut answers: Answers,
    mut report: Report<'_>,
) -> anyhow::Result<Exit> {
    loop {
        match answers.next().await {
            Ok(Some(answer)) => report.answer(&answer)?,
            Ok(None) => break,
            Err(error) => return Err(report.broken(error)),
        }
        if report.is_unwritable() {
            answers.stop();
        }
    }
    report.finish(client).await
}

/// Ends when the manifest does, and gives how many requests it made, or when nobody listens any more.
fn read_ahead(
    lines: Reader<Box<dyn BufRead + Send>>,
    requests: &mpsc::Sender<SubmitManyRequest>,
    faults: &mpsc::Sender<Fault>,
) -> Option<u64> {
    let mut made = 0;
    for line in lines {
        let sent = match line {
            Ok(Line { number, outcome: Ok(request) }) => {
                made += 1;
                let request = SubmitManyRequest { line: number, request: Some(request) };
                requests.blocking_send(request).is_ok()
            }
            Ok(Line { number, outcome: Err(fault) }) => {
                faults.blocking_send(Ok((number, fault))).is_ok()
            }
            Err(error) => faults.blocking_send(Err(error)).is_ok(),
        };
        if !sent {
            return None;
        }
    }
    Some(made)
}
