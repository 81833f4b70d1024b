//! The typed library: errors by kind, and a watch that loses nothing.

use std::time::Duration;

use causeway::v1::{
    Check, CheckOutcome, JobState, ListImagesRequest, SubmitManyRequest, SubmitRequest,
    TransferSpec, WatchRequest,
};
use causeway::watch::{Event, Options, Watch};
use causeway::{Client, Error, Exit};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::server::Served;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn request(source: &str) -> SubmitRequest {
    let transfer =
        TransferSpec { source: source.into(), target: "gov:b/".into(), ..Default::default() };
    SubmitRequest { transfer: Some(transfer), ..Default::default() }
}

fn quick() -> Options {
    Options {
        backoff_min: Duration::from_millis(5),
        backoff_max: Duration::from_millis(50),
        give_up_after: Duration::from_secs(20),
    }
}

async fn next(watch: &mut Watch) -> Event {
    let event = timeout(Duration::from_secs(20), watch.next()).await;
    event.expect("an event in time").expect("no error")
}

/// The revisions of jobs that the watch tells, until that of the last change.
async fn revisions(watch: &mut Watch, last: u64) -> Vec<u64> {
    let mut revisions = Vec::new();
    while revisions.last() != Some(&last) {
        if let Event::Job(job) = next(watch).await {
            revisions.push(job.revision);
        }
    }
    revisions
}

#[test]
fn errors_are_split_by_what_the_caller_can_do() {
    let served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        let error = client.get("J404", false).await.expect_err("unknown");
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
        let error = client.submit(request("nobody:b/ok.bin")).await.expect_err("not permitted");
        assert_eq!(error.exit_code(), Exit::NotPermitted);
        let error = client.submit(request("nowhere:b/ok.bin")).await.expect_err("refused");
        assert_eq!(error.exit_code(), Exit::Refused);
        assert_eq!(error.to_string(), "refused: no remote `nowhere`");
        client.drain(false).await.expect("draining");
        let error = client.submit(request("c:b/ok.bin")).await.expect_err("draining");
        assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    });
}

#[test]
fn a_daemon_that_is_not_there_is_unreachable() {
    let mut served = Served::start();
    let endpoint = served.endpoint();
    runtime().block_on(async {
        let client = Client::connect(&endpoint).await.expect("connected");
        served.kill();
        for error in [
            client.status().await.expect_err("the connection broke"),
            Client::connect(&endpoint).await.expect_err("no socket"),
        ] {
            assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
            assert!(error.remedy().is_some_and(|remedy| remedy.contains("causewayd")));
        }
    });
}

/// Waits until the fake has taken so many jobs, and sees that it takes no more.
async fn takes(served: &Served, client: &Client, jobs: usize) {
    let taken = || served.fake.state().jobs.len();
    let enough = async {
        while taken() < jobs {
            client.status().await.expect("it answers");
        }
    };
    timeout(Duration::from_secs(20), enough).await.expect("so many are taken");
    for _ in 0..50 {
        client.status().await.expect("it answers");
    }
    assert_eq!(taken(), jobs);
}

/// The ids of thousands of jobs were lost with the connection of a caller who had stood still for a minute.
#[test]
fn what_is_taken_and_not_told_has_a_bound_and_is_read_off_the_connection() {
    let served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        // Repeated by its answer: what the bound lets through is more than the 2 MiB that HTTP/2 lets wait.
        let long = format!("c:b/{}", "k".repeat(8 << 10));
        let requests =
            (1..=1_000).map(move |line| SubmitManyRequest { line, request: Some(request(&long)) });
        let answers = client.submit_many(tokio_stream::iter(requests)).await;
        let mut answers = answers.expect("a stream");
        takes(&served, &client, 512).await;
        for line in 1..=10 {
            let answer = answers.next().await.expect("no error").expect("an answer");
            assert_eq!(answer.line, line);
        }
        takes(&served, &client, 522).await;
        answers.stop();
        let mut told = 10;
        while answers.next().await.expect("no error").is_some() {
            told += 1;
        }
        assert_eq!((told, served.fake.state().jobs.len()), (522, 522), "each is told");
    });
}

/// The promise of the module: a change made while nobody was connected is told after the restart, once.
#[test]
fn a_watch_resumes_at_its_cursor_and_loses_nothing() {
    let mut served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        let job =
            client.submit(request("c:b/manual.bin")).await.expect("taken").job.expect("a job");
        let wanted = WatchRequest { job_ids: vec![job.id.clone()], ..Default::default() };
        let mut watch = client.watch(wanted, quick());
        assert!(matches!(next(&mut watch).await, Event::Job(_)));
        assert!(matches!(next(&mut watch).await, Event::SnapshotEnd));
        served.fake.change(&job.id, |job| job.state = JobState::Running.into());
        assert_eq!(revisions(&mut watch, 2).await, [2]);

        served.kill();
        served.fake.change(&job.id, |job| job.bytes_done = 1);
        served.fake.change(&job.id, |job| job.bytes_done = 2);
        let mut was_lost = false;
        while !was_lost {
            was_lost = matches!(next(&mut watch).await, Event::Lost { .. });
        }
        served.restart();
        served.fake.end(&job.id, JobState::Succeeded);
        assert_eq!(revisions(&mut watch, 5).await, [3, 4, 5], "all of them, once, in order");
        assert_eq!(watch.cursor(), "5");
        let cursors = served.fake.state().cursors.clone();
        assert_eq!(cursors, ["", "2"]);
    });
}

#[test]
fn a_preflight_makes_no_job_and_tells_both_sides() {
    let served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        let answer = client.preflight(request("c:b/bad.bin")).await.expect("tried");
        let outcomes: Vec<_> = answer.checks.iter().map(Check::outcome).collect();
        assert_eq!(outcomes, [CheckOutcome::Passed, CheckOutcome::Failed]);
        assert_eq!(answer.policies.len(), 2);
        let state = served.fake.state();
        assert_eq!(state.preflights, [request("c:b/bad.bin")]);
        assert!(state.jobs.is_empty());
    });
}

#[test]
fn images_are_listed_and_an_alias_that_was_never_written_cannot_be_put_back() {
    let served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        let wanted = ListImagesRequest {
            remote: "com".into(),
            name: "golden-*".into(),
            latest: 2,
            ..Default::default()
        };
        let images = client.images(wanted).await.expect("listed");
        assert_eq!(images.len(), 2);
        client.submit(request("c:b/manual.bin")).await.expect("taken");
        let error = client.rollback_alias("J00001").await.expect_err("no alias");
        assert_eq!(error.exit_code(), Exit::Refused);
    });
}

/// A cursor out of the middle of a snapshot would skip the jobs behind it.
#[test]
fn a_snapshot_that_breaks_off_is_asked_for_afresh() {
    let served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        for _ in 0..3 {
            client.submit(request("c:b/manual.bin")).await.expect("taken");
        }
        served.fake.state().break_after = Some(2);
        let mut watch = client.watch(WatchRequest::default(), quick());
        assert!(matches!(next(&mut watch).await, Event::Job(_)));
        assert!(matches!(next(&mut watch).await, Event::Job(_)));
        assert!(matches!(next(&mut watch).await, Event::Lost { .. }));
        assert!(matches!(next(&mut watch).await, Event::Restored { afresh: true }));
        for _ in 0..3 {
            assert!(matches!(next(&mut watch).await, Event::Job(_)));
        }
        assert!(matches!(next(&mut watch).await, Event::SnapshotEnd));
        assert_eq!(served.fake.state().cursors, ["", ""]);
    });
}

#[test]
fn a_cursor_that_is_too_old_is_announced_by_a_reset() {
    let served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        client.submit(request("c:b/manual.bin")).await.expect("taken");
        served.fake.state().oldest_cursor = 9;
        let wanted = WatchRequest { cursor: "1".into(), ..Default::default() };
        let mut watch = client.watch(wanted, quick());
        assert!(matches!(next(&mut watch).await, Event::Reset { .. }));
        assert_eq!(watch.cursor(), "");
        assert!(matches!(next(&mut watch).await, Event::Job(_)));
        assert!(matches!(next(&mut watch).await, Event::SnapshotEnd));
        assert_eq!(watch.cursor(), "1");
    });
}

#[test]
fn an_outage_without_end_ends_the_watch() {
    let mut served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        let options = Options { give_up_after: Duration::from_millis(300), ..quick() };
        let mut watch = client.watch(WatchRequest::default(), options);
        assert!(matches!(next(&mut watch).await, Event::SnapshotEnd));
        served.kill();
        let ended = async {
            let mut lost = 0;
            loop {
                match watch.next().await {
                    Ok(Event::Lost { retry_in, .. }) => {
                        assert!(retry_in <= options.backoff_max);
                        lost += 1;
                    }
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => return (lost, error),
                }
            }
        };
        let (lost, error) = timeout(Duration::from_secs(20), ended).await.expect("an end");
        assert!(lost >= 3, "{lost}");
        assert_eq!(error.exit_code(), Exit::Unreachable);
    });
}

/// Waiting for a daemon cannot help when the job does not exist.
#[test]
fn a_watch_of_an_unknown_job_ends_at_once() {
    let served = Served::start();
    runtime().block_on(async {
        let client = Client::connect(&served.endpoint()).await.expect("connected");
        let wanted = WatchRequest { job_ids: vec!["J404".into()], ..Default::default() };
        let mut watch = client.watch(wanted, quick());
        let error = watch.next().await.expect_err("no such job");
        assert_eq!(error.exit_code(), Exit::NotFound);
    });
}
