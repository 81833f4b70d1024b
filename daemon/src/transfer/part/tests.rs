//! What becomes of a part whose every try fails, on a scripted server.

use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::base::{Berth, Lane, MemoryBudget, Observe, SharedObserver, Slots};
use crate::blob::tests::server::{self, http, refusal, scripted};
use crate::blob::{Habits, S3Object, S3Target};
use crate::ledger::Ledger;
use crate::model::{Address, TransferSpec};
use crate::transfer::{LiveTransfer, Probes, Record, Stop};

const BYTES: &str = "the bytes of a small part";
/// Longer than any pause between two tries.
const PAUSE: Duration = Duration::from_secs(31);

/// Tells of the pauses between two tries.
#[derive(Debug, Default)]
struct Pauses(Notify);

impl Observe for Pauses {
    fn record(&self, measure: Measure<'_>) {
        if matches!(measure, Measure::Retry { .. }) {
            self.0.notify_one();
        }
    }
}

/// A server that breaks the connection off under every part, and answers ListParts with `listed`.
fn breaking(listed: String) -> impl Fn(&str) -> String + Send + Sync + 'static {
    move |head: &str| {
        if head.starts_with("PUT") {
            "HTTP/1.1 ".to_owned()
        } else if head.contains("uploadId=") {
            listed.clone()
        } else {
            http("206 Partial Content", &["ETag: \"abc\""], BYTES)
        }
    }
}

async fn transfer(
    endpoint: &str,
    habits: Habits,
    observer: SharedObserver,
    dir: &TempDir,
) -> Transfer {
    let remote = server::remote(endpoint, None).await;
    let (source, target) = (server::address("a.bin"), server::address("b.bin"));
    let (live, stop) = (LiveTransfer::new(vec![]), Stop::default());
    let ledger = Ledger::open(dir.path(), Arc::clone(&observer)).expect("a ledger");
    let lane = |direction| Lane::new("commercial", direction);
    Transfer {
        source: Arc::new(S3Object::new(Arc::clone(&remote), source.clone())),
        target: S3Target::new(remote, target.clone()).with_habits(habits),
        spec: TransferSpec::new(Address::Object(source), target),
        record: Record::of_no_job(ledger, &live, &stop),
        seat: Slots::new(4).join(lane(Direction::Read), lane(Direction::Write)),
        memory: MemoryBudget::new(64 << 20),
        observer,
        live,
        stop,
        berth: Arc::new(Berth::unbounded()),
        probes: Probes::default(),
        parts_max: 4,
    }
}

fn work() -> Work {
    let size = BYTES.len() as u64;
    Work {
        source: Arc::new(server::pinned(size)),
        upload: UploadId("u".to_owned()),
        number: PartNumber::new(1).expect("legal"),
        range: ByteRange { start: 0, len: size },
        found: None,
    }
}

/// What the part ends with at a server that is [`breaking`], and how often ListParts was asked.
async fn end(listed: String, habits: Habits) -> (Fault, usize) {
    let (endpoint, asked) = scripted(None, breaking(listed)).await;
    let dir = TempDir::new().expect("a directory");
    let pauses = Arc::new(Pauses::default());
    let observer: SharedObserver = Arc::<Pauses>::clone(&pauses);
    let transfer = transfer(&endpoint, habits, observer, &dir).await;
    let permit = transfer.seat.acquire().await;
    let mut carried = Box::pin(transfer.carry(work(), permit));
    let ended = loop {
        tokio::select! {
            ended = &mut carried => break ended,
            // Nothing is on its way now, so that no other patience is cut short.
            () = pauses.0.notified() => {
                tokio::time::pause();
                tokio::time::advance(PAUSE).await;
                tokio::time::resume();
            }
        }
    };
    let asked = asked.lock().expect("not poisoned");
    let sent = asked.iter().filter(|head| head.starts_with("PUT")).count();
    assert!(sent > 5, "sent {sent} times: a link may break now and then");
    let lists = |head: &&String| head.starts_with("GET") && head.contains("uploadId=");
    (ended.expect_err("no try succeeds"), asked.iter().filter(lists).count())
}

/// Servers exist that say so in no other way: the connection breaks, as on a bad link.
#[tokio::test]
async fn an_upload_that_is_gone_is_begun_anew_where_it_only_breaks_the_connection() {
    let (fault, asked) =
        Box::pin(end(refusal("404 Not Found", "NoSuchUpload"), Habits::default())).await;
    assert!(matches!(fault, Fault::BeginAnew { .. }), "{fault:?}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_link_that_breaks_is_blamed_where_the_upload_stands_or_nobody_can_say() {
    let stands = "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>";
    let stands = http("200 OK", &["Content-Type: application/xml"], stands);
    let gone = refusal("404 Not Found", "NoSuchUpload");
    let no_answer = refusal("500 Internal Server Error", "InternalError");
    let unlisted = Habits { lists_parts: false, ..Habits::default() };
    for (listed, habits, expected) in
        [(stands, Habits::default(), 1), (no_answer, Habits::default(), 1), (gone, unlisted, 0)]
    {
        let (fault, asked) = Box::pin(end(listed, habits)).await;
        let Fault::Failed { failure, restart: false } = fault else { panic!("{fault:?}") };
        assert_eq!((failure.class, asked), (FailureClass::Transient, expected), "{failure}");
        assert!(failure.to_string().contains("s3:PutObject"), "{failure}");
    }
}
