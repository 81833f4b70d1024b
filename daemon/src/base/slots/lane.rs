//! How many parts at once one side takes well, found by measuring.
//!
//! ```text
//! climbing ──▶ settled ◀──▶ trying (a few more, then a few fewer, ever less often)
//!     └─────── too far ───────▲
//! told to slow down, from anywhere: settled, at two thirds of it
//! ```
//!
//! A lane doubles what it admits for as long as that carries more bytes a second. Where it did not, it
//! tries half as many more, since what was enough may lie between. From then on it tries a quarter more or
//! fewer now and then, and stays where more carry more, or where fewer carry as much: connections that do
//! not help cost memory, and the patience of the other side.
//!
//! # Invariants
//! - Only what was full is judged: bytes a second of a lane with free places say nothing of its limit.
//! - A new limit is judged only after the parts that it let in have had time to begin.

use std::time::Duration;

use tokio::time::Instant;

/// What a lane begins with. On a path of 150 ms that is little, so it doubles.
const FIRST: usize = 16;
/// One congestion makes many parts fail at once: they count as one signal.
const DECREASE_PAUSE: Duration = Duration::from_secs(2);
/// More are worth their place where a tenth more carry a hundredth more.
const WORTH: f64 = 0.1;
/// Fewer are enough where they carry as much but for the noise.
const ENOUGH: f64 = 0.985;
/// How long a lane rests between tries that change nothing: at first, and at the most.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// The shortest time that tells a rate, climbing and later.
const WINDOW: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(1000));

/// How carrying a part went, as far as the sides' capacity is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The source, or the target, asked to slow down or did not answer in time.
    Congested { write: bool },
    /// It says nothing of capacity.
    Unknown,
}

impl Verdict {
    pub(super) fn blames(self, lane_writes: bool) -> bool {
        matches!(self, Self::Congested { write } if write == lane_writes)
    }
}

/// Bytes a second at some limit.
#[derive(Debug, Clone, Copy)]
struct Level {
    limit: usize,
    rate: f64,
}

#[derive(Debug, Clone, Copy)]
enum Search {
    /// Doubling, from the level that was left.
    Climbing(Option<Level>),
    Settled {
        until: Instant,
        up_next: bool,
    },
    /// Another limit than the one that it is compared with.
    Trying(Level),
}

/// Bytes since a moment.
#[derive(Debug, Clone, Copy)]
struct Window {
    begun: Instant,
    bytes: u64,
}

#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) in_flight: usize,
    limit: usize,
    max: usize,
    search: Search,
    window: Window,
    patience: Duration,
    /// Told to slow down, and when last.
    decreased: Option<Instant>,
}

impl LaneState {
    pub(super) fn new(max: usize, now: Instant) -> Self {
        Self {
            in_flight: 0,
            limit: FIRST.min(max),
            max,
            search: Search::Climbing(None),
            window: Window { begun: now, bytes: 0 },
            patience: PATIENCE.0,
            decreased: None,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limit
    }

    pub(super) fn give_back(&mut self, is_blamed: bool, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let soon = |at| now.duration_since(at) < DECREASE_PAUSE;
        if is_blamed && !self.decreased.is_some_and(soon) {
            self.decreased = Some(now);
            self.patience = PATIENCE.0;
            self.settle((self.limit * 2 / 3).max(1), true, now);
        }
    }

    /// Looks at what has passed: `bytes` in all until now, on a lane where a part takes `latency` until its
    /// first byte. Says when to look again.
    pub(super) fn look(&mut self, bytes: u64, latency: Duration, now: Instant) -> Instant {
        let elapsed = now.saturating_duration_since(self.window.begun);
        let least = match self.search {
            Search::Climbing(_) => WINDOW.0,
            Search::Settled { .. } | Search::Trying(_) => WINDOW.1,
        };
        let length = least.max(4 * latency);
        if elapsed >= length && !self.has_room() {
            #[allow(clippy::cast_precision_loss, reason = "a rate, to compare with another")]
            let passed = bytes.saturating_sub(self.window.bytes) as f64;
            self.judge(passed / elapsed.as_secs_f64(), now);
            // What a new limit lets in needs a while to begin.
            self.window = Window { begun: now + 2 * latency, bytes };
        } else if elapsed.is_zero() || self.has_room() {
            self.window = Window { begun: now.max(self.window.begun), bytes };
        }
        let begun = self.window.begun;
        if begun > now { begun } else { begun + length }
    }

    fn judge(&mut self, rate: f64, now: Instant) {
        let here = Level { limit: self.limit, rate };
        match self.search {
            Search::Climbing(before) => match before.filter(|before| !here.is_worth_it(before)) {
                Some(before) => {
                    self.limit = (before.limit + (before.limit / 2).max(1)).min(self.max);
                    self.search = Search::Trying(before);
                }
                None if self.limit == self.max => self.settle(self.limit, false, now),
                None => {
                    self.limit = (self.limit * 2).min(self.max);
                    self.search = Search::Climbing(Some(here));
                }
            },
            Search::Settled { until, .. } if now < until => {}
            Search::Settled { up_next, .. } => {
                let step = (self.limit / 4).max(1);
                let is_up = (up_next && self.limit < self.max) || self.limit == 1;
                let tried = if is_up { self.limit + step } else { self.limit - step };
                self.limit = tried.min(self.max);
                self.search = Search::Trying(here);
            }
            Search::Trying(before) => {
                let up = self.limit > before.limit;
                let stays = if up { here.is_worth_it(&before) } else { here.is_enough(&before) };
                let longer = (self.patience * 2).min(PATIENCE.1);
                self.patience = if stays { PATIENCE.0 } else { longer };
                let limit = if stays { self.limit } else { before.limit };
                self.settle(limit, up == stays, now);
            }
        }
    }

    fn settle(&mut self, limit: usize, up_next: bool, now: Instant) {
        self.limit = limit;
        self.search = Search::Settled { until: now + self.patience, up_next };
    }
}

#[allow(clippy::cast_precision_loss, reason = "at most 1024")]
impl Level {
    fn is_worth_it(&self, before: &Self) -> bool {
        let growth = self.limit as f64 / before.limit as f64 - 1.0;
        self.rate >= before.rate * (1.0 + WORTH * growth)
    }

    fn is_enough(&self, before: &Self) -> bool {
        self.rate >= before.rate * ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes a second for so many parts at once.
    type Rate = fn(usize) -> u64;

    /// A lane that is always full on a path of this many bytes a second for so many parts.
    struct Path {
        lane: LaneState,
        rate: Rate,
        latency: Duration,
        now: Instant,
        bytes: u64,
    }

    impl Path {
        fn new(rate: Rate, latency: Duration) -> Self {
            let now = Instant::now();
            Self { lane: LaneState::new(64, now), rate, latency, now, bytes: 0 }
        }

        /// Runs for `seconds`, a hundredth at a time; gives the limits that it had, a second each.
        fn run(&mut self, seconds: usize) -> Vec<usize> {
            let mut seen = Vec::new();
            let mut look = self.now;
            for tick in 1..=seconds * 100 {
                self.now += Duration::from_millis(10);
                self.bytes += (self.rate)(self.lane.limit()) / 100;
                self.lane.in_flight = self.lane.limit();
                if self.now >= look {
                    look = self.lane.look(self.bytes, self.latency, self.now);
                }
                if tick % 100 == 0 {
                    seen.push(self.lane.limit());
                }
            }
            seen
        }
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_path_that_gains_by_every_connection_gets_all_of_them() {
        let mut path = Path::new(|n| n as u64 * 50 * MIB, Duration::from_millis(150));
        let seen = path.run(60);
        assert_eq!(seen[8], 64, "soon: {seen:?}");
        assert_eq!(*seen.last().expect("60"), 64, "and it stays: {seen:?}");
    }

    #[test]
    fn a_path_that_one_connection_fills_ends_with_one() {
        let mut path = Path::new(|_| 1250 * MIB, Duration::from_millis(1));
        let seen = path.run(600);
        assert!(*seen.last().expect("600") <= 2, "{seen:?}");
    }

    #[test]
    fn a_path_that_is_full_at_some_number_ends_near_it() {
        let paths: [Rate; 3] = [
            |n| n.min(5) as u64 * 50 * MIB,
            |n| n.min(24) as u64 * 50 * MIB,
            |n| n.min(40) as u64 * 50 * MIB,
        ];
        for (full, rate) in [5, 24, 40].into_iter().zip(paths) {
            let mut path = Path::new(rate, Duration::from_millis(60));
            let seen = path.run(600);
            let last = *seen.last().expect("600");
            assert!(last >= full && last <= full * 4 / 3 + 1, "{full}: {seen:?}");
        }
    }

    /// Half as much from one moment to the next: another tenant, or a limit that was set.
    #[test]
    fn a_path_that_changes_is_found_again() {
        let mut path = Path::new(|n| n.min(8) as u64 * 50 * MIB, Duration::from_millis(20));
        path.run(300);
        assert!(path.lane.limit() <= 11, "{}", path.lane.limit());
        path.rate = |n| n.min(48) as u64 * MIB;
        let seen = path.run(900);
        assert!(*seen.last().expect("900") >= 40, "{seen:?}");
    }

    #[test]
    fn a_lane_with_free_places_learns_nothing() {
        let now = Instant::now();
        let mut lane = LaneState::new(64, now);
        let mut at = now;
        for round in 0..100 {
            lane.in_flight = 3;
            at = lane.look(round * MIB, Duration::ZERO, at.max(now)) + Duration::from_millis(1);
        }
        assert_eq!(lane.limit(), FIRST);
    }

    #[test]
    fn a_lane_that_is_told_to_slow_down_does_so_once_for_a_burst() {
        let now = Instant::now();
        let mut lane = LaneState::new(64, now);
        for _ in 0..10 {
            lane.give_back(true, now);
        }
        assert_eq!(lane.limit(), 10);
        for second in 1..100 {
            lane.give_back(true, now + Duration::from_secs(3 * second));
        }
        assert_eq!(lane.limit(), 1, "never nothing");
    }
}
