//! What somebody asks of the sides, and waits for.
//!
//! # Invariants
//! - It is asked in the runtime of the work, whoever polls: connections are pooled, and one that a door dialed
//!   would later carry a part through the doors' thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::context::TokioContext;

use super::Daemon;
use crate::base::Berth;
use crate::blob;
use crate::control::{DryRun, ListedPage};
use crate::model::{Failure, FailureClass, ObjectAddress, Side, TransferSpec};
use crate::transfer::retry::Budget;
use crate::transfer::{Fault, Record};

/// How long a dry run, or a page of a listing, may take before it says what it waits for.
const PATIENCE: Duration = Duration::from_secs(30);

impl Daemon {
    /// The future as a part of the work.
    pub(super) fn working<F>(&self, future: F) -> TokioContext<F> {
        TokioContext::new(future, self.work.clone())
    }

    /// What a transfer would do.
    pub(super) async fn draft(&self, spec: &TransferSpec) -> Result<DryRun, Failure> {
        let handle = self.pipeline.handle(Some(spec), 0, Berth::unbounded());
        let record = Record::of_no_job(self.ledger().clone(), &handle.live, &handle.stop);
        let transfer = self.pipeline.build(spec, record, &handle).map_err(|failure| *failure)?;
        let draft = match tokio::time::timeout(PATIENCE, transfer.draft()).await {
            Ok(Ok(draft)) => draft,
            Ok(Err(Fault::Failed { failure, .. } | Fault::BeginAnew { failure })) => {
                return Err(*failure);
            }
            Ok(Err(fault @ (Fault::Stopped | Fault::Ledger(_)))) => {
                return Err(Failure::new(FailureClass::Transient, fault.to_string(), "try again"));
            }
            Err(_) => {
                let wait = handle.live.snapshot().wait.map(|wait| wait.detail);
                let reason = wait.unwrap_or_else(|| "a side does not answer".into());
                return Err(Failure::new(FailureClass::Transient, reason, "try again later"));
            }
        };
        let (source, target) = transfer.describe(&draft);
        Ok(DryRun {
            source,
            target,
            part_size: draft.plan.part_size(),
            parts: draft.plan.parts(),
            verify: spec.verify,
            if_exists: spec.if_exists,
            bytes_to_send: draft.bytes_to_send(spec),
            warnings: draft.warnings,
        })
    }

    /// One page of the keys below a prefix.
    pub(super) async fn keys_below(
        &self,
        prefix: &ObjectAddress,
        token: Option<String>,
    ) -> Result<ListedPage, Failure> {
        let Some(remote) = self.remote(&prefix.remote) else {
            let reason = format!("there is no remote '{}'", prefix.remote);
            return Err(Failure::new(FailureClass::Permanent, reason, "name a configured one"));
        };
        let deadline = Instant::now() + PATIENCE;
        let mut budget = Budget::default();
        let page = loop {
            let error = match blob::list(Arc::clone(remote), prefix, token.as_deref()).await {
                Ok(page) => break page,
                Err(error) => error,
            };
            match budget.spend(error.class()) {
                Some(pause) if Instant::now() + pause < deadline => tokio::time::sleep(pause).await,
                _ => return Err(error.to_failure(Side::Source)),
            }
        };
        let keys = page.objects.into_iter().map(|object| object.key).collect();
        Ok(ListedPage { keys, next: page.next })
    }
}
