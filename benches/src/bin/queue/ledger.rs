//! The ledger by itself, with the queue that the daemon left: opening it, and claiming from it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use causewayd::base::NoObserver;
use causewayd::base::Room;
use causewayd::ledger::Ledger;
use causewayd::model::Change;

use crate::report::Row;

const CLAIMS: u32 = 200;
const CALLERS: usize = 64;
const ANY: Room = Room { small: 1, others: 1, large: 1, images: 0 };
const LEASE: Duration = Duration::from_secs(3600);

/// Claims, one after the other and by many at once; everything is given back.
pub fn claim(data: &Path, jobs: u64, row: &mut Row) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let begin = Instant::now();
    let ledger = Ledger::open(data, Arc::new(NoObserver))?;
    row.set("open_s", begin.elapsed().as_secs_f64());
    runtime.block_on(async {
        ledger.reclaim().await?;
        let mut claimed = Vec::new();
        let begin = Instant::now();
        for _ in 0..CLAIMS {
            claimed.extend(ledger.claim(ANY, LEASE).await?);
        }
        row.set("claim_ms", begin.elapsed().as_secs_f64() * 1e3 / f64::from(CLAIMS));
        let begin = Instant::now();
        let many = usize::try_from(jobs / 4)?.min(4_096) / CALLERS * CALLERS;
        for _ in 0..many / CALLERS {
            let round = (0..CALLERS).map(|_| ledger.claim(ANY, LEASE));
            for one in futures::future::join_all(round).await {
                claimed.extend(one?);
            }
        }
        row.set("claims_per_s", many as f64 / begin.elapsed().as_secs_f64());
        let given_back = claimed.iter().filter_map(|job| {
            let token = job.lease.as_ref()?.token;
            Some(ledger.apply(job.id, token, Change::Release))
        });
        for one in futures::future::join_all(given_back).await {
            one?;
        }
        anyhow::Ok(())
    })?;
    Ok(runtime.block_on(ledger.close())?)
}
