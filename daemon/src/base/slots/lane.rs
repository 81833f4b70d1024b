//! How many parts at once one side takes well: additive increase, multiplicative decrease.
//!
//! A lane begins with a few and doubles about every round, as TCP does, until its side first asks to
//! slow down; from then on it gains one a round and loses a third each time it is told to.

use std::time::Duration;

use tokio::time::Instant;

/// What a lane begins with.
const FIRST: f64 = 8.0;
/// One congestion makes many parts fail at once: they count as one signal.
const DECREASE_PAUSE: Duration = Duration::from_secs(2);
const DECREASE: f64 = 0.7;

/// How carrying a part went, as far as the sides' capacity is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Carried: both sides could take more.
    Carried,
    /// The source, or the target, asked to slow down or did not answer in time.
    Congested { write: bool },
    /// It says nothing of capacity.
    Unknown,
}

/// The same, for one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    More,
    Less,
    None,
}

impl Verdict {
    pub(super) fn of_lane(self, lane_writes: bool) -> Signal {
        match self {
            Self::Carried => Signal::More,
            Self::Congested { write } if write == lane_writes => Signal::Less,
            Self::Congested { .. } | Self::Unknown => Signal::None,
        }
    }
}

#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) in_flight: usize,
    limit: f64,
    max: f64,
    /// Told to slow down before, and when last.
    decreased: Option<Instant>,
}

impl LaneState {
    #[allow(clippy::cast_precision_loss, reason = "at most 1024")]
    pub(super) fn new(max: usize) -> Self {
        let max = max as f64;
        Self { in_flight: 0, limit: FIRST.min(max), max, decreased: None }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and the machine's slots"
    )]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limit()
    }

    pub(super) fn give_back(&mut self, signal: Signal, now: Instant) {
        let was_full = self.in_flight >= self.limit();
        self.in_flight = self.in_flight.saturating_sub(1);
        match signal {
            // A lane that was not full has shown nothing about taking more.
            Signal::More if was_full => {
                let step = if self.decreased.is_none() { 1.0 } else { 1.0 / self.limit };
                self.limit = (self.limit + step).min(self.max);
            }
            Signal::Less => {
                let soon = |at| now.duration_since(at) < DECREASE_PAUSE;
                if !self.decreased.is_some_and(soon) {
                    self.limit = (self.limit * DECREASE).max(1.0);
                    self.decreased = Some(now);
                }
            }
            Signal::More | Signal::None => {}
        }
    }
}
