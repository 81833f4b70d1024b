//! The outcomes of many submissions: each printed as it comes, all counted, and followed with `--wait`.

use std::collections::HashMap;
use std::io;

use anyhow::Context;
use causeway::v1::{
    Job, SubmitManyResponse, SubmitResponse, WatchRequest, submit_many_response::Outcome,
};
use causeway::{Client, Error, Exit, view};

use crate::ends;
use crate::follow::{self, Progress, Tally};
use crate::print::{self, Out, plain};
use crate::run::submit::{ending, print_plan};

/// Jobs followed at a time with `--wait`; the ids must fit into one request.
const WATCHED_MAX: usize = 1_000;

/// What `submit --recursive` counts.
pub const OBJECT: &str = "object";

/// What a reading thread finds wrong: a line, or the file.
pub type Fault = io::Result<(u64, String)>;

/// Collects outcomes and prints them as they come.
pub struct Report<'a> {
    out: &'a mut Out,
    /// What a number counts: `line`, `object` or `image`.
    noun: &'static str,
    wait: bool,
    accepted: u64,
    existed: u64,
    /// Of those accepted, the jobs: a dry run has none.
    taken: u64,
    refused: u64,
    /// What the refusals agree on.
    refusal: Option<Exit>,
    last_answered: u64,
    /// Why stdout could not be written. Nothing is tried there again, and jobs are told on stderr.
    unwritable: Option<anyhow::Error>,
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
    pub fn new(out: &'a mut Out, noun: &'static str, wait: bool) -> Self {
        Self {
            out,
            noun,
            wait,
            accepted: 0,
            existed: 0,
            taken: 0,
            refused: 0,
            refusal: None,
            last_answered: 0,
            unwritable: None,
            to_follow: Vec::new(),
        }
    }

    pub fn answer(&mut self, answer: &SubmitManyResponse) -> anyhow::Result<()> {
        self.last_answered = answer.line;
        let accepted = match &answer.outcome {
            Some(Outcome::Accepted(accepted)) => accepted,
            Some(Outcome::Refused(fault)) => {
                let exit = Exit::of_faults([fault.code]);
                self.refuse(answer.line, exit, view::Fault::from(fault));
                return Ok(());
            }
            None => return Err(Error::Incomplete { field: "outcome" }.into()),
        };
        self.accepted += 1;
        self.existed += u64::from(accepted.existed);
        self.taken += u64::from(accepted.job.is_some());
        if let (true, Some(job)) = (self.wait, &accepted.job) {
            // Who ends the wait early would know of no job. Its outcome is printed when it ends.
            print::note(format_args!("job {}", of(job)));
            let (line, id, existed) = (answer.line, job.id.clone(), accepted.existed);
            self.to_follow.push(Followed { line, id, existed });
            return Ok(());
        }
        self.print(|report| report.outcome(answer, accepted));
        if let (true, Some(job)) = (self.is_unwritable(), &accepted.job) {
            print::note(format_args!("job {}", of(job)));
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        answer: &SubmitManyResponse,
        accepted: &SubmitResponse,
    ) -> anyhow::Result<()> {
        if self.out.is_json() {
            return self.out.json(&view::Line::from(answer));
        }
        if let Some(plan) = &accepted.plan {
            self.out.line(format_args!("{} {}", self.noun, answer.line))?;
            print_plan(self.out, plan)?;
        } else if let Some(job) = &accepted.job {
            self.out.line(of(job))?;
        }
        Ok(())
    }

    /// Prints on stdout, unless that has failed before.
    fn print(&mut self, printed: impl FnOnce(&mut Self) -> anyhow::Result<()>) {
        if !self.is_unwritable() {
            self.unwritable = printed(self).err();
        }
    }

    /// Whether outcomes cannot be printed: then there should be no more of them.
    pub fn is_unwritable(&self) -> bool {
        self.unwritable.is_some()
    }

    pub fn fault(&mut self, fault: Fault) -> anyhow::Result<()> {
        let (line, message) = fault.with_context(|| {
            // Lines that were read before may be with the daemon, and their answers still on the way.
            self.note_unanswered();
            format!("the manifest cannot be read on; {} lines went in", self.accepted)
        })?;
        self.refuse(line, Exit::Refused, view::Fault::invalid(message));
        Ok(())
    }

    fn refuse(&mut self, line: u64, exit: Exit, fault: view::Fault) {
        self.refused += 1;
        // A refusal is no success, even where the daemon gives it the code of one.
        let exit = if exit == Exit::Done { Exit::Refused } else { exit };
        self.refusal = Some(self.refusal.map_or(exit, |before| before.agreed(exit)));
        self.out.error(format_args!("{} {line}: {}", self.noun, fault.message));
        if self.out.is_json() {
            self.print(|report| report.out.json(&view::Line::refused(line, fault)));
        }
    }

    /// The stream broke: what was answered is on the daemon's disk, what follows is not known.
    pub fn broken(&self, error: Error) -> anyhow::Error {
        self.note_unanswered();
        error.into()
    }

    fn note_unanswered(&self) {
        print::note(format_args!(
            "{} answered up to {} {} ({} accepted); what follows may have been taken too: repeat it \
             with idempotency keys, or look with `causeway jobs`",
            self.accepted + self.refused,
            self.noun,
            self.last_answered,
            self.accepted
        ));
    }

    pub async fn finish(self, client: &Client) -> anyhow::Result<Exit> {
        print::note(format_args!(
            "{} accepted ({} were there already), {} refused",
            self.accepted, self.existed, self.refused
        ));
        if let Some(error) = self.unwritable {
            if self.noun != OBJECT {
                // Below a prefix there is nothing to stop: all of it was answered.
                print::note(format_args!(
                    "answered up to {} {}; what follows was not submitted",
                    self.noun, self.last_answered
                ));
            }
            return Err(error);
        }
        if self.refusal == Some(Exit::Unreachable) && self.taken > 0 {
            // The code says that trying again may help. Of all of it, that is each accepted job a second time.
            print::note(
                "repeat it with idempotency keys, or only what was refused: the rest went in",
            );
        }
        let mut tally = Tally::default();
        for chunk in self.to_follow.chunks(WATCHED_MAX) {
            tally.add(&follow_chunk(client, self.out, chunk).await?);
        }
        if self.wait && tally.ended() > 0 {
            print::note(tally);
        }
        if self.last_answered == 0 && self.noun == OBJECT {
            // A prefix with a typing error must not look like work that was done.
            let message = "no object below the prefix is to be carried".to_owned();
            return Err(Error::NotFound { message }.into());
        }
        // A refused line weighs more than a failed job: nothing in the queue stands for it.
        Ok(self.refusal.unwrap_or_else(|| tally.exit()))
    }
}

/// `ID  SRC -> DST`
fn of(job: &Job) -> String {
    plain(&format!("{}  {} -> {}", job.id, ends::source(job), ends::target(job)))
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
    let mut progress = Progress::new(out);
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
    follow::follow(client, request, &mut progress, &mut ended).await
}
