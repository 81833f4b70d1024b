//! A real ledger, and a receiver that is told what to answer.

use std::collections::VecDeque;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::base::NoObserver;
use crate::model::{AllowedHosts, Change, Submission, TransferSpec};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Requests as they came, head and body.
type Came = Arc<Mutex<Vec<String>>>;

async fn receiver(answers: &[&'static str]) -> (Url, Came) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (came, mut answers) = (Came::default(), answers.iter().copied().collect::<VecDeque<_>>());
    let seen = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, mut buffer) = (Vec::new(), [0; 8192]);
            // Everything that is sent here ends with the envelope's last brace.
            while !request.ends_with(b"}}") {
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => request.extend_from_slice(&buffer[..read]),
                }
            }
            let text = String::from_utf8(request).expect("text");
            seen.lock().expect("no panic").push(text);
            let status = answers.pop_front().unwrap_or("200 OK");
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (format!("http://127.0.0.1:{port}/secret-path").parse().expect("a URL"), came)
}

struct World {
    ledger: Ledger,
    notifier: Arc<Notifier>,
    egress: Egress,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(url: Url) -> Self {
        let dir = tempfile::tempdir().expect("room");
        let ledger = Ledger::open(dir.path(), Arc::new(NoObserver)).expect("a directory");
        let key = KEY.parse().expect("a key");
        let events = JobEvent::ENDS.to_vec();
        let webhook =
            Webhook { name: "ops".into(), url, key, events, all_jobs: true, ca_bundle: None };
        ledger.serve_webhooks(vec![webhook.rule()]).expect("the disk works");
        let rules = vec!["127.0.0.1:*".parse().expect("an entry")];
        let egress = Egress::new(AllowedHosts::new(rules));
        let observer = Arc::new(NoObserver);
        let notifier = Notifier::new(vec![webhook], ledger.clone(), egress.clone(), observer);
        Self { ledger, notifier: notifier.expect("no bundle"), egress, _dir: dir }
    }

    async fn end_a_job(&self) {
        let (source, target) = ("com:bucket/key", "gov:bucket/key");
        let spec =
            TransferSpec::new(source.parse().expect("legal"), target.parse().expect("legal"));
        let submitted = self.ledger.submit(Submission::new(spec), "uid:0").await.expect("taken");
        let cancelled = self.ledger.control(submitted.job.id, Change::Cancel, "uid:0").await;
        cancelled.expect("queued");
    }

    async fn until(&self, seen: impl Fn(&Status) -> bool) -> Status {
        for _ in 0..1000 {
            let status = self.notifier.status().remove(0);
            if seen(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("ten seconds have passed: {:?}", self.notifier.status())
    }
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("{name} in {request}"))
}

#[tokio::test]
async fn what_is_sent_is_signed_and_forgotten_once_it_is_taken() {
    let (url, came) = receiver(&[]).await;
    let world = World::new(url);
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&world.notifier).run(stop.clone()));
    for _ in 0..20 {
        world.end_a_job().await;
    }
    let status = world.until(|status| status.delivered == 20 && status.pending == 0).await;
    assert_eq!((status.last_error, status.host.contains("secret-path")), (None, false));
    stop.cancel();
    running.await.expect("no panic");
    let requests = came.lock().expect("no panic").clone();
    assert_eq!(requests.len(), 20, "each once");
    let key: SigningKey = KEY.parse().expect("a key");
    for request in requests {
        assert!(request.starts_with("POST /secret-path HTTP/1.1\r\n"), "{request}");
        let (_, body) = request.split_once("\r\n\r\n").expect("a body");
        let at = header(&request, "webhook-timestamp").parse().expect("seconds");
        let signed = key.sign(header(&request, "webhook-id"), at, body);
        assert_eq!(header(&request, "webhook-signature"), signed);
        assert_eq!(header(&request, "content-type"), "application/json");
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone() {
    let (url, came) = receiver(&["410 Gone"]).await;
    let world = World::new(url);
    world.end_a_job().await;
    tokio::spawn(Arc::clone(&world.notifier).run(CancellationToken::new()));
    let told = |status: &Status| status.last_error.as_ref().is_some_and(|it| it.contains("410"));
    let status = world.until(told).await;
    assert_eq!(status.pending, 0, "nothing waits for it");
    world.end_a_job().await;
    assert_eq!(world.ledger.notices_pending("ops"), 0, "and nothing will");
    assert_eq!(came.lock().expect("no panic").len(), 1);
}

/// A receiver that knows one kind of notice alone has to be told of those, however many others stand before.
#[tokio::test]
async fn notices_that_are_refused_for_what_they_are_keep_no_other_waiting() {
    let (url, _) = receiver(&["400 Bad Request"; 8]).await;
    let world = World::new(url);
    for _ in 0..11 {
        world.end_a_job().await;
    }
    tokio::spawn(Arc::clone(&world.notifier).run(CancellationToken::new()));
    world.until(|status| status.delivered == 3 && status.pending == 8).await;
}

#[test]
fn an_answer_is_about_the_notice_or_about_the_receiver() {
    let refused = |status: u16, seconds: Option<u64>| Error::Refused {
        status: StatusCode::from_u16(status).expect("a status"),
        retry_after: seconds.map(Duration::from_secs),
    };
    for status in [400, 413, 415, 422] {
        assert!(refused(status, None).is_of_the_notice(), "{status}");
        assert!(!refused(status, Some(60)).is_of_the_notice(), "{status} that asks for time");
    }
    for status in [301, 401, 403, 404, 408, 410, 429, 500, 503] {
        assert!(!refused(status, None).is_of_the_notice(), "{status}");
    }
    assert!(!Error::Late.is_of_the_notice());
}

/// A redirect is no yes, and what it points to may be anything.
#[tokio::test]
async fn a_redirect_is_a_failure_and_the_notice_waits() {
    let (url, came) = receiver(&["307 Temporary Redirect\r\nlocation: /elsewhere"]).await;
    let world = World::new(url);
    world.end_a_job().await;
    tokio::spawn(Arc::clone(&world.notifier).run(CancellationToken::new()));
    let status = world.until(|status| status.last_error.is_some()).await;
    assert_eq!(status.pending, 1);
    assert!(status.last_error.is_some_and(|it| it.contains("307")));
    assert_eq!(came.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn a_host_that_is_no_longer_allowed_is_not_asked() {
    let (url, came) = receiver(&[]).await;
    let world = World::new(url);
    world.egress.admit(AllowedHosts::default());
    world.end_a_job().await;
    tokio::spawn(Arc::clone(&world.notifier).run(CancellationToken::new()));
    let status = world.until(|status| status.last_error.is_some()).await;
    assert!(status.last_error.is_some_and(|it| it.contains("allowed_hosts")));
    assert!(came.lock().expect("no panic").is_empty());
}

#[test]
fn neither_key_nor_path_is_printed() {
    let url = "https://hooks.example.com:8443/T0/s3cr3t".parse().expect("a URL");
    let key = KEY.parse().expect("a key");
    let webhook =
        Webhook { name: "ops".into(), url, key, events: vec![], all_jobs: false, ca_bundle: None };
    assert_eq!(format!("{webhook:?}"), "Webhook(ops at hooks.example.com:8443)");
}
