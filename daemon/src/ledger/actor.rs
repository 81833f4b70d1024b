//! Who asked for a change, as the job and the audit log name them.

use std::fmt;
use std::ops::Deref;

/// One line of text: `uid:0`, `tcp:127.0.0.1:5123`, a certificate's identity, or the daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor(String);

impl Actor {
    /// Names whoever the transport proved. Control characters are replaced: the name stands in logs.
    pub fn new(name: &str) -> Self {
        Self(name.replace(char::is_control, "?"))
    }

    /// A process of this machine, by its user id.
    pub fn uid(uid: u32) -> Self {
        Self(format!("uid:{uid}"))
    }

    /// What the daemon does by itself.
    pub fn daemon() -> Self {
        Self("causewayd".to_owned())
    }
}

impl Deref for Actor {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
