//! A daemon's control API on a Unix socket: the real service, listener and ledger, and behind them an engine
//! that knows two remotes and asks nobody.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use causeway_proto::v1;
use causeway_proto::v1::control_client::ControlClient;
use causewayd::base::{InForce, Limits, LimitsChange, Origin};
use causewayd::control::{
    Defaults, DryRun, Engine, EngineStatus, ImagesAsked, LimitsRefused, ListedPage, Listen, Place,
    RemoteStatus, Service, Settings, bind,
};
use causewayd::ledger::{Ledger, trial};
use causewayd::model::{
    Address, Bandwidth, Check, CheckOutcome, Failure, FailureClass, IfExists, Image, Job, JobId,
    Live, ObjectAddress, ObjectRef, Policy, RemoteName, Side, Submission, Timestamp, TransferSpec,
    Verify,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// The remotes that the engine knows.
pub const REMOTES: [&str; 2] = ["com", "gov"];

/// One daemon's API.
pub struct World {
    pub runtime: Runtime,
    pub ledger: Ledger,
    pub socket: PathBuf,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl World {
    /// Starts it, with an empty ledger.
    ///
    /// # Panics
    /// Where the system has no room for it.
    pub fn new() -> Self {
        let (runtime, dir) = (crate::runtime(), crate::scratch());
        let ledger = trial::open(&dir.path().join("data")).expect("a new ledger");
        let stop = CancellationToken::new();
        let service = Service::new(ledger.clone(), Arc::new(Fake::default()), stop.clone());
        let socket = dir.path().join("control.sock");
        let settings = Settings {
            listen: Listen::Unix(socket.clone()),
            tls: None,
            roles: BTreeMap::new(),
            submissions_per_second: NonZeroU32::MAX,
        };
        let bound = runtime.block_on(bind(&settings, ledger.clone())).expect("free");
        runtime.spawn(async move { bound.serve(service).await.expect("served until the stop") });
        Self { runtime, ledger, socket, stop, _dir: dir }
    }

    /// A new connection.
    ///
    /// # Panics
    /// Where nobody listens any more.
    pub async fn channel(&self) -> Channel {
        let endpoint = format!("unix://{}", self.socket.display());
        Endpoint::from_shared(endpoint).expect("legal").connect().await.expect("listening")
    }

    /// Asks for the daemon's status on a connection of its own.
    ///
    /// # Panics
    /// Where it does not answer.
    pub async fn check(&self) {
        let mut client = ControlClient::new(self.channel().await);
        let asked = client.status(v1::StatusRequest {});
        let patience = std::time::Duration::from_secs(15);
        let answer = tokio::time::timeout(patience, asked).await.expect("an answer in time");
        assert!(answer.expect("the status").into_inner().ready, "the ledger is writable");
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The engine. What was changed of the limits, and whether it drains, it keeps.
#[derive(Default)]
struct Fake(Mutex<(Limits, bool)>);

impl Fake {
    fn with<T>(&self, what: impl FnOnce(&mut (Limits, bool)) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn place() -> Place {
    Place { partition: "aws".into(), region: "us-east-2".into(), account: None }
}

fn name(text: &str) -> RemoteName {
    text.parse().expect("legal")
}

fn in_force(limits: Limits) -> InForce {
    InForce { limits, paused: false, origin: Origin::Live, until: None }
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

#[async_trait]
impl Engine for Fake {
    fn defaults(&self) -> Defaults {
        Defaults { verify: Verify::Auto, if_exists: IfExists::Fail }
    }

    fn check(&self, submission: &Submission) -> Result<(), String> {
        let Some(spec) = &submission.spec else { return Ok(()) };
        let known = |remote: &RemoteName| REMOTES.contains(&remote.as_str());
        let source = match &spec.source {
            Address::Object(object) => known(&object.remote),
            Address::Presigned(_) => true,
        };
        if source && known(&spec.target.remote) {
            return Ok(());
        }
        Err("no such remote".to_owned())
    }

    fn live(&self, _: JobId) -> Option<Live> {
        None
    }

    fn place(&self, _: &RemoteName) -> Option<Place> {
        Some(place())
    }

    async fn dry_run(&self, spec: &TransferSpec) -> Result<DryRun, Failure> {
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
            warnings: Vec::new(),
        })
    }

    async fn preflight(&self, submission: &Submission) -> (Vec<Check>, Vec<Policy>) {
        let check = Check {
            side: Side::Target,
            remote: name("gov"),
            name: "bucket Region",
            outcome: CheckOutcome::Failed,
            detail: submission.kind().as_str().to_owned(),
            remedy: "name another".to_owned(),
        };
        (vec![check], Vec::new())
    }

    async fn roll_back_alias(&self, _: &Job) -> Result<u64, Failure> {
        Ok(7)
    }

    async fn list_images(&self, _: &ImagesAsked) -> Result<Vec<Image>, Failure> {
        Ok(Vec::new())
    }

    async fn list_prefix(
        &self,
        prefix: &ObjectAddress,
        token: Option<String>,
    ) -> Result<ListedPage, Failure> {
        let keys = ["a.bin", "b/", "c\u{7f}", "d/e.bin", ""];
        let keys = keys.iter().map(|key| format!("{}{key}", prefix.key)).collect();
        Ok(ListedPage { keys, next: token.is_none().then(|| "1".to_owned()) })
    }

    fn status(&self) -> EngineStatus {
        let remote = RemoteStatus {
            name: name("com"),
            place: place(),
            arn: None,
            endpoint: "https://s3.us-east-2.amazonaws.com".to_owned(),
            credentials_expire_at: Some(Timestamp(1_000)),
            read_rate: Bandwidth(5),
            write_rate: Bandwidth(6),
            limits: in_force(self.with(|(limits, _)| *limits)),
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
        vec![(name("com"), in_force(self.with(|(limits, _)| *limits)))]
    }

    async fn set_limits(
        &self,
        remote: &RemoteName,
        change: LimitsChange,
        _: bool,
        _: &str,
    ) -> Result<InForce, LimitsRefused> {
        if remote.as_str() != "com" {
            return Err(LimitsRefused::NoSuchRemote);
        }
        let changed = |(limits, _): &mut (Limits, bool)| {
            *limits = change.apply(*limits);
            *limits
        };
        Ok(in_force(self.with(changed)))
    }

    async fn reset_limits(&self, remote: &RemoteName, by: &str) -> Result<InForce, LimitsRefused> {
        self.set_limits(remote, Limits::default().into(), false, by).await
    }

    fn drain(&self, on: bool) -> u32 {
        self.with(|(_, draining)| *draining = on);
        2
    }

    fn is_draining(&self) -> bool {
        self.with(|(_, draining)| *draining)
    }
}
