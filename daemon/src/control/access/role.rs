//! The three roles, and the least of them that each method asks for.

use std::fmt;

/// What a caller may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks at jobs, limits and the daemon.
    Viewer,
    /// Submits jobs, acts on them, and asks the remotes in the daemon's name.
    Operator,
    /// Changes what holds for everybody: limits, and whether work is taken.
    Admin,
}

impl Role {
    pub const WORDS: [(&str, Self); 3] =
        [("viewer", Self::Viewer), ("operator", Self::Operator), ("admin", Self::Admin)];

    /// As the configuration names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The least role that a request to `path` needs, `/package.Service/Method`.
    pub(super) fn needed(path: &str) -> Self {
        let Some(method) = path.strip_prefix("/causeway.v1.Control/") else {
            let public = PUBLIC.iter().any(|service| path.starts_with(service));
            return if public { Self::Viewer } else { Self::Admin };
        };
        let row = METHODS.iter().find(|(name, _)| *name == method);
        row.map_or(Self::Admin, |(_, role)| *role)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Health checks and reflection: for whoever has a role at all.
const PUBLIC: [&str; 2] = ["/grpc.health.v1.Health/", "/grpc.reflection."];

/// A preflight and a listing of images change nothing here, but they ask the remotes with the daemon's
/// credentials, as a submission does.
const METHODS: [(&str, Role); 20] = [
    ("Submit", Role::Operator),
    ("SubmitMany", Role::Operator),
    ("SubmitPrefix", Role::Operator),
    ("Get", Role::Viewer),
    ("List", Role::Viewer),
    ("Watch", Role::Viewer),
    ("Pause", Role::Operator),
    ("Resume", Role::Operator),
    ("Cancel", Role::Operator),
    ("Retry", Role::Operator),
    ("Reprioritize", Role::Operator),
    ("GetLimits", Role::Viewer),
    ("SetLimits", Role::Admin),
    ("ResetLimits", Role::Admin),
    ("GetReceipt", Role::Viewer),
    ("RollbackAlias", Role::Operator),
    ("Preflight", Role::Operator),
    ("ListImages", Role::Operator),
    ("Status", Role::Viewer),
    ("Drain", Role::Admin),
];

#[cfg(test)]
mod tests {
    use causeway_proto::v1;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// One that is forgotten would be for admins alone, and nobody would notice before a person does.
    #[test]
    fn every_method_of_the_api_has_a_role_of_its_own() {
        let set = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).expect("made by the build");
        let services = set.file.iter().flat_map(|file| &file.service);
        let control = services.filter(|service| service.name() == "Control");
        let methods: Vec<_> = control.flat_map(|service| &service.method).collect();
        assert!(methods.len() > 15, "{methods:?}");
        for method in methods {
            let rows = METHODS.iter().filter(|(name, _)| *name == method.name()).count();
            assert_eq!(rows, 1, "{}", method.name());
        }
    }

    #[test]
    fn what_is_not_known_is_for_admins_and_health_is_for_all() {
        for (path, role) in [
            ("/causeway.v1.Control/Get", Role::Viewer),
            ("/causeway.v1.Control/Submit", Role::Operator),
            ("/causeway.v1.Control/Drain", Role::Admin),
            ("/causeway.v1.Control/Later", Role::Admin),
            ("/causeway.v2.Control/Get", Role::Admin),
            ("", Role::Admin),
            ("/grpc.health.v1.Health/Check", Role::Viewer),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Role::Viewer),
        ] {
            assert_eq!(Role::needed(path), role, "{path}");
        }
    }
}
