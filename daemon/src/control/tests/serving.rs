//! Listeners, health, reflection, limits, status and drain.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use causeway_proto::v1;
use causeway_proto::v1::control_client::ControlClient;
use http_body_util::BodyExt as _;
use tokio_stream::StreamExt as _;
use tonic::body::Body;
use tonic::codegen::{Bytes, Service as _};
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use super::harness::{Daemon, WAIT, name, settings};
use crate::base::{Limits, NoObserver};
use crate::control::*;
use crate::ledger::Ledger;
use crate::model::Bandwidth;

#[tokio::test]
async fn the_socket_is_its_owner_s_alone_and_goes_with_the_daemon() {
    let daemon = Daemon::start().await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode();
    assert_eq!(mode(&daemon.socket) & 0o777, 0o600);
    assert_eq!(mode(daemon.socket.parent().expect("not the root")) & 0o022, 0);
    let settings = settings(Listen::Unix(daemon.socket.clone()));
    let in_use = bind(&settings, daemon.ledger.clone()).await;
    assert!(matches!(in_use, Err(Error::InUse(_))), "{in_use:?}");
    daemon.stop.cancel();
    let served = tokio::time::timeout(WAIT, daemon.served).await;
    served.expect("in time").expect("no panic").expect("a clean end");
    assert!(!daemon.socket.exists());
}

/// The first entry for a user id opens the socket to all, since the kernel says who comes; the last one's end
/// closes it.
#[tokio::test]
async fn a_reload_opens_and_closes_the_socket_with_the_roles() {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = Ledger::open(&dir.path().join("data"), Arc::new(NoObserver)).expect("new");
    let socket = dir.path().join("a/b/control.sock");
    let mut settings = settings(Listen::Unix(socket.clone()));
    let bound = bind(&settings, ledger).await.expect("free");
    let mode = |path: &std::path::Path| {
        std::fs::metadata(path).expect("there").permissions().mode() & 0o777
    };
    assert_eq!(mode(&socket), 0o600);
    for above in socket.ancestors().skip(1).take(2) {
        assert_eq!(mode(above), 0o755, "whoever has a role has to come through");
    }
    settings.roles.insert("uid:1000".to_owned(), Role::Viewer);
    bound.guard().reload(&settings).expect("legal");
    assert_eq!(mode(&socket), 0o666);
    settings.roles.clear();
    bound.guard().reload(&settings).expect("legal");
    assert_eq!(mode(&socket), 0o600);
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_file_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let stale = dir.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).expect("free"));
    assert!(stale.exists(), "the standard library leaves the file");
    let ledger = Ledger::open(&dir.path().join("data"), Arc::new(NoObserver)).expect("new");
    let stale = settings(Listen::Unix(stale));
    bind(&stale, ledger.clone()).await.expect("nobody answers");
    let file = dir.path().join("precious");
    std::fs::write(&file, "data").expect("writable");
    let refused = bind(&settings(Listen::Unix(file.clone())), ledger).await;
    assert!(matches!(refused, Err(Error::NotASocket(_))), "{refused:?}");
    assert_eq!(std::fs::read(&file).expect("still there"), b"data");
}

#[tokio::test]
async fn who_asks_is_the_peer_s_uid_or_address() {
    let mut daemon = Daemon::start().await;
    let uid = nix::unistd::getuid();
    assert_eq!(daemon.submit("a", "1").await.actor, format!("uid:{uid}"));

    let listen = Listen::Tcp("127.0.0.1:0".parse().expect("legal"));
    let bound = bind(&settings(listen), daemon.ledger.clone()).await.expect("a free port");
    let Ok(Listen::Tcp(address)) = bound.local_endpoint() else { panic!("bound to TCP") };
    let service = Service::new(daemon.ledger.clone(), daemon.engine.clone(), daemon.stop.clone());
    let served = tokio::spawn(bound.serve(service));
    let connected = ControlClient::connect(format!("http://{address}")).await;
    let mut client = connected.expect("listening");
    let answer = client.submit(super::harness::request("b", "1")).await.expect("taken");
    let actor = answer.into_inner().job.expect("not a dry run").actor;
    assert!(actor.starts_with("tcp:127.0.0.1:"), "{actor}");
    drop(client);
    daemon.stop.cancel();
    served.await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn reflection_and_health_name_the_service() {
    let mut daemon = Daemon::start().await;
    let mut reflection = ServerReflectionClient::new(daemon.channel.clone());
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection.server_reflection_info(tokio_stream::once(ask)).await;
    let answer = answers.expect("served").into_inner().next().await.expect("one").expect("told");
    let ServerReflectionResponse {
        message_response: Some(MessageResponse::ListServicesResponse(list)),
        ..
    } = answer
    else {
        panic!("not a list: {answer:?}")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.iter().any(|name| name == "causeway.v1.Control"), "{names:?}");

    let mut health = HealthClient::new(daemon.channel.clone());
    let check = || HealthCheckRequest { service: "causeway.v1.Control".to_owned() };
    assert_eq!(health.check(check()).await.expect("known").into_inner().status, 1);
    daemon.client.drain(v1::DrainRequest { undo: false }).await.expect("drains");
    assert_eq!(health.check(check()).await.expect("known").into_inner().status, 2);
    daemon.client.drain(v1::DrainRequest { undo: true }).await.expect("drains no more");
    assert_eq!(health.check(check()).await.expect("known").into_inner().status, 1);
}

/// Who goes by health checks sent its work to a daemon whose disk was full.
#[tokio::test]
async fn health_says_whether_work_is_taken_and_only_when_that_changes() {
    let mut daemon = Daemon::start().await;
    let mut health = HealthClient::new(daemon.channel.clone());
    let asked = HealthCheckRequest { service: "causeway.v1.Control".to_owned() };
    let mut told = health.watch(asked).await.expect("known").into_inner();
    let mut next = async || {
        let told = tokio::time::timeout(WAIT, told.next()).await.expect("in time");
        told.expect("one more").expect("served").status
    };
    assert_eq!(next().await, 1);
    let (data, away) = (daemon.dir.path().join("data"), daemon.dir.path().join("away"));
    std::fs::rename(&data, &away).expect("moved");
    assert_eq!(next().await, 2, "nothing is to be written where nothing is");
    std::fs::rename(&away, &data).expect("moved back");
    assert_eq!(next().await, 1);
    daemon.client.drain(v1::DrainRequest { undo: false }).await.expect("drains");
    assert_eq!(next().await, 2);
    daemon.client.drain(v1::DrainRequest { undo: true }).await.expect("drains no more");
    assert_eq!(next().await, 1);
    daemon.stop.cancel();
    assert_eq!(next().await, 2);
}

#[tokio::test]
async fn a_draining_daemon_takes_no_new_work_and_says_why() {
    let mut daemon = Daemon::start().await;
    let job = daemon.submit("a", "1").await;
    let answer = daemon.client.drain(v1::DrainRequest { undo: false }).await.expect("drains");
    assert_eq!(answer.into_inner(), v1::DrainResponse { draining: true, jobs_running: 2 });
    let refused = daemon.client.submit(super::harness::request("b", "1")).await;
    let refused = refused.expect_err("draining");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("drains"), "{refused}");
    // What is here already can be acted on, and a plan makes no work.
    let selection = super::harness::ids(&[&job.id]);
    daemon.client.pause(v1::ActionRequest { selection }).await.expect("not new work");
    let dry_run = v1::SubmitRequest { dry_run: true, ..super::harness::request("b", "1") };
    daemon.client.submit(dry_run).await.expect("not work");
}

#[tokio::test]
async fn limits_are_changed_one_by_one() {
    let mut daemon = Daemon::start().await;
    daemon.engine.told().limits = Limits {
        read_bandwidth: Some(Bandwidth(10)),
        requests_per_second: Some(5),
        ..Limits::default()
    };
    let change = v1::SetLimitsRequest {
        remote: "com".to_owned(),
        read_bandwidth: Some(0),
        write_bandwidth: Some(70),
        requests_per_second: None,
        persist: true,
    };
    let answer = daemon.client.set_limits(change.clone()).await.expect("legal").into_inner();
    let expected = v1::RemoteLimits {
        remote: "com".to_owned(),
        read_bandwidth: None,
        write_bandwidth: Some(70),
        requests_per_second: Some(5),
        origin: v1::LimitsOrigin::Live.into(),
        ..Default::default()
    };
    assert_eq!(answer.remotes, std::slice::from_ref(&expected));
    assert!(daemon.engine.told().persisted);
    let all = daemon.client.get_limits(v1::GetLimitsRequest::default()).await.expect("all");
    assert_eq!(all.into_inner().remotes.len(), 2);
    let one = v1::GetLimitsRequest { remote: "com".to_owned() };
    assert_eq!(daemon.client.get_limits(one).await.expect("one").into_inner().remotes, [expected]);

    let reset = v1::ResetLimitsRequest { remote: "com".to_owned() };
    let answer = daemon.client.reset_limits(reset).await.expect("a remote").into_inner();
    assert_eq!(answer.remotes.len(), 1);
    assert_eq!(daemon.engine.told().limits, Limits::default());

    for remote in ["mars", "Not A Name"] {
        let reset = v1::ResetLimitsRequest { remote: remote.to_owned() };
        let refused = daemon.client.reset_limits(reset).await.expect_err("no such remote");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        let change = v1::SetLimitsRequest { remote: remote.to_owned(), ..change.clone() };
        let refused = daemon.client.set_limits(change).await.expect_err("no such remote");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let one = v1::GetLimitsRequest { remote: "mars".to_owned() };
    let refused = daemon.client.get_limits(one).await.expect_err("no such remote");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

#[tokio::test]
async fn status_tells_the_queue_and_the_remotes() {
    let mut daemon = Daemon::start().await;
    for key in ["a", "b"] {
        daemon.submit(key, "1").await;
    }
    daemon.claim().await;
    let status = daemon.client.status(v1::StatusRequest {}).await.expect("always").into_inner();
    assert!(status.ready && !status.draining, "{status:?}");
    assert_eq!(status.queue_depth, 1);
    let running = status.jobs.iter().find(|count| count.state() == v1::JobState::Running);
    assert_eq!(running.map(|count| count.count), Some(1));
    assert_eq!(status.remotes[0].remote, name("com").to_string());
    assert_eq!((status.parts_in_flight, status.memory_budget), (3, 256 << 20));
    let remote = &status.remotes[0];
    assert_eq!((remote.read_concurrency, remote.read_parts_in_flight), (7, 2));
    assert_eq!((remote.write_concurrency, remote.write_parts_in_flight), (8, 3));
    assert_eq!(remote.throttled, 4);
    assert!(status.uptime_seconds > 0);
}

/// What is here can still be read when nothing can be written.
#[tokio::test]
async fn a_ledger_that_takes_nothing_is_told_and_still_read() {
    let mut daemon = Daemon::start().await;
    let job = daemon.submit("a", "1").await;
    daemon.ledger.clone().close().await.expect("flushed");
    let refused = daemon.client.submit(super::harness::request("b", "1")).await;
    let refused = refused.expect_err("closed");
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("the ledger is closed"), "{refused}");
    let selection = super::harness::ids(&[&job.id]);
    let answer = daemon.client.pause(v1::ActionRequest { selection }).await.expect("answered");
    let fault = answer.into_inner().results.remove(0).fault.expect("closed");
    assert_eq!(Code::from_i32(fault.code), Code::Unavailable);

    let jobs = daemon.client.list(v1::ListRequest::default()).await.expect("read").into_inner();
    assert_eq!(jobs.jobs.len(), 1);
    let mut events = daemon.client.watch(v1::WatchRequest::default()).await.expect("read");
    let first = events.get_mut().message().await.expect("read").expect("a snapshot");
    assert!(matches!(first.event, Some(v1::watch_event::Event::Job(shown)) if shown.id == job.id));
}

/// It takes every byte of the socket and answers each ping: nothing else would notice.
#[tokio::test]
async fn who_never_makes_room_in_a_stream_is_cut_off() {
    let daemon = Daemon::start().await;
    let endpoint = format!("unix://{}", daemon.socket.display());
    let endpoint = Endpoint::from_shared(endpoint).expect("legal").initial_stream_window_size(0);
    let channel = endpoint.connect().await.expect("listening");
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let asked = ControlClient::new(channel).get_limits(v1::GetLimitsRequest::default()).await;
    asked.expect_err("cut off");
    assert!((60..=80).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

/// What it has sent so far would be kept for it as long as it likes.
#[tokio::test]
async fn who_never_ends_a_request_is_cut_off_unless_it_is_a_stream() {
    let mut daemon = Daemon::start().await;
    let (_lines, sent) = tokio::sync::mpsc::channel(1);
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let mut many = daemon.client.submit_many(sent).await.expect("a stream").into_inner();
    let endpoint = format!("unix://{}", daemon.socket.display());
    let endpoint = Endpoint::from_shared(endpoint).expect("legal");
    let mut other = endpoint.connect().await.expect("listening");
    let never = http_body_util::StreamBody::new(tokio_stream::pending::<
        Result<http_body::Frame<Bytes>, Status>,
    >());
    let request = http::Request::post("/causeway.v1.Control/Get")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(never))
        .expect("legal");
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    std::future::poll_fn(|context| other.poll_ready(context)).await.expect("connected");
    other.call(request).await.expect_err("cut off");
    assert!((60..=80).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    tokio::time::advance(std::time::Duration::from_secs(600)).await;
    assert!(futures::poll!(std::pin::pin!(many.next())).is_pending(), "it may go on for days");
}

/// A stream may be silent between two messages, and not within one.
#[tokio::test]
async fn who_never_ends_a_message_of_a_stream_is_cut_off() {
    let daemon = Daemon::start().await;
    let endpoint = format!("unix://{}", daemon.socket.display());
    let endpoint = Endpoint::from_shared(endpoint).expect("legal");
    let mut channel = endpoint.connect().await.expect("listening");
    let begun = http_body::Frame::data(Bytes::from_static(b"\0\0\x40\0\0begun"));
    let begun = tokio_stream::once(Ok::<_, Status>(begun)).chain(tokio_stream::pending());
    let request = http::Request::post("/causeway.v1.Control/SubmitMany")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(http_body_util::StreamBody::new(begun)))
        .expect("legal");
    std::future::poll_fn(|context| channel.poll_ready(context)).await.expect("connected");
    let mut answers = channel.call(request).await.expect("a stream").into_body();
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let end = answers.frame().await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}: it is cut off, and not answered");
    assert!((60..=80).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}
