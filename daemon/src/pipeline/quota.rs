//! EC2's in-progress quotas as admission: who may ask next, and whether there is room.
//!
//! EC2 accepts a store or a restore while the sum of the sizes *already* in progress is below the limit; the
//! request's own size is not counted. So all who want to ask stand in one line a remote and kind, and its head
//! alone asks, when the sum is below. Counted is what this daemon began and has not seen end, and whatever
//! else was seen in progress. EC2 has the last word: a request that it refuses waits on.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-store-restore.html>
//!
//! # Invariants
//! - The line is by priority, then by age; a priority that changes counts at once.
//! - A place in the line, and what is counted, is given back when it is dropped.
//! - One that EC2 refused is woken by what is given back in its own line after that, and by nothing else:
//!   neither by itself, nor by another line that is refused as well.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::base::Share;
use crate::model::{JobId, RemoteName};

/// What EC2 counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Store,
    Restore,
}

impl Kind {
    /// The word used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Restore => "restore",
        }
    }
}

/// The limits of one remote, in GB, as EC2 counts GiB of volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub store_in_progress_gb: u64,
    pub restore_in_progress_gb: u64,
    pub image_size_gb: u64,
}

impl Limits {
    /// What may be in progress.
    pub fn in_progress(self, kind: Kind) -> u64 {
        match kind {
            Kind::Store => self.store_in_progress_gb,
            Kind::Restore => self.restore_in_progress_gb,
        }
    }
}

/// Whose quota.
type Place = (RemoteName, Kind);

/// All quotas. Clones are one.
#[derive(Debug, Clone)]
pub struct Quotas(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: BTreeMap<RemoteName, Limits>,
    lines: Mutex<BTreeMap<Place, Line>>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: BTreeMap<JobId, Arc<Share>>,
    /// What this daemon began: EC2's name for it, and its size in GiB.
    begun: BTreeMap<JobId, (String, u64)>,
    /// What others have in progress, as it was seen last: EC2's name for it, and its size in GiB. Known while
    /// somebody waits, whose head looks now and then.
    others: BTreeMap<String, u64>,
    /// Somebody came, left, or gave something back.
    changed: watch::Sender<()>,
    /// Something that was counted was given back.
    ended: watch::Sender<()>,
}

impl Line {
    /// The highest priority, and of those the oldest: ids grow.
    fn head(&self) -> Option<JobId> {
        let ranked = self.waiting.iter().map(|(id, share)| (Reverse(share.weight()), *id));
        ranked.min().map(|(_, id)| id)
    }

    fn used(&self) -> u64 {
        let others = self.others.iter().filter(|(name, _)| self.is_of_another(name));
        self.begun.values().map(|(_, gib)| gib).sum::<u64>()
            + others.map(|(_, gib)| gib).sum::<u64>()
    }

    fn is_of_another(&self, name: &str) -> bool {
        self.begun.values().all(|(own, _)| own != name)
    }
}

/// A place in a line.
#[derive(Debug)]
pub struct Waiting {
    quotas: Quotas,
    place: Place,
    job: JobId,
}

/// A store or restore that is counted.
#[derive(Debug)]
pub struct Begun {
    quotas: Quotas,
    place: Place,
    job: JobId,
}

impl Quotas {
    /// Quotas of these remotes.
    pub fn new(limits: BTreeMap<RemoteName, Limits>) -> Self {
        Self(Arc::new(Shared { limits, lines: Mutex::default() }))
    }

    /// The limits of a remote; `None` where there is no such remote.
    pub fn limits(&self, remote: &RemoteName) -> Option<Limits> {
        self.0.limits.get(remote).copied()
    }

    /// Joins the line.
    pub fn wait(&self, remote: &RemoteName, kind: Kind, job: JobId, share: &Arc<Share>) -> Waiting {
        let place = (remote.clone(), kind);
        {
            let mut lines = self.lock();
            let line = lines.entry(place.clone()).or_default();
            line.waiting.insert(job, Arc::clone(share));
            line.changed.send_replace(());
        }
        Waiting { quotas: self.clone(), place, job }
    }

    /// Counts what is being asked for, or was. By `name`, it is known from what others began.
    pub fn begin(
        &self,
        remote: &RemoteName,
        kind: Kind,
        job: JobId,
        (name, gib): (&str, u64),
    ) -> Begun {
        let place = (remote.clone(), kind);
        let counted = (name.to_owned(), gib);
        self.lock().entry(place.clone()).or_default().begun.insert(job, counted);
        Begun { quotas: self.clone(), place, job }
    }

    /// The sums in progress, as far as they are known, in GB.
    pub fn used(&self) -> Vec<(RemoteName, Kind, u64)> {
        let lines = self.lock();
        let used = lines.iter().map(|((remote, kind), line)| (remote.clone(), *kind, line.used()));
        used.collect()
    }

    // No code path panics while it holds the lock; a poisoned one is still consistent.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Line>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Whether it is this one's turn.
    pub fn is_head(&self) -> bool {
        self.quotas.lock().get(&self.place).and_then(Line::head) == Some(self.job)
    }

    /// Of what is in progress at EC2, what this daemon did not begin and whose size was not told yet.
    pub fn unknown(&self, in_progress: &[String]) -> Vec<String> {
        let mut lines = self.quotas.lock();
        let Some(line) = lines.get_mut(&self.place) else { return Vec::new() };
        line.others.retain(|name, _| in_progress.contains(name));
        let is_unknown =
            |name: &&String| line.is_of_another(name) && !line.others.contains_key(*name);
        in_progress.iter().filter(is_unknown).cloned().collect()
    }

    /// Tells the size of what others have in progress, in GiB.
    pub fn tell(&self, name: String, gib: u64) {
        if let Some(line) = self.quotas.lock().get_mut(&self.place) {
            line.others.insert(name, gib);
        }
    }

    /// The sum in progress, as far as it is known, in GB.
    pub fn used(&self) -> u64 {
        self.quotas.lock().get(&self.place).map(Line::used).unwrap_or_default()
    }

    /// Tells that something has changed in this line, from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.quotas.lock().entry(self.place.clone()).or_default().changed.subscribe()
    }

    /// EC2 refused what was counted as `begun`: that it is not counted is no reason to ask again. Completes
    /// once something else was given back in this line.
    pub async fn refused(&self, begun: Begun) {
        drop(begun);
        let mut ended = self.quotas.lock().entry(self.place.clone()).or_default().ended.subscribe();
        // The line, and with it the sender, is there for as long as this one waits.
        let _ = ended.changed().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(line) = self.quotas.lock().get_mut(&self.place) {
            line.waiting.remove(&self.job);
            // Nobody would see any more that they end; whoever comes next looks before it asks.
            if line.waiting.is_empty() {
                line.others.clear();
            }
            line.changed.send_replace(());
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(line) = self.quotas.lock().get_mut(&self.place) {
            line.begun.remove(&self.job);
            line.changed.send_replace(());
            line.ended.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::model::Timestamp;

    fn id(number: u128) -> JobId {
        JobId::from_parts(Timestamp(1), number)
    }

    fn quotas() -> (Quotas, RemoteName) {
        (Quotas::new(BTreeMap::new()), "com".parse().expect("legal"))
    }

    #[test]
    fn the_line_is_by_priority_and_then_by_age() {
        let (quotas, com) = quotas();
        let wait = |number, priority| {
            let share = Share::new(priority);
            (quotas.wait(&com, Kind::Store, id(number), &share), share)
        };
        let (low, _) = wait(1, -5);
        let (first, _) = wait(2, 0);
        let (second, share) = wait(3, 0);
        assert!(first.is_head() && !second.is_head() && !low.is_head());
        share.set_priority(10);
        assert!(second.is_head(), "a priority that changes counts at once");
        drop(second);
        assert!(first.is_head());
        let other = quotas.wait(&com, Kind::Restore, id(9), &Share::new(-100));
        assert!(other.is_head(), "each kind has a line of its own");
    }

    #[tokio::test]
    async fn what_ends_is_given_back_and_told() {
        let (quotas, com) = quotas();
        let waiting = quotas.wait(&com, Kind::Store, id(1), &Share::new(0));
        let begun = quotas.begin(&com, Kind::Store, id(2), ("ami-2", 300));
        let mut changes = waiting.changes();
        let in_progress = ["ami-2".to_owned(), "ami-9".to_owned()];
        assert_eq!(waiting.unknown(&in_progress), ["ami-9"], "somebody else's");
        waiting.tell("ami-9".to_owned(), 600);
        assert!(waiting.unknown(&in_progress).is_empty());
        assert_eq!(waiting.used(), 900);
        drop(begun);
        changes.changed().await.expect("somebody holds the sender");
        assert_eq!(quotas.used(), [(com, Kind::Store, 600)]);
        assert!(waiting.unknown(&[]).is_empty());
        assert_eq!(waiting.used(), 0, "theirs has ended");
    }

    /// It would be shown for ever: only who waits sees it end.
    #[test]
    fn what_others_have_in_progress_is_known_while_somebody_waits() {
        let (quotas, com) = quotas();
        let [first, second] =
            [1, 2].map(|number| quotas.wait(&com, Kind::Store, id(number), &Share::new(0)));
        assert_eq!(first.unknown(&["ami-9".to_owned()]), ["ami-9"]);
        first.tell("ami-9".to_owned(), 600);
        let _begun = quotas.begin(&com, Kind::Store, id(1), ("ami-1", 300));
        drop(first);
        assert_eq!(quotas.used(), [(com.clone(), Kind::Store, 900)], "there is one more");
        drop(second);
        assert_eq!(quotas.used(), [(com.clone(), Kind::Store, 300)], "its own");
        let next = quotas.wait(&com, Kind::Store, id(3), &Share::new(0));
        assert_eq!(next.unknown(&["ami-9".to_owned()]), ["ami-9"], "it looks anew");
    }

    /// EC2 refuses every request of this line: asks as a worker does, and counts. A worker looks now and then
    /// though nothing was heard; this one does not.
    async fn ask_in_vain(quotas: Quotas, remote: RemoteName, number: u128, asked: Arc<AtomicU32>) {
        let turn = quotas.wait(&remote, Kind::Store, id(number), &Share::new(0));
        loop {
            let begun = quotas.begin(&remote, Kind::Store, id(number), ("", 1));
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
            turn.refused(begun).await;
        }
    }

    /// Each gives back what EC2 refused, which is no news to anybody: they would ask for hours as fast as EC2
    /// answers.
    #[tokio::test(start_paused = true)]
    async fn lines_that_are_refused_do_not_wake_each_other_nor_themselves() {
        let (quotas, com) = quotas();
        let gov: RemoteName = "gov".parse().expect("legal");
        let held = quotas.begin(&com, Kind::Store, id(9), ("ami-9", 300));
        let asked = [Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0))];
        let count = || [0, 1].map(|line: usize| asked[line].load(Ordering::Relaxed));
        let workers = [
            tokio::spawn(ask_in_vain(quotas.clone(), com.clone(), 1, Arc::clone(&asked[0]))),
            tokio::spawn(ask_in_vain(quotas.clone(), gov, 2, Arc::clone(&asked[1]))),
        ];
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(count(), [1, 1]);
        drop(quotas.wait(&com, Kind::Store, id(3), &Share::new(0)));
        drop(quotas.begin(&com, Kind::Restore, id(4), ("", 1)));
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(count(), [1, 1], "who comes and goes makes no room, nor does another kind");
        drop(held);
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(count(), [2, 1], "there is room in the one line");
        workers.iter().for_each(|worker| worker.abort());
    }
}
