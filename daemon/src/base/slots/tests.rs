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

/// Small objects that only wait for memory must not keep slots from a large job's parts; nor must one of them
/// that needs much of it be passed by others that need less for as long as these come.
#[tokio::test]
async fn who_waits_for_room_for_its_bytes_holds_no_slot_and_is_not_passed() {
    let slots = Slots::new(6).holding(16);
    let seats: Vec<_> = (0..4).map(|_| join(&slots)).collect();
    let [first, _second] = [seats[0].acquire_holding(8).await, seats[1].acquire_holding(7).await];
    let mut large = Box::pin(seats[2].acquire_holding(8));
    let mut little = Box::pin(seats[3].acquire_holding(1));
    assert!(futures::poll!(&mut large).is_pending());
    assert!(futures::poll!(&mut little).is_pending(), "it came later");
    let giant = join(&slots);
    let mut parts = Vec::new();
    for _ in 0..4 {
        parts.push(giant.acquire().await);
    }
    assert_eq!(slots.in_flight(), 6);
    drop(parts);
    drop(first);
    assert!(futures::poll!(&mut large).is_ready());
    assert!(futures::poll!(&mut little).is_ready());
}

#[tokio::test]
async fn what_is_held_returns_to_zero_and_an_object_beyond_the_room_goes_alone() {
    let slots = Slots::new(4).holding(16);
    let seat = join(&slots);
    let whole = seat.acquire_holding(17).await;
    {
        let mut given_up = Box::pin(seat.acquire_holding(1));
        assert!(futures::poll!(&mut given_up).is_pending());
    }
    drop(whole);
    let held = [seat.acquire_holding(8).await, seat.acquire_holding(8).await];
    drop(held);
    assert_eq!((slots.in_flight(), slots.lock().held), (0, 0));
}

/// They fit, and nothing else would have them looked at before some other object has gone.
#[tokio::test]
async fn who_waited_behind_one_that_gives_up_is_granted_at_once() {
    let slots = Slots::new(4).holding(16);
    let _held = join(&slots).acquire_holding(10).await;
    for leaves in [false, true] {
        let (seat, other) = (join(&slots), join(&slots));
        let mut large = Box::pin(seat.acquire_holding(8));
        assert!(futures::poll!(&mut large).is_pending());
        let little = tokio::spawn(async move { other.acquire_holding(1).await });
        tokio::task::yield_now().await;
        assert!(!little.is_finished(), "it came later");
        drop(large);
        if leaves {
            drop(seat);
        }
        tokio::task::yield_now().await;
        assert!(little.is_finished());
    }
}

/// A side that is slow keeps small objects of its own waiting, and not those of another.
#[tokio::test(start_paused = true)]
async fn an_object_whose_lane_is_full_keeps_nobody_from_the_memory() {
    let slots = Slots::new(64).holding(16);
    let slow = join(&slots);
    for _ in 0..40 {
        tokio::time::advance(Duration::from_secs(3)).await;
        slow.acquire().await.conclude(Verdict::Congested { write: true });
    }
    let _held = slow.acquire_holding(8).await;
    let mut next = Box::pin(slow.acquire_holding(12));
    assert!(futures::poll!(&mut next).is_pending());
    let other = slots.join(Lane::new("cn", Direction::Read), Lane::new("iso", Direction::Write));
    let mut free = Box::pin(other.acquire_holding(8));
    assert!(futures::poll!(&mut free).is_ready());
}
