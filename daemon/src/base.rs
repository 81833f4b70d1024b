//! What any daemon needs: clock, stop tokens, backoff, rates, slots, memory budget, and the port
//! through which the layers below report what they measure.
//!
//! Nothing here knows what a transfer is.

pub mod clock;
pub mod observe;
pub mod pace;

pub use observe::{Direction, Measure, NoObserver, Observe, SharedObserver};
pub use pace::{Limits, Pace};
