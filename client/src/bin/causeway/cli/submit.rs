//! The arguments of `submit`, and the request they make.

use std::path::PathBuf;

use causeway::v1::{IfExists, ServerSideEncryption, SubmitRequest, TransferSpec, Verify};
use clap::Args;

use super::common::{Course, Queueing};
use super::values::{self, Pair};

#[derive(Debug, Args)]
pub struct Submit {
    /// `REMOTE:BUCKET/KEY`, or a presigned https URL; with --recursive `REMOTE:BUCKET/PREFIX/`
    #[arg(value_name = "SRC", required_unless_present = "manifest", requires = "target")]
    pub source: Option<String>,
    /// `REMOTE:BUCKET/KEY`; after a trailing slash the source's base name is used
    #[arg(value_name = "DST", required_unless_present = "manifest")]
    pub target: Option<String>,
    /// Submit every line of a JSON Lines or CSV file; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["source", "target", "recursive", "expect_blake3", "idempotency_key"])]
    pub manifest: Option<PathBuf>,
    /// Submit every object below the prefix SRC
    #[arg(long, conflicts_with = "expect_blake3")]
    pub recursive: bool,
    /// With --recursive: only keys (below the prefix) that match; `*` any characters, `?` one
    #[arg(long, value_name = "GLOB", requires = "recursive")]
    pub include: Option<String>,
    #[command(flatten)]
    pub course: Course,
    #[command(flatten)]
    pub transfer: TransferOptions,
    #[command(flatten)]
    pub queueing: Queueing,
}

impl Submit {
    /// The request; for a manifest, the defaults of its lines.
    pub fn request(&self) -> SubmitRequest {
        SubmitRequest {
            transfer: Some(self.transfer.spec(self.source.as_deref(), self.target.as_deref())),
            dry_run: self.course.dry_run,
            ..self.queueing.request()
        }
    }
}

/// How an object is carried.
#[derive(Debug, Args)]
pub struct TransferOptions {
    /// How the proof is made that the target holds the source's bytes; the daemon's default without
    #[arg(long, value_name = "HOW", value_parser = values::word::<Verify>())]
    pub verify: Option<Verify>,
    /// When the target exists already; the daemon's default without
    #[arg(long, value_name = "WHAT", value_parser = values::word::<IfExists>())]
    pub if_exists: Option<IfExists>,
    /// Bytes a part, e.g. `256MiB`: 5MiB to 5GiB
    #[arg(long, value_name = "SIZE", value_parser = causeway::units::parse_size)]
    pub part_size: Option<u64>,
    /// S3's name of a storage class, e.g. `STANDARD_IA`
    #[arg(long, value_name = "CLASS")]
    pub storage_class: Option<String>,
    /// Server-side encryption at the target; the bucket's default without
    #[arg(long, value_name = "SSE", value_parser = values::word::<ServerSideEncryption>())]
    pub sse: Option<ServerSideEncryption>,
    /// KMS key in the target's account: id, ARN or alias
    #[arg(long, value_name = "KEY_ID", requires = "sse")]
    pub sse_kms_key_id: Option<String>,
    /// Object tag to set at the target; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub tags: Vec<Pair>,
    /// Publish nothing when the source's BLAKE3 (what `b3sum` prints) is another
    #[arg(long, value_name = "HEX")]
    pub expect_blake3: Option<String>,
}

impl TransferOptions {
    pub fn spec(&self, source: Option<&str>, target: Option<&str>) -> TransferSpec {
        TransferSpec {
            source: source.unwrap_or_default().to_owned(),
            target: target.unwrap_or_default().to_owned(),
            verify: self.verify.unwrap_or_default().into(),
            if_exists: self.if_exists.unwrap_or_default().into(),
            part_size: self.part_size,
            storage_class: self.storage_class.clone(),
            sse: self.sse.unwrap_or_default().into(),
            sse_kms_key_id: self.sse_kms_key_id.clone(),
            tags: Pair::map(&self.tags),
            expect_blake3: self.expect_blake3.as_ref().map(|hex| hex.to_ascii_lowercase()),
        }
    }
}
