//! The outcomes of many submissions: each printed as it comes, all counted, and followed with `--wait`.

use std::collections::HashMap;
use std::io;

use causeway::v1::{
    Job, SubmitManyResponse, SubmitResponse, WatchRequest, submit_many_response::Outcome,
};
use causeway::{Client, Error, Exit, view};

use crate::ends;
use crate::follow::{self, Progress, Tally};
use crate::print::{self, Out, Unwritable, plain};
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
    /// By the daemon.
    answered: u64,
    /// How many it is to answer, once that is known.
    expected: Option<u64>,
    /// Why the manifest cannot be read on. What was sent before is with the daemon, and its answers still come.
    unreadable: Option<io::Error>,
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
            answered: 0,
            expected: None,
            unreadable: None,
            unwritable: None,
            to_follow: Vec::new(),
        }
    }

    /// So many requests there are, sent or not.
    pub fn expect(&mut self, requests: u64) {
        self.expected = Some(requests);
    }

    pub fn answer(&mut self, answer: &SubmitManyResponse) -> anyhow::Result<()> {
        self.last_answered = answer.line;
        self.answered += 1;
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

    pub fn fault(&mut self, fault: Fault) {
        match fault {
            Ok((line, message)) => {
                self.refuse(line, Exit::Refused, view::Fault::invalid(message));
            }
            Err(error) => self.unreadable = Some(error),
        }
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
        self.tell_unreadable();
        error.into()
    }

    /// Says that the manifest ended early, if it did.
    pub fn tell_unreadable(&self) {
        let Some(error) = &self.unreadable else { return };
        let accepted = match self.accepted {
            1 => "1 line was accepted".to_owned(),
            lines => format!("{lines} lines were accepted"),
        };
        self.out.error(format_args!("the manifest cannot be read on; {accepted}: {error}"));
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

    pub async fn finish(mut self, client: &Client) -> anyhow::Result<Exit> {
        if self.answered == 0
            && let Some(error) = self.unreadable.take()
        {
            let error = anyhow::Error::new(error);
            return Err(error.context("the manifest cannot be read; nothing of it was submitted"));
        }
        print::note(format_args!(
            "{} accepted ({} were there already), {} refused",
            self.accepted, self.existed, self.refused
        ));
        self.tell_unreadable();
        if let Some(error) = self.unwritable.take() {
            self.note_left();
            return Err(self.told_jobs_go_on(error));
        }
        if self.refusal == Some(Exit::Unreachable) && self.taken > 0 {
            // The code says that trying again may help. Of all of it, that is each accepted job a second time.
            print::note(
                "repeat it with idempotency keys, or only what was refused: the rest went in",
            );
        }
        let mut tally = Tally::default();
        for chunk in self.to_follow.chunks(WATCHED_MAX) {
            let ended = follow_chunk(client, self.out, chunk).await;
            tally.add(&ended.map_err(|error| self.told_jobs_go_on(error))?);
        }
        if self.wait && tally.ended() > 0 {
            print::note(tally);
        }
        if self.last_answered == 0 && self.noun == OBJECT {
            // A prefix with a typing error must not look like work that was done.
            let message = "no object below the prefix is to be carried".to_owned();
            return Err(Error::NotFound { message }.into());
        }
        if self.unreadable.is_some() && self.accepted > 0 {
            // No refusal's code: some of those say that nothing was done.
            return Ok(Exit::JobFailed);
        }
        // A refused line weighs more than a failed job: nothing in the queue stands for it.
        Ok(self.refusal.unwrap_or_else(|| tally.exit()))
    }

    /// Whether there may be lines that were not sent. Below a prefix there is nothing to stop.
    fn has_left(&self) -> bool {
        self.noun != OBJECT && self.expected.is_none_or(|expected| self.answered < expected)
    }

    fn note_left(&self) {
        if self.has_left() {
            print::note(format_args!(
                "answered up to {} {}; what follows was not submitted",
                self.noun, self.last_answered
            ));
        }
    }

    /// Who waits, and is told no more, would take the jobs for ended.
    fn told_jobs_go_on(&self, error: anyhow::Error) -> anyhow::Error {
        if !self.to_follow.is_empty() && error.is::<Unwritable>() {
            print::note("no longer followed; jobs that have not ended go on: `causeway watch`");
        }
        error
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

#[cfg(test)]
mod tests {
    use causeway::v1::Fault;
    use clap::ColorChoice;

    use super::*;
    use crate::cli::Format;

    fn has_left(noun: &'static str, expected: Option<u64>, answered: u64) -> bool {
        let mut out = Out::new(Format::Table, ColorChoice::Never);
        let mut report = Report::new(&mut out, noun, false);
        for line in 1..=answered {
            let outcome = Some(Outcome::Refused(Fault { code: 3, message: "no".into() }));
            report.answer(&SubmitManyResponse { line, outcome }).expect("complete");
        }
        if let Some(expected) = expected {
            report.expect(expected);
        }
        report.has_left()
    }

    /// "What follows was not submitted" of a file that went in whole has its end looked for.
    #[test]
    fn lines_are_left_only_where_some_may_be_unanswered() {
        assert!(has_left("line", Some(3), 2));
        assert!(!has_left("line", Some(3), 3));
        assert!(has_left("line", None, 3), "the reader has not come to the end");
        assert!(!has_left(OBJECT, None, 2), "the daemon finds them, and answers all");
    }
}
