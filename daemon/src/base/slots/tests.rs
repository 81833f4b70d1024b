//! Fairness, bounds and the return to zero.

use std::time::Duration;

use super::*;

fn lanes() -> (Lane, Lane) {
    (Lane::new("com", Direction::Read), Lane::new("gov", Direction::Write))
}

fn join(slots: &Slots) -> Seat {
    let (from, to) = lanes();
    slots.join(from, to)
}

fn limit_of(slots: &Slots, write: bool) -> usize {
    let lanes = slots.lanes();
    lanes.iter().find(|(lane, ..)| lane.write == write).expect("joined").1
}

/// A 5,000 GB job that came first must not make a 5 MB job wait for all its parts.
#[tokio::test]
async fn a_freed_slot_goes_to_the_job_with_the_fewest() {
    let slots = Slots::new(4);
    let (giant, dwarf) = (join(&slots), join(&slots));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(giant.acquire().await);
    }
    let mut more = Box::pin(giant.acquire());
    assert!(futures::poll!(&mut more).is_pending());
    let mut first = Box::pin(dwarf.acquire());
    assert!(futures::poll!(&mut first).is_pending());
    drop(held.pop());
    let granted = futures::poll!(&mut first);
    assert!(granted.is_ready(), "the dwarf came last and has none");
    assert!(futures::poll!(&mut more).is_pending());
}

#[tokio::test]
async fn slots_return_to_zero_whatever_becomes_of_their_owners() {
    let slots = Slots::new(2);
    let seat = join(&slots);
    let held = [seat.acquire().await, seat.acquire().await];
    {
        let mut given_up = Box::pin(seat.acquire());
        assert!(futures::poll!(&mut given_up).is_pending());
    }
    drop(seat);
    drop(held);
    assert_eq!(slots.in_flight(), 0);
    assert!(slots.lanes().iter().all(|(_, _, in_flight)| *in_flight == 0));
}

/// On a path where each connection carries its share, the lanes of both sides open up; the side that asks to
/// slow down gets less, and the other keeps its level.
#[tokio::test(start_paused = true)]
async fn lanes_open_while_it_helps_and_close_when_told_to() {
    let slots = Slots::new(64);
    let seat = join(&slots);
    assert_eq!(limit_of(&slots, true), 16);
    let mut held = Vec::new();
    for _ in 0..200 {
        let limit = limit_of(&slots, true).min(limit_of(&slots, false));
        while held.len() < limit {
            held.push(seat.acquire().await);
        }
        tokio::time::advance(Duration::from_millis(10)).await;
        seat.flow().passed((limit as u64) << 20);
    }
    assert_eq!((limit_of(&slots, true), limit_of(&slots, false)), (64, 64));
    drop(held);
    for _ in 0..5 {
        seat.acquire().await.conclude(Verdict::Congested { write: true });
    }
    assert_eq!(limit_of(&slots, true), 42, "one congestion, one decrease");
    assert_eq!(limit_of(&slots, false), 64, "the other side is not to blame");
}

/// A side that takes one part at a time must not keep the machine's slots from another side.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_full_lane_holds_no_slot() {
    let slots = Slots::new(64);
    let slow = join(&slots);
    for _ in 0..40 {
        tokio::time::advance(Duration::from_secs(3)).await;
        slow.acquire().await.conclude(Verdict::Congested { write: true });
    }
    let _held = slow.acquire().await;
    let mut next = Box::pin(slow.acquire());
    assert!(futures::poll!(&mut next).is_pending());
    assert_eq!(slots.in_flight(), 1);
    let other = slots.join(Lane::new("cn", Direction::Read), Lane::new("iso", Direction::Write));
    let mut free = Box::pin(other.acquire());
    assert!(futures::poll!(&mut free).is_ready());
}
