//! Watch: nothing lost, nothing twice, nothing backwards.

use std::collections::BTreeMap;

use causeway_proto::v1;
use causeway_proto::v1::control_client::ControlClient;
use causeway_proto::v1::watch_event::Event as Shown;
use tonic::{Code, Status, Streaming};

use super::harness::{Daemon, WAIT, batch};
use crate::model::{
    Change, JobId, Live, PartDigest, PartFact, PartNumber, PartPlan, PinnedObject, UploadId,
};

type Events = Streaming<v1::WatchEvent>;

async fn watch(daemon: &mut Daemon, request: v1::WatchRequest) -> Events {
    daemon.client.watch(request).await.expect("a stream").into_inner()
}

fn of_batch(of: &str, cursor: &str) -> v1::WatchRequest {
    v1::WatchRequest { filter: Some(batch(of)), cursor: cursor.to_owned(), ..Default::default() }
}

async fn next(events: &mut Events) -> Result<(String, Shown), Status> {
    let event = tokio::time::timeout(WAIT, events.message()).await.expect("in time")?;
    let event = event.expect("a watch never ends by itself");
    Ok((event.cursor, event.event.expect("something")))
}

/// The next durable change: cursor, job, revision. Progress is passed over.
async fn next_job(events: &mut Events) -> (String, v1::Job) {
    loop {
        match next(events).await.expect("an event") {
            (cursor, Shown::Job(job)) => return (cursor, job),
            (_, Shown::Progress(_)) => {}
            other => panic!("not a job: {other:?}"),
        }
    }
}

/// The jobs of the snapshot, and the cursor at its end.
async fn snapshot(events: &mut Events) -> (Vec<v1::Job>, String) {
    let mut jobs = Vec::new();
    loop {
        match next(events).await.expect("an event") {
            (cursor, Shown::SnapshotEnd(_)) => return (jobs, cursor),
            (cursor, Shown::Job(job)) => {
                assert_eq!(cursor, "", "who resumed here would miss the rest");
                jobs.push(job);
            }
            other => panic!("not of a snapshot: {other:?}"),
        }
    }
}

async fn control(daemon: &Daemon, id: &str, change: Change) {
    let id = id.parse().expect("its id");
    daemon.ledger.control(id, change, "test").await.expect("legal");
}

#[tokio::test]
async fn every_change_is_sent_once_and_in_order() {
    let mut daemon = Daemon::start().await;
    let mut events = watch(&mut daemon, of_batch("1", "")).await;
    assert_eq!(snapshot(&mut events).await, (Vec::new(), "0".to_owned()));
    let job = daemon.submit("a", "1").await;
    daemon.submit("not-watched", "2").await;
    for change in [Change::Pause, Change::Resume, Change::Reprioritize(7), Change::Cancel] {
        control(&daemon, &job.id, change).await;
    }
    let mut last = 0;
    for revision in 1..=5 {
        let (cursor, shown) = next_job(&mut events).await;
        assert_eq!((shown.id.as_str(), shown.revision), (job.id.as_str(), revision));
        let cursor: u64 = cursor.parse().expect("a decimal number");
        assert!(cursor > last);
        last = cursor;
    }
}

#[tokio::test]
async fn a_watch_goes_on_from_its_cursor() {
    let mut daemon = Daemon::start().await;
    let mut events = watch(&mut daemon, of_batch("1", "")).await;
    snapshot(&mut events).await;
    let job = daemon.submit("a", "1").await;
    control(&daemon, &job.id, Change::Pause).await;
    let (_, first) = next_job(&mut events).await;
    let (cursor, second) = next_job(&mut events).await;
    assert_eq!((first.revision, second.revision), (1, 2));
    drop(events);
    control(&daemon, &job.id, Change::Resume).await;
    control(&daemon, &job.id, Change::Cancel).await;
    let mut events = watch(&mut daemon, of_batch("1", &cursor)).await;
    for revision in [3, 4] {
        assert_eq!(next_job(&mut events).await.1.revision, revision);
    }
}

#[tokio::test]
async fn a_snapshot_holds_what_has_not_ended_or_what_was_named() {
    let mut daemon = Daemon::start().await;
    let ended = daemon.submit("a", "1").await;
    let open = daemon.submit("b", "1").await;
    control(&daemon, &ended.id, Change::Cancel).await;
    let mut events = watch(&mut daemon, of_batch("1", "")).await;
    let (jobs, _) = snapshot(&mut events).await;
    assert_eq!(jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), [&open.id]);

    let named = v1::WatchRequest { job_ids: vec![ended.id.clone()], ..Default::default() };
    let (jobs, _) = snapshot(&mut watch(&mut daemon, named.clone()).await).await;
    assert_eq!(jobs.iter().map(|job| &job.id).collect::<Vec<_>>(), [&ended.id]);

    // An empty list of states would be all of them: a filter on ended jobs has no snapshot.
    let states = vec![v1::JobState::Cancelled.into()];
    let filter = Some(v1::JobFilter { states, ..Default::default() });
    let asked = v1::WatchRequest { filter, ..Default::default() };
    assert_eq!(snapshot(&mut watch(&mut daemon, asked).await).await.0, []);

    let unknown = "01JD3Z6W4Q8R5T7V9X0Y1A2B3C".to_owned();
    let named = v1::WatchRequest { job_ids: vec![ended.id, unknown], ..named };
    let refused = daemon.client.watch(named).await.expect_err("unknown");
    assert_eq!(refused.code(), Code::NotFound);
}

/// A filter is held against the job as it was then, not as it is now.
#[tokio::test]
async fn an_event_is_filtered_by_the_job_in_it() {
    let mut daemon = Daemon::start().await;
    let states = vec![v1::JobState::Paused.into()];
    let filter = Some(v1::JobFilter { states, ..Default::default() });
    let mut events = watch(&mut daemon, v1::WatchRequest { filter, ..Default::default() }).await;
    snapshot(&mut events).await;
    let job = daemon.submit("a", "1").await;
    for change in [Change::Pause, Change::Resume, Change::Pause, Change::Cancel] {
        control(&daemon, &job.id, change).await;
    }
    for revision in [2, 4] {
        let (_, shown) = next_job(&mut events).await;
        assert_eq!((shown.revision, shown.state()), (revision, v1::JobState::Paused));
    }
}

/// Three pages of jobs, all of them changed again and again while the snapshot is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_under_change_neither_loses_nor_repeats() {
    let mut daemon = Daemon::start().await;
    let lines = (0..700).map(|n| v1::SubmitManyRequest {
        line: n,
        request: Some(super::harness::request(&format!("o-{n}"), "1")),
    });
    let lines: Vec<_> = lines.collect();
    let taken = daemon.client.submit_many(tokio_stream::iter(lines)).await.expect("a stream");
    let mut taken = taken.into_inner();
    let mut all: Vec<JobId> = Vec::new();
    while let Some(answer) = taken.message().await.expect("taken") {
        let Some(v1::submit_many_response::Outcome::Accepted(accepted)) = answer.outcome else {
            panic!("refused: {answer:?}")
        };
        all.push(accepted.job.expect("a job").id.parse().expect("its id"));
    }
    let ledger = daemon.ledger.clone();
    let hammer = tokio::spawn(async move {
        for change in [Change::Pause, Change::Resume, Change::Reprioritize(5)] {
            let turn = all.iter().map(|id| ledger.control(*id, change.clone(), "test"));
            futures::future::try_join_all(turn).await.expect("legal");
        }
    });
    let mut events = watch(&mut daemon, of_batch("1", "")).await;
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut ended = false;
    while !ended || seen.len() < 700 || seen.values().any(|revision| *revision < 4) {
        match next(&mut events).await.expect("an event") {
            (_, Shown::SnapshotEnd(_)) => ended = true,
            (_, Shown::Job(job)) => {
                // The first word on a job is the snapshot's; from there on each change follows.
                if let Some(last) = seen.insert(job.id.clone(), job.revision) {
                    assert_eq!(job.revision, last + 1, "of job {}", job.id);
                }
            }
            other => panic!("neither a job nor the end: {other:?}"),
        }
    }
    hammer.await.expect("no panic");
}

/// Far more events than are on their way at once: the watch waits, and goes on where it was.
#[tokio::test]
async fn a_client_that_does_not_read_loses_nothing() {
    let mut daemon = Daemon::start().await;
    let mut events = watch(&mut daemon, of_batch("1", "")).await;
    snapshot(&mut events).await;
    let job = daemon.submit("a", "1").await;
    for n in 0..1_000 {
        let ledger = &daemon.ledger;
        let id = job.id.parse().expect("its id");
        ledger.control(id, Change::Reprioritize(n % 100), "test").await.expect("legal");
    }
    for revision in 1..=1_001 {
        assert_eq!(next_job(&mut events).await.1.revision, revision);
    }
}

#[tokio::test]
async fn a_gap_is_announced_and_filled_by_a_snapshot() {
    let mut daemon = Daemon::start().await;
    let job = daemon.submit("a", "1").await;
    // Of another ledger: a cursor that this one has not come to.
    let mut events = watch(&mut daemon, of_batch("1", "1000000")).await;
    let (cursor, first) = next(&mut events).await.expect("an event");
    assert!(matches!(first, Shown::Reset(_)), "{first:?}");
    assert_eq!(cursor, "");
    let (jobs, cursor) = snapshot(&mut events).await;
    assert_eq!((jobs.len(), cursor.as_str()), (1, "1"));
    control(&daemon, &job.id, Change::Pause).await;
    assert_eq!(next_job(&mut events).await.1.revision, 2);

    let nonsense = of_batch("1", "nonsense");
    let refused = daemon.client.watch(nonsense).await.expect_err("no cursor");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn progress_of_running_jobs_comes_when_it_changes() {
    let mut daemon = Daemon::start().await;
    let job = daemon.submit("a", "1").await;
    daemon.submit("b", "2").await;
    let id: JobId = job.id.parse().expect("its id");
    assert_eq!(daemon.claim().await.id, id);
    let other = daemon.claim().await;
    let tell = |daemon: &Daemon, bytes_done| {
        let live = Live { bytes_done, bytes_per_second: 10, ..Live::default() };
        let mut told = daemon.engine.told();
        told.live.insert(id, live.clone());
        told.live.insert(other.id, live);
    };
    tell(&daemon, 100);
    let mut events = watch(&mut daemon, of_batch("1", "")).await;
    let (jobs, cursor) = snapshot(&mut events).await;
    assert_eq!((jobs[0].bytes_done, jobs[0].stage()), (100, v1::Stage::Planning));
    let mut resumed = watch(&mut daemon, of_batch("1", &cursor)).await;
    for bytes_done in [100, 200] {
        tell(&daemon, bytes_done);
        for stream in [&mut events, &mut resumed] {
            let (cursor, shown) = next(stream).await.expect("an event");
            let Shown::Progress(progress) = shown else { panic!("not progress: {shown:?}") };
            assert_eq!(
                (progress.job_id.as_str(), progress.bytes_done),
                (job.id.as_str(), bytes_done)
            );
            assert_eq!(cursor, "");
        }
    }
    // Nothing has changed: nothing comes but what is durable.
    let quiet =
        tokio::time::timeout(std::time::Duration::from_millis(1200), events.message()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    control(&daemon, &job.id, Change::Pause).await;
    let (_, shown) = next(&mut events).await.expect("an event");
    assert!(matches!(&shown, Shown::Job(job) if job.pause_requested), "{shown:?}");
}

/// Parts are no events: they show with the figures that move once they are recorded, and a job whose figures stand
/// still is not read again and again for every watch.
#[tokio::test]
async fn progress_tells_the_parts_that_were_recorded_when_its_figures_move() {
    const LEN: u64 = 8 << 20;
    let mut daemon = Daemon::start().await;
    daemon.submit("a", "1").await;
    let job = daemon.claim().await;
    let token = job.lease.as_ref().expect("claimed").token;
    let source = Box::new(PinnedObject::bare(8 * LEN, "e"));
    let plan = PartPlan::new(8 * LEN, Some(LEN), 8).expect("legal");
    let plan = Change::Plan { source, plan, warnings: vec![] };
    for change in [plan, Change::Upload(UploadId("u".into()))] {
        daemon.ledger.apply(job.id, token, change).await.expect("legal");
    }
    let record = async |number: u32| {
        let digest = PartDigest { len: LEN, crc64nvme: 1, subtrees: vec![[7; 32]] };
        let number = PartNumber::new(number).expect("legal");
        let fact = PartFact { number, etag: "p".into(), digest, attempts: 1, bytes_sent: LEN };
        daemon.ledger.record_part(job.id, token, fact).await.expect("it holds an upload");
    };
    let tell = |parts: u64| {
        let live = Live { bytes_done: parts * LEN, ..Live::default() };
        daemon.engine.told().live.insert(job.id, live);
    };
    tell(0);
    let asked = of_batch("1", "");
    let mut events = daemon.client.clone().watch(asked).await.expect("a stream").into_inner();
    snapshot(&mut events).await;
    for parts in 0..3 {
        if parts > 0 {
            record(parts).await;
            let quiet = std::time::Duration::from_millis(1200);
            let quiet = tokio::time::timeout(quiet, events.message()).await;
            assert!(quiet.is_err(), "{quiet:?}");
            tell(parts.into());
        }
        let (_, shown) = next(&mut events).await.expect("an event");
        let Shown::Progress(progress) = shown else { panic!("not progress: {shown:?}") };
        assert_eq!((progress.parts_done, progress.bytes_done), (parts, u64::from(parts) * LEN));
    }
}

#[tokio::test]
async fn a_watch_names_so_many_jobs_at_most() {
    let mut daemon = Daemon::start().await;
    let job = daemon.submit("a", "1").await;
    let named =
        |jobs| v1::WatchRequest { job_ids: vec![job.id.clone(); jobs], ..Default::default() };
    let (jobs, _) = snapshot(&mut watch(&mut daemon, named(65_536)).await).await;
    assert_eq!(jobs.len(), 1);
    let refused = daemon.client.watch(named(65_537)).await.expect_err("one too many");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(
        refused.message().ends_with("name 65536 at most, or follow them by a label"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_stop_ends_every_watch_as_unavailable() {
    let mut daemon = Daemon::start().await;
    let mut events = watch(&mut daemon, of_batch("1", "")).await;
    snapshot(&mut events).await;
    daemon.stop.cancel();
    assert_eq!(next(&mut events).await.expect_err("stopping").code(), Code::Unavailable);
    let served = tokio::time::timeout(WAIT, daemon.served).await;
    served.expect("in time").expect("no panic").expect("a clean end");
}

/// On each connection by itself. The permit comes back when the client leaves: a watch that is gone counts
/// no more.
#[tokio::test]
async fn watches_are_bounded_and_come_back() {
    let mut daemon = Daemon::start().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(watch(&mut daemon, of_batch("1", "")).await);
    }
    let refused = daemon.client.watch(of_batch("1", "")).await.expect_err("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let unknown = "01JD3Z6W4Q8R5T7V9X0Y1A2B3C".to_owned();
    let named = v1::WatchRequest { job_ids: vec![unknown], ..Default::default() };
    let refused = daemon.client.watch(named).await.expect_err("one too many");
    assert_eq!(refused.code(), Code::ResourceExhausted, "and its jobs are not looked for");
    let endpoint = format!("unix://{}", daemon.socket.display());
    let mut other = ControlClient::connect(endpoint).await.expect("listening");
    other.watch(of_batch("1", "")).await.expect("another connection");
    drop(open);
    let again = async {
        while daemon.client.watch(of_batch("1", "")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, again).await.expect("the permits came back");
}
