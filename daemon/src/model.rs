//! The words of the domain: ids, addresses, sizes, plans, jobs and their legal transitions.
//!
//! Pure: no I/O, no clock, no randomness. Time is handed in. Whatever is decided here can be tested
//! by a table and replayed by the ledger.

pub mod address;
pub mod digest;
pub mod event;
pub mod failure;
pub mod host;
pub mod id;
pub mod image;
pub mod job;
pub mod live;
pub mod object;
pub mod plan;
pub mod preflight;
pub mod quantity;
pub mod receipt;
pub mod road;
pub mod spec;
pub mod transition;

pub use address::{Address, ObjectAddress, PresignedUrl, RemoteName};
pub use digest::{ObjectDigest, PartDigest};
pub use event::JobEvent;
pub use failure::{Failure, FailureClass, Side};
pub use host::{AllowedHosts, HostRule};
pub use id::{JobId, Timestamp};
pub use image::{Device, Image, ImageAddress, ImageId, ImageState, Tags, Traits, Volume};
pub use job::{Intent, Job, JobKind, JobState, Lease, Progress, Stage, TransferState, Weight};
pub use live::{Live, Wait, WaitReason};
pub use object::{Encryption, ObjectHeaders, PinnedObject, PublishedObject, UploadId};
pub use plan::{ByteRange, PUT_OBJECT_MAX, PartFact, PartNumber, PartPlan};
pub use preflight::{Check, CheckOutcome, Policy};
pub use quantity::{Bandwidth, ByteCount};
pub use receipt::{ObjectRef, Receipt, VerifiedBy};
pub use road::{
    AliasAsked, Chore, Difference, Fidelity, ImageFact, ImageProgress, ImageSpec, ImageWork,
    RestoreSpec, RestoredImage, Retire, Step, StoreAsked, StoreSpec, StoredObject,
};
pub use spec::{IfExists, Labels, LeftOpen, Submission, TransferSpec, Verify};
pub use transition::{Change, Illegal};
