//! The sandbox's S3 by an AWS SDK: what it must answer, and what it must refuse.

#![expect(clippy::unwrap_used, reason = "a failed expectation is how a test speaks")]

#[path = "s3/checksums.rs"]
mod checksums;
#[path = "s3/client.rs"]
mod client;
#[path = "s3/faults.rs"]
mod faults;
#[path = "s3/habits.rs"]
mod habits;
#[path = "s3/multipart.rs"]
mod multipart;
#[path = "s3/objects.rs"]
mod objects;
#[path = "s3/storage.rs"]
mod storage;
