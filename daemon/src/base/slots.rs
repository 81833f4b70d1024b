//! Who may have how many parts in flight.
//!
//! A slot is the right to carry one part. Slots are bounded by the machine, and on each lane (one
//! remote, one direction) by what that side takes well; within those bounds they are shared evenly
//! among the jobs that want one, so that a job of 10,000 parts never starves a job of one.
//!
//! A small object is held whole for as long as it has its slot. So its slot is granted once its bytes have
//! room as well, within what is left beside a part in each slot: whoever has a slot waits for no memory, and
//! the slots that small objects cannot use are for those that go in parts.
//!
//! # Invariants
//! - A grant takes the machine's slot, both lanes' and the room for what is held at once: nobody has one of
//!   them and waits for another.
//! - Who waits for that room keeps others from it that came later, and from nothing else: neither those that
//!   hold nothing, nor, for as long as a lane of its own is full, anybody.
//! - The next slot goes to the waiting seat with the fewest in flight, and among equals to the one
//!   that waits longest.
//! - A permit gives back what it took when it is dropped, whatever happened to its owner.

mod flow;
mod lane;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Direction;
pub use flow::Flow;
use flow::LaneFlow;
use lane::LaneState;
pub use lane::Verdict;

/// One side of a transfer: a remote, and which way the bytes go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    pub remote: String,
    pub write: bool,
}

impl Lane {
    /// The lane of `remote` in `direction`.
    pub fn new(remote: impl Into<String>, direction: Direction) -> Self {
        Self { remote: remote.into(), write: direction == Direction::Write }
    }
}

/// The slots of the machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Slots {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    max: usize,
    in_flight: usize,
    /// Bytes, of objects that are held whole.
    held: u64,
    held_max: u64,
    lanes: BTreeMap<Lane, (LaneState, Arc<LaneFlow>)>,
    seats: BTreeMap<u64, SeatState>,
    next_seat: u64,
    /// Grows with every request for a slot: who came first.
    next_ticket: u64,
}

#[derive(Debug)]
struct SeatState {
    lanes: [Lane; 2],
    in_flight: usize,
    waiting: VecDeque<Waiter>,
    /// The seat was left; it goes with its last permit.
    left: bool,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    /// What it is to hold.
    bytes: u64,
    sender: oneshot::Sender<Permit>,
}

impl Slots {
    /// `max` slots on this machine.
    pub fn new(max: usize) -> Self {
        let state = State {
            max,
            in_flight: 0,
            held: 0,
            held_max: u64::MAX,
            lanes: BTreeMap::new(),
            seats: BTreeMap::new(),
            next_seat: 0,
            next_ticket: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The same, in which no more than these bytes are held whole. A single object may be larger.
    #[must_use]
    pub fn holding(self, bytes_max: u64) -> Self {
        self.lock().held_max = bytes_max;
        self
    }

    /// A seat for one job that moves bytes from one lane to another.
    pub fn join(&self, from: Lane, to: Lane) -> Seat {
        let mut state = self.lock();
        let id = state.next_seat;
        state.next_seat += 1;
        let (max, now) = (state.max, Instant::now());
        let flows = [&from, &to].map(|lane| {
            let new = || (LaneState::new(max, now), Arc::new(LaneFlow::new(now)));
            let (_, flow) = state.lanes.entry(lane.clone()).or_insert_with(new);
            (lane.clone(), Arc::clone(flow))
        });
        let flow = Flow::new(self.clone(), flows);
        let seat =
            SeatState { lanes: [from, to], in_flight: 0, waiting: VecDeque::new(), left: false };
        state.seats.insert(id, seat);
        Seat { slots: self.clone(), id, flow: Arc::new(flow) }
    }

    /// Slots taken now.
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    /// What each lane admits at once, and has in flight now.
    pub fn lanes(&self) -> Vec<(Lane, usize, usize)> {
        let state = self.lock();
        state.lanes.iter().map(|(lane, (s, _))| (lane.clone(), s.limit(), s.in_flight)).collect()
    }

    /// Lets `lane` judge what has passed on it.
    fn look(&self, lane: &Lane) {
        let now = Instant::now();
        if let Some((state, flow)) = self.lock().lanes.get_mut(lane) {
            flow.look_again_at(state.look(flow.bytes(), flow.latency(), now));
        }
        self.dispatch();
    }

    // No code path panics while it holds the lock; a poisoned one is still consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free slots to whoever has waited with the fewest.
    fn dispatch(&self) {
        loop {
            let (sender, permit) = {
                let mut state = self.lock();
                let Some(seat) = state.next() else { return };
                let Some(Waiter { bytes, sender, .. }) = state.take(seat) else { continue };
                let verdict = Verdict::Unknown;
                (sender, Permit { slots: self.clone(), seat, bytes, verdict })
            };
            // Whoever gave up waiting drops the permit here, outside the lock, which gives it back.
            drop(sender.send(permit));
        }
    }
}

impl State {
    fn next(&self) -> Option<u64> {
        if self.in_flight >= self.max {
            return None;
        }
        let (first, bytes) = self.first(|_| true)?;
        let fits = self.held == 0 || self.held.saturating_add(bytes) <= self.held_max;
        if bytes == 0 || fits {
            return Some(first);
        }
        // A smaller object that passed it now would be followed by others.
        self.first(|bytes| bytes == 0).map(|(seat, _)| seat)
    }

    /// Whose turn it is of those that wait with such bytes to hold and whose lanes have room, and the bytes.
    fn first(&self, is_meant: impl Fn(u64) -> bool) -> Option<(u64, u64)> {
        let has_room = |lane: &Lane| self.lanes.get(lane).is_some_and(|(lane, _)| lane.has_room());
        let is_there = |waiter: &&Waiter| !waiter.sender.is_closed();
        self.seats
            .iter()
            .filter_map(|(id, seat)| Some((*id, seat, seat.waiting.iter().find(is_there)?)))
            .filter(|(_, seat, waiter)| is_meant(waiter.bytes) && seat.lanes.iter().all(has_room))
            .min_by_key(|(_, seat, waiter)| (seat.in_flight, waiter.ticket))
            .map(|(id, _, waiter)| (id, waiter.bytes))
    }

    fn take(&mut self, id: u64) -> Option<Waiter> {
        let seat = self.seats.get_mut(&id)?;
        while seat.waiting.front()?.sender.is_closed() {
            seat.waiting.pop_front();
        }
        let waiter = seat.waiting.pop_front()?;
        seat.in_flight += 1;
        self.in_flight += 1;
        self.held += waiter.bytes;
        for lane in seat.lanes.clone() {
            if let Some((lane, _)) = self.lanes.get_mut(&lane) {
                lane.in_flight += 1;
            }
        }
        Some(waiter)
    }

    fn give_back(&mut self, id: u64, bytes: u64, verdict: Verdict) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.held = self.held.saturating_sub(bytes);
        let Some(seat) = self.seats.get_mut(&id) else { return };
        seat.in_flight = seat.in_flight.saturating_sub(1);
        let lanes = seat.lanes.clone();
        if seat.left && seat.in_flight == 0 {
            self.seats.remove(&id);
        }
        let now = Instant::now();
        for (lane, write) in lanes.into_iter().zip([false, true]) {
            if let Some((lane, _)) = self.lanes.get_mut(&lane) {
                lane.give_back(verdict.blames(write), now);
            }
        }
    }
}

/// One job's place at the table.
#[derive(Debug)]
pub struct Seat {
    slots: Slots,
    id: u64,
    flow: Arc<Flow>,
}

impl Seat {
    /// Where the bytes that its permits carry are reported.
    pub fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// Waits for a slot. Dropping the future gives up the place.
    pub async fn acquire(&self) -> Permit {
        self.acquire_holding(0).await
    }

    /// Waits for a slot for an object of so many bytes that is held whole. Dropping the future gives up the
    /// place.
    pub async fn acquire_holding(&self, bytes: u64) -> Permit {
        loop {
            let mut giving_up = GivingUp(Some(&self.slots));
            let granted = {
                let mut state = self.slots.lock();
                let ticket = state.next_ticket;
                state.next_ticket += 1;
                let (sender, granted) = oneshot::channel();
                if let Some(seat) = state.seats.get_mut(&self.id) {
                    seat.waiting.push_back(Waiter { ticket, bytes, sender });
                }
                granted
            };
            self.slots.dispatch();
            // The sender is only dropped with the seat, which this borrow keeps alive.
            if let Ok(permit) = granted.await {
                giving_up.0 = None;
                return permit;
            }
        }
    }
}

/// Has others looked at that may have waited behind one who gives up. Dropped after the end of what that one
/// waits on.
struct GivingUp<'a>(Option<&'a Slots>);

impl Drop for GivingUp<'_> {
    fn drop(&mut self) {
        if let Some(slots) = self.0 {
            slots.dispatch();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        {
            let mut state = self.slots.lock();
            // Permits that outlive the seat still have to give back the lanes' slots.
            let Some(seat) = state.seats.get_mut(&self.id) else { return };
            seat.left = true;
            seat.waiting.clear();
            if seat.in_flight == 0 {
                state.seats.remove(&self.id);
            }
        }
        // Others may have waited behind one of its own.
        self.slots.dispatch();
    }
}

/// The right to carry one part.
#[derive(Debug)]
pub struct Permit {
    slots: Slots,
    seat: u64,
    /// What is held with it.
    bytes: u64,
    verdict: Verdict,
}

impl Permit {
    /// Says how it went, from which the lanes learn how much they take.
    pub fn conclude(mut self, verdict: Verdict) {
        self.verdict = verdict;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.slots.lock().give_back(self.seat, self.bytes, self.verdict);
        self.slots.dispatch();
    }
}

#[cfg(test)]
mod tests;
