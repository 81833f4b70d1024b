//! A stand-in for the daemon: the control API over a list of changes in memory.
//!
//! What a job does follows from its source: `…ok` succeeds, `…bad` fails, `…hang` stays running, each with
//! or without `.bin`. Remote `nobody` is not permitted, remote `nowhere` does not exist.

pub mod image;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use causeway::v1::{
    ActionResponse, ActionResult, Failure, Fault, Job, JobState, Plan, Progress, Receipt, Reset,
    SetLimitsRequest, SnapshotEnd, Stage, SubmitRequest, SubmitResponse, WatchEvent, WatchRequest,
    watch_event::Event,
};
use tokio::sync::{mpsc, watch};
use tonic::{Code, Status};

/// What outlives a restart of the server.
#[derive(Default)]
pub struct State {
    pub jobs: Vec<Job>,
    /// Every change, in order; a cursor is a number of changes.
    pub changes: Vec<Job>,
    /// The cursors that watches asked for.
    pub cursors: Vec<String>,
    /// Ends the next watch stream after so many messages.
    pub break_after: Option<usize>,
    /// Cursors below this are answered with a reset.
    pub oldest_cursor: usize,
    /// So many calls of `get` are answered with UNAVAILABLE.
    pub gets_refused: usize,
    /// The id of the job that `get` answers with, whichever was asked for.
    pub got_as: Option<String>,
    pub limits: Vec<SetLimitsRequest>,
    /// The remotes that were named.
    pub limits_reset: Vec<String>,
    pub preflights: Vec<SubmitRequest>,
    pub draining: bool,
    /// Drains after so many more submissions.
    pub drain_after: Option<usize>,
}

impl State {
    /// Whether it does so at this submission.
    fn is_draining(&mut self) -> bool {
        self.draining |= self.drain_after == Some(0);
        self.drain_after = self.drain_after.and_then(|left| left.checked_sub(1));
        self.draining
    }
}

#[derive(Clone)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<usize>>,
}

impl Fake {
    pub fn new() -> Self {
        Self { state: Arc::default(), changed: Arc::new(watch::Sender::new(0)) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with the lock")
    }

    /// Makes a durable change.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        let mut state = self.state();
        let job = state.jobs.iter_mut().find(|job| job.id == id).expect("a job");
        change(job);
        job.revision += 1;
        let job = job.clone();
        state.changes.push(job);
        self.changed.send_replace(state.changes.len());
    }

    pub fn end(&self, id: &str, end: JobState) {
        self.change(id, |job| {
            job.state = end.into();
            job.stage = Stage::Unspecified.into();
            if end == JobState::Failed {
                job.failure = Some(Failure {
                    class: "permanent".into(),
                    message: "s3:GetObject on b/bad.bin: the source changed".into(),
                    ..Default::default()
                });
            }
            if end == JobState::Succeeded {
                job.receipt = Some(Receipt {
                    job_id: job.id.clone(),
                    kind: job.kind,
                    blake3: "af13".into(),
                    verified_by: "s3-checksum".into(),
                    ..Default::default()
                });
                image::succeed(job);
            }
        });
    }

    pub fn add(&self, request: &SubmitRequest) -> Result<SubmitResponse, Status> {
        let source = image::source(request);
        if self.state().is_draining() {
            return Err(Status::unavailable("draining"));
        }
        if source.starts_with("nobody:") {
            return Err(Status::permission_denied("role viewer may not submit"));
        }
        if source.starts_with("nowhere:") {
            return Err(Status::invalid_argument("no remote `nowhere`"));
        }
        if request.dry_run {
            let plan = Plan { parts: 3, part_size: 5 << 20, ..Default::default() };
            return Ok(SubmitResponse { plan: Some(plan), ..Default::default() });
        }
        let mut state = self.state();
        let key = &request.idempotency_key;
        if let Some(job) =
            state.jobs.iter().find(|job| key.is_some() && job.idempotency_key == *key)
        {
            return Ok(SubmitResponse { job: Some(job.clone()), existed: true, plan: None });
        }
        let job = Job {
            id: format!("J{:05}", state.jobs.len() + 1),
            kind: image::kind(request).into(),
            state: JobState::Queued.into(),
            transfer: request.transfer.clone(),
            store: request.store.clone(),
            restore: request.restore.clone(),
            migrate: request.migrate.clone(),
            priority: request.priority,
            labels: request.labels.clone(),
            idempotency_key: key.clone(),
            revision: 1,
            ..Default::default()
        };
        state.jobs.push(job.clone());
        state.changes.push(job.clone());
        self.changed.send_replace(state.changes.len());
        drop(state);
        self.run(&job.id, &source);
        Ok(SubmitResponse { job: Some(job), existed: false, plan: None })
    }

    fn run(&self, id: &str, source: &str) {
        let end = match source.strip_suffix(".bin").unwrap_or(source) {
            stem if stem.ends_with("ok") => JobState::Succeeded,
            stem if stem.ends_with("bad") => JobState::Failed,
            stem if stem.ends_with("hang") => JobState::Running,
            _ => return,
        };
        let (fake, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            fake.change(&id, |job| {
                job.state = JobState::Running.into();
                job.stage = Stage::Transferring.into();
                job.bytes_total = Some(100);
                image::store(job);
            });
            tokio::time::sleep(Duration::from_millis(50)).await;
            if end != JobState::Running {
                fake.end(&id, end);
            }
        });
    }

    /// As the daemon does, whatever case the id is in.
    pub fn find(&self, id: &str) -> Result<Job, Status> {
        let state = self.state();
        let job = state.jobs.iter().find(|job| job.id.eq_ignore_ascii_case(id));
        job.cloned().ok_or_else(|| Status::not_found(format!("no job `{id}`")))
    }

    pub fn act(
        &self,
        selection: Option<causeway::v1::Selection>,
        change: impl Fn(&mut Job),
    ) -> ActionResponse {
        let selection = selection.unwrap_or_default();
        let ids = match selection.job_ids.is_empty() {
            true => self.state().jobs.iter().map(|job| job.id.clone()).collect(),
            false => selection.job_ids,
        };
        let mut answer = ActionResponse::default();
        for job_id in ids {
            let result = match self.find(&job_id) {
                Ok(Job { id: job_id, .. }) => {
                    self.change(&job_id, &change);
                    answer.changed += 1;
                    let state = self.find(&job_id).expect("it is there").state;
                    ActionResult { job_id, state, fault: None }
                }
                Err(status) => {
                    answer.refused += 1;
                    let fault =
                        Fault { code: Code::NotFound.into(), message: status.message().into() };
                    ActionResult { job_id, state: 0, fault: Some(fault) }
                }
            };
            answer.results.push(result);
        }
        answer
    }

    /// Sends a snapshot where one is due, and then every change.
    pub async fn feed(
        self,
        request: WatchRequest,
        sender: mpsc::Sender<Result<WatchEvent, Status>>,
    ) {
        let mut left = self.state().break_after.take().unwrap_or(usize::MAX);
        let mut send = async |cursor: String, event: Event| {
            if left == 0 {
                return false;
            }
            left -= 1;
            sender.send(Ok(WatchEvent { cursor, event: Some(event) })).await.is_ok()
        };
        let wanted = |id: &str| {
            request.job_ids.is_empty() || request.job_ids.iter().any(|j| j.eq_ignore_ascii_case(id))
        };
        let mut next = request.cursor.parse().unwrap_or(0);
        let is_stale = !request.cursor.is_empty() && next < self.state().oldest_cursor;
        if is_stale && !send(String::new(), Event::Reset(Reset { reason: "old".into() })).await {
            return;
        }
        if request.cursor.is_empty() || is_stale {
            let (jobs, at) = {
                let state = self.state();
                (state.jobs.clone(), state.changes.len())
            };
            for job in jobs {
                let is_ended = causeway::words::is_ended(job.state());
                let is_shown = wanted(&job.id) && (!is_ended || !request.job_ids.is_empty());
                if is_shown && !send(at.to_string(), Event::Job(job)).await {
                    return;
                }
            }
            if !send(at.to_string(), Event::SnapshotEnd(SnapshotEnd {})).await {
                return;
            }
            next = at;
        }
        let mut changed = self.changed.subscribe();
        loop {
            let news = self.state().changes[next..].to_vec();
            for job in news {
                next += 1;
                if !wanted(&job.id) {
                    continue;
                }
                let progress = Progress { job_id: job.id.clone(), ..Default::default() };
                let sent = send(next.to_string(), Event::Job(job)).await
                    && send(String::new(), Event::Progress(progress)).await;
                if !sent {
                    return;
                }
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}
