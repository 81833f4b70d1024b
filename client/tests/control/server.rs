//! The fake behind a socket, with a plug that can be pulled.

use std::path::PathBuf;
use std::time::Duration;

use causeway::v1::control_server::ControlServer;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::fake::Fake;

/// Far sooner than the daemon, which asks after 30 s and waits for 20 s.
const KEEPALIVE: Duration = Duration::from_millis(300);
const KEEPALIVE_ANSWER: Duration = Duration::from_millis(900);

/// A server with a runtime of its own: shutting that down ends its connections too, as a crash would.
pub struct Served {
    pub fake: Fake,
    dir: TempDir,
    runtime: Option<Runtime>,
    /// After how much silence it asks whether the other end is there.
    keepalive: Option<Duration>,
}

impl Served {
    pub fn start() -> Self {
        Self::with(None)
    }

    /// One that soon cuts off who does not answer its pings.
    pub fn impatient() -> Self {
        Self::with(Some(KEEPALIVE))
    }

    fn with(keepalive: Option<Duration>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut served = Self { fake: Fake::new(), dir, runtime: None, keepalive };
        served.restart();
        served
    }

    pub fn endpoint(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// As a crash: no goodbye on any connection, the jobs stay.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime must not be waited for from inside another, where some tests call this.
            let ended =
                std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
            ended.join().expect("no panic");
        }
        let _ = std::fs::remove_file(self.socket());
    }

    pub fn restart(&mut self) {
        self.kill();
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(self.socket()).expect("a socket")
        };
        let serving = Server::builder()
            .http2_keepalive_interval(self.keepalive)
            .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
            .add_service(ControlServer::new(self.fake.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        runtime.spawn(serving);
        self.runtime = Some(runtime);
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}
