//! An alias that is put back.

use std::sync::Arc;
use std::time::Duration;

use causeway_proto::v1;
use tokio::sync::Notify;

use super::harness::{Daemon, WAIT};
use crate::base::{Room, clock};
use crate::model::image::tests::image;
use crate::model::{AliasAsked, Change, Fidelity, ImageFact, JobId, Receipt, RestoredImage};

/// A restore that has written its alias, and succeeded.
async fn aliased(daemon: &mut Daemon) -> JobId {
    let restored = v1::RestoredImage { alias: "/golden/web".to_owned(), ..Default::default() };
    let restore = v1::RestoreSpec {
        source: "gov:vault/ami-0123456789abcdef0.bin".to_owned(),
        restored: Some(restored),
    };
    let asked = v1::SubmitRequest { restore: Some(restore), ..Default::default() };
    daemon.client.submit(asked).await.expect("taken");
    let room = Room { small: 1, others: 1, large: 1, images: 1 };
    let claimed = daemon.ledger.claim(room, WAIT).await.expect("writable");
    let job = claimed.expect("a job in the queue");
    let token = job.lease.as_ref().expect("claimed").token;
    let new = image("ami-0fedcba9876543210");
    let id = new.id.clone();
    let available = RestoredImage { image: new, fidelity: Fidelity::default() };
    let previous = Some("ami-0aaaaaaaaaaaaaaaa".to_owned());
    let facts = [
        ImageFact::RestoreAsked,
        ImageFact::Restoring(id),
        ImageFact::Available(Box::new(available)),
        ImageFact::AliasAsked(AliasAsked { previous }),
        ImageFact::Aliased(3),
    ];
    for fact in facts {
        daemon.ledger.apply(job.id, token, Change::Image(fact)).await.expect("legal");
    }
    let receipt = Receipt::blank(&job, clock::now(), "0.0.0");
    let ended = daemon.ledger.apply(job.id, token, Change::Succeed(Box::new(receipt))).await;
    ended.expect("legal").id
}

async fn line(daemon: &Daemon, event: &str, change: Option<&str>) -> serde_json::Value {
    for _ in 0..400 {
        let lines = daemon.audit().await;
        let is_it = |line: &&serde_json::Value| {
            line["event"] == event && change.is_none_or(|change| line["change"] == change)
        };
        if let Some(line) = lines.iter().find(is_it) {
            return line.clone();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no line of {event}");
}

/// SSM takes minutes to validate, and may have the old value by then: nobody was named as having asked for it.
#[tokio::test]
async fn a_rollback_is_seen_to_its_end_when_who_asked_hangs_up() {
    let mut daemon = Daemon::start().await;
    let job = aliased(&mut daemon).await;
    let held = Arc::new(Notify::new());
    daemon.engine.told().held = Some(Arc::clone(&held));
    let mut client = daemon.client.clone();
    let request = v1::RollbackAliasRequest { job_id: job.to_string() };
    let asked = tokio::spawn(async move { client.rollback_alias(request).await });

    let intent = line(&daemon, "alias rollback asked", None).await;
    assert_eq!(intent["job"], job.to_string().as_str());
    assert!(intent["actor"].as_str().is_some_and(|by| by.starts_with("uid:")), "{intent}");
    asked.abort();
    assert!(asked.await.expect_err("it was aborted").is_cancelled());
    // The reset has to arrive before SSM answers.
    tokio::time::sleep(Duration::from_millis(200)).await;
    held.notify_one();
    let control = line(&daemon, "control", Some("roll back the alias of")).await;
    assert_eq!((&control["job"], &control["actor"]), (&intent["job"], &intent["actor"]));
    let job = daemon.ledger.get(job).expect("there");
    assert!(job.image.expect("an image job").progress.alias_rolled_back);
}

#[tokio::test]
async fn a_rollback_answers_the_alias() {
    let mut daemon = Daemon::start().await;
    let job_id = aliased(&mut daemon).await.to_string();
    let request = v1::RollbackAliasRequest { job_id };
    let answer = daemon.client.rollback_alias(request.clone()).await.expect("put back");
    let alias = answer.into_inner().alias.expect("the job has one");
    assert_eq!((alias.version, alias.rolled_back), (7, true), "{alias:?}");
    let twice = daemon.client.rollback_alias(request).await.expect_err("once");
    assert_eq!(twice.code(), tonic::Code::FailedPrecondition);
}
