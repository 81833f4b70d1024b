//! Who passes next at a gate: jobs by their weight, and within a job whoever came first.
//!
//! Start-time fair queueing (Goyal, Vin and Cheng, 1996): a job's tag grows by what passed divided by
//! its weight, and the lowest tag passes next. A job of sixty waiting parts thus gets no more than one
//! of a single part, and nobody starves, since every other tag grows. A job that comes late begins
//! where the line stands: it neither makes up for the past nor pays for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Share;

/// So that a tag grows by whole numbers also for one byte at the greatest weight.
const TAG_SCALE: u128 = 1 << 20;

/// The line before one gate.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// By the address of the share, which the lane keeps alive.
    lanes: BTreeMap<usize, Lane>,
    /// The tag of what passed last.
    reached: u128,
    next_ticket: u64,
}

#[derive(Debug)]
struct Lane {
    share: Arc<Share>,
    tag: u128,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    units: u64,
    turn: oneshot::Sender<()>,
}

impl Line {
    /// Waits for `units` to pass. Whoever drops the answer leaves the line, and is charged nothing.
    pub(super) fn join(&mut self, share: &Arc<Share>, units: u64) -> oneshot::Receiver<()> {
        let (turn, came) = oneshot::channel();
        let waiter = Waiter { ticket: self.next_ticket, units, turn };
        self.next_ticket += 1;
        self.lane(share).waiting.push_back(waiter);
        came
    }

    /// Counts what passed without waiting in line.
    pub(super) fn charge(&mut self, share: &Arc<Share>, units: u64) {
        let lane = self.lane(share);
        let from = lane.tag;
        lane.charge(units);
        self.reached = from;
    }

    /// Lets the next pass, and says how much that is.
    pub(super) fn next(&mut self) -> Option<u64> {
        loop {
            let first = |lane: &Lane| Some((lane.tag, lane.waiting.front()?.ticket));
            let (_, lane) = self
                .lanes
                .values_mut()
                .filter_map(|lane| Some((first(lane)?, lane)))
                .min_by_key(|(order, _)| *order)?;
            let Waiter { units, turn, .. } = lane.waiting.pop_front()?;
            // Nobody waits for it any more: nothing passes, and nothing is charged.
            if turn.send(()).is_err() {
                continue;
            }
            let reached = lane.tag;
            lane.charge(units);
            self.reached = reached;
            // What a job got ahead of the others is remembered until they have come as far.
            self.lanes.retain(|_, lane| !lane.waiting.is_empty() || lane.tag > reached);
            return Some(units);
        }
    }

    /// Nobody waits and nothing is owed: whoever comes next begins as everybody else.
    pub(super) fn clear(&mut self) {
        *self = Self { next_ticket: self.next_ticket, ..Self::default() };
    }

    #[cfg(test)]
    pub(super) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn lane(&mut self, share: &Arc<Share>) -> &mut Lane {
        let reached = self.reached;
        let lane = self.lanes.entry(Arc::as_ptr(share).addr()).or_insert_with(|| {
            let share = Arc::clone(share);
            Lane { share, tag: reached, waiting: VecDeque::new() }
        });
        if lane.waiting.is_empty() {
            lane.tag = lane.tag.max(reached);
        }
        lane
    }
}

impl Lane {
    fn charge(&mut self, units: u64) {
        self.tag += u128::from(units) * TAG_SCALE / u128::from(self.share.weight());
    }
}
