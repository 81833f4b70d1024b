//! The gRPC service: what the API says, in terms of the ledger and of the rest of the daemon.
//!
//! It decides nothing. A request is checked and converted, written down in the ledger, and answered
//! once it is on disk; what follows from it is the scheduler's. What the daemon does is read back
//! from the ledger (facts) and from the [`Engine`] (live figures).
//!
//! # Invariants
//! - Nothing is acknowledged that is not on disk.
//! - Nobody reaches a method that [`access`] does not let in.
//! - No answer, status or log line holds a presigned URL's query.
//! - A watch neither loses a durable change of a watched job nor sends it twice on one stream. A
//!   client that reads slowly slows its own stream down, and nothing else.
//! - Every stream ends when the daemon stops, with UNAVAILABLE, so that clients come again.

mod access;
mod act;
mod convert;
mod engine;
mod health;
mod images;
mod limits;
mod listen;
mod service;
mod submit;
mod turns;
mod watch;

#[cfg(test)]
mod tests;

pub use access::Role;
pub use engine::{
    Defaults, DryRun, Engine, EngineStatus, ImagesAsked, LimitsRefused, ListedPage, Place,
    RemoteStatus,
};
pub use listen::{Bound, Error, Guard, Listen, Settings, TlsFiles, Unusable, bind};
pub use service::Service;
