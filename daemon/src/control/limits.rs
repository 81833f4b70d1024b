//! The limits of the remotes: shown, changed, and given back to the configuration.

use causeway_proto::v1;
use tonic::Status;

use super::convert::{self, Invalid};
use super::engine::LimitsRefused;
use super::service::Service;
use crate::base::InForce;
use crate::model::RemoteName;

pub(super) fn show(
    service: &Service,
    request: &v1::GetLimitsRequest,
) -> Result<v1::GetLimitsResponse, Status> {
    let remotes = convert::remote_limits(&request.remote, service.engine.limits())?;
    Ok(v1::GetLimitsResponse { remotes })
}

pub(super) async fn set(
    service: &Service,
    request: &v1::SetLimitsRequest,
    actor: &str,
) -> Result<v1::GetLimitsResponse, Status> {
    let change = convert::limits_change(request)?;
    let remote = remote(&request.remote)?;
    let changed = service.engine.set_limits(&remote, change, request.persist, actor).await;
    let (answer, in_force) = answer(&remote, changed)?;
    tracing::info!(%remote, limits = ?in_force.limits, actor, persist = request.persist, "limits changed");
    // What is persisted is a setting, which has its line.
    if !request.persist {
        let limits = serde_json::to_string(&in_force.limits).unwrap_or_default();
        let details = [("remote", remote.to_string()), ("limits", limits)];
        service.remark("limits", actor, &details).await;
    }
    Ok(answer)
}

/// It stands in the audit log as the setting that is removed.
pub(super) async fn reset(
    service: &Service,
    request: &v1::ResetLimitsRequest,
    actor: &str,
) -> Result<v1::GetLimitsResponse, Status> {
    let remote = remote(&request.remote)?;
    let (answer, in_force) = answer(&remote, service.engine.reset_limits(&remote, actor).await)?;
    tracing::info!(%remote, limits = ?in_force.limits, actor, "limits reset to the configuration's");
    Ok(answer)
}

fn remote(text: &str) -> Result<RemoteName, Invalid> {
    text.parse().map_err(|fault| Invalid::new("remote", fault))
}

fn answer(
    remote: &RemoteName,
    changed: Result<InForce, LimitsRefused>,
) -> Result<(v1::GetLimitsResponse, InForce), Status> {
    let in_force = changed.map_err(|refused| convert::limits_refused(remote, &refused))?;
    Ok((v1::GetLimitsResponse { remotes: vec![convert::limits(remote, in_force)] }, in_force))
}
