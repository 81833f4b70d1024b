//! What EC2 and SSM have to do for an image job: the image as it is, rehearsals, the quota, the name and the
//! alias. What EC2 does with an object by the rights of who asks is tried with those rights.

mod restore;
mod store;

use std::future::Future;

use super::report::{Halted, Report};
use super::{Asked, Found, bucket, object};
use crate::image::{self, Images};
use crate::pipeline::{Pipeline, QuotaKind};

impl Pipeline {
    /// EC2 accepts while what is in progress is below the limit.
    fn quota(&self, report: &mut Report, images: &Images, kind: QuotaKind, seen_gb: u64) {
        let remote = images.remote().name();
        let own =
            self.quotas.used().into_iter().find(|(name, of, _)| name == remote && *of == kind);
        let used = own.map_or(0, |(_, _, gb)| gb).max(seen_gb);
        let limit = self.quotas.limits(remote).map_or(u64::MAX, |limits| limits.in_progress(kind));
        let (name, key) = match kind {
            QuotaKind::Store => ("store quota", "store_in_progress_gb"),
            QuotaKind::Restore => ("restore quota", "restore_in_progress_gb"),
        };
        let detail =
            format!("{used} GB are in progress as far as is known, and the quota is {limit}");
        match used < limit {
            true => report.passed(name, detail),
            false => report.warning(
                name,
                format!("{detail}: the job would wait"),
                format!("wait for what runs, or raise {key} where AWS has raised the quota"),
            ),
        }
    }
}

/// What EC2 says it would do.
async fn rehearsed<F>(
    report: &mut Report,
    name: &'static str,
    detail: &'static str,
    ask: impl FnMut() -> F,
) -> Result<(), Halted>
where
    F: Future<Output = Result<(), image::Error>>,
{
    match report.ask(ask).await {
        Ok(()) => report.passed(name, detail),
        Err(trouble) => report.refused(name, &trouble.told(report.side()))?,
    }
    Ok(())
}

fn blocks(report: &mut Report, actions: &str) {
    let detail =
        "EC2 moves blocks of snapshots by the rights of who asks, and rehearses none of it";
    report.skipped("EBS blocks", detail, format!("see that {actions} are allowed"));
}

fn not_deleted(report: &mut Report) {
    let detail = "to delete the object cannot be tried";
    report.skipped("clean up", detail, "see that s3:DeleteObject on it is allowed");
}
