//! A running transfer as it stands this second, for whoever watches.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::peers::Peers;
use crate::base::{Pace, RateMeter};
use crate::model::{Job, JobState, Live, PartNumber, Wait, WaitReason};

/// Bytes after which a trouble counts as over: a read that stands still again and again gives a little
/// each time it is asked for.
const IN_EARNEST: u64 = 1 << 20;

/// The live figures of one transfer.
#[derive(Debug, Default)]
pub struct LiveTransfer {
    /// Bytes of acknowledged parts.
    acknowledged: AtomicU64,
    meter: RateMeter,
    moved: LastMoved,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parts: BTreeMap<PartNumber, Active>,
    waits: BTreeMap<u64, Wait>,
    next_wait: u64,
    paces: Vec<Arc<Pace>>,
    peers: Peers,
    /// What went wrong last, and the bytes that had passed by then.
    trouble: Option<(u64, String)>,
    /// How far EC2 is with what it does for the job.
    percent: Option<u8>,
}

/// When a byte last moved, or what explained that none did was over. Told with every frame, so it is one
/// atomic store.
#[derive(Debug)]
struct LastMoved {
    began: Instant,
    /// After `began`.
    millis: AtomicU64,
}

#[derive(Debug)]
struct Active {
    attempt: u32,
    /// The length of the part.
    len: u64,
    bytes: Arc<AtomicU64>,
    outpaced: Arc<Notify>,
}

/// While it lives, the job is seen to wait.
#[derive(Debug)]
pub struct Waiting<'a>(&'a LiveTransfer, u64);

/// While it lives, the part is seen to be under way.
#[derive(Debug)]
pub(super) struct PartUnderWay<'a> {
    live: &'a LiveTransfer,
    number: PartNumber,
    began: Instant,
    bytes: Arc<AtomicU64>,
    outpaced: Arc<Notify>,
}

impl LiveTransfer {
    /// Figures of a transfer whose bytes pass through these paces.
    pub fn new(paces: Vec<Arc<Pace>>) -> Arc<Self> {
        let state = Mutex::new(State { paces, ..State::default() });
        Arc::new(Self { state, ..Self::default() })
    }

    /// Takes over what the ledger knows.
    pub(super) fn at(&self, job: &Job) {
        let bytes = match job.state {
            JobState::Succeeded => job.size().unwrap_or_default(),
            _ => job.progress.bytes,
        };
        self.acknowledged.store(bytes, Ordering::Relaxed);
    }

    /// The figures now.
    pub fn snapshot(&self) -> Live {
        let state = self.lock();
        let under_way: u64 = state.parts.values().map(|p| p.bytes.load(Ordering::Relaxed)).sum();
        let parts_active: Vec<_> = state.parts.iter().map(|(n, p)| (*n, p.attempt)).collect();
        let wait = state.wait(self.meter.total());
        let explained = state.percent.is_some() || wait.as_ref().is_some_and(Wait::explains_rest);
        Live {
            wait,
            idle: if explained { Duration::ZERO } else { self.moved.ago() },
            bytes_done: self.acknowledged.load(Ordering::Relaxed) + under_way,
            bytes_per_second: self.meter.per_second(),
            parts_active,
            percent: state.percent,
        }
    }

    /// Bytes of acknowledged parts.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(super) fn acknowledge(&self, bytes: u64) {
        self.acknowledged.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How far EC2 is, 0 to 100; `None` while it does nothing for the job.
    pub fn at_percent(&self, percent: Option<u8>) {
        self.lock().percent = percent;
        self.moved.now();
    }

    /// Shows that the job waits, while the answer lives.
    pub fn wait(&self, reason: WaitReason, detail: String) -> Waiting<'_> {
        let mut state = self.lock();
        let id = state.next_wait;
        state.next_wait += 1;
        state.waits.insert(id, Wait { reason, detail });
        Waiting(self, id)
    }

    /// Something went wrong that is tried again. It is told until bytes move in earnest.
    pub fn trouble(&self, failure: String) {
        self.lock().trouble = Some((self.meter.total(), failure));
    }

    /// Begins try `attempt` of a part of `len` bytes.
    pub(super) fn part(&self, number: PartNumber, attempt: u32, len: u64) -> PartUnderWay<'_> {
        let (bytes, outpaced) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
        let (counter, told) = (Arc::clone(&bytes), Arc::clone(&outpaced));
        let active = Active { attempt, len, bytes: counter, outpaced: told };
        self.lock().parts.insert(number, active);
        PartUnderWay { live: self, number, began: Instant::now(), bytes, outpaced }
    }

    /// Tells the parts that are much slower than their peers. Where a limit holds the transfer back,
    /// no connection is to blame. A part that is all sent moves no byte and waits for its answer:
    /// whoever gave it up would throw away what the target is about to acknowledge.
    pub(super) fn compare_parts(&self) {
        let mut state = self.lock();
        let State { parts, peers, paces, .. } = &mut *state;
        if paces.iter().any(|pace| pace.is_waiting()) {
            peers.forget_rates();
            return;
        }
        let active = parts.iter().filter_map(|(number, part)| {
            let bytes = part.bytes.load(Ordering::Relaxed);
            (bytes < part.len).then_some((*number, part.attempt, bytes))
        });
        for number in peers.look(active, Instant::now()) {
            if let Some(part) = parts.get(&number) {
                part.outpaced.notify_one();
            }
        }
    }

    /// Counts bytes for the rate alone.
    pub(super) fn passed(&self, bytes: u64) {
        self.meter.add(bytes);
        self.moved.now();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Credentials stop everything, so they come first; a retry is worth a word only while nothing
    /// else moves; a limit is, whenever it holds somebody back. `passed` is the bytes so far.
    fn wait(&self, passed: u64) -> Option<Wait> {
        let credentials = |wait: &&Wait| wait.reason == WaitReason::Credentials;
        if let Some(wait) = self.waits.values().find(credentials) {
            return Some(wait.clone());
        }
        if self.parts.is_empty()
            && let Some(wait) = self.waits.values().next()
        {
            return Some(wait.clone());
        }
        if let Some((_, failure)) =
            self.trouble.as_ref().filter(|(then, _)| passed < then + IN_EARNEST)
        {
            return Some(Wait { reason: WaitReason::Retry, detail: failure.clone() });
        }
        let paced = self.paces.iter().any(|pace| pace.is_waiting());
        paced.then(|| Wait {
            reason: WaitReason::Rate,
            detail: "held to the remote's limits".into(),
        })
    }
}

impl PartUnderWay<'_> {
    /// The counter of this part's bytes.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    /// Completes when the part is seen to be much slower than its peers.
    pub(super) async fn outpaced(&self) {
        self.outpaced.notified().await;
    }

    /// The part has arrived: a measure for its peers.
    pub(super) fn arrived(&self, bytes: u64) {
        let now = Instant::now();
        self.live.lock().peers.ended(bytes, now.duration_since(self.began), now);
    }
}

impl Drop for PartUnderWay<'_> {
    fn drop(&mut self) {
        self.live.lock().parts.remove(&self.number);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let wait = self.0.lock().waits.remove(&self.1);
        if wait.is_some_and(|wait| wait.explains_rest()) {
            self.0.moved.now();
        }
    }
}

impl LastMoved {
    fn now(&self) {
        let millis = self.began.elapsed().as_millis();
        self.millis.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn ago(&self) -> Duration {
        let moved = Duration::from_millis(self.millis.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(moved)
    }
}

impl Default for LastMoved {
    fn default() -> Self {
        Self { began: Instant::now(), millis: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::base::{Direction, Limits, NoObserver};
    use crate::model::Bandwidth;

    const LEN: u64 = 1 << 30;

    /// Six tries of parts of [`LEN`] bytes: four that run, one that stands still in the middle, and one
    /// that is all sent.
    fn six(live: &LiveTransfer) -> Vec<PartUnderWay<'_>> {
        let numbers = (1..=6).filter_map(PartNumber::new);
        let parts: Vec<_> = numbers.map(|number| live.part(number, 1, LEN)).collect();
        parts[4].counter().store(LEN / 2, Ordering::Relaxed);
        parts[5].counter().store(LEN, Ordering::Relaxed);
        parts
    }

    /// Which of `parts`, counted from 0, were told within `looks` looks.
    fn told(live: &LiveTransfer, parts: &[PartUnderWay<'_>], looks: usize) -> Vec<usize> {
        for _ in 0..looks {
            for part in &parts[..4] {
                part.bytes.fetch_add(1000, Ordering::Relaxed);
            }
            live.compare_parts();
        }
        let is_told = |at: &usize| parts[*at].outpaced().now_or_never().is_some();
        (0..parts.len()).filter(is_told).collect()
    }

    /// A server may take its time for its answer: to send all of it again makes it no faster.
    #[tokio::test]
    async fn a_part_that_waits_for_its_answer_is_not_outpaced() {
        let live = LiveTransfer::new(vec![]);
        let parts = six(&live);
        assert_eq!(told(&live, &parts, 30), [4]);
    }

    /// What was measured beside a limit says nothing; how often a part was given up still counts.
    #[tokio::test(start_paused = true)]
    async fn a_limit_that_bites_now_and_then_gives_no_part_another_chance_to_be_given_up() {
        let pace = Pace::new("gov", Limits::default(), Arc::new(NoObserver));
        let live = LiveTransfer::new(vec![Arc::clone(&pace)]);
        let parts = six(&live);
        let mut given_up = 0;
        for _ in 0..4 {
            given_up += told(&live, &parts, 5).len();
            pace.set(Limits { write_bandwidth: Some(Bandwidth(1)), ..Limits::default() });
            let mut held = Box::pin(pace.bytes(Direction::Write, 1000));
            assert!(held.as_mut().now_or_never().is_none() && pace.is_waiting());
            assert!(told(&live, &parts, 5).is_empty(), "a limit is no fault of a connection");
            drop(held);
            pace.set(Limits::default());
            // So long does a job count as held back.
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        assert_eq!(given_up, 2);
    }

    #[tokio::test]
    async fn figures_come_and_go_with_their_parts_and_waits() {
        let live = LiveTransfer::new(vec![]);
        live.acknowledge(10);
        {
            let number = PartNumber::new(3).expect("legal");
            let part = live.part(number, 2, 100);
            part.counter().fetch_add(5, Ordering::Relaxed);
            let _retry = live.wait(WaitReason::Retry, "one part".into());
            let seen = live.snapshot();
            assert_eq!((seen.bytes_done, seen.parts_active), (15, vec![(number, 2)]));
            assert_eq!(seen.wait, None, "another part moves");
            let _credentials = live.wait(WaitReason::Credentials, "expired".into());
            assert_eq!(live.snapshot().wait.map(|w| w.reason), Some(WaitReason::Credentials));
        }
        live.trouble("no answer".into());
        let told = live.snapshot().wait.map(|wait| wait.detail);
        assert_eq!(told.as_deref(), Some("no answer"), "until bytes move");
        live.passed(IN_EARNEST);
        let seen = live.snapshot();
        assert_eq!((seen.bytes_done, seen.wait), (10, None));
        assert!(seen.parts_active.is_empty());
    }

    /// Who waits for a quota or the night is not stalled, however long it takes; who fails again and again is.
    #[tokio::test(start_paused = true)]
    async fn idle_is_who_moves_nothing_and_has_no_reason_to_wait() {
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        let live = LiveTransfer::new(vec![]);
        let idle = || live.snapshot().idle.as_secs();
        pass(40).await;
        assert_eq!(idle(), 40, "nothing has moved yet");
        live.passed(1);
        assert_eq!(idle(), 0);
        {
            let _failed = live.wait(WaitReason::Retry, "no answer".into());
            pass(20).await;
            assert_eq!(idle(), 20);
        }
        assert_eq!(idle(), 20, "that it is tried again is no progress");
        for reason in [WaitReason::Quota, WaitReason::Schedule, WaitReason::Credentials] {
            let _held = live.wait(reason, "not now".into());
            pass(3600).await;
            assert_eq!(idle(), 0, "{reason:?}");
        }
        pass(5).await;
        assert_eq!(idle(), 5, "from the end of the wait");
        live.at_percent(Some(40));
        pass(3600).await;
        assert_eq!(idle(), 0, "EC2 works");
        live.at_percent(None);
        pass(7).await;
        assert_eq!(idle(), 7);
    }
}
