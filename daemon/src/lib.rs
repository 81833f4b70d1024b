//! The daemon of causeway, as a library.
//!
//! The modules stand in reading order: each may import those above it and nothing below. The tidy
//! test holds that order, and the table of who alone may know which library.

pub mod model;

pub mod base;

pub mod integrity;

pub mod ledger;

pub mod remote;

pub mod egress;

pub mod blob;

#[cfg(feature = "image")]
pub mod image;

pub mod transfer;

pub mod pipeline;

pub mod scheduler;

pub mod notify;

pub mod control;

pub mod telemetry;

pub mod config;

pub mod app;
