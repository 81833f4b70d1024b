//! One typed method for each call of the control API.
//!
//! A call that answers once has a deadline; a stream has none, it lives as long as the jobs do. Nothing
//! is retried here but [`Client::watch`]: only the caller knows whether a repeat is safe.

mod answers;

use std::time::Duration;

use futures::Stream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

pub use answers::Answers;

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::tls::TlsOptions;
use crate::v1::control_client::ControlClient;
use crate::v1::{
    ActionRequest, ActionResponse, Alias, DrainRequest, DrainResponse, GetLimitsRequest,
    GetReceiptRequest, GetRequest, GetResponse, ImageRef, ListImagesRequest, ListRequest,
    ListResponse, PreflightRequest, PreflightResponse, Receipt, RemoteLimits, ReprioritizeRequest,
    ResetLimitsRequest, RollbackAliasRequest, Selection, SetLimitsRequest, StatusRequest,
    StatusResponse, SubmitManyRequest, SubmitPrefixRequest, SubmitRequest, SubmitResponse,
    WatchEvent, WatchRequest,
};
use crate::watch::{Options, Watch};

/// Planning asks both sides about the object, and S3 may be slow: well above that, well below the
/// patience of a person.
const DEADLINE: Duration = Duration::from_secs(60);

/// A preflight tries one thing after another on both sides, a list of images has many pages, and SSM takes its
/// time until an alias holds.
const ROUNDS_DEADLINE: Duration = Duration::from_secs(300);

/// An action may be for a million jobs, and each change is on disk before the answer comes.
const ACTION_DEADLINE: Duration = Duration::from_secs(600);

/// A page of 1,000 jobs with long presigned sources is larger than tonic's 4 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What can be done to jobs that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Pause,
    Resume,
    Cancel,
    Retry,
}

/// A connection to one daemon. Clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: String,
    grpc: ControlClient<Channel>,
}

impl Client {
    /// Connects to `unix:/path`, `http://127.0.0.1:7443` or `127.0.0.1:7443`, within 5 seconds.
    pub async fn connect(endpoint: &str) -> Result<Self, Error> {
        Self::connect_with(endpoint, &TlsOptions::default()).await
    }

    /// The same; to `https://host:7443`, with these certificates. No other endpoint has a use for them.
    pub async fn connect_with(endpoint: &str, tls: &TlsOptions) -> Result<Self, Error> {
        let endpoint: Endpoint = endpoint.parse()?;
        let channel = endpoint.dial(tls).await?;
        let grpc = ControlClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { endpoint: endpoint.to_string(), grpc })
    }

    /// The endpoint, as it is shown to people.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Takes one job. When it returns, the job is on the daemon's disk.
    pub async fn submit(&self, request: SubmitRequest) -> Result<SubmitResponse, Error> {
        self.answer(self.grpc().submit(timed(request)).await)
    }

    /// Takes many jobs; one answer a request, in their order. The stream is pulled only as fast as
    /// the daemon takes it and the caller its answers: 512 requests at most are ahead of these.
    pub async fn submit_many(
        &self,
        requests: impl Stream<Item = SubmitManyRequest> + Send + 'static,
    ) -> Result<Answers, Error> {
        let (requests, sending) = answers::paced(requests);
        let inner = self.answer(self.grpc().submit_many(requests).await)?;
        Ok(Answers::new(self.endpoint.clone(), inner, Some(sending)))
    }

    /// Takes one transfer for each object below a prefix.
    pub async fn submit_prefix(&self, request: SubmitPrefixRequest) -> Result<Answers, Error> {
        let inner = self.answer(self.grpc().submit_prefix(request).await)?;
        Ok(Answers::new(self.endpoint.clone(), inner, None))
    }

    /// One job, with its parts when asked for.
    pub async fn get(&self, job_id: &str, with_parts: bool) -> Result<GetResponse, Error> {
        let request = GetRequest { job_id: job_id.to_owned(), with_parts };
        self.answer(self.grpc().get(timed(request)).await)
    }

    /// One page of jobs, newest first.
    pub async fn list(&self, request: ListRequest) -> Result<ListResponse, Error> {
        self.answer(self.grpc().list(timed(request)).await)
    }

    /// Follows jobs across lost connections; see [`Watch`].
    pub fn watch(&self, request: WatchRequest, options: Options) -> Watch {
        Watch::new(self.clone(), request, options)
    }

    /// One stream of events, until the connection breaks. [`Client::watch`] is what callers want.
    pub(crate) async fn watch_once(
        &self,
        request: WatchRequest,
    ) -> Result<Streaming<WatchEvent>, Error> {
        self.answer(self.grpc().watch(request).await)
    }

    /// Pauses, resumes, cancels or retries the selected jobs.
    pub async fn act(&self, action: Action, selection: Selection) -> Result<ActionResponse, Error> {
        let request = within(ACTION_DEADLINE, ActionRequest { selection: Some(selection) });
        let mut grpc = self.grpc();
        self.answer(match action {
            Action::Pause => grpc.pause(request).await,
            Action::Resume => grpc.resume(request).await,
            Action::Cancel => grpc.cancel(request).await,
            Action::Retry => grpc.retry(request).await,
        })
    }

    /// Changes the priority (-100 to 100) of the selected jobs that have not ended.
    pub async fn reprioritize(
        &self,
        selection: Selection,
        priority: i32,
    ) -> Result<ActionResponse, Error> {
        let request = ReprioritizeRequest { selection: Some(selection), priority };
        self.answer(self.grpc().reprioritize(within(ACTION_DEADLINE, request)).await)
    }

    /// The limits in force, of one remote or of all.
    pub async fn limits(&self, remote: Option<&str>) -> Result<Vec<RemoteLimits>, Error> {
        let request = GetLimitsRequest { remote: remote.unwrap_or_default().to_owned() };
        Ok(self.answer(self.grpc().get_limits(timed(request)).await)?.remotes)
    }

    /// Changes limits of one remote at once, and answers those then in force.
    pub async fn set_limits(&self, request: SetLimitsRequest) -> Result<Vec<RemoteLimits>, Error> {
        Ok(self.answer(self.grpc().set_limits(timed(request)).await)?.remotes)
    }

    /// Puts the configuration's limits of one remote back in force, and answers them.
    pub async fn reset_limits(&self, remote: &str) -> Result<Vec<RemoteLimits>, Error> {
        let request = ResetLimitsRequest { remote: remote.to_owned() };
        Ok(self.answer(self.grpc().reset_limits(timed(request)).await)?.remotes)
    }

    /// The receipt of a job that succeeded.
    pub async fn receipt(&self, job_id: &str) -> Result<Receipt, Error> {
        let request = GetReceiptRequest { job_id: job_id.to_owned() };
        self.answer(self.grpc().get_receipt(timed(request)).await)
    }

    /// Puts back what a job's alias held before it, where it still names the job's image.
    pub async fn rollback_alias(&self, job_id: &str) -> Result<Alias, Error> {
        let request = RollbackAliasRequest { job_id: job_id.to_owned() };
        let answer =
            self.answer(self.grpc().rollback_alias(within(ROUNDS_DEADLINE, request)).await)?;
        answer.alias.ok_or(Error::Incomplete { field: "alias" })
    }

    /// Tries on both sides what a job would need. Nothing that lasts is changed, and no job is made.
    pub async fn preflight(&self, request: SubmitRequest) -> Result<PreflightResponse, Error> {
        let request = PreflightRequest { request: Some(request) };
        self.answer(self.grpc().preflight(within(ROUNDS_DEADLINE, request)).await)
    }

    /// A remote account's own images that match, newest first.
    pub async fn images(&self, request: ListImagesRequest) -> Result<Vec<ImageRef>, Error> {
        let request = within(ROUNDS_DEADLINE, request);
        Ok(self.answer(self.grpc().list_images(request).await)?.images)
    }

    /// The daemon itself.
    pub async fn status(&self) -> Result<StatusResponse, Error> {
        self.answer(self.grpc().status(timed(StatusRequest {})).await)
    }

    /// Takes no new work; with `undo`, takes work again.
    pub async fn drain(&self, undo: bool) -> Result<DrainResponse, Error> {
        self.answer(self.grpc().drain(timed(DrainRequest { undo })).await)
    }

    /// A handle of its own: tonic's calls take `&mut self`, ours need not.
    fn grpc(&self) -> ControlClient<Channel> {
        self.grpc.clone()
    }

    fn answer<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Error> {
        answer.map(Response::into_inner).map_err(|status| self.error(&status))
    }

    pub(crate) fn error(&self, status: &Status) -> Error {
        Error::from_status(&self.endpoint, status)
    }
}

fn timed<T>(message: T) -> Request<T> {
    within(DEADLINE, message)
}

fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}
