//! Lists, counts and events.

use super::*;

fn labelled(name: &str, value: &str) -> Submission {
    let labels = Labels::from([("team".into(), value.into())]);
    Submission { labels, ..submission(name) }
}

fn walk(ledger: &Ledger, filter: &Filter, page_size: usize) -> Vec<JobId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.list(filter, page_size, after).expect("readable");
        assert!(page.jobs.len() <= page_size);
        ids.extend(page.jobs.iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

#[tokio::test]
async fn pages_hold_each_job_once_newest_first_and_end() {
    let dir = dir();
    let ledger = open(dir.path());
    let mut ids = Vec::new();
    for one in 0..23 {
        ids.push(submit(&ledger, submission(&one.to_string())).await.id);
    }
    ids.reverse();
    for page_size in [1, 4, 22, 23, 24, usize::MAX] {
        assert_eq!(walk(&ledger, &Filter::default(), page_size), ids);
    }
    let exact = ledger.list(&Filter::default(), 23, None).expect("readable");
    assert_eq!(exact.next, None, "a full last page is the last");
    assert_eq!(ledger.list(&Filter::default(), 0, None).expect("readable").jobs.len(), 1);
}

#[tokio::test]
async fn filters_by_state_and_label_meet_each_other() {
    let dir = dir();
    let ledger = open(dir.path());
    let mut ids = Vec::new();
    for one in 0..12 {
        let team = if one % 2 == 0 { "red" } else { "blue" };
        ids.push(submit(&ledger, labelled(&one.to_string(), team)).await.id);
    }
    for id in &ids[0..3] {
        ledger.control(*id, Change::Pause, "uid:0").await.expect("queued");
    }
    for id in &ids[3..6] {
        ledger.control(*id, Change::Cancel, "uid:0").await.expect("queued");
    }
    let newest =
        |range: std::ops::Range<usize>| ids[range].iter().rev().copied().collect::<Vec<_>>();
    let states = |states: &[JobState]| Filter { states: states.to_vec(), ..Filter::default() };
    assert_eq!(walk(&ledger, &states(&[JobState::Paused]), 2), newest(0..3));
    let both = [JobState::Cancelled, JobState::Paused, JobState::Paused];
    assert_eq!(walk(&ledger, &states(&both), 2), newest(0..6));
    assert_eq!(walk(&ledger, &states(&JobState::ALL), 5), newest(0..12));
    assert_eq!(walk(&ledger, &states(&[JobState::Failed]), 5), []);
    let labels = Labels::from([("team".into(), "red".into())]);
    let red =
        Filter { states: both.to_vec(), kinds: vec![crate::model::JobKind::Transfer], labels };
    assert_eq!(walk(&ledger, &red, 2), [ids[4], ids[2], ids[0]]);
}

#[tokio::test]
async fn counts_follow_every_change_and_survive_reopening() {
    let dir = dir();
    let ledger = open(dir.path());
    assert_eq!(ledger.counts().oldest_queued, None);
    let first = submit(&ledger, submission("a")).await;
    let second = submit(&ledger, submission("b")).await;
    assert_eq!(ledger.counts().oldest_queued, Some(second_of(first.submitted_at)));
    claim(&ledger, ANY).await.expect("queued");
    ledger.control(second.id, Change::Pause, "uid:0").await.expect("queued");
    let counts = ledger.counts();
    let of = |counts: &Counts| {
        [JobState::Queued, JobState::Running, JobState::Paused].map(|s| counts.of(s))
    };
    assert_eq!(of(&counts), [0, 1, 1]);
    assert_eq!(counts.oldest_queued, None);
    ledger.close().await.expect("on disk");
    assert_eq!(open(dir.path()).counts(), counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_durable_change_is_an_event_once_and_in_order() {
    let dir = dir();
    let ledger = open(dir.path());
    let mut newest = ledger.subscribe();
    let writers = (0..8).map(|writer| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for one in 0..10 {
                let job = submit(&ledger, submission(&format!("{writer}-{one}"))).await;
                let paused = ledger.control(job.id, Change::Pause, "uid:0").await.expect("queued");
                seen.extend([job, paused]);
            }
            seen
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut events = Vec::new();
    while events.len() < 160 {
        newest.changed().await.expect("open");
        newest.mark_unchanged();
        let after = events.last().map_or(0, |event: &Event| event.cursor);
        let Events::Some(more) = ledger.events(after, 7).expect("readable") else {
            panic!("nothing was pruned")
        };
        assert!(more.iter().all(|event| event.cursor <= *ledger.subscribe().borrow()));
        events.extend(more);
        if (events.len() as u64) < *newest.borrow() {
            // There is more already: look again without waiting for a change.
            newest.mark_changed();
        }
    }
    assert!(events.iter().zip(1..).all(|(event, cursor)| event.cursor == cursor));
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.expect("no panic"));
    }
    for job in &written {
        let same = events.iter().filter(|event| *event.job == *job).count();
        assert_eq!(same, 1, "{} at revision {}", job.id, job.revision);
    }
    assert_eq!(events.len(), written.len());
    assert_eq!(ledger.events(160, 10).expect("readable"), Events::Some(vec![]));
}

#[tokio::test]
async fn a_reader_that_comes_too_late_is_told_and_can_go_on() {
    let dir = dir();
    let tuning = Tuning { events_kept: 20, ..Tuning::default() };
    let ledger = Ledger::open_tuned(dir.path(), Arc::new(NoObserver), tuning)
        .expect("a directory of our own");
    let id = submit(&ledger, submission("a")).await.id;
    for priority in 0..200 {
        ledger.control(id, Change::Reprioritize(priority), "uid:0").await.expect("queued");
    }
    let Events::TooOld { oldest } = ledger.events(0, 10).expect("readable") else {
        panic!("pruned")
    };
    let Events::Some(kept) = ledger.events(oldest - 1, 1_000).expect("readable") else {
        panic!("the oldest that is kept")
    };
    assert_eq!(kept.last().map(|event| event.cursor), Some(201));
    assert!(matches!(ledger.events(oldest - 2, 10), Ok(Events::TooOld { .. })));
    // A cursor from before the ledger was put back from a backup.
    assert!(matches!(ledger.events(202, 10), Ok(Events::TooOld { .. })));
    assert!(matches!(ledger.events(u64::MAX, 10), Ok(Events::TooOld { .. })));
    ledger.close().await.expect("on disk");
    assert_consistent(&open(dir.path()));
}

/// As many as small jobs have would take ten times the memory.
#[tokio::test]
async fn events_of_large_jobs_are_bounded_by_their_bytes() {
    const BYTES: usize = 64 << 10;
    let dir = dir();
    let tuning = Tuning { events_bytes: BYTES, ..Tuning::default() };
    let ledger = Ledger::open_tuned(dir.path(), Arc::new(NoObserver), tuning)
        .expect("a directory of our own");
    for one in 0..20 {
        submit(&ledger, labelled(&one.to_string(), &"x".repeat(10 << 10))).await;
    }
    let Events::TooOld { oldest } = ledger.events(0, 10).expect("readable") else {
        panic!("more than {BYTES} bytes are kept")
    };
    let Events::Some(kept) = ledger.events(oldest - 1, 100).expect("readable") else {
        panic!("the oldest that is kept")
    };
    assert_eq!(kept.last().map(|event| event.cursor), Some(20));
    let bytes = |event: &Event| serde_json::to_vec(&*event.job).expect("plain data").len();
    let sum: usize = kept.iter().map(bytes).sum();
    assert!(sum <= BYTES && sum + bytes(&kept[0]) > BYTES - 100, "{sum} bytes are kept");

    let larger_than_all = labelled("large", &"x".repeat(2 * BYTES));
    let newest = submit(&ledger, larger_than_all).await;
    let event = Event { cursor: 21, job: Arc::new(newest) };
    assert_eq!(ledger.events(20, 10).expect("readable"), Events::Some(vec![event]));
    assert_consistent(&ledger);
}

/// Who cancels all jobs means also the one that was claimed while they were being read.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_move_between_states_meanwhile_are_listed_once_each() {
    let dir = dir();
    let ledger = open(dir.path());
    let submitted = (0..300).map(|one| submit(&ledger, submission(&one.to_string())));
    let mut ids: Vec<JobId> =
        futures::future::join_all(submitted).await.iter().map(|job| job.id).collect();
    ids.sort_unstable_by(|one, other| other.cmp(one));
    let movers = ids.iter().map(|id| {
        let (ledger, id) = (ledger.clone(), *id);
        tokio::spawn(async move {
            loop {
                for change in [Change::Pause, Change::Resume] {
                    ledger.control(id, change, "uid:0").await.expect("it is nobody else's");
                }
            }
        })
    });
    let movers: Vec<_> = movers.collect();
    let states = vec![JobState::Queued, JobState::Paused];
    let filter = Filter { states, ..Filter::default() };
    let mut newest = ledger.subscribe();
    for round in 0..100 {
        newest.changed().await.expect("open");
        assert_eq!(walk(&ledger, &filter, 1_000), ids, "round {round}");
    }
    movers.iter().for_each(tokio::task::JoinHandle::abort);
    futures::future::join_all(movers).await;
}
