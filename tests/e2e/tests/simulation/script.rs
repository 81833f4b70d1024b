//! One seed: what is done to the daemon, and when.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use causewayd::base::CrashPoint;
use causewayd::ledger::Error;
use causewayd::model::{Change, JobId, JobState, Labels, Submission, TransferSpec, Verify};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sandbox::{Action, Attributes, Endpoint, EndpointOptions, EtagStyle, Fault, Side, Synthetic};

use crate::model::{Known, Model};
use crate::node::Node;
use crate::tally::Tally;

const MIB: u64 = 1 << 20;
/// Empty, tiny, small, the largest that goes by PutObject, and some of two to four parts.
const SIZES: [u64; 8] = [0, 1, 100_000, 3 * MIB, 8 * MIB, 8 * MIB + 1, 11 * MIB, 17 * MIB + 5];
const PART: u64 = 5 * MIB;
/// What no job of a seed may take longer than, once nothing is in its way.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest that a request is held up by a fault.
const DELAY_MAX: Duration = Duration::from_millis(100);
const ACTOR: &str = "uid:0";

/// Runs one seed to its end and checks it.
pub fn run(seed: u64, tally: &Tally) -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("causeway-sim-")?;
    let cloud =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let options = |options: EndpointOptions, bucket: &str| {
        EndpointOptions { plain_http: true, etags: EtagStyle::Opaque, ..options }.bucket(bucket)
    };
    let commercial = options(EndpointOptions::commercial(), "images");
    let commercial = cloud.block_on(Endpoint::start(commercial))?;
    let gov = cloud.block_on(Endpoint::start(options(EndpointOptions::gov(), "landing")))?;
    let rng = StdRng::seed_from_u64(seed);
    let mut seed_run = SeedRun {
        dir: dir.path(),
        commercial: &commercial,
        gov: &gov,
        node: Some(Node::start(dir.path(), &commercial, &gov)?),
        rng,
        model: Model::default(),
        tally,
        moved: 0,
        unsubmitted: Vec::new(),
    };
    seed_run.prepare(&cloud)?;
    seed_run.play()?;
    let jobs = seed_run.finish(&cloud)?;
    let count = |state| jobs.iter().filter(|state_of| **state_of == state).count() as u64;
    Tally::add(&tally.seeds, 1);
    Tally::add(&tally.jobs, jobs.len() as u64);
    Tally::add(&tally.succeeded, count(JobState::Succeeded));
    Tally::add(&tally.failed, count(JobState::Failed));
    Tally::add(&tally.cancelled, count(JobState::Cancelled));
    Ok(())
}

struct SeedRun<'a> {
    dir: &'a Path,
    commercial: &'a Endpoint,
    gov: &'a Endpoint,
    /// `None` only while it is being replaced.
    node: Option<Node>,
    rng: StdRng,
    model: Model,
    tally: &'a Tally,
    moved: u64,
    /// Objects whose job is not acknowledged yet, by their number.
    unsubmitted: Vec<(usize, Synthetic)>,
}

impl SeedRun<'_> {
    fn prepare(&mut self, cloud: &tokio::runtime::Runtime) -> Result<()> {
        for number in 0..self.rng.random_range(3..8) {
            let size = *SIZES.choose(&mut self.rng).context("there are sizes")?;
            let object = Synthetic::new(self.rng.random(), size);
            let key = key(number);
            let put = self.commercial.put("images", &key, object.clone(), Attributes::default());
            cloud.block_on(put)?;
            self.unsubmitted.push((number, object));
        }
        Ok(())
    }

    fn node(&self) -> Result<&Node> {
        self.node.as_ref().context("a daemon is running")
    }

    /// Random acts until everything is submitted, and a few more.
    fn play(&mut self) -> Result<()> {
        let mut more = self.rng.random_range(3..12);
        while more > 0 || !self.unsubmitted.is_empty() {
            more -= i32::from(more > 0);
            match self.rng.random_range(0..20) {
                0..7 => self.submit()?,
                7..9 => self.control(Change::Pause)?,
                9..11 => self.control(Change::Resume)?,
                11 => self.control(Change::Cancel)?,
                12 => self.control(Change::Retry)?,
                13 => self.control(Change::Reprioritize(3))?,
                14..16 => self.fault(),
                16 => self.arm()?,
                17 => self.crash(None)?,
                _ => self.pause(),
            }
            self.bury_the_dead()?;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the moment of an act is what is random")]
    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.rng.random_range(0..60)));
    }

    /// Submits an object's job, perhaps once more although it is known.
    fn submit(&mut self) -> Result<()> {
        let Some((number, object)) = self.unsubmitted.pop() else { return Ok(()) };
        let times = if self.rng.random_bool(0.2) { 2 } else { 1 };
        for _ in 0..times {
            let submitted = {
                let node = self.node()?;
                node.call(node.ledger.submit(submission(number)?, ACTOR))
            };
            match submitted {
                Ok(submitted) => {
                    let known =
                        Known { key: key(number), object: object.clone(), cancelled: false };
                    self.model.jobs.entry(submitted.job.id).or_insert(known);
                }
                Err(Error::Closed) => {
                    // Not acknowledged: it is sent again, and must be the same job if it was taken.
                    self.unsubmitted.push((number, object));
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn control(&mut self, change: Change) -> Result<()> {
        let ids: Vec<JobId> = self.model.jobs.keys().copied().collect();
        let Some(id) = ids.choose(&mut self.rng).copied() else { return Ok(()) };
        let cancels = change == Change::Cancel;
        let node = self.node()?;
        let answer = node.call(node.ledger.control(id, change, ACTOR));
        match answer {
            Ok(_) | Err(Error::Closed) => {
                if let Some(known) = self.model.jobs.get_mut(&id) {
                    known.cancelled |= cancels;
                }
                Ok(())
            }
            Err(Error::Illegal { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a fault on one side. The ones before it go.
    fn fault(&mut self) {
        let reads = ["GetObject", "HeadObject"];
        let writes = [
            "CreateMultipartUpload",
            "UploadPart",
            "CompleteMultipartUpload",
            "PutObject",
            "HeadObject",
            "ListParts",
            "AbortMultipartUpload",
        ];
        let is_read = self.rng.random_bool(0.4);
        let (endpoint, operations) =
            if is_read { (self.commercial, &reads[..]) } else { (self.gov, &writes[..]) };
        let operation = operations.choose(&mut self.rng).copied().unwrap_or("GetObject");
        let in_body = match operation {
            "GetObject" => Some(Side::Response),
            "UploadPart" | "PutObject" => Some(Side::Request),
            _ => None,
        };
        let action = match (self.rng.random_range(0..9), in_body) {
            (0, Some(_)) => Action::Reset,
            (1, Some(_)) => Action::Truncate,
            (2, Some(_)) => {
                self.model.may_fail = true;
                Action::FlipBit
            }
            (3, _) => Action::LoseRequest,
            (4 | 5, _) => Action::LoseAnswer,
            (6, _) => Action::Status("SlowDown".into()),
            (7, _) if operation == "CompleteMultipartUpload" => {
                Action::ErrorIn200("InternalError".into())
            }
            (8, _) => {
                let max = u64::try_from(DELAY_MAX.as_millis()).unwrap_or(u64::MAX);
                Action::DelayMs(self.rng.random_range(1..max))
            }
            _ => Action::Status("InternalError".into()),
        };
        let fault = Fault::on(operation, action)
            .call(self.rng.random_range(1..4))
            .count(self.rng.random_range(1..3))
            .at_byte(self.rng.random_range(0..6 * MIB))
            .side(in_body.unwrap_or_default());
        endpoint.faults([fault]);
        Tally::add(&self.tally.faults, 1);
    }

    fn arm(&mut self) -> Result<()> {
        let point = *CrashPoint::ALL.choose(&mut self.rng).context("there are points")?;
        let times = self.rng.random_range(0..3);
        // An upload is rarely aborted in time: help it along.
        if point == CrashPoint::UploadAborted {
            self.node()?.fate.arm(point, 0);
            for _ in 0..self.model.jobs.len() {
                self.control(Change::Cancel)?;
            }
            return Ok(());
        }
        self.node()?.fate.arm(point, times);
        Ok(())
    }

    /// A daemon that met its point is replaced.
    fn bury_the_dead(&mut self) -> Result<()> {
        let fate = &self.node()?.fate;
        let (is_dead, point) = (fate.is_dead(), fate.point());
        if is_dead { self.crash(point) } else { Ok(()) }
    }

    /// What was on its way when the daemon died has arrived by the time the next one runs: a process
    /// takes longer to start than a request to land. One that landed later still would stay, see
    /// ARCHITECTURE.md.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing tells when a dead client's request lands"
    )]
    fn let_it_land(&self) {
        std::thread::sleep(DELAY_MAX + Duration::from_millis(50));
    }

    fn crash(&mut self, point: Option<CrashPoint>) -> Result<()> {
        let node = self.node.take().context("a daemon is running")?;
        self.moved += node.kill();
        match point {
            Some(point) => self.tally.crashed_at(point),
            None => Tally::add(&self.tally.crashes, 1),
        }
        self.let_it_land();
        self.node = Some(Node::start(self.dir, self.commercial, self.gov)?);
        Ok(())
    }

    /// Takes everything out of the way, waits for the end, and holds it against the model.
    fn finish(mut self, cloud: &tokio::runtime::Runtime) -> Result<Vec<JobState>> {
        let deadline = Instant::now() + PATIENCE;
        self.commercial.faults([]);
        self.gov.faults([]);
        loop {
            self.bury_the_dead()?;
            let node = self.node()?;
            let mut ended = true;
            for id in self.model.jobs.keys() {
                let job = node.ledger.get(*id)?;
                ended &= job.state.is_terminal();
                if job.state == JobState::Paused {
                    // Its daemon may die of it, and is replaced.
                    let _ = node.call(node.ledger.control(*id, Change::Resume, ACTOR));
                }
            }
            if ended {
                break;
            }
            if Instant::now() > deadline {
                bail!("jobs did not end: {:#?}", self.states()?);
            }
            self.pause();
        }
        let node = self.node.take().context("a daemon is running")?;
        let ledger = node.ledger.clone();
        self.moved += node.stop()?;
        let jobs = cloud.block_on(self.model.check(&ledger, self.gov))?;
        let needed = jobs.iter().filter(|job| job.state == JobState::Succeeded);
        let needed: u64 = needed.filter_map(|job| job.size()).sum();
        Tally::add(&self.tally.bytes_moved, self.moved);
        Tally::add(&self.tally.bytes_needed, needed);
        Ok(jobs.iter().map(|job| job.state).collect())
    }

    fn states(&self) -> Result<Vec<(JobId, JobState)>> {
        let ledger = &self.node()?.ledger;
        self.model.jobs.keys().map(|id| Ok((*id, ledger.get(*id)?.state))).collect()
    }
}

fn key(number: usize) -> String {
    format!("ami-{number:02}.bin")
}

fn submission(number: usize) -> Result<Submission> {
    let key = key(number);
    let spec = TransferSpec {
        source: format!("commercial:images/{key}").parse()?,
        target: format!("gov:landing/{key}").parse()?,
        verify: Verify::Auto,
        if_exists: Default::default(),
        part_size: Some(PART),
        storage_class: None,
        encryption: None,
        tags: Default::default(),
        expect_blake3: None,
    };
    let idempotency_key = Some(format!("job {number}"));
    Ok(Submission { spec, priority: 0, labels: Labels::new(), idempotency_key })
}
