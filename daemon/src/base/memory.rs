//! A hard bound on buffered object bytes.
//!
//! # Invariants
//! - The sum of all reservations never exceeds the budget; who asks for more waits, in order.
//! - A reservation is given back when it is dropped, whatever happened to its owner.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Reservations are counted in units of this many bytes.
const UNIT: u64 = 4096;

/// The budget. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    free: Arc<Semaphore>,
    units: u32,
}

/// A part of the budget, held.
#[derive(Debug)]
pub struct Reservation(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl MemoryBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX >> 3).max(1);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// The whole budget in bytes.
    pub fn budget(&self) -> u64 {
        u64::from(self.units) * UNIT
    }

    /// Bytes reserved now.
    pub fn used(&self) -> u64 {
        let free = u64::try_from(self.free.available_permits()).unwrap_or(u64::MAX);
        u64::from(self.units).saturating_sub(free) * UNIT
    }

    /// Waits until `bytes` are free and reserves them. More than the whole budget is cut to it: the
    /// start-up check keeps the budget above what any single owner asks for.
    pub async fn reserve(&self, bytes: u64) -> Reservation {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        let permit = Arc::clone(&self.free).acquire_many_owned(units).await;
        Reservation(permit.expect("the semaphore is never closed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reservations_never_exceed_the_budget_and_return_to_zero() {
        let budget = MemoryBudget::new(1 << 20);
        let first = budget.reserve(700 << 10).await;
        assert_eq!(budget.used(), 700 << 10);
        let second = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(400 << 10).await }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        drop(second.await.expect("no panic"));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn more_than_the_budget_takes_all_of_it_and_does_not_hang() {
        let budget = MemoryBudget::new(1 << 20);
        let all = budget.reserve(u64::MAX).await;
        assert_eq!(budget.used(), budget.budget());
        drop(all);
    }
}
