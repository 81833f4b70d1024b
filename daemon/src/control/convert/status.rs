//! The daemon's own figures, and the limits of its remotes.

use causeway_proto::v1;

use super::{Invalid, timestamp, words};
use crate::base::limits::Named;
use crate::base::{InForce, LimitsChange, Origin};
use crate::control::engine::RemoteStatus;
use crate::ledger::Counts;
use crate::model::{JobState, RemoteName};
use crate::notify;

/// The number of jobs in every state, in the order of the contract.
pub fn state_counts(counts: &Counts) -> Vec<v1::StateCount> {
    let count = |state: JobState| v1::StateCount {
        state: words::state(state).into(),
        count: counts.of(state),
    };
    JobState::ALL.into_iter().map(count).collect()
}

/// One remote as it stands.
pub fn remote_status(remote: RemoteStatus) -> v1::RemoteStatus {
    v1::RemoteStatus {
        limits: Some(limits(&remote.name, remote.limits)),
        remote: remote.name.into(),
        partition: remote.place.partition,
        region: remote.place.region,
        account: remote.place.account.unwrap_or_default(),
        arn: remote.arn.unwrap_or_default(),
        endpoint: remote.endpoint,
        credentials_expire_at: remote.credentials_expire_at.map(timestamp),
        read_rate: remote.read_rate.0,
        write_rate: remote.write_rate.0,
        read_concurrency: remote.read_concurrency,
        write_concurrency: remote.write_concurrency,
        problem: remote.problem.unwrap_or_default(),
        read_parts_in_flight: remote.read_parts_in_flight,
        write_parts_in_flight: remote.write_parts_in_flight,
        throttled: remote.throttled,
    }
}

/// One webhook as it stands.
pub fn webhook_status(webhook: notify::Status) -> v1::WebhookStatus {
    v1::WebhookStatus {
        webhook: webhook.name,
        host: webhook.host,
        pending: webhook.pending,
        delivered: webhook.delivered,
        last_delivered_at: webhook.last_delivered_at.map(timestamp),
        last_error: webhook.last_error.unwrap_or_default(),
        last_error_at: webhook.last_error_at.map(timestamp),
    }
}

/// The limits of one remote.
pub fn limits(remote: &RemoteName, in_force: InForce) -> v1::RemoteLimits {
    let InForce { limits, paused, origin, until } = in_force;
    let (origin, schedule_entry) = match origin {
        Origin::Configured => (v1::LimitsOrigin::Configured, None),
        Origin::Persisted => (v1::LimitsOrigin::Persisted, None),
        Origin::Schedule(entry) => (v1::LimitsOrigin::Schedule, Some(entry)),
        Origin::Live => (v1::LimitsOrigin::Live, None),
    };
    v1::RemoteLimits {
        remote: remote.to_string(),
        read_bandwidth: limits.read_bandwidth.map(|rate| rate.0),
        write_bandwidth: limits.write_bandwidth.map(|rate| rate.0),
        requests_per_second: limits.requests_per_second,
        paused,
        origin: origin.into(),
        schedule_entry,
        until: until.map(timestamp),
    }
}

/// The remotes asked for: one, or all for an empty name.
///
/// # Errors
/// Where there is no such remote.
pub fn remote_limits(
    asked: &str,
    all: Vec<(RemoteName, InForce)>,
) -> Result<Vec<v1::RemoteLimits>, Invalid> {
    let names: Vec<String> = all.iter().map(|(name, _)| name.to_string()).collect();
    let found: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| asked.is_empty() || name.as_str() == asked)
        .map(|(name, in_force)| limits(&name, in_force))
        .collect();
    if found.is_empty() && !asked.is_empty() {
        return Err(Invalid::new(
            "remote",
            format_args!(
                "{} is not a remote of this daemon: use one of {}",
                super::quoted(asked),
                names.join(", ")
            ),
        ));
    }
    Ok(found)
}

/// The change that a request asks for: absent is unchanged, 0 is unlimited.
///
/// # Errors
/// Where it asks for none.
pub fn limits_change(request: &v1::SetLimitsRequest) -> Result<LimitsChange, Invalid> {
    let change = LimitsChange::from(Named {
        read_bandwidth: request.read_bandwidth,
        write_bandwidth: request.write_bandwidth,
        requests_per_second: request.requests_per_second,
    });
    if change.is_none() {
        return Err(Invalid::new(
            "limits",
            "none is named: give read_bandwidth, write_bandwidth or requests_per_second, \
             0 for unlimited",
        ));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;
    use crate::model::Bandwidth;

    fn request() -> v1::SetLimitsRequest {
        v1::SetLimitsRequest { remote: "com".to_owned(), ..Default::default() }
    }

    #[test]
    fn an_absent_limit_stays_and_zero_lifts_it() {
        let before = Limits {
            read_bandwidth: Some(Bandwidth(10)),
            write_bandwidth: Some(Bandwidth(20)),
            requests_per_second: Some(30),
        };
        let asked =
            v1::SetLimitsRequest { read_bandwidth: Some(0), write_bandwidth: Some(7), ..request() };
        let after = limits_change(&asked).expect("it changes two").apply(before);
        assert_eq!(
            after,
            Limits {
                read_bandwidth: None,
                write_bandwidth: Some(Bandwidth(7)),
                requests_per_second: Some(30)
            }
        );
        assert!(limits_change(&request()).is_err());
    }

    #[test]
    fn limits_say_why_they_are_in_force() {
        let name: RemoteName = "com".parse().expect("legal");
        let (origin, until) = (Origin::Schedule(2), Some(crate::model::Timestamp(5_000)));
        let paused = InForce { limits: Limits::default(), paused: true, origin, until };
        let shown = limits(&name, paused);
        assert_eq!((shown.paused, shown.origin()), (true, v1::LimitsOrigin::Schedule));
        assert_eq!(shown.schedule_entry, Some(2));
        assert_eq!(shown.until.map(|until| until.seconds), Some(5));
    }

    #[test]
    fn an_unknown_remote_is_told_the_known_ones() {
        let names = ["com", "gov"].map(|name| name.parse::<RemoteName>().expect("legal"));
        let (limits, origin) = (Limits::default(), Origin::Configured);
        let in_force = InForce { limits, paused: false, origin, until: None };
        let all: Vec<_> = names.into_iter().map(|name| (name, in_force)).collect();
        assert_eq!(remote_limits("", all.clone()).expect("all").len(), 2);
        assert_eq!(remote_limits("gov", all.clone()).expect("one")[0].remote, "gov");
        let refused = remote_limits("mars", all).expect_err("no such remote").to_string();
        assert_eq!(refused, "remote: 'mars' is not a remote of this daemon: use one of com, gov");
    }
}
