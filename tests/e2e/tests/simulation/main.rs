//! A seeded simulation: many jobs, with submissions, pauses, cancels, retries, faults and crashes in
//! random order, on the real ledger, scheduler, pipeline and transfer against the sandbox's S3. Each
//! seed is checked against a model of what may be.
//!
//! A seed fixes the jobs, the acts and the faults; threads and sockets decide the rest. To see a seed
//! again: `CAUSEWAY_SIM_SEED=17 tests/run simulation --no-capture`. `CAUSEWAY_SIM_SEEDS` says how many
//! seeds a run has, `CAUSEWAY_SOAK_SECONDS` how long it goes on with new ones.

mod fate;
mod model;
mod node;
mod script;
mod tally;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use causewayd::base::CrashPoint;
use tally::Tally;

/// Seeds of a run.
const SEEDS: u64 = 500;
/// Seeds at once: most of the time each waits for a pause between two tries to pass.
const AT_ONCE: usize = 12;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_happens_no_job_is_lost_and_no_byte_is_wrong() -> Result<()> {
    let tally = Tally::default();
    if let Some(seed) = number("CAUSEWAY_SIM_SEED") {
        script::run(seed, &tally)?;
        println!("{tally}");
        return Ok(());
    }
    let seeds = number("CAUSEWAY_SIM_SEEDS").unwrap_or(SEEDS);
    let until = Instant::now() + Duration::from_secs(number("CAUSEWAY_SOAK_SECONDS").unwrap_or(0));
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let work = || -> Result<()> {
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds && Instant::now() >= until {
                break;
            }
            let outcome = script::run(seed, &tally);
            if outcome.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            outcome.with_context(|| format!("seed {seed}: CAUSEWAY_SIM_SEED={seed}"))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let outcomes: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        outcomes.into_iter().try_for_each(|outcome| outcome.expect("a seed panicked"))
    })?;
    println!("{tally}");
    for point in CrashPoint::ALL {
        ensure!(
            tally.crashes_at(point) > 0,
            "no crash at {point:?}: the run proves less than it says"
        );
    }
    Ok(())
}
