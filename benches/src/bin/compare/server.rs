//! One side: an S3 server whose objects are slices of one block in memory, and which checks and drops
//! what it is sent. A thread a connection, so that what it costs is sockets, TLS and one CRC.

mod chunked;
mod connection;
mod content;
mod exchange;
mod pace;
mod reply;
mod s3;
mod store;

use std::io::{BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use store::Store;
pub use store::key;

/// The buckets' names; any other would do, too.
pub const SOURCE_BUCKET: &str = "source";
pub const TARGET_BUCKET: &str = "target";

/// How one side is.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Whether the objects are here, or expected here
    #[arg(long, value_enum)]
    pub side: Side,
    /// The access key id that requests must name; signatures are not verified
    #[arg(long)]
    pub access_key_id: String,
    /// Listen on port 443 of this address, too, where that is allowed: the AWS CLI's CRT client knows
    /// no other port
    #[arg(long, value_name = "IP")]
    pub also: Option<IpAddr>,
    /// The authority's certificate is written there
    #[arg(long)]
    pub ca: PathBuf,
    /// How many objects
    #[arg(long)]
    pub objects: u64,
    /// Bytes an object
    #[arg(long)]
    pub size: u64,
    /// Every answer waits so long
    #[arg(long, default_value_t = 0)]
    pub first_byte_ms: u64,
    /// Each connection carries at most so many bytes a second, each way
    #[arg(long)]
    pub connection_bytes_per_second: Option<u64>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Side {
    Source,
    Target,
}

/// What a server tells when it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    pub port: u16,
    /// Where else it listens.
    pub also: Option<SocketAddr>,
}

/// What a server tells of its work since it was last asked to clear.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// Objects that stand there whole and right.
    pub objects_right: u64,
    /// What was refused because it was wrong.
    pub faults: Vec<String>,
    /// Requests by operation.
    pub requests: std::collections::BTreeMap<String, u64>,
    pub connections: u64,
    /// Most at a time.
    pub connections_max: u64,
    /// Multipart uploads left open.
    pub uploads_open: u64,
}

/// What all connections share.
struct Shared {
    store: Store,
    access_key_id: String,
    first_byte: Duration,
    bytes_per_second: Option<u64>,
}

/// Serves until stdin ends, so that no server outlives whoever started it. The line `report` is
/// answered with a [`Report`], `clear` forgets what was written and counted.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let identity = sandbox::Identity::generate(&format!("{:?}", arguments.side))?;
    std::fs::write(&arguments.ca, &identity.ca_pem)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let held = arguments.side == Side::Source;
    let shared = Arc::new(Shared {
        store: Store::new(arguments.objects, arguments.size, held),
        access_key_id: arguments.access_key_id.clone(),
        first_byte: Duration::from_millis(arguments.first_byte_ms),
        bytes_per_second: arguments.connection_bytes_per_second,
    });
    let also = arguments.also.and_then(|address| TcpListener::bind((address, 443)).ok());
    let ready = Ready { port, also: also.as_ref().map(TcpListener::local_addr).transpose()? };
    for listener in [Some(listener), also].into_iter().flatten() {
        let (shared, tls) = (Arc::clone(&shared), Arc::clone(&identity.server));
        std::thread::spawn(move || accept(&listener, &tls, &shared));
    }
    answer(&ready)?;
    for line in std::io::stdin().lock().lines() {
        match line?.as_str() {
            "report" => answer(&shared.store.report())?,
            "clear" => {
                shared.store.clear();
                answer(&shared.store.report())?;
            }
            other => anyhow::bail!("no such command: {other}"),
        }
    }
    Ok(())
}

fn answer(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

fn accept(listener: &TcpListener, tls: &Arc<rustls::ServerConfig>, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        let (tls, shared) = (Arc::clone(tls), Arc::clone(shared));
        let serve = move || {
            let Ok(socket) = socket else { return };
            let _counted = shared.store.connected();
            // A client that goes away in the middle is its own matter: what it left undone shows in
            // the report.
            let _ = connection::serve(socket, tls, &shared);
        };
        // No thread, no connection: the client sees it closed.
        let _ = std::thread::Builder::new().stack_size(256 << 10).spawn(serve);
    }
}
