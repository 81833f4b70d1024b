//! The end of a seed: everything is taken out of the way, and every job has to come to the end that
//! is due to it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use causewayd::model::{Change, Job, JobState};
use rand::Rng as _;

use super::SeedRun;
use crate::model;
use crate::tally::Tally;

/// What no job of a seed may take longer than, once nothing is in its way.
const PATIENCE: Duration = Duration::from_secs(120);
/// Of one job, in the end: one finds that the source was deleted, one that it is another now, and the
/// third has nothing in its way.
const RETRIES_MAX: usize = 3;

impl SeedRun<'_> {
    /// Takes everything out of the way, waits for the end, and holds it against the model.
    pub(super) fn finish(mut self) -> Result<()> {
        self.commercial.faults([]);
        self.gov.faults([]);
        self.restore()?;
        for number in 0..self.cases.len() {
            if self.cases[number].source_gone && self.rng.random() {
                self.put_source(number, 6_000_000)?;
            }
        }
        self.await_the_end()?;
        while !self.lives.node()?.fate.disarm() {
            self.crash()?;
            self.await_the_end()?;
        }
        let jobs = self.lives.end_all()?;
        self.cloud.block_on(model::check(&self.cases, &jobs, self.gov))?;
        self.check_work(&jobs)?;
        let count = |state| jobs.iter().filter(|job| job.state == state).count() as u64;
        Tally::add(&self.tally.jobs, jobs.len() as u64);
        Tally::add(&self.tally.succeeded, count(JobState::Succeeded));
        Tally::add(&self.tally.failed, count(JobState::Failed));
        Tally::add(&self.tally.cancelled, count(JobState::Cancelled));
        Ok(())
    }

    /// Resumes what is paused and retries what ought to succeed, until every job has ended for good.
    fn await_the_end(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut retries = vec![0; self.cases.len()];
        loop {
            self.look()?;
            let mut ended = true;
            let known: Vec<_> = self.known().collect();
            for (number, id) in known {
                let job = self.lives.node()?.ledger.get(id)?;
                ended &= job.state.is_terminal();
                match job.state {
                    JobState::Paused => self.control(number, id, Change::Resume)?,
                    JobState::Failed if self.cases[number].is_worth_a_retry() => {
                        ensure!(retries[number] < RETRIES_MAX, "retries do not mend it: {job:#?}");
                        ended = false;
                        retries[number] += 1;
                        self.control(number, id, Change::Retry)?;
                        Tally::add(&self.tally.retried, 1);
                    }
                    _ => {}
                }
            }
            if ended && !self.lives.node()?.fate.is_dead() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("jobs did not end: {:#?}", self.lives.node()?.jobs()?);
            }
            self.pause();
        }
    }

    /// What was moved beside what was needed. Without faults it is what was on its way in a crash.
    fn check_work(&self, jobs: &[Job]) -> Result<()> {
        let moved_for = |job: &&Job| job.receipt.as_ref().is_some_and(|r| !r.blake3.is_empty());
        let needed: u64 = jobs.iter().filter(moved_for).filter_map(Job::size).sum();
        let (moved, lost_max) = (self.lives.moved, self.lives.lost_max);
        ensure!(moved >= needed, "{needed} bytes arrived and {moved} were moved");
        let again = moved - needed;
        if self.strict {
            ensure!(again <= lost_max, "{again} bytes were moved again, {lost_max} were in flight");
            Tally::add(&self.tally.strict_again, again);
            Tally::add(&self.tally.strict_lost_max, lost_max);
        }
        Tally::add(&self.tally.bytes_moved, moved);
        Tally::add(&self.tally.bytes_again, again);
        Ok(())
    }
}
