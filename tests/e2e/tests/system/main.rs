//! The whole system: the real binaries against the sandbox, moto and s3s-fs.
//!
//! One program: each of its own would link everything once more. The simulation, which runs the daemon's
//! parts within its own process, is another.

mod access;
mod actions;
mod bad_days;
mod cloud;
mod counted;
mod crash;
mod dashboards;
mod demo;
mod disk;
mod documents;
mod faults;
mod idempotency;
mod identity;
mod image;
mod image_kill;
mod image_quota;
mod kill_loop;
mod limits;
mod metrics;
mod migrate;
mod observe;
mod peers;
mod preflight;
mod reaper;
mod rebuild;
mod runbook;
mod secrets;
mod terminal;
mod top;
mod transfer;
mod webhooks;
