//! Killed at any moment: what was acknowledged is there, and nothing is there in part.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

const CHILD_DIR: &str = "CAUSEWAY_TEST_LEDGER_DIR";

/// What the killed process does: not a test by itself, it returns at once when run as one.
#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_is_killed() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let ledger = open(Path::new(&dir));
    let workers = (0..4).map(|worker| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            for one in 0.. {
                let job = submit(&ledger, submission(&format!("{worker}-{one}"))).await;
                println!("submitted {}", job.id);
                let Some(job) = claim(&ledger, ANY).await else { continue };
                let token = token(&job);
                if job.transfer == TransferState::Unplanned {
                    for change in [plan(100 << 20), upload()] {
                        ledger.apply(job.id, token, change).await.expect("leased");
                    }
                }
                for number in 1..4 {
                    ledger.record_part(job.id, token, fact(number)).await.expect("leased");
                }
                let change = if one % 2 == 0 { fail(true) } else { Change::Release };
                let job = ledger.apply(job.id, token, change).await.expect("leased");
                println!("ended {} {}", job.id, job.revision);
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.expect("no panic");
    }
}

/// Runs the child for a while, kills it, and gives what it was told, in order.
fn killed_after(dir: &Path, lines_max: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "ledger::tests::crash::the_process_that_is_killed", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test, again");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let mut lines = out.lines().map_while(Result::ok);
    let told: Vec<String> = lines.by_ref().take(lines_max).collect();
    child.kill().expect("it runs until it is killed");
    child.wait().expect("killed");
    // What it was told up to the last moment counts as well; the last line may be torn.
    let mut rest: Vec<String> = lines.collect();
    rest.pop();
    told.into_iter().chain(rest).collect()
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_and_nothing_is_there_in_part() {
    const SEED: u64 = 20_260_102;
    println!("seed {SEED}");
    let mut random = SmallRng::seed_from_u64(SEED);
    let dir = dir();
    for round in 0..6 {
        let told = killed_after(dir.path(), random.random_range(20..400));
        let ledger = open(dir.path());
        assert_consistent(&ledger);
        let audited = audited::lines(dir.path());
        let submitted: Vec<&str> = audited
            .iter()
            .filter(|line| line["event"] == "submitted")
            .filter_map(|line| line["job"].as_str())
            .collect();
        let mut acknowledged = 0;
        for line in &told {
            let words: Vec<&str> = line.split(' ').collect();
            let (Some(at), Some(id)) = (words.first(), words.get(1)) else { continue };
            let Ok(id) = id.parse() else { continue };
            let job = ledger.get(id).expect("acknowledged");
            assert!(
                submitted.contains(&job.id.to_string().as_str()),
                "{id} is not in the audit log"
            );
            if *at == "ended" {
                let revision: u64 = words[2].parse().expect("printed whole");
                assert!(job.revision >= revision, "{id} went back");
            }
            acknowledged += 1;
        }
        assert!(acknowledged > 10, "round {round} tried something: {told:?}");
        assert_eq!(submitted.len(), keys(&ledger, Table::Jobs).len(), "each job is audited once");
    }
}

/// Anything in any order, with the indexes checked against the jobs, and reopened now and then.
#[tokio::test]
async fn no_walk_leaves_the_indexes_behind_the_jobs() {
    const SEED: u64 = 7;
    println!("seed {SEED}");
    let mut random = SmallRng::seed_from_u64(SEED);
    let dir = dir();
    let mut ledger = open(dir.path());
    let mut ids = Vec::new();
    for step in 0..600 {
        let roll = random.random_range(0..14);
        if ids.is_empty() || roll == 0 {
            ids.push(submit(&ledger, submission(&step.to_string())).await.id);
            continue;
        }
        let id = ids[random.random_range(0..ids.len())];
        let token = ledger.get(id).expect("there").lease.map_or(0, |lease| lease.token);
        let size = [1 << 20, 100 << 20, 2 << 30][random.random_range(0..3)];
        let worker = match roll {
            1 => Some(plan(size)),
            2 => Some(upload()),
            3 => Some(fail(random.random())),
            4 => Some(Change::Stop),
            5 => Some(Change::Release),
            _ => None,
        };
        let person = match roll {
            6 => Some(Change::Pause),
            7 => Some(Change::Resume),
            8 => Some(Change::Cancel),
            9 => Some(Change::Retry),
            10 => Some(Change::Reprioritize(random.random_range(-100..=100))),
            _ => None,
        };
        // Most of these are refused: a refusal must leave no trace either.
        if let Some(change) = worker {
            let _ = ledger.apply(id, token, change).await;
        } else if let Some(change) = person {
            let _ = ledger.control(id, change, "uid:0").await;
        } else if roll == 11 {
            let _ = ledger.record_part(id, token, fact(random.random_range(1..5))).await;
        } else {
            claim(&ledger, if roll == 12 { SMALL } else { ANY }).await;
        }
        if step % 100 == 99 {
            assert_consistent(&ledger);
            ledger.close().await.expect("on disk");
            ledger = open(dir.path());
            assert_consistent(&ledger);
        }
    }
    assert_eq!(audited::lines(dir.path()).last().map(|line| line["seq"].is_u64()), Some(true));
}
