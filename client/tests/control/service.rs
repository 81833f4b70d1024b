//! The fake as a gRPC service: each call in terms of its state.

use std::pin::Pin;

use causeway::v1::control_server::Control;
use causeway::v1::{
    ActionRequest, ActionResponse, Check, CheckOutcome, DrainRequest, DrainResponse, Fault,
    GetLimitsRequest, GetLimitsResponse, GetReceiptRequest, GetRequest, GetResponse, Job, JobState,
    LimitsOrigin, ListImagesRequest, ListImagesResponse, ListRequest, ListResponse, Part,
    PartState, Policy, PreflightRequest, PreflightResponse, Receipt, RemoteLimits,
    ReprioritizeRequest, ResetLimitsRequest, RollbackAliasRequest, RollbackAliasResponse,
    SetLimitsRequest, StateCount, StatusRequest, StatusResponse, SubmitManyRequest,
    SubmitManyResponse, SubmitPrefixRequest, SubmitRequest, SubmitResponse, WatchEvent,
    WatchRequest, submit_many_response::Outcome,
};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::fake::{Fake, image};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn outcome(line: u64, answer: Result<SubmitResponse, Status>) -> SubmitManyResponse {
    let outcome = match answer {
        Ok(accepted) => Outcome::Accepted(accepted),
        Err(status) => Outcome::Refused(Fault {
            code: status.code().into(),
            message: status.message().to_owned(),
        }),
    };
    SubmitManyResponse { line, outcome: Some(outcome) }
}

#[tonic::async_trait]
impl Control for Fake {
    type SubmitManyStream = Answers<SubmitManyResponse>;
    type SubmitPrefixStream = Answers<SubmitManyResponse>;
    type WatchStream = Answers<WatchEvent>;

    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        self.add(request.get_ref()).map(Response::new)
    }

    async fn submit_many(
        &self,
        request: Request<Streaming<SubmitManyRequest>>,
    ) -> Result<Response<Self::SubmitManyStream>, Status> {
        let fake = self.clone();
        let answers = request.into_inner().map(move |request| {
            let request = request?;
            let answer = fake.add(&request.request.unwrap_or_default());
            Ok(outcome(request.line, answer))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn submit_prefix(
        &self,
        request: Request<SubmitPrefixRequest>,
    ) -> Result<Response<Self::SubmitPrefixStream>, Status> {
        let base = request.into_inner().request.unwrap_or_default();
        if image::source(&base).contains("nothing") {
            return Ok(Response::new(Box::pin(futures::stream::empty())));
        }
        let answers: Vec<_> = [(1, "a-ok.bin"), (2, "b-ok.bin")]
            .into_iter()
            .map(|(line, key)| {
                let mut request = base.clone();
                let spec = request.transfer.get_or_insert_default();
                spec.source.push_str(key);
                Ok(outcome(line, self.add(&request)))
            })
            .collect();
        Ok(Response::new(Box::pin(futures::stream::iter(answers))))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let part = |number, state: PartState| Part {
            number,
            state: state.into(),
            attempts: 1,
            ..Default::default()
        };
        let parts = vec![part(1, PartState::Done), part(2, PartState::Active)];
        let mut job = self.find(&request.get_ref().job_id)?;
        let mut state = self.state();
        if let Some(id) = &state.got_as {
            job.id.clone_from(id);
        }
        if state.gets_refused > 0 {
            state.gets_refused -= 1;
            return Err(Status::unavailable("starting"));
        }
        Ok(Response::new(GetResponse { job: Some(job), parts }))
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let request = request.into_inner();
        let start: usize = request.page_token.parse().unwrap_or(0);
        let size = usize::try_from(request.page_size).expect("small").min(2);
        let filter = request.filter.unwrap_or_default();
        let is_wanted = |job: &&Job| {
            let is_labelled = |(key, value)| job.labels.get(key) == Some(value);
            (filter.states.is_empty() || filter.states.contains(&job.state))
                && filter.labels.iter().all(is_labelled)
        };
        let state = self.state();
        let all: Vec<&Job> = state.jobs.iter().rev().filter(is_wanted).collect();
        let jobs: Vec<Job> = all.iter().skip(start).take(size).copied().cloned().collect();
        let next = start + jobs.len();
        let next_page_token = if next < all.len() { next.to_string() } else { String::new() };
        Ok(Response::new(ListResponse { jobs, next_page_token }))
    }

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        for id in &request.job_ids {
            self.find(id)?;
        }
        self.state().cursors.push(request.cursor.clone());
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(self.clone().feed(request, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn pause(
        &self,
        request: Request<ActionRequest>,
    ) -> Result<Response<ActionResponse>, Status> {
        let selection = request.into_inner().selection;
        Ok(Response::new(self.act(selection, |job| job.state = JobState::Paused.into())))
    }

    async fn resume(
        &self,
        request: Request<ActionRequest>,
    ) -> Result<Response<ActionResponse>, Status> {
        let selection = request.into_inner().selection;
        Ok(Response::new(self.act(selection, |job| job.state = JobState::Queued.into())))
    }

    async fn cancel(
        &self,
        request: Request<ActionRequest>,
    ) -> Result<Response<ActionResponse>, Status> {
        let selection = request.into_inner().selection;
        Ok(Response::new(self.act(selection, |job| job.state = JobState::Cancelled.into())))
    }

    async fn retry(
        &self,
        request: Request<ActionRequest>,
    ) -> Result<Response<ActionResponse>, Status> {
        let selection = request.into_inner().selection;
        Ok(Response::new(self.act(selection, |job| job.state = JobState::Queued.into())))
    }

    async fn reprioritize(
        &self,
        request: Request<ReprioritizeRequest>,
    ) -> Result<Response<ActionResponse>, Status> {
        let ReprioritizeRequest { selection, priority } = request.into_inner();
        Ok(Response::new(self.act(selection, |job| job.priority = priority)))
    }

    async fn get_limits(
        &self,
        _: Request<GetLimitsRequest>,
    ) -> Result<Response<GetLimitsResponse>, Status> {
        let gov = RemoteLimits {
            remote: "gov".into(),
            read_bandwidth: Some(1),
            paused: true,
            origin: LimitsOrigin::Schedule.into(),
            schedule_entry: Some(2),
            until: Some(prost_types::Timestamp { seconds: 60, nanos: 0 }),
            ..Default::default()
        };
        Ok(Response::new(GetLimitsResponse { remotes: vec![gov] }))
    }

    async fn set_limits(
        &self,
        request: Request<SetLimitsRequest>,
    ) -> Result<Response<GetLimitsResponse>, Status> {
        self.state().limits.push(request.into_inner());
        self.get_limits(Request::new(GetLimitsRequest::default())).await
    }

    async fn reset_limits(
        &self,
        request: Request<ResetLimitsRequest>,
    ) -> Result<Response<GetLimitsResponse>, Status> {
        self.state().limits_reset.push(request.into_inner().remote);
        self.get_limits(Request::new(GetLimitsRequest::default())).await
    }

    async fn get_receipt(
        &self,
        request: Request<GetReceiptRequest>,
    ) -> Result<Response<Receipt>, Status> {
        let job = self.find(&request.get_ref().job_id)?;
        let missing = || Status::failed_precondition("the job has not succeeded");
        Ok(Response::new(job.receipt.ok_or_else(missing)?))
    }

    async fn rollback_alias(
        &self,
        request: Request<RollbackAliasRequest>,
    ) -> Result<Response<RollbackAliasResponse>, Status> {
        let job = self.find(&request.get_ref().job_id)?;
        let missing = || Status::failed_precondition("the job wrote no alias");
        let mut alias = job.image.and_then(|image| image.alias).ok_or_else(missing)?;
        alias.rolled_back = true;
        Ok(Response::new(RollbackAliasResponse { alias: Some(alias) }))
    }

    /// One check a side; that of the target comes out by the source's name, as a job would end.
    async fn preflight(
        &self,
        request: Request<PreflightRequest>,
    ) -> Result<Response<PreflightResponse>, Status> {
        let request = request.into_inner().request.unwrap_or_default();
        let source = image::source(&request);
        let is_bad = source.contains("bad");
        self.state().preflights.push(request.clone());
        let check = |side: &str, outcome: CheckOutcome, remedy: &str| Check {
            side: side.into(),
            remote: "gov".into(),
            name: "s3:PutObject".into(),
            outcome: outcome.into(),
            detail: "tried".into(),
            remedy: remedy.into(),
        };
        let target = match is_bad {
            true => check("target", CheckOutcome::Failed, "allow it"),
            false => check("target", CheckOutcome::Warning, "look at it"),
        };
        let policy = |side: &str| Policy {
            side: side.into(),
            remote: "gov".into(),
            json: "{\"Version\":\"2012-10-17\"}".into(),
        };
        let sides = match request.migrate.is_some() || request.transfer.is_some() {
            true => vec![policy("source"), policy("target")],
            false => vec![policy("source")],
        };
        let checks = vec![check("source", CheckOutcome::Passed, ""), target];
        Ok(Response::new(PreflightResponse { checks, policies: sides }))
    }

    async fn list_images(
        &self,
        request: Request<ListImagesRequest>,
    ) -> Result<Response<ListImagesResponse>, Status> {
        let request = request.into_inner();
        let count = if request.name == "golden-*" { request.latest } else { 0 };
        let images = (0..count).map(|number| image::named(&request.remote, number)).collect();
        Ok(Response::new(ListImagesResponse { images }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let queued = StateCount { state: JobState::Queued.into(), count: 3 };
        Ok(Response::new(StatusResponse {
            version: "0.0.0-fake".into(),
            ready: true,
            jobs: vec![queued],
            ..Default::default()
        }))
    }

    async fn drain(
        &self,
        request: Request<DrainRequest>,
    ) -> Result<Response<DrainResponse>, Status> {
        let draining = !request.get_ref().undo;
        self.state().draining = draining;
        Ok(Response::new(DrainResponse { draining, jobs_running: 1 }))
    }
}
