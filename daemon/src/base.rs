//! What any daemon needs: clock, backoff, pacing, slots, memory budget, and the port through which
//! the layers below report what they measure.
//!
//! Nothing here knows what a transfer is.

pub mod backoff;
pub mod berths;
pub mod chain;
pub mod clock;
pub mod limits;
pub mod memory;
pub mod meter;
pub mod observe;
pub mod pace;
pub mod schedule;
pub mod slots;
pub mod turnstile;

pub use backoff::Backoff;
pub use berths::{Berth, Berths, Room};
pub use chain::chain;
pub use limits::{Limits, LimitsChange};
pub use memory::{MemoryBudget, Reservation};
pub use meter::RateMeter;
pub use observe::{
    CrashPoint, Direction, Measure, NoObserver, Observe, SharedObserver, crash_point,
};
pub use pace::{Pace, Share};
pub use schedule::{InForce, Origin, Rules, Schedule};
pub use slots::{Flow, Lane, Permit, Seat, Slots, Verdict};
pub use turnstile::Turnstile;
