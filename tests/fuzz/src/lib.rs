//! What several fuzz targets need: how an input is cut into pieces, gRPC by raw bytes, and a daemon's API to
//! send them to.
//!
//! A target asserts with `assert!`: whatever panics, in whichever thread, is a finding.

pub mod cut;
pub mod wire;
pub mod world;

use tokio::signal::unix::{SignalKind, signal};

/// A runtime of one thread: what an input does depends on the input.
///
/// # Panics
/// Where the system gives none.
pub fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    // A write to who hung up is an error in a program of Rust, whose `main` sees to it. Here there is none.
    {
        let _entered = runtime.enter();
        let _ = signal(SignalKind::pipe()).expect("a signal");
    }
    runtime
}

/// A directory in memory, where the system has such: the disk is not what is tried here.
///
/// # Panics
/// Where none can be made.
pub fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a directory")
}
