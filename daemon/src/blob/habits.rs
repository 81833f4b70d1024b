//! How a server takes uploads, found out once and remembered.

use serde::{Deserialize, Serialize};

/// How a part's checksum reaches the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartChecksum {
    /// As a trailer, computed on the way.
    #[default]
    Trailer,
    /// Not at all: the server refuses trailers, or stores their framing as data.
    None,
}

/// The habits of one server. The default is AWS's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Habits {
    pub part_checksum: PartChecksum,
    /// Whether an upload may be created with `CRC64NVME` and `FULL_OBJECT`.
    pub full_object: bool,
    /// Whether ListParts gives each part's checksum.
    pub listed_checksums: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self { part_checksum: PartChecksum::Trailer, full_object: true, listed_checksums: true }
    }
}
