//! When a daemon dies, and what it counted until then.
//!
//! # Invariants
//! - Once it is dead it stays dead: whoever asks dies too, so that nothing passes a crash point, and
//!   the ledger's flusher puts nothing on disk any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use causewayd::base::{CrashPoint, Direction, Measure, Observe};
use tokio::sync::watch;

/// Counts bytes, and says when the daemon dies.
#[derive(Debug, Default)]
pub struct Fate {
    /// The point to die at, once it was passed so many times.
    armed: Mutex<Option<(CrashPoint, u32)>>,
    dead: watch::Sender<bool>,
    /// Bytes handed to the target.
    pub written: AtomicU64,
}

impl Fate {
    /// Lets the daemon die when it passes `point` for the `times`-th time, from 0.
    pub fn arm(&self, point: CrashPoint, times: u32) {
        *self.armed() = Some((point, times));
    }

    /// Takes the armed point back. Whether the daemon lives.
    pub fn disarm(&self) -> bool {
        let mut armed = self.armed();
        let alive = !self.is_dead();
        if alive {
            *armed = None;
        }
        alive
    }

    /// Lets it die now, wherever it is.
    pub fn kill(&self) {
        self.dead.send_replace(true);
    }

    /// Whether it is dead.
    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Completes when it is dead.
    pub async fn died(&self) {
        // The sender is here: it does not go away.
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// The point it died at; `None` where it was killed at a moment of no choice.
    pub fn point(&self) -> Option<CrashPoint> {
        if self.is_dead() { self.armed().map(|(point, _)| point) } else { None }
    }

    fn armed(&self) -> MutexGuard<'_, Option<(CrashPoint, u32)>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observe for Fate {
    fn record(&self, measure: Measure<'_>) {
        if let Measure::Bytes { direction: Direction::Write, bytes, .. } = measure {
            self.written.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn dies_at(&self, point: CrashPoint) -> bool {
        let mut armed = self.armed();
        if self.is_dead() {
            return true;
        }
        match armed.as_mut() {
            Some((at, times)) if *at == point && *times == 0 => {
                self.kill();
                true
            }
            Some((at, times)) if *at == point => {
                *times -= 1;
                false
            }
            _ => false,
        }
    }
}
