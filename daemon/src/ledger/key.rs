//! The keys of the index trees. Their byte order is the order in which things are asked for, so
//! that a million jobs are a range scan and not a structure in memory.
//!
//! # Invariants
//! - Every index key of a job is a function of the job alone: whoever knows the job before and
//!   after a change knows what to remove and what to add.
//! - Numbers are big-endian and unsigned; a descending order is a bitwise complement.

use crate::model::{Intent, Job, JobId, JobState, PartNumber, Timestamp, Weight};

/// Which of the queue's rows a job stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// To be cancelled: it holds an upload at the target that is billed until it is gone. Ahead of
    /// all others, whatever its size.
    Cancel = 0,
    /// A job's [`Weight`].
    Small = 1,
    Medium = 2,
    Large = 3,
    Image = 4,
}

impl Lane {
    fn of(job: &Job) -> Self {
        match (job.intent, job.weight()) {
            (Intent::Cancel, _) => Self::Cancel,
            (Intent::Run | Intent::Pause, Weight::Small) => Self::Small,
            (Intent::Run | Intent::Pause, Weight::Medium) => Self::Medium,
            (Intent::Run | Intent::Pause, Weight::Large) => Self::Large,
            (Intent::Run | Intent::Pause, Weight::Image) => Self::Image,
        }
    }
}

/// `[lane][inverted priority: 4][submitted at: 8][id: 16]`.
pub(super) type QueueKey = [u8; 29];
/// Where its moment begins.
const QUEUE_SUBMITTED_AT: usize = 5;
/// The bytes of a queue key that the order within a lane hangs on.
const QUEUE_ID_AT: usize = 13;

/// Where the job stands in the queue; `None` where it does not.
pub(super) fn queue(job: &Job) -> Option<QueueKey> {
    if !job.is_claimable() {
        return None;
    }
    // Flipping the sign bit makes signed order unsigned; the complement puts the highest first.
    let priority = !(job.priority.cast_unsigned() ^ (1 << 31));
    let mut key = [0; 29];
    key[0] = Lane::of(job) as u8;
    key[1..QUEUE_SUBMITTED_AT].copy_from_slice(&priority.to_be_bytes());
    key[QUEUE_SUBMITTED_AT..QUEUE_ID_AT].copy_from_slice(&job.submitted_at.0.to_be_bytes());
    key[QUEUE_ID_AT..].copy_from_slice(&job.id.to_bytes());
    Some(key)
}

/// The job of a queue key.
pub(super) fn queued_job(key: &[u8]) -> Option<JobId> {
    id(key.get(QUEUE_ID_AT..)?)
}

/// When the job of a queue key was submitted.
pub(super) fn submitted_at(key: &[u8]) -> Option<Timestamp> {
    number(key.get(QUEUE_SUBMITTED_AT..QUEUE_ID_AT)?).map(Timestamp)
}

/// `[state][id: 16]`.
pub(super) fn state(state: JobState, id: JobId) -> [u8; 17] {
    let mut key = [0; 17];
    key[0] = state_byte(state);
    key[1..].copy_from_slice(&id.to_bytes());
    key
}

/// The state and the job of a state key.
pub(super) fn stated_job(key: &[u8]) -> Option<(JobState, JobId)> {
    let (&byte, rest) = key.split_first()?;
    let state = JobState::ALL.into_iter().find(|state| state_byte(*state) == byte)?;
    Some((state, id(rest)?))
}

/// On disk: a state's byte never changes its meaning.
pub(super) fn state_byte(state: JobState) -> u8 {
    match state {
        JobState::Queued => 0,
        JobState::Running => 1,
        JobState::Paused => 2,
        JobState::Succeeded => 3,
        JobState::Failed => 4,
        JobState::Cancelled => 5,
    }
}

/// `[id: 16][number: 2]`.
pub(super) fn part(id: JobId, number: PartNumber) -> [u8; 18] {
    let mut key = [0; 18];
    key[..16].copy_from_slice(&id.to_bytes());
    key[16..].copy_from_slice(&number.get().to_be_bytes());
    key
}

/// A job's id from its key.
pub(super) fn id(key: &[u8]) -> Option<JobId> {
    key.try_into().ok().map(JobId::from_bytes)
}

/// A cursor or a sequence number from its key.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// The moment that an id was made at.
fn made_at(id: JobId) -> Timestamp {
    let [a, b, c, d, e, f, ..] = id.to_bytes();
    Timestamp(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}

/// An id above `last`, also when the clock stands still or was put back.
pub(super) fn next_id(last: Option<JobId>, now: Timestamp, entropy: u128) -> JobId {
    // One bit less than there is room for, so that counting on within a millisecond has room too.
    let entropy = entropy >> (128 - 79);
    let fresh = JobId::from_parts(now, entropy);
    match last {
        Some(last) if fresh <= last => {
            last.next().unwrap_or_else(|| JobId::from_parts(made_at(last).plus_millis(1), entropy))
        }
        _ => fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_within_a_millisecond_and_against_the_clock() {
        let now = Timestamp(1_700_000_000_000);
        let mut last = None;
        for step in 0..1_000_u64 {
            let id = next_id(last, Timestamp(now.0 - step / 10), u128::MAX - u128::from(step));
            assert!(last.is_none_or(|last| last < id));
            last = Some(id);
        }
        let exhausted = JobId::from_parts(now, u128::MAX >> 48);
        let next = next_id(Some(exhausted), now, 7);
        assert!(next > exhausted);
        assert_eq!(made_at(next), now.plus_millis(1));
    }

    #[test]
    fn state_keys_are_read_back() {
        let id = JobId::from_parts(Timestamp(5), 6);
        for one in JobState::ALL {
            assert_eq!(stated_job(&state(one, id)), Some((one, id)));
        }
        assert_eq!(stated_job(&[9; 17]), None);
        assert_eq!(stated_job(&[]), None);
        assert_eq!(queued_job(&[1, 2]), None);
        assert_eq!(submitted_at(&[1, 2]), None);
    }
}
