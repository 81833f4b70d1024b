//! Who may be active: a berth for each job, by how much it carries.
//!
//! Jobs that go in parts have so many berths, and a quarter of these is kept for those of at most 1 GiB.
//! Small jobs have berths of their own, and so have jobs that wait for EC2. A job is small until it is planned:
//! then it either finds a berth of its weight, or has to leave.
//!
//! # Invariants
//! - A berth is given back when it is dropped, whatever happened to its owner.
//! - A job that grows finds a berth that is free. One that is claimed may take a berth too many, where one
//!   grew at that moment: both work, and the next waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::Weight;

/// Jobs that wait for EC2 at once: each is a task that asks now and then.
const IMAGES: usize = 256;

/// All berths of the machine. Clones are one.
#[derive(Debug, Clone)]
pub struct Berths(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Of an empty house.
    all: Room,
    small: usize,
    medium: usize,
    large: usize,
    images: usize,
}

/// How many more jobs there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub small: usize,
    /// For all that are not small.
    pub others: usize,
    /// Of those, for so many large ones at most.
    pub large: usize,
    pub images: usize,
}

/// One job's berth.
#[derive(Debug)]
pub struct Berth {
    /// `None`: of nobody, see [`Berth::unbounded`].
    berths: Option<Berths>,
    weight: Mutex<Weight>,
}

impl Room {
    /// Whether a job of this weight finds room.
    pub fn has(self, weight: Weight) -> bool {
        match weight {
            Weight::Small => self.small > 0,
            Weight::Medium => self.others > 0,
            Weight::Large => self.others > 0 && self.large > 0,
            Weight::Image => self.images > 0,
        }
    }

    /// The room that is left beside a job of this weight.
    #[must_use]
    pub fn beside(self, weight: Weight) -> Self {
        let Self { small, others, large, images } = self;
        match weight {
            Weight::Small => Self { small: small.saturating_sub(1), ..self },
            Weight::Medium => Self { others: others.saturating_sub(1), ..self },
            Weight::Large => {
                let (others, large) = (others.saturating_sub(1), large.saturating_sub(1));
                Self { others, large, ..self }
            }
            Weight::Image => Self { images: images.saturating_sub(1), ..self },
        }
    }
}

impl State {
    fn room(&self) -> Room {
        Room {
            small: self.all.small.saturating_sub(self.small),
            others: self.all.others.saturating_sub(self.medium + self.large),
            large: self.all.large.saturating_sub(self.large),
            images: self.all.images.saturating_sub(self.images),
        }
    }

    fn count(&mut self, weight: Weight) -> &mut usize {
        match weight {
            Weight::Small => &mut self.small,
            Weight::Medium => &mut self.medium,
            Weight::Large => &mut self.large,
            Weight::Image => &mut self.images,
        }
    }
}

impl Berths {
    /// Berths for so many small jobs, and for `others` of which some are kept for those of medium weight.
    pub fn new(small: usize, others: usize) -> Self {
        let kept = (others / 4).max(1);
        let large = others.saturating_sub(kept).max(1);
        let all = Room { small, others, large, images: IMAGES };
        Self(Arc::new(Mutex::new(State { all, small: 0, medium: 0, large: 0, images: 0 })))
    }

    /// What is free.
    pub fn room(&self) -> Room {
        self.lock().room()
    }

    /// Takes a berth, of those that there were a moment ago.
    pub fn take(&self, weight: Weight) -> Berth {
        *self.lock().count(weight) += 1;
        Berth { berths: Some(self.clone()), weight: Mutex::new(weight) }
    }

    // No code path panics while it holds the lock; a poisoned one is still consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Berth {
    /// A berth that takes none from anybody: for planning without a job.
    pub fn unbounded() -> Self {
        Self { berths: None, weight: Mutex::new(Weight::Large) }
    }

    /// Makes it one for a job of this weight; `false` where there is no room for that.
    pub fn grow(&self, weight: Weight) -> bool {
        self.change(weight, |mine| weight > mine)
    }

    /// Exchanges it for one of this weight, be that less; `false` where there is no room for that.
    pub fn exchange(&self, weight: Weight) -> bool {
        self.change(weight, |mine| weight != mine)
    }

    fn change(&self, weight: Weight, is_needed: impl FnOnce(Weight) -> bool) -> bool {
        let mut mine = self.weight.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(berths) = self.berths.as_ref().filter(|_| is_needed(*mine)) else { return true };
        let mut state = berths.lock();
        *state.count(*mine) -= 1;
        let has_room = state.room().has(weight);
        if has_room {
            *mine = weight;
        }
        *state.count(*mine) += 1;
        has_room
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        let weight = *self.weight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(berths) = &self.berths {
            *berths.lock().count(weight) -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_kept_from_large_jobs_and_small_ones_have_their_own() {
        let berths = Berths::new(3, 8);
        let large: Vec<_> = (0..6).map(|_| berths.take(Weight::Large)).collect();
        assert_eq!(berths.room(), Room { small: 3, others: 2, large: 0, images: IMAGES });
        assert!(!berths.room().has(Weight::Large) && berths.room().has(Weight::Medium));
        drop(large);
        assert_eq!(berths.room(), Room { small: 3, others: 8, large: 6, images: IMAGES });
    }

    #[test]
    fn a_job_grows_where_there_is_room_and_gives_back_what_it_came_to_have() {
        let berths = Berths::new(2, 2);
        let (first, second) = (berths.take(Weight::Small), berths.take(Weight::Small));
        assert!(
            first.grow(Weight::Large) && first.grow(Weight::Large) && first.grow(Weight::Small)
        );
        assert_eq!(berths.room(), Room { small: 1, others: 1, large: 0, images: IMAGES });
        assert!(!second.grow(Weight::Large), "the other berth is kept");
        assert!(second.grow(Weight::Medium) && !second.grow(Weight::Large));
        drop((first, second));
        assert_eq!(berths.room(), Room { small: 2, others: 2, large: 1, images: IMAGES });
    }

    #[test]
    fn an_image_job_that_carries_gives_its_place_to_another() {
        let berths = Berths::new(1, 1);
        let berth = berths.take(Weight::Image);
        assert_eq!(berths.room().images, IMAGES - 1);
        assert!(berth.exchange(Weight::Small) && berth.grow(Weight::Large));
        assert_eq!(berths.room(), Room { small: 1, others: 0, large: 0, images: IMAGES });
        let other = berths.take(Weight::Image);
        assert!(other.exchange(Weight::Small) && !other.grow(Weight::Large));
        assert!(berth.exchange(Weight::Image));
        assert_eq!(berths.room(), Room { small: 0, others: 1, large: 1, images: IMAGES - 1 });
    }

    /// Between the look at the room and the claim a job may have grown.
    #[test]
    fn a_berth_too_many_is_made_up_for() {
        let berths = Berths::new(1, 1);
        let (first, second) = (berths.take(Weight::Medium), berths.take(Weight::Medium));
        assert_eq!(berths.room().others, 0);
        drop(first);
        assert_eq!(berths.room().others, 0);
        drop(second);
        assert_eq!(berths.room().others, 1);
    }

    #[test]
    fn one_place_serves_every_weight() {
        let berths = Berths::new(1, 1);
        let berth = berths.take(Weight::Small);
        assert!(berth.grow(Weight::Medium) && berth.grow(Weight::Large));
        assert_eq!(berths.room(), Room { small: 1, others: 0, large: 0, images: IMAGES });
        assert!(Berth::unbounded().grow(Weight::Large));
    }
}
