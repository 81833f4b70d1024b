//! Roles by what the transport proves.

use super::*;

fn access(roles: &[(&str, Role)]) -> Access {
    Access::new(500, roles.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect())
}

fn certified(identities: &[&str], ends_at: u64) -> Who {
    let identities = identities.iter().map(|name| (*name).to_owned()).collect();
    let certificate = Certificate { identities, ends_at: Timestamp(ends_at) };
    Who::Certified { certificate, address: ([127, 0, 0, 1], 9).into() }
}

#[test]
fn the_daemon_s_user_and_root_are_admins_and_others_need_an_entry() {
    let access = access(&[("uid:7", Role::Viewer)]);
    let role = |uid| access.of(&Who::Process { uid }, Timestamp(0));
    for uid in [0, 500] {
        assert_eq!(role(uid), Ok((Actor::uid(uid), Role::Admin)));
    }
    assert_eq!(role(7), Ok((Actor::uid(7), Role::Viewer)));
    assert_eq!(role(8), Err("'uid:8' has no role here".to_owned()));
    assert!(access.of(&Who::Unknown, Timestamp(0)).is_err());
}

/// A connection may stay open for weeks, a certificate may not.
#[test]
fn a_certificate_that_runs_out_on_an_open_connection_is_refused() {
    let access = access(&[("a", Role::Admin)]);
    let who = certified(&["a"], 1_000);
    assert_eq!(access.of(&who, Timestamp(999)), Ok((Actor::new("a"), Role::Admin)));
    let refused = access.of(&who, Timestamp(1_000)).expect_err("over");
    assert!(refused.contains("'a' has expired"), "{refused}");
}

/// No certificate gives the name of a user id: who could sign one would be anybody.
#[test]
fn a_name_in_a_certificate_is_compared_whole() {
    let access = access(&[("ops.example.org", Role::Admin)]);
    for name in ["ops.example.org.evil.test", "OPS.example.org", "example.org", ""] {
        assert!(access.of(&certified(&[name], 9), Timestamp(0)).is_err(), "{name}");
    }
}
