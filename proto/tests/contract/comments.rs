//! The comments of a `.proto` file by what they stand at, as the compiler kept them.

use std::collections::HashMap;

use prost_types::FileDescriptorProto;

// Tags in descriptor.proto, of which the path of a location is made.
pub const SYNTAX: i32 = 12;
pub const MESSAGE: i32 = 4;
pub const ENUM: i32 = 5;
pub const SERVICE: i32 = 6;
/// Of a message's fields, a service's methods, an enum's values alike.
pub const MEMBER: i32 = 2;

pub struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    pub fn of(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = locations.filter_map(|location| {
            let text = location.leading_comments.as_deref()?;
            let lines = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
            let lines: Vec<_> = lines.map(str::trim_end).collect();
            Some((location.path.clone(), lines.join("\n").trim().to_owned()))
        });
        Self(comments.collect())
    }

    /// Empty where nothing is said.
    pub fn at(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }

    /// Of the n-th thing of a kind.
    pub fn top(&self, kind: i32, at: usize) -> &str {
        self.at(&[kind, index(at)])
    }

    /// Of a member of the n-th thing of a kind.
    pub fn member(&self, kind: i32, at: usize, member: usize) -> &str {
        self.at(&[kind, index(at), MEMBER, index(member)])
    }
}

fn index(at: usize) -> i32 {
    i32::try_from(at).expect("a descriptor counts in i32")
}

/// What an RPC's comment says by the convention of the contract.
pub struct Rpc {
    /// Without the two lines below.
    pub text: String,
    /// The least role: after `Role:`.
    pub role: String,
    /// Statuses beyond those of every RPC: after `Errors:`; empty where there are none.
    pub errors: String,
}

impl Rpc {
    pub fn of(comment: &str) -> Self {
        let after = |word: &str| {
            let line = comment.lines().find_map(|line| line.strip_prefix(word));
            line.unwrap_or_default().trim().trim_end_matches('.').to_owned()
        };
        let is_text = |line: &&str| !line.starts_with("Role:") && !line.starts_with("Errors:");
        let text: Vec<_> = comment.lines().filter(is_text).collect();
        Self { text: text.join("\n"), role: after("Role:"), errors: after("Errors:") }
    }
}

mod tests {
    use super::*;
    use crate::contract;

    /// gRPC's own names, those that mean a refusal.
    const STATUSES: [&str; 6] = [
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "ALREADY_EXISTS",
        "RESOURCE_EXHAUSTED",
        "UNAVAILABLE",
    ];

    #[test]
    fn every_rpc_says_what_it_does_who_may_and_what_may_go_wrong() {
        let file = contract();
        let comments = Comments::of(&file);
        let methods = file.service[0].method.iter().enumerate();
        assert!(methods.len() > 15);
        for (at, method) in methods {
            let comment = comments.member(SERVICE, 0, at);
            let rpc = Rpc::of(comment);
            let name = method.name();
            assert!(rpc.text.ends_with('.'), "{name}: {}", rpc.text);
            assert!(["viewer", "operator", "admin"].contains(&&*rpc.role), "{name}: {}", rpc.role);
            assert_eq!(comment.matches("Role:").count(), 1, "{name}");
            let words = rpc.errors.split(|c: char| !c.is_ascii_uppercase() && c != '_');
            for word in words.filter(|word| word.len() > 1) {
                assert!(STATUSES.contains(&word), "{name}: {word}");
            }
        }
    }

    /// The introduction tells what each of them means.
    #[test]
    fn every_status_and_role_is_explained() {
        let file = contract();
        let comments = Comments::of(&file);
        let introduction = comments.at(&[SYNTAX]);
        for word in STATUSES.into_iter().chain(["viewer", "operator", "admin"]) {
            assert!(introduction.contains(word), "{word}: {introduction}");
        }
    }
}
