//! The arguments of `preflight`: those of the job itself, put behind it.

use causeway::v1::SubmitRequest;
use clap::{Args, Subcommand};

use super::common::Queueing;
use super::examples;
use super::image::{self, MigrateJob, RestoreJob, StoreJob};
use super::submit::TransferOptions;

#[derive(Debug, Args)]
pub struct Preflight {
    #[command(subcommand)]
    pub image: Option<ImagePreflight>,
    /// Of a transfer: `REMOTE:BUCKET/KEY`, or a presigned https URL
    #[arg(value_name = "SRC", required = true, value_parser = source)]
    pub source: Option<String>,
    /// Of a transfer: `REMOTE:BUCKET/KEY`
    #[arg(value_name = "DST", required = true)]
    pub target: Option<String>,
    #[command(flatten)]
    pub transfer: TransferOptions,
    #[command(flatten)]
    pub queueing: Queueing,
    #[command(flatten)]
    pub printed: Printed,
}

#[derive(Debug, Subcommand)]
pub enum ImagePreflight {
    /// Try what `store` would need
    #[command(after_help = examples::PREFLIGHT_STORE)]
    Store {
        #[command(flatten)]
        job: StoreJob,
        #[command(flatten)]
        printed: Printed,
    },
    /// Try what `restore` would need
    #[command(after_help = examples::PREFLIGHT_RESTORE)]
    Restore {
        #[command(flatten)]
        job: RestoreJob,
        #[command(flatten)]
        printed: Printed,
    },
    /// Try what `migrate` would need, on both sides
    #[command(after_help = examples::PREFLIGHT_MIGRATE, mut_args(image::one))]
    Migrate {
        #[command(flatten)]
        job: Box<MigrateJob>,
        #[command(flatten)]
        printed: Printed,
    },
}

/// What is printed of the answer.
#[derive(Clone, Copy, Debug, Args)]
pub struct Printed {
    /// Instead of the check list: the least that each side's identity has to be allowed, as IAM policies
    #[arg(long)]
    pub print_policy: bool,
}

impl Preflight {
    /// The job as it would be submitted, and what is printed.
    pub fn job(&self) -> (SubmitRequest, Printed) {
        match &self.image {
            None => {
                let spec = self.transfer.spec(self.source.as_deref(), self.target.as_deref());
                let request = self.queueing.request();
                (SubmitRequest { transfer: Some(spec), ..request }, self.printed)
            }
            Some(ImagePreflight::Store { job, printed }) => (job.request(), *printed),
            Some(ImagePreflight::Restore { job, printed }) => (job.request(), *printed),
            Some(ImagePreflight::Migrate { job, printed }) => (job.request(), *printed),
        }
    }
}

/// An option before `store`, `restore` or `migrate` makes clap take the word for SRC.
fn source(text: &str) -> Result<String, String> {
    match text {
        "store" | "restore" | "migrate" => {
            Err(format!("no address: write `preflight {text} …` and the options behind it"))
        }
        text => Ok(text.to_owned()),
    }
}
