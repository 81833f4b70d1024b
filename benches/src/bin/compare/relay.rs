//! The floors: relays that do what any such relay must, and nothing else. They fetch ranges, take
//! BLAKE3 and CRC64NVME of the bytes, and send them on. There is no signing (the servers look at the
//! key's name alone), no retry, no ledger, no trailer, no limit.

mod client;
pub mod hyper;
pub mod unbuffered;
mod work;

use std::path::PathBuf;

/// What is carried, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Address of the source
    #[arg(long, value_name = "IP:PORT")]
    pub source: std::net::SocketAddr,
    /// Address of the target
    #[arg(long, value_name = "IP:PORT")]
    pub target: std::net::SocketAddr,
    /// The source's authority
    #[arg(long)]
    pub source_ca: PathBuf,
    /// The target's authority
    #[arg(long)]
    pub target_ca: PathBuf,
    /// The source's access key id
    #[arg(long)]
    pub source_key: String,
    /// The target's access key id
    #[arg(long)]
    pub target_key: String,
    /// How many objects
    #[arg(long)]
    pub objects: u64,
    /// Bytes of each object
    #[arg(long)]
    pub size: u64,
    /// Bytes a part
    #[arg(long)]
    pub part_size: u64,
    /// Connections to each side
    #[arg(long)]
    pub connections: usize,
}
