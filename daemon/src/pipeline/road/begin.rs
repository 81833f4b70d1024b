//! Beginning a task of EC2: in its turn, within the quota, and written down before it is asked for.

use std::time::Duration;

use super::super::quota::{Begun, Kind, Waiting};
use super::Road;
use crate::image::{self, Images};
use crate::model::{ImageFact, JobId, ObjectAddress, RemoteName, Side, WaitReason};
use crate::transfer::Fault;

/// A look at what is in progress, when nothing was heard of it.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A task that is to be begun.
pub(super) struct Task<'a> {
    pub(super) job: JobId,
    pub(super) kind: Kind,
    pub(super) side: Side,
    pub(super) images: &'a Images,
    /// What EC2 calls it, among those in progress.
    pub(super) name: &'a str,
    /// Of its image's volumes.
    pub(super) gib: u64,
    /// What EC2 is to read, and the ETag that it had when it was looked at or proven.
    pub(super) object: Option<(&'a ObjectAddress, &'a str)>,
}

impl Task<'_> {
    fn remote(&self) -> &RemoteName {
        self.images.remote().name()
    }
}

impl Road<'_> {
    /// Counts a task that was begun before.
    pub(super) fn count(&self, task: &Task<'_>) -> Begun {
        let named = (task.name, task.gib);
        self.pipeline.quotas.begin(task.remote(), task.kind, task.job, named)
    }

    /// Waits for the task's turn and asks for it; a quota that EC2 says is used up is waited for. Gives any
    /// other answer, and what counts the task. What EC2 is to read has to be what it was, each time that EC2 is
    /// asked. `intent` is on disk before, as of that time: whoever finds it knows for how long what was made may
    /// not be seen yet. Where EC2 refused the last request and there is to be no other, that is written down too.
    pub(super) async fn begin<T, F>(
        &self,
        task: &Task<'_>,
        intent: ImageFact,
        ask: impl Fn() -> F,
    ) -> Result<(Result<T, image::Error>, Begun), Fault>
    where
        F: Future<Output = Result<T, image::Error>>,
    {
        let mut is_refused = false;
        let begun = self.ask_in_turn(task, intent, ask, &mut is_refused).await;
        if begun.is_err() && is_refused {
            // Else what somebody makes meanwhile would be taken for the job's own by its next worker.
            let refused = match task.kind {
                Kind::Store => ImageFact::StoreFailed,
                Kind::Restore => ImageFact::RestoreFailed,
            };
            self.note(refused).await?;
        }
        begun
    }

    /// Asks until EC2's answer is none about its quota. `is_refused` is whether the last request was refused for
    /// that, and the next is not written down yet.
    async fn ask_in_turn<T, F>(
        &self,
        task: &Task<'_>,
        intent: ImageFact,
        ask: impl Fn() -> F,
        is_refused: &mut bool,
    ) -> Result<(Result<T, image::Error>, Begun), Fault>
    where
        F: Future<Output = Result<T, image::Error>>,
    {
        let quotas = &self.pipeline.quotas;
        let turn = quotas.wait(task.remote(), task.kind, task.job, &self.handle.share);
        loop {
            self.wait_for_room(task, &turn).await?;
            let begun = self.count(task);
            if let Some((address, etag)) = task.object {
                self.check_object(address, etag).await?;
            }
            self.note(intent.clone()).await?;
            *is_refused = false;
            match self.handle.stop.or_now(ask()).await? {
                Err(image::Error::Quota(told)) => {
                    *is_refused = true;
                    let detail = format!("{}: {}", task.remote(), told.reason());
                    self.pause_for_quota(turn.refused(begun), detail).await?;
                }
                answer => return Ok((answer, begun)),
            }
        }
    }

    async fn wait_for_room(&self, task: &Task<'_>, turn: &Waiting) -> Result<(), Fault> {
        let remote = task.remote();
        let limits = self.pipeline.quotas.limits(remote);
        let limit = limits.map_or(u64::MAX, |limits| limits.in_progress(task.kind));
        let kind = match task.kind {
            Kind::Store => "stored",
            Kind::Restore => "restored",
        };
        loop {
            // From before the look on: what ends while this looks is not missed.
            let mut changes = turn.changes();
            let mut detail = format!("others are to be {kind} at {remote} before this one");
            if turn.is_head() {
                self.see_others(task, turn).await?;
                let used = turn.used();
                if used < limit {
                    return Ok(());
                }
                detail =
                    format!("{used} GB are being {kind} at {remote}, and its quota is {limit}");
            }
            self.pause_for_quota(changes.changed(), detail).await?;
        }
    }

    /// Stores that others have in progress count too. Restores of others are not to be seen.
    async fn see_others(&self, task: &Task<'_>, turn: &Waiting) -> Result<(), Fault> {
        if task.kind != Kind::Store {
            return Ok(());
        }
        let (remote, images) = (task.remote(), task.images);
        let tasks = self.ask(task.side, remote, || images.store_tasks_in_progress()).await?;
        let names: Vec<String> =
            tasks.iter().map(|task| stored_name(&task.image, &task.bucket)).collect();
        let unknown = turn.unknown(&names);
        for (task, name) in tasks.iter().zip(names) {
            if unknown.contains(&name) {
                let image = self.ask(Side::Source, remote, || images.image(&task.image)).await?;
                // Gone, or not ours to see: EC2's own count is what then holds.
                turn.tell(name, image.map_or(0, |image| image.gib()));
            }
        }
        Ok(())
    }

    async fn pause_for_quota<T>(
        &self,
        change: impl Future<Output = T>,
        detail: String,
    ) -> Result<(), Fault> {
        let _waiting = self.handle.live.wait(WaitReason::Quota, detail);
        let change = tokio::time::timeout(LOOK_EVERY, change);
        self.handle.stop.or_soon(change).await.map(drop)
    }
}

/// What tells one store from another: an image is stored once in a bucket.
pub(super) fn stored_name(image: &str, bucket: &str) -> String {
    format!("{image} in {bucket}")
}

#[cfg(test)]
mod tests;
