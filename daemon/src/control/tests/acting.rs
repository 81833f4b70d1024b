//! Pause, Resume, Cancel, Retry and Reprioritize.

use causeway_proto::v1;
use tonic::Code;

use super::harness::{Daemon, batch, ids};

const UNKNOWN: &str = "01JD3Z6W4Q8R5T7V9X0Y1A2B3C";

fn action(selection: Option<v1::Selection>) -> v1::ActionRequest {
    v1::ActionRequest { selection }
}

fn filtered(filter: v1::JobFilter) -> Option<v1::Selection> {
    Some(v1::Selection { filter: Some(filter), ..Default::default() })
}

#[tokio::test]
async fn each_named_job_is_answered() {
    let mut daemon = Daemon::start().await;
    let paused = daemon.submit("a", "1").await;
    let queued = daemon.submit("b", "1").await;
    daemon.client.pause(action(ids(&[&paused.id]))).await.expect("legal");
    let asked = action(ids(&[&paused.id, UNKNOWN, &queued.id]));
    let answer = daemon.client.pause(asked).await.expect("answered one by one").into_inner();
    assert_eq!((answer.changed, answer.refused), (1, 2));
    let told: Vec<_> = answer
        .results
        .iter()
        .map(|r| (r.job_id.as_str(), r.state(), r.fault.as_ref().map(|f| Code::from_i32(f.code))))
        .collect();
    let expected = [
        (paused.id.as_str(), v1::JobState::Paused, Some(Code::FailedPrecondition)),
        (UNKNOWN, v1::JobState::Unspecified, Some(Code::NotFound)),
        (queued.id.as_str(), v1::JobState::Paused, None),
    ];
    assert_eq!(told, expected);
    let fault = answer.results[0].fault.as_ref().expect("refused");
    assert!(fault.message.ends_with("cannot pause a job that is paused already"), "{fault:?}");
}

#[tokio::test]
async fn the_only_id_being_unknown_is_not_found() {
    let mut daemon = Daemon::start().await;
    let refused = daemon.client.cancel(action(ids(&[UNKNOWN]))).await.expect_err("unknown");
    assert_eq!(refused.code(), Code::NotFound);
    let refused = daemon.client.cancel(action(ids(&["nonsense"]))).await.expect_err("no id");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_running_job_is_asked_and_stays_running() {
    let mut daemon = Daemon::start().await;
    let job = daemon.submit("a", "1").await;
    daemon.claim().await;
    let answer = daemon.client.pause(action(ids(&[&job.id]))).await.expect("legal").into_inner();
    assert_eq!(answer.results[0].state(), v1::JobState::Running);
    let get = v1::GetRequest { job_id: job.id.clone(), with_parts: false };
    let shown = daemon.client.get(get).await.expect("there").into_inner().job.expect("there");
    assert!(shown.pause_requested && !shown.cancel_requested);
}

/// What a filter selects and cannot be changed is not a fault: it was not meant.
#[tokio::test]
async fn a_filter_changes_those_for_which_it_is_legal() {
    let mut daemon = Daemon::start().await;
    let mut first = Vec::new();
    for n in 0..5 {
        first.push(daemon.submit(&format!("a-{n}"), "1").await.id);
    }
    let other = daemon.submit("b", "2").await;
    daemon.client.cancel(action(ids(&[&first[0]]))).await.expect("legal");
    let answer =
        daemon.client.pause(action(filtered(batch("1")))).await.expect("some").into_inner();
    assert_eq!((answer.changed, answer.refused, answer.results.len()), (4, 0, 4));
    let still = daemon.ledger.get(other.id.parse().expect("its id")).expect("there");
    assert_eq!(still.state, crate::model::JobState::Queued);

    let retried = daemon.client.retry(action(filtered(batch("1")))).await.expect("some");
    assert_eq!(retried.into_inner().changed, 1, "the cancelled one");
    let all = Some(v1::Selection { all: true, ..Default::default() });
    let resumed = daemon.client.resume(action(all)).await.expect("some").into_inner();
    assert_eq!((resumed.changed, resumed.refused), (4, 0));
}

#[tokio::test]
async fn an_answer_lists_a_thousand_and_counts_all() {
    let mut daemon = Daemon::start().await;
    let lines = (0..1_100).map(|n| v1::SubmitManyRequest {
        line: n,
        request: Some(super::harness::request(&format!("o-{n}"), "1")),
    });
    let lines: Vec<_> = lines.collect();
    let mut answers =
        daemon.client.submit_many(tokio_stream::iter(lines)).await.expect("a stream").into_inner();
    while answers.message().await.expect("taken").is_some() {}
    let asked = v1::ReprioritizeRequest { selection: filtered(batch("1")), priority: 9 };
    let answer = daemon.client.reprioritize(asked).await.expect("legal").into_inner();
    assert_eq!((answer.changed, answer.refused, answer.results.len()), (1_100, 0, 1_000));
}

#[tokio::test]
async fn a_selection_is_one_of_three_and_never_everything_by_accident() {
    let mut daemon = Daemon::start().await;
    let job = daemon.submit("a", "1").await;
    let with_ids = ids(&[&job.id]).expect("set");
    for selection in [
        None,
        filtered(v1::JobFilter::default()),
        Some(v1::Selection { all: true, ..with_ids.clone() }),
        Some(v1::Selection { filter: Some(batch("1")), ..with_ids }),
        Some(v1::Selection { all: true, filter: Some(batch("1")), ..Default::default() }),
    ] {
        let refused = daemon.client.cancel(action(selection)).await.expect_err("not one of three");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().starts_with("selection: "), "{refused}");
    }
    let asked = v1::ReprioritizeRequest { selection: ids(&[&job.id]), priority: 101 };
    let refused = daemon.client.reprioritize(asked).await.expect_err("out of range");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let kept = daemon.ledger.get(job.id.parse().expect("its id")).expect("there");
    assert_eq!(kept.revision, 1, "nothing was changed");
}
