//! Submit, SubmitMany and SubmitPrefix.

use causeway_proto::v1;
use causeway_proto::v1::control_client::ControlClient;
use causeway_proto::v1::submit_many_response::Outcome;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::harness::{Daemon, WAIT, request};
use crate::control::Defaults;
use crate::model::{IfExists, Verify};

fn refused(response: &v1::SubmitManyResponse) -> (Code, &str) {
    match &response.outcome {
        Some(Outcome::Refused(fault)) => (Code::from_i32(fault.code), &fault.message),
        other => panic!("not refused: {other:?}"),
    }
}

fn accepted(response: &v1::SubmitManyResponse) -> &v1::SubmitResponse {
    match &response.outcome {
        Some(Outcome::Accepted(accepted)) => accepted,
        other => panic!("not accepted: {other:?}"),
    }
}

#[tokio::test]
async fn a_job_is_in_the_ledger_when_it_is_answered() {
    let mut daemon = Daemon::start().await;
    let job = daemon.submit("a", "1").await;
    let kept = daemon.ledger.get(job.id.parse().expect("its id")).expect("on disk");
    assert_eq!(kept.spec.expect("a transfer").target.to_string(), "gov:vault/a");
    assert_eq!((job.state(), job.revision), (v1::JobState::Queued, 1));
}

#[tokio::test]
async fn an_idempotency_key_answers_the_same_job_or_refuses_another_specification() {
    let mut daemon = Daemon::start().await;
    let keyed = |name: &str| v1::SubmitRequest {
        idempotency_key: Some("once".to_owned()),
        ..request(name, "1")
    };
    let first = daemon.client.submit(keyed("a")).await.expect("taken").into_inner();
    let again = daemon.client.submit(keyed("a")).await.expect("known").into_inner();
    assert!(!first.existed && again.existed);
    assert_eq!(first.job.expect("a job").id, again.job.expect("a job").id);
    let other = daemon.client.submit(keyed("b")).await.expect_err("another specification");
    assert_eq!(other.code(), Code::AlreadyExists);
}

/// The script that sends it again has changed nothing, and does not know the configuration.
#[tokio::test]
async fn a_key_answers_the_same_job_after_the_defaults_have_changed() {
    let mut daemon = Daemon::start().await;
    let mut keyed =
        v1::SubmitRequest { idempotency_key: Some("once".to_owned()), ..request("a", "1") };
    let first = daemon.client.submit(keyed.clone()).await.expect("taken").into_inner();
    let defaults = Defaults { verify: Verify::Readback, if_exists: IfExists::Replace };
    daemon.engine.told().defaults = Some(defaults);
    let again = daemon.client.submit(keyed.clone()).await.expect("known").into_inner();
    assert!(again.existed);
    assert_eq!(again.job.expect("a job").id, first.job.expect("a job").id);
    // What is said, and not left to the configuration, is another specification.
    keyed.transfer.as_mut().expect("set").set_if_exists(v1::IfExists::Replace);
    let other = daemon.client.submit(keyed).await.expect_err("another specification");
    assert_eq!(other.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_dry_run_answers_a_plan_and_makes_no_job() {
    let mut daemon = Daemon::start().await;
    let dry_run = v1::SubmitRequest { dry_run: true, ..request("a", "1") };
    let answer = daemon.client.submit(dry_run.clone()).await.expect("planned").into_inner();
    let plan = answer.plan.expect("a plan");
    assert_eq!((plan.parts, plan.bytes_to_send, plan.warnings.len()), (13, 100 << 20, 1));
    assert_eq!(answer.job, None);
    let jobs = daemon.client.list(v1::ListRequest::default()).await.expect("listed");
    assert_eq!(jobs.into_inner().jobs, []);

    let mut missing = dry_run;
    missing.transfer.as_mut().expect("set").source = "https://host/gone.bin".to_owned();
    let refused = daemon.client.submit(missing).await.expect_err("no such object");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.message(), "no such object; look for it");
}

/// Its lines wait for each other, and nobody else does for them.
#[tokio::test]
async fn a_manifest_of_dry_runs_leaves_the_sides_to_others() {
    let mut daemon = Daemon::start().await;
    let answered = CancellationToken::new();
    daemon.engine.told().silent = Some(answered.clone());
    let line = |line: u64| {
        let dry_run = v1::SubmitRequest { dry_run: true, ..request(&line.to_string(), "1") };
        v1::SubmitManyRequest { line, request: Some(dry_run) }
    };
    let lines: Vec<_> = (0..256).map(line).collect();
    let answers = daemon.client.submit_many(tokio_stream::iter(lines)).await.expect("a stream");
    while daemon.engine.told().dry_runs < 4 {
        tokio::task::yield_now().await;
    }
    let endpoint = format!("unix://{}", daemon.socket.display());
    let mut other = ControlClient::connect(endpoint).await.expect("listening");
    let asked = v1::PreflightRequest { request: Some(request("a", "1")) };
    let tried = tokio::time::timeout(WAIT, other.preflight(asked)).await;
    tried.expect("in its turn").expect("tried");
    assert_eq!(daemon.engine.told().dry_runs, 4);
    answered.cancel();
    let answers: Vec<_> =
        answers.into_inner().map(|answer| answer.expect("no end before the last")).collect().await;
    assert_eq!(answers.len(), 256);
    assert!(answers.iter().all(|answer| accepted(answer).plan.is_some()));
}

#[tokio::test]
async fn an_unknown_remote_is_an_invalid_argument() {
    let mut daemon = Daemon::start().await;
    let mut asked = request("a", "1");
    asked.transfer.as_mut().expect("set").target = "mars:vault/a".to_owned();
    let refused = daemon.client.submit(asked).await.expect_err("no such remote");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("'mars' is not configured"), "{refused}");
}

/// More lines than are written at once, every third of them faulty.
#[tokio::test]
async fn many_are_answered_in_order_and_a_fault_touches_its_line_alone() {
    let mut daemon = Daemon::start().await;
    let lines: Vec<_> = (0..900_u64)
        .map(|n| {
            let mut asked = request(&format!("object-{n}"), "1");
            if n % 3 == 0 {
                asked.priority = 1000;
            }
            v1::SubmitManyRequest { line: 10 + n, request: Some(asked) }
        })
        .collect();
    let answers = daemon.client.submit_many(tokio_stream::iter(lines)).await.expect("a stream");
    let answers: Vec<_> =
        answers.into_inner().map(|answer| answer.expect("no end before the last")).collect().await;
    assert_eq!(answers.len(), 900);
    for (n, answer) in (0..).zip(&answers) {
        assert_eq!(answer.line, 10 + n);
        if n % 3 == 0 {
            let (code, message) = refused(answer);
            assert_eq!(code, Code::InvalidArgument);
            assert!(message.starts_with("priority: 1000"), "{message}");
        } else {
            let job = accepted(answer).job.as_ref().expect("a job");
            assert_eq!(
                job.transfer.as_ref().expect("told").target,
                format!("gov:vault/object-{n}")
            );
        }
    }
    assert_eq!(daemon.ledger.counts().of(crate::model::JobState::Queued), 600);
}

/// A client that keeps its stream open must not keep the daemon, nor take the end for success.
#[tokio::test]
async fn a_stop_ends_a_stream_of_submissions_as_unavailable() {
    let mut daemon = Daemon::start().await;
    let (lines, sent) = tokio::sync::mpsc::channel(4);
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let answers = daemon.client.submit_many(sent).await.expect("a stream");
    let mut answers = answers.into_inner();
    let line = v1::SubmitManyRequest { line: 1, request: Some(request("a", "1")) };
    lines.send(line).await.expect("read");
    accepted(&answers.next().await.expect("answered").expect("taken"));
    daemon.stop.cancel();
    let end = tokio::time::timeout(WAIT, answers.next()).await.expect("in time");
    assert_eq!(end.expect("a status").expect_err("stopping").code(), Code::Unavailable);
}

#[tokio::test]
async fn a_prefix_gives_one_job_for_each_object_that_is_asked_for() {
    let mut daemon = Daemon::start().await;
    let key = |key: &str| format!("golden/{key}");
    daemon.engine.told().pages = vec![
        vec![key(""), key("a.bin"), key("notes.txt")],
        vec![key("dir/"), key("dir/b.bin"), key(&format!("{}.bin", "k".repeat(1010)))],
    ];
    let mut asked = request("golden/", "1");
    asked.transfer.as_mut().expect("set").target = "gov:vault/from-commercial/".to_owned();
    asked.idempotency_key = Some("nightly:".to_owned());
    let asked = v1::SubmitPrefixRequest { request: Some(asked), include: "*.bin".to_owned() };
    let answers = daemon.client.submit_prefix(asked.clone()).await.expect("a stream");
    let answers: Vec<_> =
        answers.into_inner().map(|answer| answer.expect("listed")).collect().await;
    assert_eq!(answers.iter().map(|answer| answer.line).collect::<Vec<_>>(), [1, 2, 3]);
    let targets = answers[..2].iter().map(|answer| {
        let job = accepted(answer).job.as_ref().expect("a job");
        job.transfer.as_ref().expect("told").target.as_str()
    });
    let expected = ["gov:vault/from-commercial/a.bin", "gov:vault/from-commercial/dir/b.bin"];
    assert_eq!(targets.collect::<Vec<_>>(), expected);
    let (code, message) = refused(&answers[2]);
    assert_eq!(code, Code::InvalidArgument);
    assert!(message.starts_with("com:images/golden/kkk"), "{message}");
    assert!(message.contains("S3 takes at most 1024"), "{message}");

    let again = daemon.client.submit_prefix(asked).await.expect("a stream");
    let again: Vec<_> = again.into_inner().map(|answer| answer.expect("listed")).collect().await;
    assert!(again[..2].iter().all(|answer| accepted(answer).existed));
}

#[tokio::test]
async fn a_listing_that_fails_or_never_ends_is_told() {
    let mut daemon = Daemon::start().await;
    let mut asked = request("golden/", "1");
    asked.transfer.as_mut().expect("set").target = "gov:vault/".to_owned();
    let asked = v1::SubmitPrefixRequest { request: Some(asked), include: String::new() };
    for (stuck, word) in [(false, "access denied; allow it"), (true, "repeats the page token")] {
        daemon.engine.told().stuck = stuck;
        let answers = daemon.client.submit_prefix(asked.clone()).await.expect("a stream");
        let end = answers.into_inner().next().await.expect("a status").expect_err(word);
        assert_eq!(end.code(), Code::FailedPrecondition);
        assert!(end.message().contains(word), "{end}");
    }
    let one_object = v1::SubmitPrefixRequest { request: Some(request("a", "1")), ..asked };
    let refused = daemon.client.submit_prefix(one_object).await.expect_err("not a prefix");
    assert_eq!(refused.code(), Code::InvalidArgument);
}

/// Without idempotency keys each round would be as many new jobs.
#[tokio::test]
async fn a_listing_that_begins_anew_ends_there() {
    let mut asked = request("golden/", "1");
    asked.transfer.as_mut().expect("set").target = "gov:vault/".to_owned();
    let asked = v1::SubmitPrefixRequest { request: Some(asked), include: String::new() };
    let cases: [(&[&[&str]], usize); 4] = [
        (&[&["a", "b"]], 2),
        (&[&["b", "a"], &["c"], &[]], 3),
        (&[&["a", "b"], &["b", "c"]], 2),
        (&[&["a"], &["b"], &["c"], &["d"]], 4),
    ];
    for (pages, taken) in cases {
        let mut daemon = Daemon::start().await;
        let page = |page: &&[&str]| page.iter().map(|key| format!("golden/{key}")).collect();
        daemon.engine.told().pages = pages.iter().map(page).collect();
        daemon.engine.told().round = true;
        let answers = daemon.client.submit_prefix(asked.clone()).await.expect("a stream");
        let mut answers: Vec<_> = answers.into_inner().collect().await;
        let end = answers.pop().expect("a status").expect_err("it does not move on");
        assert_eq!(end.code(), Code::FailedPrecondition);
        assert!(end.message().contains("repeats a page"), "{end}");
        assert_eq!(answers.len(), taken, "{pages:?}");
    }
}
