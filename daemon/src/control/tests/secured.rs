//! Mutual TLS: who is let in, by which name, and to what; and what a reload changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use causeway_proto::v1;
use causeway_proto::v1::control_client::ControlClient;
use causeway_proto::v1::submit_many_response::Outcome;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::harness::{Daemon, WAIT, ids, request, settings};
use super::pki::{Authority, Identity, dial, files};
use crate::base::NoObserver;
use crate::control::access::{Caller, Gate, Pacing, Who};
use crate::control::*;
use crate::ledger::Ledger;
use crate::model::JobState;

/// A second door to a daemon of the harness, with TLS.
struct Secured {
    daemon: Daemon,
    ours: Authority,
    address: SocketAddr,
    settings: Settings,
    guard: Arc<Guard>,
}

const ROLES: [(&str, Role); 4] = [
    ("spiffe://example.org/watcher", Role::Viewer),
    ("submit.example.org", Role::Operator),
    ("Root of All", Role::Admin),
    ("both.example.org", Role::Viewer),
];

impl Secured {
    async fn start() -> Self {
        let daemon = Daemon::start().await;
        let ours = Authority::new("ours");
        let mut settings = settings(Listen::Tcp("127.0.0.1:0".parse().expect("legal")));
        settings.tls = Some(files(daemon.dir.path(), &ours.sign(&["dns:bastion.test"]), &ours));
        settings.roles = ROLES.map(|(name, role)| (name.to_owned(), role)).into();
        let bound = bind(&settings, daemon.ledger.clone()).await.expect("a free port");
        let Ok(Listen::Tcp(address)) = bound.local_endpoint() else { panic!("bound to TCP") };
        let guard = bound.guard();
        let service =
            Service::new(daemon.ledger.clone(), daemon.engine.clone(), daemon.stop.clone());
        tokio::spawn(bound.serve(service));
        Self { daemon, ours, address, settings, guard }
    }

    fn client(&self, identity: &Identity) -> ControlClient<Channel> {
        dial(self.address, &self.ours, Some(identity))
    }

    fn named(&self, names: &[&str]) -> ControlClient<Channel> {
        self.client(&self.ours.sign(names))
    }

    /// What was refused: the actor, the method, the reason.
    async fn refused(&self) -> Vec<(String, String, String)> {
        let lines = self.daemon.audit().await;
        let of = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or("").to_owned();
        let lines = lines.iter().filter(|line| line["event"] == "refused");
        lines.map(|line| (of(line, "actor"), of(line, "what"), of(line, "why"))).collect()
    }
}

async fn submit(client: &mut ControlClient<Channel>) -> Result<v1::Job, Status> {
    let answer = client.submit(request("a", "1")).await?;
    Ok(answer.into_inner().job.expect("not a dry run"))
}

async fn status(client: &mut ControlClient<Channel>) -> Result<(), Status> {
    client.status(v1::StatusRequest {}).await.map(drop)
}

async fn drain(client: &mut ControlClient<Channel>) -> Result<(), Status> {
    client.drain(v1::DrainRequest { undo: true }).await.map(drop)
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for_and_no_more() {
    let secured = Secured::start().await;
    let mut viewer = secured.named(&["uri:spiffe://example.org/watcher"]);
    status(&mut viewer).await.expect("for viewers");
    let denied = submit(&mut viewer).await.expect_err("for operators");
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(
        denied.message(),
        "Submit is for the role operator, and 'spiffe://example.org/watcher' is viewer"
    );

    let mut operator = secured.named(&["dns:submit.example.org"]);
    let job = submit(&mut operator).await.expect("for operators");
    assert_eq!(job.actor, "submit.example.org");
    assert_eq!(drain(&mut operator).await.expect_err("for admins").code(), Code::PermissionDenied);
    let mut cancelled = v1::ActionRequest { selection: ids(&[&job.id]) };
    let code = viewer.cancel(cancelled.clone()).await.expect_err("for operators").code();
    assert_eq!(code, Code::PermissionDenied);
    cancelled.selection = ids(&[&job.id]);
    operator.cancel(cancelled).await.expect("for operators");

    let mut admin = secured.named(&["Root of All"]);
    drain(&mut admin).await.expect("for admins");

    let refused = secured.refused().await;
    let told: Vec<_> = refused.iter().map(|(actor, what, _)| (&**actor, &**what)).collect();
    assert_eq!(
        told,
        [
            ("spiffe://example.org/watcher", "/causeway.v1.Control/Submit"),
            ("submit.example.org", "/causeway.v1.Control/Drain"),
            ("spiffe://example.org/watcher", "/causeway.v1.Control/Cancel"),
        ]
    );
    let lines = secured.daemon.audit().await;
    let done = |event: &str, actor: &str| {
        lines.iter().any(|line| line["event"] == event && line["actor"] == actor)
    };
    assert!(done("submitted", "submit.example.org"), "{lines:?}");
    assert!(done("control", "submit.example.org"), "{lines:?}");
    assert!(done("drain", "Root of All"), "{lines:?}");
}

/// Of all names of a certificate the one with the largest role counts: who has two may use both.
#[tokio::test]
async fn any_name_of_a_certificate_can_give_the_role() {
    let secured = Secured::start().await;
    let mut client =
        secured.named(&["dns:both.example.org", "dns:submit.example.org", "dns:other", "CN"]);
    assert_eq!(submit(&mut client).await.expect("an operator").actor, "submit.example.org");
}

#[tokio::test]
async fn a_known_certificate_without_an_entry_may_do_nothing() {
    let secured = Secured::start().await;
    let mut stranger = secured.named(&["dns:stranger.example.org", "A Stranger"]);
    let denied = status(&mut stranger).await.expect_err("nobody knows it");
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert_eq!(denied.message(), "'stranger.example.org', 'A Stranger' has no role here");
    let mut nameless = secured.named(&[]);
    assert_eq!(status(&mut nameless).await.expect_err("no name").code(), Code::PermissionDenied);
    let refused = secured.refused().await;
    assert_eq!(refused[0].0, "stranger.example.org");
}

/// Each of these is told apart in the audit log, where an operator looks for why.
#[tokio::test]
async fn whoever_has_no_good_certificate_gets_no_further_than_the_handshake() {
    let secured = Secured::start().await;
    let theirs = Authority::new("theirs");
    let foreign = theirs.sign(&["Root of All"]);
    let expired = secured.ours.sign_until(&["Root of All"], 2021);
    for (identity, why) in [
        (None, "peer sent no certificates"),
        (Some(&foreign), "invalid peer certificate: UnknownIssuer"),
        (Some(&expired), "invalid peer certificate: certificate expired"),
    ] {
        let mut client = dial(secured.address, &secured.ours, identity);
        let denied = tokio::time::timeout(WAIT, status(&mut client)).await.expect("told in time");
        let denied = denied.expect_err(why);
        assert_ne!(denied.code(), Code::PermissionDenied, "{denied:?}: no method was reached");
        let refused = secured.refused().await;
        let (actor, what, told) = refused.last().expect("written down");
        assert_eq!((&**actor, &**what), ("unknown", "TLS handshake"));
        assert!(told.starts_with(why), "{told}");
    }
    // And plain HTTP on the same port is no way in.
    let plain = ControlClient::connect(format!("http://{}", secured.address)).await;
    if let Ok(mut client) = plain {
        status(&mut client).await.expect_err("no TLS");
    }
}

#[tokio::test]
async fn a_reload_changes_roles_on_open_connections_and_keeps_what_it_cannot_replace() {
    let mut secured = Secured::start().await;
    let mut client = secured.named(&["dns:submit.example.org"]);
    submit(&mut client).await.expect("an operator");

    secured.settings.roles.insert("submit.example.org".to_owned(), Role::Viewer);
    secured.guard.reload(&secured.settings).expect("legal files");
    status(&mut client).await.expect("a viewer still");
    let denied = submit(&mut client).await.expect_err("a viewer now");
    assert_eq!(denied.code(), Code::PermissionDenied);

    let tls = secured.settings.tls.clone().expect("with TLS");
    std::fs::write(&tls.cert, "no certificate").expect("writable");
    secured.settings.roles = BTreeMap::new();
    let error = secured.guard.reload(&secured.settings).expect_err("no certificate");
    assert_eq!(error.key, "cert");
    status(&mut client).await.expect("nothing has changed");
    status(&mut secured.named(&["Root of All"])).await.expect("the old certificate is in use");
}

/// A stream may be open for days.
#[tokio::test]
async fn a_reload_reaches_what_streams_already() {
    let mut secured = Secured::start().await;
    let mut client = secured.named(&["dns:submit.example.org"]);
    let (lines, sent) = tokio::sync::mpsc::channel(1);
    let line = |line| v1::SubmitManyRequest { line, request: Some(request("a", "1")) };
    lines.send(line(1)).await.expect("room");
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let mut answers = client.submit_many(sent).await.expect("an operator").into_inner();
    let first = answers.next().await.expect("an answer").expect("the stream goes on");
    assert!(matches!(first.outcome, Some(Outcome::Accepted(_))), "{first:?}");
    let watching = client.watch(v1::WatchRequest::default()).await.expect("an operator");
    let mut watching = watching.into_inner();

    secured.settings.roles.remove("submit.example.org");
    secured.guard.reload(&secured.settings).expect("legal files");
    lines.send(line(2)).await.expect("room");
    let second = answers.next().await.expect("an answer").expect("the stream goes on");
    let Some(Outcome::Refused(fault)) = second.outcome else { panic!("{second:?}") };
    assert!(fault.message.contains("has no role"), "{fault:?}");
    let end = tokio::time::timeout(WAIT, async {
        loop {
            match watching.next().await {
                Some(Ok(_)) => {}
                Some(Err(status)) => return status,
                None => panic!("it ended without a word"),
            }
        }
    });
    assert_eq!(end.await.expect("the watch ends").code(), Code::PermissionDenied);
    assert_eq!(secured.daemon.ledger.counts().of(JobState::Queued), 1);
}

/// Who has no certificate keeps nobody out who has one, by connecting and saying nothing.
#[tokio::test]
async fn one_address_does_not_have_all_handshakes() {
    let secured = Secured::start().await;
    let mut silent = Vec::new();
    for _ in 0..130 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.2:0".parse().expect("legal")).expect("loopback is a network");
        silent.push(socket.connect(secured.address).await.expect("listening"));
    }
    let mut last = silent.pop().expect("many");
    let closed = tokio::time::timeout(Duration::from_secs(3), last.read_u8()).await;
    closed.expect("before a handshake's time is over").expect_err("closed");
    status(&mut secured.named(&["Root of All"])).await.expect("from another address");
    let why = "as many handshakes are under way with its address as may be";
    let mut refused = secured.refused().await;
    refused.retain(|(.., told)| told == why);
    let told: Vec<_> = refused.iter().map(|(actor, what, _)| (&**actor, &**what)).collect();
    assert_eq!(told, [("unknown", "TLS handshake"); 2], "each of two, and no more");
}

/// An authority that is not trusted any more takes those with it that it let in.
#[tokio::test]
async fn another_client_ca_cuts_off_who_came_in_by_the_old_one() {
    let secured = Secured::start().await;
    let mut old = secured.named(&["Root of All"]);
    let watching = old.watch(v1::WatchRequest::default()).await.expect("an admin");
    let mut watching = watching.into_inner();
    watching.next().await.expect("the end of the snapshot").expect("no error");

    let new = Authority::new("new");
    let server = secured.ours.sign(&["dns:bastion.test"]);
    files(secured.daemon.dir.path(), &server, &new);
    secured.guard.reload(&secured.settings).expect("legal files");

    let end = tokio::time::timeout(WAIT, async {
        while let Some(event) = watching.next().await {
            if event.is_err() {
                return;
            }
        }
    });
    end.await.expect("the stream is cut off");
    status(&mut old).await.expect_err("its authority is not trusted");
    let mut client = dial(secured.address, &secured.ours, Some(&new.sign(&["Root of All"])));
    status(&mut client).await.expect("the new authority's");
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let ours = Authority::new("ours");
    let files = files(dir.path(), &ours.sign(&["dns:bastion.test"]), &ours);
    files.check().expect("legal");
    for (mode, is_legal) in [(0o644, false), (0o660, false), (0o640, true), (0o400, true)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&files.key, mode.clone()).expect("its owner");
        let checked = files.check();
        assert_eq!(checked.is_ok(), is_legal, "{mode:?} {checked:?}");
    }
    let other = ours.sign(&["dns:bastion.test"]);
    std::fs::write(&files.cert, "-----BEGIN PRIVATE KEY-----\nhunter2\n").expect("writable");
    assert!(!files.check().expect_err("no certificate").to_string().contains("hunter2"));
    drop(other);
}

/// Who has no role may not ask as fast as it likes, either: each answer costs a look at the roles.
#[tokio::test(start_paused = true)]
async fn who_is_refused_waits_for_its_turn_as_well() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::open(&dir.path().join("data"), Arc::new(NoObserver)).expect("new");
    let bound = bind(&settings(Listen::Unix(dir.path().join("s"))), ledger).await.expect("free");
    let never = tower::service_fn(|_: http::Request<Body>| async {
        Err::<http::Response<Body>, _>("it came past the gate")
    });
    let mut gate = Gate::new(never, bound.guard());
    let (one, cut) = (std::num::NonZeroU32::MIN, CancellationToken::new());
    let pacing = Pacing { requests_per_second: one, submissions_per_second: one };
    let stranger = Caller::new(Who::Unknown, pacing, cut);
    let began = tokio::time::Instant::now();
    for _ in 0..4 {
        let mut request = http::Request::new(Body::empty());
        request.extensions_mut().insert(stranger.clone());
        let answer = gate.call(request).await.expect("answered by the gate");
        assert_eq!(answer.headers()["grpc-status"], "7");
    }
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
}

/// Forty jobs a second on one connection, whoever floods it; another connection has its own.
#[tokio::test]
async fn submissions_of_one_connection_are_paced() {
    let daemon = Daemon::start().await;
    let mut slow = settings(Listen::Unix(daemon.dir.path().join("slow.sock")));
    slow.submissions_per_second = std::num::NonZeroU32::new(40).expect("not 0");
    let bound = bind(&slow, daemon.ledger.clone()).await.expect("free");
    let service = Service::new(daemon.ledger.clone(), daemon.engine.clone(), daemon.stop.clone());
    tokio::spawn(bound.serve(service));
    let endpoint = format!("unix://{}", daemon.dir.path().join("slow.sock").display());
    let mut client = ControlClient::connect(endpoint).await.expect("listening");
    let began = std::time::Instant::now();
    for at in 0..60 {
        client.submit(request(&format!("{at}"), "1")).await.expect("taken");
    }
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}
