//! The cloud's clock: the wall's at the start, and from then on tokio's, so that a test can pause it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// One endpoint's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    wall: Timestamp,
    origin: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { wall: Timestamp::now(), origin: Instant::now() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    pub(crate) fn at(&self, instant: Instant) -> Timestamp {
        self.wall + instant.saturating_duration_since(self.origin)
    }

    pub(crate) fn after(&self, duration: Duration) -> Timestamp {
        self.now() + duration
    }
}

/// As the Query protocols write a time: `2026-01-02T03:04:05.678Z`.
pub(crate) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_moves_as_tokios_does() {
        let clock = Clock::new();
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(86400)).await;
        assert_eq!(clock.now().duration_since(before), jiff::SignedDuration::from_hours(24));
    }

    #[test]
    fn times_have_milliseconds() {
        let time: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(stamp(time), "2026-01-02T03:04:05.000Z");
    }
}
