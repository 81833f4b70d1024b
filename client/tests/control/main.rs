//! The client against a stand-in for the daemon: the library over a socket, and the command line as a
//! process.

#![allow(missing_debug_implementations, reason = "tests")]

mod command;
mod fake;
mod image;
mod library;
mod output;
mod server;
mod service;
mod watch;
