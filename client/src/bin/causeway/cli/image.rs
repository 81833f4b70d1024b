//! The arguments of the image jobs, and the requests they make. What a job needs is apart from what the
//! command does with it, because `preflight` takes the same jobs.

use std::path::PathBuf;
use std::time::Duration;

use causeway::units::parse_duration;
use causeway::v1::{
    MigrateSpec, RestoreSpec, RestoredImage, RetireSource, StoreSpec, SubmitRequest,
};
use causeway::words::CleanUp;
use clap::{Arg, Args};

use super::common::Queueing;
use super::values::{self, Filter, Pair};

/// An image as an object in a bucket.
#[derive(Debug, Args)]
pub struct StoreJob {
    /// `REMOTE:ami-…`
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// `REMOTE:BUCKET/` or `REMOTE:BUCKET/PREFIX/`: the image's remote, a bucket of its Region
    #[arg(value_name = "DST")]
    pub target: String,
    /// S3's name of a storage class, e.g. `GLACIER_IR`; EC2 itself writes STANDARD alone
    #[arg(long, value_name = "CLASS")]
    pub storage_class: Option<String>,
    /// The bucket that EC2 writes to first, where DST's is another one
    #[arg(long, value_name = "BUCKET")]
    pub via: Option<String>,
    #[command(flatten)]
    pub stored: StoredOptions,
    /// Tag of the object; may be repeated, at most 10
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub tags: Vec<Pair>,
    #[command(flatten)]
    pub queueing: Queueing,
}

impl StoreJob {
    pub fn request(&self) -> SubmitRequest {
        let store = StoreSpec {
            image: self.image.clone(),
            target: self.target.clone(),
            storage_class: self.storage_class.clone(),
            reuse_stored: self.stored.reuse_stored,
            allow_decrypted: self.stored.allow_decrypted,
            tags: Pair::map(&self.tags),
            via: self.via.clone().unwrap_or_default(),
        };
        SubmitRequest { store: Some(store), ..self.queueing.request() }
    }
}

/// An image out of an object.
#[derive(Debug, Args)]
pub struct RestoreJob {
    /// `REMOTE:BUCKET/KEY`: an object that EC2 stored
    #[arg(value_name = "SRC")]
    pub source: String,
    #[command(flatten)]
    pub restored: RestoredOptions,
    #[command(flatten)]
    pub queueing: Queueing,
}

impl RestoreJob {
    pub fn request(&self) -> SubmitRequest {
        let restore =
            RestoreSpec { source: self.source.clone(), restored: Some(self.restored.spec()) };
        SubmitRequest { restore: Some(restore), ..self.queueing.request() }
    }
}

/// An image to another remote. What is needed of it depends on the command: see [`one`] and [`many`].
#[derive(Debug, Args)]
pub struct MigrateJob {
    /// `REMOTE:ami-…`; with --filter the remote alone, `REMOTE:`
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// `REMOTE:`, where the new image is to be
    #[arg(value_name = "DST")]
    pub target: Option<String>,
    /// Bucket that EC2 stores the image in: of the image's Region and account
    #[arg(long, value_name = "BUCKET")]
    pub via: Option<String>,
    /// Bucket that the object is carried to: of the target's Region and account
    #[arg(long, value_name = "BUCKET")]
    pub landing: Option<String>,
    #[command(flatten)]
    pub restored: RestoredOptions,
    /// The source image's tags go along
    #[arg(long)]
    pub copy_tags: bool,
    /// Delete the object in the bucket of --via, of --landing, or both, once the new image is there
    #[arg(long, value_name = "WHICH", value_parser = values::word::<CleanUp>())]
    pub clean_up: Option<CleanUp>,
    /// Once the new image is available and its alias written: `deprecate` or `disable` the source
    /// image, or `deregister` it, which also deletes its snapshots; does not ask again
    #[arg(long, value_name = "HOW", value_parser = values::word::<RetireSource>())]
    pub retire_source: Option<RetireSource>,
    #[command(flatten)]
    pub stored: StoredOptions,
    #[command(flatten)]
    pub queueing: Queueing,
}

impl MigrateJob {
    /// The request; for many images, the defaults of each.
    pub fn request(&self) -> SubmitRequest {
        let clean_up = self.clean_up.unwrap_or_default();
        let migrate = MigrateSpec {
            image: self.image.clone().unwrap_or_default(),
            target: self.target.clone().unwrap_or_default(),
            via: self.via.clone().unwrap_or_default(),
            landing: self.landing.clone().unwrap_or_default(),
            restored: Some(self.restored.spec()),
            copy_tags: self.copy_tags,
            clean_up_stored: clean_up.stored(),
            clean_up_landed: clean_up.landed(),
            retire_source: self.retire_source.unwrap_or_default().into(),
            reuse_stored: self.stored.reuse_stored,
            allow_decrypted: self.stored.allow_decrypted,
        };
        SubmitRequest { migrate: Some(migrate), ..self.queueing.request() }
    }
}

/// What one migration cannot do without.
const NEEDED: [&str; 4] = ["image", "target", "via", "landing"];

/// The arguments of [`MigrateJob`] where they are for one migration.
pub fn one(argument: Arg) -> Arg {
    match argument.get_id().as_str() {
        "image" => argument.required(true).help("`REMOTE:ami-…`"),
        id if NEEDED.contains(&id) => argument.required(true),
        _ => argument,
    }
}

/// The arguments of [`MigrateJob`] where a manifest may say the rest.
pub fn many(argument: Arg) -> Arg {
    match NEEDED.contains(&argument.get_id().as_str()) {
        true => argument.required_unless_present("manifest"),
        false => argument,
    }
}

/// Which images, where they are not named one by one.
#[derive(Debug, Args)]
pub struct Many {
    /// Migrate every line of a JSON Lines or CSV file; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["image", "target", "filters", "latest", "name", "alias",
        "idempotency_key", "dry_run"])]
    pub manifest: Option<PathBuf>,
    /// Choose among the account's own images: `name=GLOB` or `tag:KEY=GLOB`; may be repeated, and
    /// then all must match
    #[arg(long = "filter", value_name = "FILTER", requires = "latest")]
    pub filters: Vec<Filter>,
    /// With --filter: the newest so many of those that match, 1 to 1000
    #[arg(long, value_name = "N", requires = "filters")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub latest: Option<u32>,
}

/// What may be done about the stored object.
#[derive(Clone, Copy, Debug, Args)]
pub struct StoredOptions {
    /// Take a copy of the image that stands in the bucket already; without, such a copy ends the job
    #[arg(long)]
    pub reuse_stored: bool,
    /// Store an image with encrypted snapshots: the object holds their data decrypted
    #[arg(long)]
    pub allow_decrypted: bool,
}

/// How the new image is to be.
#[derive(Debug, Args)]
pub struct RestoredOptions {
    /// Name of the new image, 3 to 128 characters; that of the stored image without
    #[arg(long)]
    pub name: Option<String>,
    /// Tag of the new image and its snapshots; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub tags: Vec<Pair>,
    /// SSM parameter to name the new image by once it is available, e.g. `/golden/web`
    #[arg(long, value_name = "PARAMETER")]
    pub alias: Option<String>,
    /// Deprecate the new image after so long, e.g. `90d`
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub deprecate_after: Option<Duration>,
    /// Fail unless the new image's snapshots are encrypted
    #[arg(long)]
    pub require_encryption: bool,
    /// Register the new image anew where boot mode, TPM, UEFI data or IMDS support were lost; fail where it
    /// is billed as more than plain Linux (Windows, RHEL, …), which would be lost
    #[arg(long)]
    pub repair: bool,
}

impl RestoredOptions {
    fn spec(&self) -> RestoredImage {
        RestoredImage {
            name: self.name.clone().unwrap_or_default(),
            tags: Pair::map(&self.tags),
            alias: self.alias.clone().unwrap_or_default(),
            deprecate_after: self.deprecate_after.map(|after| after.as_secs()),
            require_encryption: self.require_encryption,
            repair: self.repair,
        }
    }
}
