//! `submit --manifest` and `submit --recursive`: many transfers over one stream.
//!
//! # Invariants
//! - Memory is bounded whatever the manifest's size: a thread reads it line by line into a small channel.
//!   Only `--wait` keeps something for each job: its id.
//! - Every line of a manifest gets exactly one outcome, on stdout when accepted or in JSON, and on stderr
//!   by its number when refused; a refused line does not stop the others.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use causeway::client::Answers;
use causeway::manifest::{Format, Line, Reader};
use causeway::v1::{
    Job, SubmitManyRequest, SubmitManyResponse, SubmitPrefixRequest, WatchRequest,
    submit_many_response::Outcome,
};
use causeway::{Client, Error, Exit, view};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::submit::{ending, print_plan};
use crate::cli::Submit;
use crate::follow::{self, Progress, Tally};
use crate::print::{self, Out, plain};

/// Lines read ahead of the daemon.
const LINES_AHEAD: usize = 64;

/// Jobs followed at a time with `--wait`; the ids must fit into one request.
const WATCHED_MAX: usize = 1_000;

/// What a reading thread finds wrong: a line, or the file.
type Fault = io::Result<(u64, String)>;

pub async fn manifest(
    client: &Client,
    out: &mut Out,
    arguments: &Submit,
    path: &Path,
) -> anyhow::Result<Exit> {
    let input: Box<dyn BufRead + Send> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path)
            .with_context(|| format!("cannot open the manifest `{}`", path.display()))?;
        Box::new(BufReader::with_capacity(64 << 10, file))
    };
    let lines = Reader::new(input, Format::of_path(path), arguments.request());
    let (request_sender, requests) = mpsc::channel(LINES_AHEAD);
    let (fault_sender, mut faults) = mpsc::channel(LINES_AHEAD);
    // A thread and not a blocking task: a read of stdin cannot be interrupted, and the runtime would
    // wait for it when the daemon has gone.
    std::thread::Builder::new()
        .name("manifest".to_owned())
        .spawn(move || read_ahead(lines, &request_sender, &fault_sender))?;

    let mut report = Report::new(out, arguments, "line");
    let opening = client.submit_many(ReceiverStream::new(requests));
    tokio::pin!(opening);
    // The daemon may answer the call only with its first response, and the reader may find a hundred
    // faults before the first good line: both have to be served, or neither gets on.
    let mut answers = loop {
        tokio::select! {
            answers = &mut opening => break answers?,
            Some(fault) = faults.recv() => report.fault(fault)?,
        }
    };
    loop {
        tokio::select! {
            answer = answers.next() => match answer {
                Ok(Some(answer)) => report.answer(&answer)?,
                Ok(None) => break,
                Err(error) => return Err(report.broken(error)),
            },
            Some(fault) = faults.recv() => report.fault(fault)?,
        }
    }
    while let Some(fault) = faults.recv().await {
        report.fault(fault)?;
    }
    report.finish(client).await
}

pub async fn prefix(client: &Client, out: &mut Out, arguments: &Submit) -> anyhow::Result<Exit> {
    let request = SubmitPrefixRequest {
        request: Some(arguments.request()),
        include: arguments.include.clone().unwrap_or_default(),
    };
    let mut answers: Answers = client.submit_prefix(request).await?;
    let mut report = Report::new(out, arguments, "object");
    loop {
        match answers.next().await {
            Ok(Some(answer)) => report.answer(&answer)?,
            Ok(None) => break,
            Err(error) => return Err(report.broken(error)),
        }
    }
    report.finish(client).await
}

/// Ends when the manifest does, or when nobody listens any more.
fn read_ahead(
    lines: Reader<Box<dyn BufRead + Send>>,
    requests: &mpsc::Sender<SubmitManyRequest>,
    faults: &mpsc::Sender<Fault>,
) {
    for line in lines {
        let sent = match line {
            Ok(Line { number, outcome: Ok(request) }) => requests
                .blocking_send(SubmitManyRequest { line: number, request: Some(request) })
                .is_ok(),
            Ok(Line { number, outcome: Err(fault) }) => {
                faults.blocking_send(Ok((number, fault))).is_ok()
            }
            Err(error) => faults.blocking_send(Err(error)).is_ok(),
        };
        if !sent {
            return;
        }
    }
}

/// Collects outcomes and prints them as they come.
struct Report<'a> {
    out: &'a mut Out,
    /// What a number counts: `line` or `object`.
    noun: &'static str,
    wait: bool,
    accepted: u64,
    existed: u64,
    refused: u64,
    last_answered: u64,
    /// Only with `--wait`.
    to_follow: Vec<Followed>,
}

/// A job to wait for.
struct Followed {
    line: u64,
    id: String,
    existed: bool,
}

impl<'a> Report<'a> {
    fn new(out: &'a mut Out, arguments: &Submit, noun: &'static str) -> Self {
        Self {
            out,
            noun,
            wait: arguments.wait,
            accepted: 0,
            existed: 0,
            refused: 0,
            last_answered: 0,
            to_follow: Vec::new(),
        }
    }

    fn answer(&mut self, answer: &SubmitManyResponse) -> anyhow::Result<()> {
        self.last_answered = answer.line;
        let accepted = match &answer.outcome {
            Some(Outcome::Accepted(accepted)) => accepted,
            Some(Outcome::Refused(fault)) => {
                let refusal = view::Fault::from(fault);
                return self.refuse(answer.line, refusal);
            }
            None => return Err(Error::Incomplete { field: "outcome" }.into()),
        };
        self.accepted += 1;
        self.existed += u64::from(accepted.existed);
        if let (true, Some(job)) = (self.wait, &accepted.job) {
            // Printed when it ends: one outcome a line.
            let (line, id, existed) = (answer.line, job.id.clone(), accepted.existed);
            self.to_follow.push(Followed { line, id, existed });
            return Ok(());
        }
        if self.out.is_json() {
            return self.out.json(&view::Line::from(answer));
        }
        if let Some(plan) = &accepted.plan {
            self.out.line(format_args!("{} {}", self.noun, answer.line))?;
            print_plan(self.out, plan)?;
        } else if let Some(job) = &accepted.job {
            let transfer = job.transfer.clone().unwrap_or_default();
            let line = format!("{}  {} -> {}", job.id, transfer.source, transfer.target);
            self.out.line(plain(&line))?;
        }
        Ok(())
    }

    fn fault(&mut self, fault: Fault) -> anyhow::Result<()> {
        let (line, message) = fault.with_context(|| {
            format!("the manifest cannot be read on; {} lines went in", self.accepted)
        })?;
        self.refuse(line, view::Fault::invalid(message))
    }

    fn refuse(&mut self, line: u64, fault: view::Fault) -> anyhow::Result<()> {
        self.refused += 1;
        print::error(format_args!("{} {line}: {}", self.noun, fault.message));
        match self.out.is_json() {
            true => self.out.json(&view::Line::refused(line, fault)),
            false => Ok(()),
        }
    }

    /// The stream broke: what was answered is on the daemon's disk, what follows is not known.
    fn broken(&self, error: Error) -> anyhow::Error {
        print::note(format_args!(
            "{} answered up to {} {} ({} accepted); what follows may have been taken too: repeat it \
             with idempotency keys, or look with `causeway jobs`",
            self.accepted + self.refused,
            self.noun,
            self.last_answered,
            self.accepted
        ));
        error.into()
    }

    async fn finish(self, client: &Client) -> anyhow::Result<Exit> {
        print::note(format_args!(
            "{} accepted ({} were there already), {} refused",
            self.accepted, self.existed, self.refused
        ));
        let mut tally = Tally::default();
        for chunk in self.to_follow.chunks(WATCHED_MAX) {
            tally.add(&follow_chunk(client, self.out, chunk).await?);
        }
        if self.wait && tally.ended() > 0 {
            print::note(tally);
        }
        // A refused line weighs more than a failed job: nothing in the queue stands for it.
        Ok(if self.refused > 0 { Exit::Refused } else { tally.exit() })
    }
}

/// Follows some jobs to their end and prints each as it ends.
async fn follow_chunk(client: &Client, out: &mut Out, chunk: &[Followed]) -> anyhow::Result<Tally> {
    // Two lines may stand for one job, by their idempotency key.
    let mut lines: HashMap<&str, Vec<&Followed>> = HashMap::new();
    for followed in chunk {
        lines.entry(&followed.id).or_default().push(followed);
    }
    let job_ids = lines.keys().map(|id| (*id).to_owned()).collect();
    let request = WatchRequest { job_ids, ..Default::default() };
    let mut ended = |job: &Job| {
        if !out.is_json() {
            return out.line(ending(job));
        }
        for followed in lines.get(job.id.as_str()).into_iter().flatten() {
            let (line, existed) = (followed.line, followed.existed);
            let job = Some(view::Job::from(job));
            out.json(&view::Line { line, existed, job, plan: None, error: None })?;
        }
        Ok(())
    };
    follow::follow(client, request, &mut Progress::new(), &mut ended).await
}
