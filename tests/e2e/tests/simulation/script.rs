//! One seed: what is done to the daemon, and when.

mod cases;
mod end;
mod lives;
mod trouble;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use causewayd::base::CrashPoint;
use causewayd::ledger::Error;
use causewayd::model::{Change, JobId};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sandbox::{Endpoint, EndpointOptions, EtagStyle};
use tokio::runtime::{Builder, Runtime};

use crate::model::{Case, check_kept};
use crate::tally::Tally;
use lives::Lives;

/// One seed of so many has no faults and nobody who meddles: there the work that crashes cost is held
/// against a strict bound.
const STRICT_EVERY: u64 = 4;
const ACTOR: &str = "uid:0";

/// Runs one seed to its end and checks it.
pub fn run(seed: u64, tally: &Tally) -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("causeway-sim-")?;
    let cloud = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let options = |options: EndpointOptions, bucket: &str| {
        EndpointOptions { plain_http: true, etags: EtagStyle::Opaque, ..options }.bucket(bucket)
    };
    let commercial = options(EndpointOptions::commercial(), "images");
    let commercial = cloud.block_on(Endpoint::start(commercial))?;
    let gov = cloud.block_on(Endpoint::start(options(EndpointOptions::gov(), "landing")))?;
    let mut rng = StdRng::seed_from_u64(seed);
    let strict = seed % STRICT_EVERY == STRICT_EVERY - 1;
    let cases = cloud.block_on(cases::prepare(&mut rng, &commercial, &gov))?;
    let mut run = SeedRun {
        commercial: &commercial,
        gov: &gov,
        cloud: &cloud,
        lives: Lives::begin(dir.path(), &commercial, &gov, strict)?,
        unsubmitted: (0..cases.len()).collect(),
        cases,
        rng,
        tally,
        strict,
        expired: None,
        may_expire: !strict,
    };
    run.play()?;
    run.finish()?;
    Tally::add(&tally.seeds, 1);
    Ok(())
}

struct SeedRun<'a> {
    commercial: &'a Endpoint,
    gov: &'a Endpoint,
    cloud: &'a Runtime,
    lives: Lives<'a>,
    cases: Vec<Case>,
    /// Cases whose job is not acknowledged yet.
    unsubmitted: Vec<usize>,
    rng: StdRng,
    tally: &'a Tally,
    strict: bool,
    /// The side whose credentials are expired now.
    expired: Option<&'a Endpoint>,
    may_expire: bool,
}

impl<'a> SeedRun<'a> {
    /// Random acts until everything is submitted, and a few more.
    fn play(&mut self) -> Result<()> {
        let mut more = self.rng.random_range(5..18);
        while more > 0 || !self.unsubmitted.is_empty() {
            more -= i32::from(more > 0);
            self.act()?;
            self.look()?;
        }
        Ok(())
    }

    fn act(&mut self) -> Result<()> {
        match self.rng.random_range(0..32) {
            0..8 => self.submit()?,
            8..10 => self.control_any(Change::Pause)?,
            10..12 => self.control_any(Change::Resume)?,
            12 if !self.strict => self.control_any(Change::Cancel)?,
            13 if !self.strict => self.control_any(Change::Retry)?,
            14 => {
                let priority = self.rng.random_range(-9..10);
                self.control_any(Change::Reprioritize(priority))?;
            }
            15..20 if !self.strict => self.fault(),
            20 if !self.strict => self.change_source()?,
            21 if !self.strict => self.vanish(),
            22 if !self.strict => self.expire_or_restore()?,
            23..26 => self.arm()?,
            26 => self.crash()?,
            27 => self.restart()?,
            _ => self.pause(),
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the moment of an act is what is random")]
    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.rng.random_range(0..60)));
    }

    /// A daemon that met its point is replaced; what was acknowledged has to be there, before and
    /// after.
    fn look(&mut self) -> Result<()> {
        if self.lives.node()?.fate.is_dead() {
            self.crash()?;
        }
        check_kept(&self.cases, &self.lives.node()?.ledger)
    }

    /// Kills the daemon, where it is not dead already, and starts the next one.
    fn crash(&mut self) -> Result<()> {
        let node = self.lives.node()?;
        node.fate.kill();
        match node.fate.point() {
            Some(point) => self.tally.crashed_at(point),
            None => Tally::add(&self.tally.crashes, 1),
        }
        self.lives.replace(&self.cases)
    }

    /// Stops the daemon in order, and starts the next one.
    fn restart(&mut self) -> Result<()> {
        if self.lives.stop(&self.cases)? {
            Tally::add(&self.tally.restarts, 1);
            return Ok(());
        }
        self.crash()
    }

    /// Submits a job, perhaps once more although it is known.
    fn submit(&mut self) -> Result<()> {
        let Some(number) = self.unsubmitted.pop() else { return Ok(()) };
        let times = if self.rng.random_bool(0.2) { 2 } else { 1 };
        for _ in 0..times {
            let submission = cases::submission(number, &self.cases[number])?;
            let node = self.lives.node()?;
            match node.call(node.ledger.submit(submission, ACTOR)) {
                Ok(submitted) => {
                    self.cases[number].told = Some(submitted.job);
                    self.cases[number].unanswered.clear();
                }
                Err(Error::Closed) => {
                    // Not acknowledged: it is sent again, and must be the same job if it was taken.
                    self.unsubmitted.push(number);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if self.cases[number].told.is_some() {
            self.unsubmitted.retain(|other| *other != number);
        }
        Ok(())
    }

    fn control_any(&mut self, change: Change) -> Result<()> {
        // A cancel does without what needs credentials that do not work, see `Transfer::abort`.
        let cancels = change == Change::Cancel;
        if cancels && self.expired.is_some() {
            return Ok(());
        }
        self.may_expire &= !cancels;
        let known: Vec<(usize, JobId)> = self.known().collect();
        match known.choose(&mut self.rng) {
            Some(&(number, id)) => self.control(number, id, change),
            None => Ok(()),
        }
    }

    /// The cases with their jobs.
    fn known(&self) -> impl Iterator<Item = (usize, JobId)> {
        let jobs = self.cases.iter().enumerate();
        jobs.filter_map(|(number, case)| Some((number, case.told.as_ref()?.id)))
    }

    fn control(&mut self, number: usize, id: JobId, change: Change) -> Result<()> {
        let node = self.lives.node()?;
        let answer = node.call(node.ledger.control(id, change.clone(), ACTOR));
        let case = &mut self.cases[number];
        match answer {
            Ok(job) => {
                case.cancelled |= change == Change::Cancel;
                case.told = Some(job);
                case.unanswered.clear();
                Ok(())
            }
            Err(Error::Closed) => {
                case.cancelled |= change == Change::Cancel;
                case.unanswered.push(change);
                Ok(())
            }
            Err(Error::Illegal { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the daemon die at a point that it comes to.
    fn arm(&mut self) -> Result<()> {
        let point = *CrashPoint::ALL.choose(&mut self.rng).context("there are points")?;
        let times = match point {
            // Every change passes here.
            CrashPoint::LedgerFlushing | CrashPoint::LedgerFlushed => self.rng.random_range(0..40),
            // Rarely come to: helped along.
            CrashPoint::BeforeAborting | CrashPoint::UploadAborted | CrashPoint::UploadLetGo => 0,
            _ => self.rng.random_range(0..3),
        };
        self.lives.node()?.fate.arm(point, times);
        match point {
            CrashPoint::BeforeAborting | CrashPoint::UploadAborted if !self.strict => {
                for _ in 0..self.cases.len() {
                    self.control_any(Change::Cancel)?;
                }
            }
            CrashPoint::UploadLetGo if !self.strict => self.vanish(),
            _ => {}
        }
        Ok(())
    }

    /// Polls until `done`, at most for so long.
    #[expect(clippy::disallowed_methods, reason = "nobody tells")]
    fn wait(patience: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<bool> {
        let deadline = Instant::now() + patience;
        while !done()? {
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(true)
    }
}
