//! How the process lives with its host: signals, and systemd's notifications.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// SIGHUP, listened to from the first moment on: who reloads does not know that a start takes its time, and
/// would end the daemon. What comes meanwhile is kept until it serves.
#[derive(Debug)]
pub(super) struct Hangups(Stream);

impl Hangups {
    pub(super) fn new() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }
}

/// The signals that the daemon listens to.
#[derive(Debug)]
pub(super) struct Signals {
    term: Stream,
    int: Stream,
    hup: Stream,
}

impl Signals {
    /// From here on a signal to stop waits to be heard; before, it ends the process.
    pub(super) fn new(Hangups(hup): Hangups) -> std::io::Result<Self> {
        let (term, int) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { term: signal(term)?, int: signal(int)?, hup })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.term.recv() => Signal::Stop,
            _ = self.int.recv() => Signal::Stop,
            _ = self.hup.recv() => Signal::Reload,
        }
    }

    /// Completes at the next signal to stop.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }
}

/// Tells systemd that the daemon takes work. Without systemd it tells nobody.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells systemd that the daemon is going away.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Feeds systemd's watchdog at half its interval, from the runtime that does the work, once that of the
/// doors has answered: a daemon of which either is stuck feeds nothing and is restarted.
pub(super) async fn watchdog(shutdown: CancellationToken, doors: Handle) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let every = (interval / 2).max(Duration::from_millis(100));
    while shutdown.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        let answered = shutdown.run_until_cancelled(doors.spawn(async {}));
        if let Some(Ok(())) = answered.await {
            notify(&[NotifyState::Watchdog]);
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be notified");
    }
}
