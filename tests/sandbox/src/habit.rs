//! What real servers do otherwise than AWS S3. Each was seen in a server in the field; a client has
//! to work with it or refuse it with a reason.

use serde::{Deserialize, Serialize};

/// All off: the endpoint behaves as AWS S3 does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Habits {
    /// `If-None-Match` and `If-Match` on CompleteMultipartUpload have no effect.
    pub ignore_conditions_on_complete: bool,
    /// `If-None-Match` and `If-Match` on PutObject have no effect.
    pub ignore_conditions_on_put: bool,
    /// `If-Match` on GetObject and HeadObject has no effect.
    pub ignore_if_match_on_get: bool,
    /// Checksum headers and trailers are neither verified nor kept nor returned.
    pub no_checksums: bool,
    /// CreateMultipartUpload with `FULL_OBJECT` is answered with InvalidRequest.
    pub refuse_full_object: bool,
    /// Tags given at CreateMultipartUpload are silently lost.
    pub drop_tags_at_create: bool,
    /// A request with a trailer is answered with 400.
    pub refuse_trailers: bool,
    /// The aws-chunked framing is stored as if it were the data, with 200.
    pub store_chunk_framing: bool,
    /// GetObjectAttributes is answered with 200 and the whole object as the body.
    pub attributes_answer_body: bool,
    /// An error is answered without reading the request's body, and the connection breaks.
    pub break_connection_on_error: bool,
    /// CompleteMultipartUpload refuses to leave out a part that was uploaded.
    pub complete_wants_every_part: bool,
    /// How a second CompleteMultipartUpload of the same upload is answered.
    pub repeated_complete: RepeatedComplete,
}

/// The answer to a CompleteMultipartUpload that succeeded before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedComplete {
    /// The first answer again, as AWS S3 does for a while.
    #[default]
    SameResult,
    /// 404 NoSuchUpload.
    NoSuchUpload,
    /// 403 AccessDenied.
    AccessDenied,
}
