//! Images and what is known of them beforehand: lists, preflights, and an alias that is put back.

use causeway_proto::v1;
use tonic::Status;

use super::access::Admitted;
use super::convert::{self, Invalid};
use super::engine::ImagesAsked;
use super::service::Service;
use crate::base::clock;
use crate::model::{Change, Job, JobState};

/// Images a list.
const LATEST_MAX: u32 = 1000;
/// The audit log's word for an alias that is about to be put back.
const ROLLBACK_ASKED: &str = "alias rollback asked";

/// The account's own images of a remote.
pub(super) async fn list(
    service: &Service,
    request: v1::ListImagesRequest,
    by: &Admitted,
) -> Result<v1::ListImagesResponse, Status> {
    let remote = request.remote.parse().map_err(|fault| Invalid::new("remote", fault))?;
    if !(1..=LATEST_MAX).contains(&request.latest) {
        let fault = format_args!("{} is out of range: use 1 to {LATEST_MAX}", request.latest);
        return Err(Invalid::new("latest", fault).into());
    }
    let asked = ImagesAsked {
        remote,
        name: Some(request.name).filter(|name| !name.is_empty()),
        tags: request.tags.into_iter().collect(),
        latest: usize::try_from(request.latest).unwrap_or_default(),
    };
    let _turn = service.turns.ask(&by.caller).await?;
    let images = service.engine.list_images(&asked).await;
    let images = images.map_err(|failure| convert::side_failed(&failure))?;
    let place = |name: &_| service.engine.place(name);
    let shown = images.iter().map(|image| convert::listed(&asked.remote, image, &place));
    Ok(v1::ListImagesResponse { images: shown.collect() })
}

/// Tries what a job would need.
pub(super) async fn preflight(
    service: &Service,
    request: v1::PreflightRequest,
    by: &Admitted,
) -> Result<v1::PreflightResponse, Status> {
    let asked = request.request.unwrap_or_default();
    let submission = convert::submission(asked, service.engine.defaults(), clock::now())?;
    service.engine.check(&submission).map_err(Status::invalid_argument)?;
    let _turn = service.turns.ask(&by.caller).await?;
    let (checks, policies) = service.engine.preflight(&submission).await;
    Ok(convert::preflight(checks, policies))
}

/// Puts the value back that a job's alias had before.
pub(super) async fn roll_back_alias(
    service: &Service,
    request: &v1::RollbackAliasRequest,
    by: &Admitted,
) -> Result<v1::RollbackAliasResponse, Status> {
    let job = service.job(&request.job_id)?;
    // What is not legal is told before anything is changed at SSM.
    let legal = job.apply(Change::RollBackAlias, clock::now());
    legal.map_err(|why| Status::failed_precondition(format!("job {}: {why}", job.id)))?;
    debug_assert_eq!(job.state, JobState::Succeeded);
    let turn = service.turns.ask(&by.caller).await?;
    // Seen to its end: who asked may hang up between what SSM takes and what the ledger holds.
    let (service, actor) = (service.clone(), by.actor.clone());
    let put_back = tokio::spawn(async move {
        let _turn = turn;
        put_back(&service, &job, &actor).await
    });
    put_back.await.map_err(|error| Status::internal(format!("the rollback stopped: {error}")))?
}

async fn put_back(
    service: &Service,
    job: &Job,
    actor: &str,
) -> Result<v1::RollbackAliasResponse, Status> {
    service.ledger.intend(job.id, ROLLBACK_ASKED, actor).await?;
    let version = service.engine.roll_back_alias(job).await;
    let version = version.map_err(|failure| convert::side_failed(&failure))?;
    let job = service.ledger.control(job.id, Change::RollBackAlias, actor).await?;
    let shown = service.show(&job).image.and_then(|image| image.alias);
    Ok(v1::RollbackAliasResponse { alias: shown.map(|alias| v1::Alias { version, ..alias }) })
}
