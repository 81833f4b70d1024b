//! The RPCs, one line each where possible: the work is in the modules named after what they do.

use std::pin::Pin;
use std::sync::Arc;

use causeway_proto::v1;
use futures::Stream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::access::Admitted;
use super::convert::{self, Invalid};
use super::engine::Engine;
use super::health::Health;
use super::turns::Turns;
use super::{act, images, limits, submit, watch};
use crate::base::{chain, clock};
use crate::ledger::{Filter, Ledger, Page};
use crate::model::{Change, Job, JobId, JobState};

/// Watches at once, all clients together.
const WATCHES_MAX: usize = 1024;
/// Jobs a page where a request does not say.
const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: u32 = 1000;
/// A page ends early rather than outgrow what a gRPC client takes by default, which is 4 MiB.
const PAGE_BYTES_MAX: usize = 2 << 20;

/// The stream of a streaming answer.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Service {
    pub(super) ledger: Ledger,
    pub(super) engine: Arc<dyn Engine>,
    /// Ends the streams, and the listener.
    pub(super) stop: CancellationToken,
    pub(super) watches: Arc<Semaphore>,
    pub(super) health: Health,
    pub(super) turns: Turns,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// The service over a ledger and the rest of the daemon. It ends with `stop`.
    pub fn new(ledger: Ledger, engine: Arc<dyn Engine>, stop: CancellationToken) -> Self {
        Self {
            ledger,
            engine,
            stop,
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
            health: Health::new(),
            turns: Turns::new(),
        }
    }

    /// A job as the API shows it: the ledger's word, with the live figures while it runs here.
    pub(super) fn show(&self, job: &Job) -> v1::Job {
        let running = job.state == JobState::Running;
        let live = running.then(|| self.engine.live(job.id)).flatten();
        convert::job(job, live.as_ref(), &|remote| self.engine.place(remote))
    }

    /// One page of jobs, newest first. A filter that few jobs match reads many: in its turn.
    pub(super) async fn page(
        &self,
        filter: Filter,
        size: usize,
        after: Option<JobId>,
    ) -> Result<Page, Status> {
        let ledger = self.ledger.clone();
        Ok(self.turns.read(move || ledger.list(&filter, size, after)).await??)
    }

    pub(super) fn job(&self, id: &str) -> Result<Job, Status> {
        let id = convert::job_id("job_id", id)?;
        Ok(self.ledger.get(id)?)
    }

    async fn list_jobs(&self, request: v1::ListRequest) -> Result<v1::ListResponse, Status> {
        let filter = convert::job_filter(request.filter.unwrap_or_default())?;
        let size = page_size(request.page_size)?;
        let token = Some(request.page_token).filter(|token| !token.is_empty());
        let after = token.map(|token| convert::job_id("page_token", &token)).transpose()?;
        let page = self.page(filter, size, after).await?;
        Ok(self.fit(&page))
    }

    /// As much of the page as one message holds, one job at the least.
    fn fit(&self, page: &Page) -> v1::ListResponse {
        let mut jobs = Vec::with_capacity(page.jobs.len());
        let mut bytes = 0;
        let (mut next, mut last) = (page.next, None);
        for job in &page.jobs {
            let shown = self.show(job);
            bytes += convert::weight(&shown);
            if bytes > PAGE_BYTES_MAX && !jobs.is_empty() {
                next = last;
                break;
            }
            last = Some(job.id);
            jobs.push(shown);
        }
        let next_page_token = next.map(|id| id.to_string()).unwrap_or_default();
        v1::ListResponse { jobs, next_page_token }
    }

    /// A line of the audit log about what is no job, on disk once this returns. It is no reason to refuse what
    /// was done.
    pub(super) async fn remark(&self, event: &str, actor: &str, details: &[(&str, String)]) {
        let written = match self.ledger.remark(event, actor, details) {
            Ok(()) => self.ledger.flush().await,
            failed => failed,
        };
        if let Err(error) = written {
            tracing::error!(%error, event, actor, "a change is not in the audit log");
        }
    }

    fn get_job(&self, request: &v1::GetRequest) -> Result<v1::GetResponse, Status> {
        let job = self.job(&request.job_id)?;
        let parts = if request.with_parts {
            let facts = self.ledger.parts(job.id)?;
            convert::part_map(&job, &facts, self.engine.live(job.id).as_ref())
        } else {
            Vec::new()
        };
        Ok(v1::GetResponse { job: Some(self.show(&job)), parts })
    }

    fn receipt(&self, request: &v1::GetReceiptRequest) -> Result<v1::Receipt, Status> {
        let job = self.job(&request.job_id)?;
        convert::receipt(&job, &|remote| self.engine.place(remote)).ok_or_else(|| {
            Status::failed_precondition(format!(
                "job {} is {}: a receipt exists once it has succeeded",
                job.id,
                job.state.as_str()
            ))
        })
    }

    async fn daemon_status(&self) -> v1::StatusResponse {
        let status = self.engine.status();
        let counts = self.ledger.counts();
        let now = clock::now();
        let not_ready = self.ledger.writable().await.err().map(|error| chain(&*error));
        let oldest = counts.oldest_queued.map_or(0, |oldest| now.millis_since(oldest) / 1000);
        v1::StatusResponse {
            version: status.version,
            uptime_seconds: now.millis_since(status.started_at) / 1000,
            draining: self.engine.is_draining(),
            ready: not_ready.is_none(),
            not_ready_reason: not_ready.unwrap_or_default(),
            queue_depth: counts.of(JobState::Queued),
            queue_oldest_seconds: oldest,
            jobs: convert::state_counts(&counts),
            parts_in_flight: status.parts_in_flight,
            memory_budget: status.memory_budget,
            memory_used: status.memory_used,
            remotes: status.remotes.into_iter().map(convert::remote_status).collect(),
            started_at: Some(convert::timestamp(status.started_at)),
            data_dir: status.data_dir.display().to_string(),
            webhooks: status.webhooks.into_iter().map(convert::webhook_status).collect(),
        }
    }

    async fn drain_or_not(&self, undo: bool, actor: &str) -> v1::DrainResponse {
        let jobs_running = self.engine.drain(!undo);
        let draining = self.engine.is_draining();
        self.tell_health().await;
        tracing::info!(draining, jobs_running, actor, "drain was asked for");
        self.remark("drain", actor, &[("draining", draining.to_string())]).await;
        v1::DrainResponse { draining, jobs_running }
    }
}

/// As health checks and reflection name it.
pub(super) const SERVICE_NAME: &str = v1::control_server::SERVICE_NAME;

fn page_size(asked: u32) -> Result<usize, Invalid> {
    match usize::try_from(asked) {
        Ok(0) => Ok(PAGE_SIZE),
        Ok(size) if asked <= PAGE_SIZE_MAX => Ok(size),
        _ => Err(Invalid::new(
            "page_size",
            format_args!("{asked} jobs do not fit a page: use 1 to 1000, or 0 for 100"),
        )),
    }
}

/// Who asks, as the gate admitted it, and judged once more: the gate judges when the headers come, and what is
/// asked for may come hours later.
fn admitted<T>(request: &Request<T>) -> Result<Admitted, Status> {
    let admitted = request.extensions().get::<Admitted>().cloned();
    let admitted = admitted.ok_or_else(|| Status::internal("a request came past the gate"))?;
    admitted.still()?;
    Ok(admitted)
}

type Acted = Result<Response<v1::ActionResponse>, Status>;

impl Service {
    async fn act(&self, request: Request<v1::ActionRequest>, change: Change) -> Acted {
        let Admitted { actor, .. } = admitted(&request)?;
        let selection = request.into_inner().selection;
        act::act(self, selection, change, &actor).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl v1::control_server::Control for Service {
    type SubmitManyStream = Answers<v1::SubmitManyResponse>;
    type SubmitPrefixStream = Answers<v1::SubmitManyResponse>;
    type WatchStream = Answers<v1::WatchEvent>;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let by = admitted(&request)?;
        submit::one(self, request.into_inner(), &by).await.map(Response::new)
    }

    async fn submit_many(
        &self,
        request: Request<Streaming<v1::SubmitManyRequest>>,
    ) -> Result<Response<Self::SubmitManyStream>, Status> {
        let by = admitted(&request)?;
        Ok(Response::new(submit::many(self, request.into_inner(), by)))
    }

    async fn submit_prefix(
        &self,
        request: Request<v1::SubmitPrefixRequest>,
    ) -> Result<Response<Self::SubmitPrefixStream>, Status> {
        let by = admitted(&request)?;
        submit::prefix(self, request.into_inner(), by).await.map(Response::new)
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        self.get_job(request.get_ref()).map(Response::new)
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        self.list_jobs(request.into_inner()).await.map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let by = admitted(&request)?;
        watch::watch(self, request.into_inner(), by).await.map(Response::new)
    }

    async fn pause(&self, request: Request<v1::ActionRequest>) -> Acted {
        self.act(request, Change::Pause).await
    }

    async fn resume(&self, request: Request<v1::ActionRequest>) -> Acted {
        self.act(request, Change::Resume).await
    }

    async fn cancel(&self, request: Request<v1::ActionRequest>) -> Acted {
        self.act(request, Change::Cancel).await
    }

    async fn retry(&self, request: Request<v1::ActionRequest>) -> Acted {
        self.act(request, Change::Retry).await
    }

    async fn reprioritize(&self, request: Request<v1::ReprioritizeRequest>) -> Acted {
        let Admitted { actor, .. } = admitted(&request)?;
        let v1::ReprioritizeRequest { selection, priority } = request.into_inner();
        let change = Change::Reprioritize(convert::priority(priority)?);
        act::act(self, selection, change, &actor).await.map(Response::new)
    }

    async fn get_limits(
        &self,
        request: Request<v1::GetLimitsRequest>,
    ) -> Result<Response<v1::GetLimitsResponse>, Status> {
        limits::show(self, request.get_ref()).map(Response::new)
    }

    async fn set_limits(
        &self,
        request: Request<v1::SetLimitsRequest>,
    ) -> Result<Response<v1::GetLimitsResponse>, Status> {
        let Admitted { actor, .. } = admitted(&request)?;
        limits::set(self, request.get_ref(), &actor).await.map(Response::new)
    }

    async fn reset_limits(
        &self,
        request: Request<v1::ResetLimitsRequest>,
    ) -> Result<Response<v1::GetLimitsResponse>, Status> {
        let Admitted { actor, .. } = admitted(&request)?;
        limits::reset(self, request.get_ref(), &actor).await.map(Response::new)
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::Receipt>, Status> {
        self.receipt(request.get_ref()).map(Response::new)
    }

    async fn rollback_alias(
        &self,
        request: Request<v1::RollbackAliasRequest>,
    ) -> Result<Response<v1::RollbackAliasResponse>, Status> {
        let by = admitted(&request)?;
        images::roll_back_alias(self, request.get_ref(), &by).await.map(Response::new)
    }

    async fn preflight(
        &self,
        request: Request<v1::PreflightRequest>,
    ) -> Result<Response<v1::PreflightResponse>, Status> {
        let by = admitted(&request)?;
        images::preflight(self, request.into_inner(), &by).await.map(Response::new)
    }

    async fn list_images(
        &self,
        request: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let by = admitted(&request)?;
        images::list(self, request.into_inner(), &by).await.map(Response::new)
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        Ok(Response::new(self.daemon_status().await))
    }

    async fn drain(
        &self,
        request: Request<v1::DrainRequest>,
    ) -> Result<Response<v1::DrainResponse>, Status> {
        let Admitted { actor, .. } = admitted(&request)?;
        Ok(Response::new(self.drain_or_not(request.get_ref().undo, &actor).await))
    }
}
