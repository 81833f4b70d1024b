//! What gRPC health checks are told: whether new work is taken.
//!
//! # Invariants
//! - Who watches is told of changes alone, within a second; of a drain before its answer.
//! - After the stop nothing is said to be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::service::{SERVICE_NAME, Service};

/// Nothing here waits for the disk.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Clones are one.
#[derive(Clone)]
pub(super) struct Health {
    reporter: HealthReporter,
    /// What was said last, as a [`ServingStatus`].
    told: Arc<AtomicU8>,
    /// Whose turn it is to find it out anew: two who do are heard in their order.
    turn: Arc<Semaphore>,
}

impl Health {
    pub(super) fn new() -> Self {
        let unknown = AtomicU8::new(ServingStatus::Unknown as u8);
        let (told, turn) = (Arc::new(unknown), Arc::new(Semaphore::new(1)));
        Self { reporter: HealthReporter::new(), told, turn }
    }

    pub(super) fn reporter(&self) -> HealthReporter {
        self.reporter.clone()
    }
}

impl Service {
    /// Says how it stands now.
    pub(super) async fn tell_health(&self) {
        // It is fair, and never closed.
        let _turn = self.health.turn.acquire().await;
        let (_, has_room) = self.ledger.room();
        let serves = has_room && !self.engine.is_draining() && !self.stop.is_cancelled();
        let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        let told = &self.health.told;
        if told.load(Ordering::Relaxed) == status as u8 {
            return;
        }
        for service in ["", SERVICE_NAME] {
            self.health.reporter.set_service_status(service, status).await;
        }
        // Last: who asked for a drain may hang up in between.
        told.store(status as u8, Ordering::Relaxed);
    }

    /// Says so whenever it changes. Never ends: after the stop there is nothing more to say.
    pub(super) async fn follow_health(self) {
        loop {
            self.tell_health().await;
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        self.tell_health().await;
        std::future::pending::<()>().await;
    }
}
