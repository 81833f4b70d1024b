//! One daemon's API: a ledger in a directory of its own, an engine that says what it is told, and a
//! client on the socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use causeway_proto::v1;
use causeway_proto::v1::control_client::ControlClient;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::base::Room;
use crate::base::{InForce, Limits, LimitsChange, NoObserver, Origin};
use crate::control::*;
use crate::ledger::Ledger;
use crate::model::{
    Address, Bandwidth, Check, CheckOutcome, Failure, FailureClass, IfExists, Image, Job, JobId,
    Live, ObjectAddress, ObjectRef, Policy, RemoteName, Side, Submission, Timestamp, TransferSpec,
    Verify,
};

pub const WAIT: Duration = Duration::from_secs(20);

const DEFAULTS: Defaults = Defaults { verify: Verify::Auto, if_exists: IfExists::Fail };

#[derive(Default)]
pub struct Told {
    /// Of a configuration that was changed.
    pub defaults: Option<Defaults>,
    pub draining: bool,
    pub live: BTreeMap<JobId, Live>,
    pub limits: Limits,
    pub persisted: bool,
    /// Keys of the pages that a listing gives.
    pub pages: Vec<Vec<String>>,
    /// A server that gives the same page token for ever.
    pub stuck: bool,
    /// What SSM waits for.
    pub held: Option<Arc<Notify>>,
    /// One that gives another each time, and its pages all over again after the last.
    pub round: bool,
    /// Sides that answer a dry run once this is cancelled.
    pub silent: Option<CancellationToken>,
    /// Dry runs that were asked for.
    pub dry_runs: usize,
}

#[derive(Default)]
pub struct Fake(Mutex<Told>);

impl Fake {
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().expect("no panic under it")
    }
}

/// With nothing beside where to listen.
pub fn settings(listen: Listen) -> Settings {
    let submissions_per_second = std::num::NonZeroU32::MAX;
    Settings { listen, tls: None, roles: BTreeMap::new(), submissions_per_second }
}

pub fn name(text: &str) -> RemoteName {
    text.parse().expect("legal")
}

fn object(address: &ObjectAddress) -> ObjectRef {
    ObjectRef {
        remote: address.remote.to_string(),
        partition: "aws".to_owned(),
        account: None,
        region: "us-east-2".to_owned(),
        bucket: address.bucket.clone(),
        key: address.key.clone(),
        version_id: None,
        etag: "abc".to_owned(),
        size: 100 << 20,
    }
}

fn in_force(limits: Limits) -> InForce {
    InForce { limits, paused: false, origin: Origin::Live, until: None }
}

#[async_trait]
impl Engine for Fake {
    fn defaults(&self) -> Defaults {
        self.told().defaults.unwrap_or(DEFAULTS)
    }

    fn check(&self, submission: &Submission) -> Result<(), String> {
        let Some(spec) = &submission.spec else { return Ok(()) };
        let source = match &spec.source {
            Address::Object(object) => object.remote.as_str(),
            Address::Presigned(_) => "com",
        };
        for remote in [source, spec.target.remote.as_str()] {
            if !["com", "gov"].contains(&remote) {
                return Err(format!("remote '{remote}' is not configured: use one of com, gov"));
            }
        }
        Ok(())
    }

    fn live(&self, id: JobId) -> Option<Live> {
        self.told().live.get(&id).cloned()
    }

    fn place(&self, _: &RemoteName) -> Option<Place> {
        Some(Place { partition: "aws".into(), region: "us-east-2".into(), account: None })
    }

    async fn dry_run(&self, spec: &TransferSpec) -> Result<DryRun, Failure> {
        let silent = {
            let mut told = self.told();
            told.dry_runs += 1;
            told.silent.clone()
        };
        if let Some(answered) = silent {
            answered.cancelled().await;
        }
        let Address::Object(source) = &spec.source else {
            return Err(Failure::new(FailureClass::Permanent, "no such object", "look for it"));
        };
        Ok(DryRun {
            source: object(source),
            target: object(&spec.target),
            part_size: 8 << 20,
            parts: 13,
            verify: spec.verify,
            if_exists: spec.if_exists,
            bytes_to_send: 100 << 20,
            warnings: vec!["the target is not versioned".to_owned()],
        })
    }

    async fn preflight(&self, submission: &Submission) -> (Vec<Check>, Vec<Policy>) {
        let remote = || "gov".parse().expect("legal");
        let check = Check {
            side: Side::Target,
            remote: remote(),
            name: "bucket Region",
            outcome: CheckOutcome::Failed,
            detail: submission.kind().as_str().to_owned(),
            remedy: "name another".to_owned(),
        };
        (vec![check], vec![Policy { side: Side::Target, remote: remote(), json: "{}".to_owned() }])
    }

    async fn roll_back_alias(&self, _: &Job) -> Result<u64, Failure> {
        let held = self.told().held.clone();
        if let Some(held) = held {
            held.notified().await;
        }
        Ok(7)
    }

    async fn list_images(&self, _: &ImagesAsked) -> Result<Vec<Image>, Failure> {
        Ok(Vec::new())
    }

    async fn list_prefix(
        &self,
        _: &ObjectAddress,
        token: Option<String>,
    ) -> Result<ListedPage, Failure> {
        let told = self.told();
        let at: usize = token.map_or(0, |token| token.parse().expect("its own token"));
        if told.stuck {
            return Ok(ListedPage { keys: Vec::new(), next: Some("1".to_owned()) });
        }
        if told.round {
            let keys = told.pages[at % told.pages.len()].clone();
            return Ok(ListedPage { keys, next: Some((at + 1).to_string()) });
        }
        let Some(keys) = told.pages.get(at).cloned() else {
            return Err(Failure::new(FailureClass::Permanent, "access denied", "allow it"));
        };
        let next = (at + 1 < told.pages.len()).then(|| (at + 1).to_string());
        Ok(ListedPage { keys, next })
    }

    fn status(&self) -> EngineStatus {
        let remote = RemoteStatus {
            name: name("com"),
            place: Place { partition: "aws".into(), region: "us-east-2".into(), account: None },
            arn: None,
            endpoint: "https://s3.us-east-2.amazonaws.com".to_owned(),
            credentials_expire_at: Some(Timestamp(1_000)),
            read_rate: Bandwidth(5),
            write_rate: Bandwidth(6),
            limits: in_force(self.told().limits),
            read_concurrency: 7,
            write_concurrency: 8,
            read_parts_in_flight: 2,
            write_parts_in_flight: 3,
            throttled: 4,
            problem: None,
        };
        EngineStatus {
            version: "0.1.0".to_owned(),
            started_at: Timestamp(1_000),
            data_dir: PathBuf::from("/var/lib/causeway"),
            parts_in_flight: 3,
            memory_budget: 256 << 20,
            memory_used: 1 << 20,
            remotes: vec![remote],
            webhooks: Vec::new(),
        }
    }

    fn limits(&self) -> Vec<(RemoteName, InForce)> {
        let com = in_force(self.told().limits);
        vec![(name("com"), com), (name("gov"), in_force(Limits::default()))]
    }

    async fn set_limits(
        &self,
        remote: &RemoteName,
        change: LimitsChange,
        persist: bool,
        _: &str,
    ) -> Result<InForce, LimitsRefused> {
        if remote.as_str() != "com" {
            return Err(LimitsRefused::NoSuchRemote);
        }
        let mut told = self.told();
        told.limits = change.apply(told.limits);
        told.persisted = persist;
        Ok(in_force(told.limits))
    }

    async fn reset_limits(&self, remote: &RemoteName, by: &str) -> Result<InForce, LimitsRefused> {
        self.set_limits(remote, Limits::default().into(), false, by).await
    }

    fn drain(&self, on: bool) -> u32 {
        self.told().draining = on;
        2
    }

    fn is_draining(&self) -> bool {
        self.told().draining
    }
}

pub struct Daemon {
    pub client: ControlClient<Channel>,
    pub ledger: Ledger,
    pub engine: Arc<Fake>,
    pub stop: CancellationToken,
    pub channel: Channel,
    pub socket: PathBuf,
    pub served: JoinHandle<Result<(), Error>>,
    /// Removed with it.
    pub dir: tempfile::TempDir,
}

impl Daemon {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(&dir.path().join("data"), Arc::new(NoObserver)).expect("new");
        let engine = Arc::new(Fake::default());
        let stop = CancellationToken::new();
        let service = Service::new(ledger.clone(), engine.clone(), stop.clone());
        let socket = dir.path().join("run/control.sock");
        let settings = settings(Listen::Unix(socket.clone()));
        let bound = bind(&settings, ledger.clone()).await.expect("free");
        let served = tokio::spawn(bound.serve(service));
        let endpoint = format!("unix://{}", socket.display());
        let channel =
            Endpoint::from_shared(endpoint).expect("legal").connect().await.expect("listening");
        let client = ControlClient::new(channel.clone());
        Self { client, ledger, engine, stop, channel, socket, served, dir }
    }

    /// Submits `com:images/NAME` with the label `batch=BATCH`.
    pub async fn submit(&mut self, name: &str, batch: &str) -> v1::Job {
        let answer = self.client.submit(request(name, batch)).await.expect("taken");
        answer.into_inner().job.expect("not a dry run")
    }

    /// The lines of the audit log, once all are on disk.
    pub async fn audit(&self) -> Vec<serde_json::Value> {
        self.ledger.flush().await.expect("writable");
        let segments = std::fs::read_dir(self.dir.path().join("data/audit")).expect("there");
        let text = segments.map(|it| std::fs::read_to_string(it.expect("read").path()));
        let text: Vec<_> = text.map(|text| text.expect("UTF-8")).collect();
        let lines = text.iter().flat_map(|text| text.lines());
        lines.map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Claims the best job of the queue, as a worker would.
    pub async fn claim(&self) -> Job {
        let room = Room { small: 1, others: 1, large: 1, images: 0 };
        self.ledger.claim(room, WAIT).await.expect("writable").expect("a job in the queue")
    }
}

pub fn request(name: &str, batch: &str) -> v1::SubmitRequest {
    v1::SubmitRequest {
        transfer: Some(v1::TransferSpec {
            source: format!("com:images/{name}"),
            target: format!("gov:vault/{name}"),
            ..Default::default()
        }),
        labels: [("batch".to_owned(), batch.to_owned())].into(),
        ..Default::default()
    }
}

pub fn ids(ids: &[&str]) -> Option<v1::Selection> {
    let job_ids = ids.iter().map(|&id| id.to_owned()).collect();
    Some(v1::Selection { job_ids, ..Default::default() })
}

pub fn batch(batch: &str) -> v1::JobFilter {
    v1::JobFilter { labels: [("batch".to_owned(), batch.to_owned())].into(), ..Default::default() }
}
