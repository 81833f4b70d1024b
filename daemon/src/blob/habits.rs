//! How a server takes uploads: found out once, and remembered.

use serde::{Deserialize, Serialize};

/// How a part's checksum reaches the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartChecksum {
    /// As a trailer, computed on the way. A header is no choice: it goes before the bytes, and they
    /// are not held.
    #[default]
    Trailer,
    /// Not at all: the server refuses trailers, or stores their framing as data.
    None,
}

/// The habits of one server. The default is AWS's; what is missing from an older record is so, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Habits {
    pub part_checksum: PartChecksum,
    /// Whether it keeps a CRC64NVME of the full object.
    pub full_object: bool,
    /// Whether ListParts gives each part's checksum.
    pub listed_checksums: bool,
    /// Whether ListParts can be read at all. Where not, the ledger's word on parts stands alone.
    pub lists_parts: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            part_checksum: PartChecksum::Trailer,
            full_object: true,
            listed_checksums: true,
            lists_parts: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_survive_their_text_and_default_to_those_of_aws() {
        let odd = Habits {
            part_checksum: PartChecksum::None,
            full_object: false,
            listed_checksums: false,
            lists_parts: false,
        };
        let text = serde_json::to_string(&odd).expect("plain data");
        assert!(text.contains(r#""part_checksum":"none""#), "{text}");
        assert_eq!(serde_json::from_str::<Habits>(&text).expect("its own text"), odd);
        assert_eq!(serde_json::from_str::<Habits>("{}").expect("older"), Habits::default());
    }
}
