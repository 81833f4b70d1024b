//! Which notice of a webhook is sent when. Pure but for the jitter of its pauses.
//!
//! A notice that fails waits, and the webhook as a whole waits: a receiver that is down is asked once a pause,
//! however many notices wait, and not once for each. When one is taken, the others follow at once. One that is
//! refused for what it is waits alone: that says nothing of the receiver. Those that never failed go first: a
//! receiver that refuses one kind of notice is told all others.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::base::Backoff;

/// Deliveries at once to a receiver that answers.
const AT_ONCE: usize = 4;
const PAUSES: Backoff =
    Backoff { first: Duration::from_secs(5), widest: Duration::from_secs(3600) };

/// From half of the window to all of it.
fn pause(failures: u32) -> Duration {
    PAUSES.window(failures) / 2 + PAUSES.delay(failures) / 2
}

/// What waits, and for what.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Those that never failed, by when they came.
    fresh: BTreeSet<(Instant, u64)>,
    /// Those that did, by when they are tried again.
    again: BTreeSet<(Instant, u64)>,
    /// How often each failed that did.
    failures: HashMap<u64, u32>,
    newest: Option<u64>,
    in_flight: usize,
    /// In a row, of whatever notice, those left out that were refused for what they are.
    failed: u32,
    not_before: Option<Instant>,
}

impl Line {
    /// The newest that was ever taken.
    pub(super) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Takes what came since, oldest first.
    pub(super) fn add(&mut self, cursors: Vec<u64>, now: Instant) {
        self.newest = cursors.last().copied().or(self.newest);
        self.fresh.extend(cursors.into_iter().map(|cursor| (now, cursor)));
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.fresh.len() + self.again.len()
    }

    /// Lets go of those that are not among `pending`, which is in order: they were dropped.
    pub(super) fn keep(&mut self, pending: &[u64]) {
        let is_there = |cursor: &u64| pending.binary_search(cursor).is_ok();
        self.fresh.retain(|(_, cursor)| is_there(cursor));
        self.again.retain(|(_, cursor)| is_there(cursor));
        self.failures.retain(|cursor, _| is_there(cursor));
    }

    /// Whether this one failed before, or was refused.
    pub(super) fn has_failed(&self, cursor: u64) -> bool {
        self.failures.contains_key(&cursor)
    }

    /// Whether the receiver as a whole fails, as the last delivery did that says so.
    pub(super) fn is_failing(&self) -> bool {
        self.failed > 0
    }

    /// The one to send now, if any is due and there is room.
    pub(super) fn next(&mut self, now: Instant) -> Option<u64> {
        let room = if self.is_failing() { 1 } else { AT_ONCE };
        if self.in_flight >= room || self.due_at().is_none_or(|at| at > now) {
            return None;
        }
        self.in_flight += 1;
        self.fresh.pop_first().or_else(|| self.again.pop_first()).map(|(_, cursor)| cursor)
    }

    fn due_at(&self) -> Option<Instant> {
        let (first, _) = self.fresh.first().or_else(|| self.again.first())?;
        Some(self.not_before.map_or(*first, |at| at.max(*first)))
    }

    /// When there is something to do, if nothing ends before.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let room = if self.is_failing() { 1 } else { AT_ONCE };
        self.due_at().filter(|_| self.in_flight < room)
    }

    /// It is over, and need not be sent again.
    pub(super) fn ended(&mut self, cursor: u64, delivered: bool) {
        self.in_flight -= 1;
        self.failures.remove(&cursor);
        if delivered {
            (self.failed, self.not_before) = (0, None);
        }
    }

    /// It is sent again later; `asked` is how long the receiver wants to be left alone.
    pub(super) fn failed(&mut self, cursor: u64, now: Instant, asked: Option<Duration>) {
        let asked = asked.unwrap_or_default();
        self.try_again(cursor, now, asked);
        self.failed += 1;
        self.not_before = Some(now + pause(self.failed).max(asked));
    }

    /// It is not taken for what it is: it alone is sent again later.
    pub(super) fn refused(&mut self, cursor: u64, now: Instant) {
        self.try_again(cursor, now, Duration::ZERO);
    }

    fn try_again(&mut self, cursor: u64, now: Instant, at_least: Duration) {
        self.in_flight -= 1;
        let own = self.failures.entry(cursor).or_default();
        *own += 1;
        self.again.insert((now + pause(*own).max(at_least), cursor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_seconds_to_an_hour() {
        for failures in 1..40 {
            let (window, pause) = (PAUSES.window(failures), pause(failures));
            assert!(pause >= window / 2 && pause <= window, "{failures}: {pause:?}");
        }
        assert!(pause(1) <= Duration::from_secs(5));
        assert!(pause(40) >= Duration::from_secs(1800));
    }

    /// Ten thousand wait for a receiver that is gone: it is asked some hundred times in three days.
    #[test]
    fn a_dead_receiver_is_asked_once_a_pause_however_many_wait() {
        let mut line = Line::default();
        let begin = Instant::now();
        line.add((0..10_000).collect(), begin);
        let (mut now, mut sent) = (begin, 0);
        while now < begin + Duration::from_secs(3 * 24 * 3600) {
            while let Some(cursor) = line.next(now) {
                sent += 1;
                line.failed(cursor, now, None);
            }
            now = line.wakes_at().expect("they all wait").max(now);
        }
        assert!((72..200).contains(&sent), "{sent} sent");
    }

    #[test]
    fn one_that_is_taken_lets_the_others_follow_at_once() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.add(vec![1, 2, 3, 4, 5, 6], now);
        let first: Vec<_> = std::iter::from_fn(|| line.next(now)).collect();
        assert_eq!(first, [1, 2, 3, 4]);
        for cursor in first {
            line.failed(cursor, now, None);
        }
        assert_eq!(line.next(now), None, "all wait");
        let later = now + Duration::from_secs(3600);
        let probe = line.next(later).expect("a pause has passed");
        assert_eq!((probe, line.next(later)), (5, None), "one alone is tried");
        line.ended(probe, true);
        let rest: BTreeSet<_> = std::iter::from_fn(|| line.next(later)).collect();
        assert_eq!(rest.len(), AT_ONCE);
    }

    /// A receiver that chokes on one message must not miss the others.
    #[test]
    fn one_that_is_always_refused_holds_up_nobody() {
        let (mut line, mut now) = (Line::default(), Instant::now());
        line.add((0..50).collect(), now);
        let mut told = BTreeSet::new();
        for _ in 0..1000 {
            match line.next(now) {
                Some(7) => line.failed(7, now, None),
                Some(cursor) => {
                    told.insert(cursor);
                    line.ended(cursor, true);
                }
                None => match line.wakes_at() {
                    Some(at) if told.len() < 49 => now = at,
                    _ => break,
                },
            }
        }
        assert_eq!(told.len(), 49);
    }

    /// For a day one notice a minute is refused for what it is, and one is taken.
    #[test]
    fn a_kind_that_is_always_refused_holds_up_no_other() {
        let (mut line, begin) = (Line::default(), Instant::now());
        let (mut told, mut latest) = (0, Duration::ZERO);
        let minute = |n: u64| begin + Duration::from_secs(60 * n);
        for n in 0..1440 {
            let mut now = minute(n);
            line.add(vec![2 * n, 2 * n + 1], now);
            while now < minute(n + 1) {
                match line.next(now) {
                    Some(refused) if refused % 2 == 0 => line.failed(refused, now, None),
                    Some(cursor) => {
                        told += 1;
                        latest = latest.max(now - minute(cursor / 2));
                        line.ended(cursor, true);
                    }
                    None => now = line.wakes_at().map_or(minute(n + 1), |at| at.max(now)),
                }
            }
        }
        assert!(told >= 1439 && latest < Duration::from_secs(300), "{told} told, {latest:?}");
    }

    /// Each refusal was a pause of up to an hour, and what stood behind two hundred of them expired untold.
    #[test]
    fn what_is_refused_for_what_it_is_keeps_nobody_waiting() {
        let (mut line, begin) = (Line::default(), Instant::now());
        line.add((0..300).collect(), begin);
        let (mut now, mut told) = (begin, BTreeSet::new());
        while told.len() < 100 {
            match line.next(now) {
                Some(refused) if refused < 200 => line.refused(refused, now),
                Some(cursor) => {
                    assert!(!line.is_failing() && !line.has_failed(cursor), "it does not expire");
                    told.insert(cursor);
                    line.ended(cursor, true);
                }
                None => now = line.wakes_at().expect("some wait").max(now),
            }
        }
        assert!(now < begin + Duration::from_secs(300), "{:?}", now - begin);
        assert!((0..200).all(|refused| line.has_failed(refused)), "those are tried again");
        assert!(line.wakes_at().is_some_and(|at| at > begin), "after a pause of their own");
    }

    #[test]
    fn a_refusal_says_nothing_of_a_receiver_that_fails() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.add(vec![1, 2, 3], now);
        assert_eq!(line.next(now), Some(1));
        line.failed(1, now, None);
        let later = now + Duration::from_secs(5);
        assert_eq!(line.next(later), Some(2));
        line.refused(2, later);
        assert!(line.is_failing());
        assert_eq!((line.next(later), line.next(later)), (Some(3), None), "one at a time, still");
    }

    #[test]
    fn what_was_dropped_is_let_go_of() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.add((0..10).collect(), now);
        assert_eq!(line.next(now), Some(0));
        line.failed(0, now, None);
        line.keep(&[8, 9]);
        assert_eq!((line.len(), line.failures.len()), (2, 0));
        assert_eq!(line.next(now + Duration::from_secs(5)), Some(8));
    }

    #[test]
    fn a_receiver_that_asks_for_time_gets_it() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.add(vec![1, 2], now);
        let asked = Duration::from_secs(600);
        assert_eq!(line.next(now), Some(1));
        line.failed(1, now, Some(asked));
        assert_eq!(line.next(now + Duration::from_secs(599)), None);
        assert_eq!(line.next(now + asked), Some(2));
    }
}
