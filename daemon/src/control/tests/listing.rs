//! Get, List and GetReceipt.

use causeway_proto::v1;
use tonic::Code;

use super::harness::{Daemon, batch, request};

#[tokio::test]
async fn pages_hold_every_job_once_newest_first() {
    let mut daemon = Daemon::start().await;
    let mut submitted = Vec::new();
    for n in 0..7 {
        submitted
            .push(daemon.submit(&format!("a-{n}"), if n % 2 == 0 { "1" } else { "2" }).await.id);
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = v1::ListRequest { page_size: 3, page_token, ..Default::default() };
        let page = daemon.client.list(asked).await.expect("listed").into_inner();
        listed.extend(page.jobs.into_iter().map(|job| job.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    submitted.reverse();
    assert_eq!(listed, submitted);
    let asked = v1::ListRequest { filter: Some(batch("2")), ..Default::default() };
    assert_eq!(daemon.client.list(asked).await.expect("listed").into_inner().jobs.len(), 3);
}

/// A gRPC client refuses a message above 4 MiB: the page ends before that, and goes on where it ended.
#[tokio::test]
async fn a_page_of_heavy_jobs_ends_early() {
    let mut daemon = Daemon::start().await;
    let heavy = |n: u64| {
        let mut asked = request(&format!("{n}-{}", "k".repeat(1000)), "1");
        asked.labels = (0..16).map(|n| (format!("{n:0>63}"), "v".repeat(255))).collect();
        v1::SubmitManyRequest { line: n, request: Some(asked) }
    };
    let lines: Vec<_> = (0..600).map(heavy).collect();
    let mut answers =
        daemon.client.submit_many(tokio_stream::iter(lines)).await.expect("a stream").into_inner();
    while answers.message().await.expect("taken").is_some() {}
    let (mut listed, mut pages, mut page_token) =
        (std::collections::BTreeSet::new(), 0, String::new());
    loop {
        let asked = v1::ListRequest { page_size: 1000, page_token, ..Default::default() };
        let page = daemon.client.list(asked).await.expect("within a message").into_inner();
        for job in page.jobs {
            assert!(listed.insert(job.id), "a job comes once");
        }
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed.len(), 600);
    assert!(pages > 1, "600 such jobs are more than 4 MiB");
}

#[tokio::test]
async fn what_cannot_be_listed_or_got_is_told() {
    let mut daemon = Daemon::start().await;
    for asked in [
        v1::ListRequest { page_size: 1001, ..Default::default() },
        v1::ListRequest { page_token: "nonsense".to_owned(), ..Default::default() },
        v1::ListRequest {
            filter: Some(v1::JobFilter { states: vec![0], ..Default::default() }),
            ..Default::default()
        },
    ] {
        let refused = daemon.client.list(asked).await.expect_err("not legal");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let get = |id: &str| v1::GetRequest { job_id: id.to_owned(), with_parts: true };
    let refused = daemon.client.get(get("01JD3Z6W4Q8R5T7V9X0Y1A2B3C")).await.expect_err("unknown");
    assert_eq!(refused.code(), Code::NotFound);
    let refused = daemon.client.get(get("nonsense")).await.expect_err("no id");
    assert_eq!(refused.code(), Code::InvalidArgument);

    let job = daemon.submit("a", "1").await;
    let shown = daemon.client.get(get(&job.id)).await.expect("there").into_inner();
    assert_eq!(shown.job.map(|job| job.id), Some(job.id.clone()));
    assert_eq!(shown.parts, []);
    let early = v1::GetReceiptRequest { job_id: job.id };
    let refused = daemon.client.get_receipt(early).await.expect_err("not done");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("is queued"), "{refused}");
}
