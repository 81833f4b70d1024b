//! The objects below a prefix.

use super::Error;
use crate::remote::Remote;

/// An object as ListObjectsV2 tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
}

/// One page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub objects: Vec<ListedObject>,
    /// What to ask the next page with; `None` on the last.
    pub next: Option<String>,
}

/// The page of `bucket`'s keys below `prefix` that follows `continuation`: at most 1,000.
pub async fn list(
    _remote: &Remote,
    _bucket: &str,
    _prefix: &str,
    _continuation: Option<&str>,
) -> Result<Page, Error> {
    todo!()
}
