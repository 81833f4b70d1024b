//! The client of causeway: a typed library over the gRPC contract, and the parts of the command line
//! that others may want too: the words, units and JSON of the contract, and the manifest reader.
//!
//! It knows the contract (`causeway-proto`) and never the daemon: what cannot be said over the control
//! API cannot be done from here.
//!
//! ```no_run
//! # async fn example() -> Result<(), causeway::Error> {
//! let client = causeway::Client::connect("unix:/run/causeway/control.sock").await?;
//! let status = client.status().await?;
//! println!("{} jobs wait", status.queue_depth);
//! # Ok(())
//! # }
//! ```

pub mod units;
pub mod words;

pub mod exit;

mod error;

pub mod client;
pub mod endpoint;
pub mod tls;
pub mod watch;

pub mod view;

pub mod manifest;

pub use causeway_proto::v1;
pub use client::Client;
pub use endpoint::Endpoint;
pub use error::Error;
pub use exit::Exit;
pub use tls::TlsOptions;
