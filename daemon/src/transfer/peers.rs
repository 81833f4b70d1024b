//! Which parts move much slower than their peers.
//!
//! Of many connections one may go through a sick host or a lossy path, where bytes still trickle: no
//! stall is seen, and the object waits for its last part for an hour. A part like that is given a
//! fresh connection. All parts being slow is no such case: then it is the link, and nothing is gained.
//!
//! # Invariants
//! - A part is abandoned at most [`ABANDONED_MAX`] times: a wrong guess costs that many parts, once.
//! - Rates are compared over the same [`WINDOW`] of time, so that a link that slows down for all
//!   singles out nobody.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::PartNumber;

/// Between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks that a rate is measured over.
const WINDOW: usize = 4;
/// Slower than its peers' median by this factor.
const MUCH_SLOWER: u64 = 8;
/// Fewer peers than this say nothing of what is usual.
const PEERS_MIN: usize = 4;
/// Peers that ended are remembered for so long: the last part of an object has no others.
const ENDED_MEMORY: Duration = Duration::from_secs(60);
const ENDED_MAX: usize = 64;
const ABANDONED_MAX: u32 = 2;

/// The parts of one transfer, compared.
#[derive(Debug, Default)]
pub(super) struct Peers {
    tracks: BTreeMap<PartNumber, Track>,
    /// When parts ended, and the bytes per second they had made.
    ended: VecDeque<(Instant, u64)>,
    abandoned: BTreeMap<PartNumber, u32>,
}

/// Bytes of one try of a part at the last looks.
#[derive(Debug, Default)]
struct Track {
    attempt: u32,
    seen: VecDeque<u64>,
}

impl Peers {
    /// Takes note of a part that arrived: `bytes` in `took`.
    pub(super) fn ended(&mut self, bytes: u64, took: Duration, now: Instant) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.ended.push_back((now, bytes.saturating_mul(1000) / millis));
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// Forgets how fast anybody was: a limit held the transfer back. How often a part was given up
    /// stays.
    pub(super) fn forget_rates(&mut self) {
        self.tracks.clear();
        self.ended.clear();
    }

    /// Compares the parts in flight, told as number, attempt and bytes of that attempt: which are to
    /// be given up. To be called every [`LOOK_EVERY`].
    pub(super) fn look(
        &mut self,
        active: impl Iterator<Item = (PartNumber, u32, u64)>,
        now: Instant,
    ) -> Vec<PartNumber> {
        let mut before = std::mem::take(&mut self.tracks);
        for (number, attempt, bytes) in active {
            let track = before.remove(&number).filter(|track| track.attempt == attempt);
            let mut track = track.unwrap_or_else(|| Track { attempt, ..Track::default() });
            track.see(bytes);
            self.tracks.insert(number, track);
        }
        self.ended.retain(|(at, _)| now.duration_since(*at) < ENDED_MEMORY);
        let Some(usual) = self.usual() else { return Vec::new() };
        let slow = self.tracks.iter().filter(|(number, track)| {
            track.rate().is_some_and(|rate| rate.saturating_mul(MUCH_SLOWER) < usual)
                && self.abandoned.get(number).copied().unwrap_or_default() < ABANDONED_MAX
        });
        let slow: Vec<_> = slow.map(|(number, _)| *number).collect();
        for number in &slow {
            *self.abandoned.entry(*number).or_default() += 1;
            self.tracks.remove(number);
        }
        slow
    }

    /// The median of bytes per second: of those in flight where they are enough, else of those that
    /// ended lately, too.
    fn usual(&self) -> Option<u64> {
        let mut rates: Vec<u64> = self.tracks.values().filter_map(Track::rate).collect();
        if rates.len() < PEERS_MIN {
            rates.extend(self.ended.iter().map(|(_, rate)| rate));
        }
        if rates.len() < PEERS_MIN {
            return None;
        }
        let middle = rates.len() / 2;
        Some(*rates.select_nth_unstable(middle).1)
    }
}

impl Track {
    fn see(&mut self, bytes: u64) {
        self.seen.push_back(bytes);
        if self.seen.len() > WINDOW + 1 {
            self.seen.pop_front();
        }
    }

    /// Bytes per second, once it was seen for a whole window.
    fn rate(&self) -> Option<u64> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let window = LOOK_EVERY.as_secs() * WINDOW as u64;
        (self.seen.len() > WINDOW).then(|| last.saturating_sub(*first) / window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u32) -> PartNumber {
        PartNumber::new(number).expect("legal")
    }

    /// What `looks` looks at parts with these rates, in bytes per look, gave up.
    fn given_up(peers: &mut Peers, rates: &[u64], looks: u64) -> Vec<PartNumber> {
        let now = Instant::now();
        let look = |at: u64| {
            let active = rates.iter().zip(1..).map(move |(rate, n)| (part(n), 1, rate * at));
            peers.look(active, now)
        };
        (1..=looks).flat_map(look).collect()
    }

    #[test]
    fn a_part_that_trickles_among_peers_that_run_is_given_up() {
        let slow = given_up(&mut Peers::default(), &[100, 110, 90, 10, 105], 5);
        assert_eq!(slow, [part(4)]);
    }

    #[test]
    fn nobody_is_given_up_where_all_are_slow_or_nearly_as_fast_or_too_few() {
        assert!(given_up(&mut Peers::default(), &[1, 1, 1, 1, 1], 20).is_empty());
        assert!(given_up(&mut Peers::default(), &[100, 100, 100, 20], 20).is_empty());
        assert!(given_up(&mut Peers::default(), &[100, 100, 1], 20).is_empty());
        assert!(given_up(&mut Peers::default(), &[100, 110, 90, 1], 4).is_empty(), "too early");
    }

    #[test]
    fn the_last_part_is_compared_with_those_that_ended_lately() {
        let mut peers = Peers::default();
        for _ in 0..4 {
            peers.ended(8 << 20, Duration::from_millis(100), Instant::now());
        }
        assert_eq!(given_up(&mut peers, &[0], 5), [part(1)]);
    }

    /// It may be the part's own fault: some object that no connection makes faster.
    #[test]
    fn a_part_is_given_up_twice_at_most() {
        let slow = given_up(&mut Peers::default(), &[100, 100, 100, 100, 1], 100);
        assert_eq!(slow, [part(5), part(5)]);
    }

    #[test]
    fn rates_that_are_forgotten_bring_no_third_chance() {
        let mut peers = Peers::default();
        let slow = (0..4).flat_map(|_| {
            let slow = given_up(&mut peers, &[100, 100, 100, 100, 1], 5);
            peers.forget_rates();
            slow
        });
        assert_eq!(slow.collect::<Vec<_>>(), [part(5), part(5)]);
    }

    #[test]
    fn a_new_try_is_measured_anew() {
        let mut peers = Peers::default();
        let now = Instant::now();
        for at in 1..=20_u64 {
            let own = (part(5), u32::try_from(at / 3).expect("small"), 0);
            let others = (1..5).map(|n| (part(n), 1, at * 1000));
            assert!(peers.look(others.chain([own]), now).is_empty(), "at look {at}");
        }
    }
}
