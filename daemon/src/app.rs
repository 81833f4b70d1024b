//! The one place that builds things: configuration in, running daemon out.
//!
//! Start-up order is the reverse of dependency: ledger, remotes, data path, scheduler, then the
//! doors. The doors are bound before anything is announced, and closed first when it ends: no one is
//! told yes by a daemon that is going away.
//!
//! There are two runtimes: one thread for the doors, where people and Prometheus ask, and as many as there are
//! processors for the work. What somebody asks of the sides is work.

mod admission;
mod engine;
mod images;
mod lifecycle;
mod limits;
mod upkeep;
mod warnings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::context::TokioContext;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::base::SharedObserver;
use crate::config::{Config, Faults};
use crate::control;
use crate::egress;
use crate::ledger::{self, Ledger};
use crate::model::FailureClass;
use crate::notify::Webhook;
use crate::pipeline::Remotes;
use crate::remote::{self, Remote};
use crate::telemetry::{self, Endpoints, Metrics, ReloadHandle};
use engine::Daemon;
pub use upkeep::{backup, restore, verify_audit};
pub use warnings::warnings;

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] Faults),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error(transparent)]
    Remote(#[from] remote::Error),
    #[error("telemetry cannot be set up")]
    Telemetry(#[from] telemetry::Error),
    #[error("a webhook cannot be set up")]
    Webhook(#[from] egress::Error),
    #[error("the control socket cannot be opened")]
    Control(#[from] control::Error),
    #[error("{what} cannot be opened on {at}: {source}")]
    Listen { what: &'static str, at: String, source: std::io::Error },
    #[error("the host gives no threads, or no signals")]
    Host(#[source] std::io::Error),
    #[error("what was asked for cannot be written")]
    Output(#[source] std::io::Error),
    #[error("{0} ended by itself: report this as a bug")]
    Ended(&'static str),
}

impl Error {
    /// By sysexits.h: 78 for what a person has to set right first, 75 for what another process holds, 1
    /// for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Webhook(_) | Self::Control(control::Error::Tls(_)) => 78,
            Self::Remote(error) if error.class() == FailureClass::Permanent => 78,
            Self::Ledger(
                ledger::Error::NotPrivate { .. }
                | ledger::Error::NotOwner { .. }
                | ledger::Error::Schema { .. },
            ) => 78,
            Self::Ledger(ledger::Error::AlreadyOpen { .. }) => 75,
            Self::Remote(_)
            | Self::Ledger(_)
            | Self::Telemetry(_)
            | Self::Control(_)
            | Self::Listen { .. }
            | Self::Host(_)
            | Self::Output(_)
            | Self::Ended(_) => 1,
        }
    }
}

/// Reads and validates the configuration.
///
/// # Errors
/// Every fault of it, in one error.
pub fn check(path: &Path) -> Result<Config, Faults> {
    Config::load(path, std::env::vars_os())
}

/// Runs the daemon until it is told to stop. `doors` is the runtime of what listens.
///
/// # Errors
/// Where it cannot start.
pub async fn run(path: PathBuf, drain_timeout: Duration, doors: Handle) -> Result<(), Error> {
    let hangups = lifecycle::Hangups::new().map_err(Error::Host)?;
    let config = check(&path)?;
    let log = telemetry::init(&config.telemetry.log, config.telemetry.log_format)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "starting");
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"))?);
    let observer: SharedObserver = Arc::clone(&metrics) as SharedObserver;

    let ledger = open_ledger(&config, &observer).await?;
    let remotes = Arc::new(connect(&config, &observer).await?);
    let counted = Arc::clone(&metrics);
    let daemon = Daemon::new(&config, ledger.clone(), remotes, counted, drain_timeout)?;
    let doors = Doors::open(&config, &daemon, doors).await?;

    let tasks = TaskTracker::new();
    let shutdown = CancellationToken::new();
    let watched = Watched { path, config, log };
    let result = serve(&tasks, &shutdown, daemon, doors, metrics, &watched, hangups).await;
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    let closed = ledger.close().await;
    result?;
    closed?;
    tracing::info!("stopped");
    Ok(())
}

/// What a reload reads again.
struct Watched {
    path: PathBuf,
    config: Config,
    log: ReloadHandle,
}

/// The listening sockets, and the runtime that they are served by.
struct Doors {
    runtime: Handle,
    control: control::Bound,
    telemetry: TcpListener,
}

impl Doors {
    async fn open(config: &Config, daemon: &Daemon, runtime: Handle) -> Result<Self, Error> {
        let at = config.telemetry.listen;
        // A socket's events go to the runtime in which it is made.
        let bound = TokioContext::new(bind(config, daemon), runtime.clone());
        let (control, telemetry) = bound.await?;
        warn_of_strangers(&config.control);
        tracing::info!(control = %config.control.listen, telemetry = %at, data_dir = %daemon.data_dir().display(), "listening");
        Ok(Self { runtime, control, telemetry })
    }
}

async fn bind(config: &Config, daemon: &Daemon) -> Result<(control::Bound, TcpListener), Error> {
    let at = config.telemetry.listen;
    let failed = |source| Error::Listen { what: "telemetry", at: at.to_string(), source };
    let telemetry = TcpListener::bind(at).await.map_err(failed)?;
    Ok((control::bind(&config.control, daemon.ledger().clone()).await?, telemetry))
}

/// Starts everything and waits for the end: the doors close first, then the scheduler stops.
async fn serve(
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
    daemon: Arc<Daemon>,
    doors: Doors,
    metrics: Arc<Metrics>,
    watched: &Watched,
    hangups: lifecycle::Hangups,
) -> Result<(), Error> {
    let mut signals = lifecycle::Signals::new(hangups).map_err(Error::Host)?;
    let scheduler_stop = CancellationToken::new();
    let mut scheduler = tokio::spawn(Arc::clone(daemon.scheduler()).run(scheduler_stop.clone()));
    let endpoints = endpoints(&daemon, metrics);
    let telemetry = telemetry::serve(doors.telemetry, endpoints, shutdown.clone());
    tasks.spawn_on(telemetry, &doors.runtime);
    tasks.spawn(daemon.reaper().run(shutdown.clone()));
    let identities = Arc::clone(&daemon).watch_identities();
    tasks.spawn(shutdown.clone().run_until_cancelled_owned(identities));
    let schedules = Arc::clone(&daemon).follow_schedules();
    tasks.spawn(shutdown.clone().run_until_cancelled_owned(schedules));
    tasks.spawn(Arc::clone(daemon.notifier()).run(shutdown.clone()));
    tasks.spawn(lifecycle::watchdog(shutdown.clone(), doors.runtime.clone()));
    let service =
        control::Service::new(daemon.ledger().clone(), Arc::clone(&daemon) as _, shutdown.clone());
    let guard = doors.control.guard();
    let mut control = tasks.spawn_on(doors.control.serve(service), &doors.runtime);
    lifecycle::ready();

    let told_to_stop = async {
        while signals.next().await == lifecycle::Signal::Reload {
            reload(watched, &daemon, &guard);
        }
    };
    let ledger = daemon.ledger().clone();
    tokio::select! {
        () = told_to_stop => {}
        // Nothing can be written down, so there is nothing to finish: what the next process finds in
        // the ledger is what was acknowledged.
        error = ledger.is_to_be_reopened() => {
            tracing::error!(%error, "the disk takes writes again: leaving, to be started anew");
            return Err(error.into());
        }
        _ = &mut scheduler => return Err(Error::Ended("the scheduler")),
        ended = &mut control => {
            return Err(match ended {
                Ok(Err(error)) => error.into(),
                Ok(Ok(())) | Err(_) => Error::Ended("the control service"),
            });
        }
    }
    let drain_timeout = daemon.scheduler().drain_timeout();
    tracing::info!(?drain_timeout, "stopping: finishing the parts in flight");
    lifecycle::stopping();
    shutdown.cancel();
    scheduler_stop.cancel();
    tokio::select! {
        _ = scheduler => Ok(()),
        () = signals.stop() => {
            // Everything that was acknowledged is on disk already.
            tracing::warn!("a second signal: leaving at once");
            Ok(())
        }
    }
}

/// What the telemetry port answers with.
fn endpoints(daemon: &Arc<Daemon>, metrics: Arc<Metrics>) -> Endpoints {
    for remote in daemon.remote_names() {
        metrics.expect(remote.as_str());
    }
    for webhook in daemon.notifier().names() {
        metrics.expect_webhook(webhook);
    }
    let (scraped, asked) = (Arc::clone(daemon), Arc::clone(daemon));
    Endpoints {
        metrics,
        snapshot: Arc::new(move || scraped.snapshot()),
        ready: Arc::new(move || {
            let daemon = Arc::clone(&asked);
            Box::pin(async move { daemon.ready().await })
        }),
    }
}

/// On plain TCP nobody is authenticated: whoever has an account on this machine may do everything.
fn warn_of_strangers(control: &control::Settings) {
    if matches!(control.listen, control::Listen::Tcp(_)) && control.tls.is_none() {
        tracing::warn!(listen = %control.listen, "every user of this machine may control the daemon: \
            use [control.tls], or listen on unix:PATH");
    }
}

/// Limits, allowed hosts, the log filter, roles and certificates are read again; what else changed needs a
/// restart, and is said so.
fn reload(watched: &Watched, daemon: &Daemon, guard: &control::Guard) {
    let config = match check(&watched.path) {
        Ok(config) => config,
        Err(faults) => {
            tracing::error!(%faults, "the configuration is not reloaded");
            return;
        }
    };
    if let Err(error) = watched.log.set(&config.telemetry.log) {
        tracing::error!(%error, "the log filter is not changed");
    }
    for (name, remote) in &config.remotes {
        daemon.limit_book().reload(name, remote);
    }
    // Roles are of a kind of door: a user id means nothing over TLS.
    let door = |control: &control::Settings| (control.listen.clone(), control.tls.is_some());
    let is_same_door = door(&config.control) == door(&watched.config.control);
    let guarded = is_same_door.then(|| guard.reload(&config.control));
    if let Some(Err(error)) = &guarded {
        tracing::error!(%error, "roles and certificates are not changed");
    }
    for what in watched.config.needs_restart(&config) {
        tracing::warn!("{what} was changed: restart the daemon for that");
    }
    daemon.egress().admit(config.allowed_hosts);
    let and = if matches!(guarded, Some(Ok(()))) { ", roles and certificates" } else { "" };
    tracing::info!("reloaded limits, allowed hosts, log filter{and}");
}

async fn open_ledger(config: &Config, observer: &SharedObserver) -> Result<Ledger, Error> {
    let (dir, observer) = (config.data_dir.clone(), Arc::clone(observer));
    let rules: Vec<_> = config.webhooks.iter().map(Webhook::rule).collect();
    let open = move || {
        ledger::check_private(&dir)?;
        let ledger = Ledger::open(&dir, observer)?;
        ledger.serve_webhooks(rules)?;
        Ok::<_, ledger::Error>(ledger)
    };
    let opened = tokio::task::spawn_blocking(open).await;
    let ledger = match opened {
        Ok(opened) => opened?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let reclaimed = ledger.reclaim().await?;
    if reclaimed > 0 {
        tracing::warn!(jobs = reclaimed, "took back jobs that an earlier process left running");
    }
    Ok(ledger)
}

/// Builds every remote and checks who it is. One whose identity is wrong is refused; one that cannot
/// be asked now is kept, and its jobs wait.
async fn connect(config: &Config, observer: &SharedObserver) -> Result<Remotes, Error> {
    let mut remotes = BTreeMap::new();
    for (name, configured) in &config.remotes {
        let options = configured.options(name.clone(), configured.limits);
        let remote = Remote::build(options, Arc::clone(observer)).await?;
        if remote.is_unchecked() {
            tracing::warn!(remote = %name, "its expected_account is not checked: with an s3_endpoint \
                of its own it also needs the sts_endpoint to ask");
        }
        match remote.check_identity().await {
            Ok(identity) => tracing::info!(
                remote = %name,
                partition = remote.partition(),
                account = identity.account.as_deref().unwrap_or("not asked"),
                "connected"
            ),
            Err(error) if error.class() == FailureClass::Permanent => return Err(error.into()),
            Err(error) => {
                tracing::warn!(remote = %name, %error, "the identity cannot be checked yet");
            }
        }
        remotes.insert(name.clone(), Arc::new(remote));
    }
    Ok(remotes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The unit starts what ended with another code again and again, and an older daemon never learns a newer schema.
    #[test]
    fn a_ledger_of_a_newer_daemon_waits_for_a_person() {
        let error = Error::from(ledger::Error::Schema { found: 7, known: 6 });
        assert_eq!(error.exit_code(), 78);
    }

    /// A bundle that was taken away since the configuration was checked does not come back by itself.
    #[test]
    fn a_webhook_that_cannot_be_set_up_waits_for_a_person() {
        let error = egress::Error::from(remote::trust::Error::Empty);
        assert_eq!(Error::from(error).exit_code(), 78);
    }

    /// As the configuration's faults do: a person has to become somebody else first.
    #[test]
    fn another_users_data_directory_waits_for_a_person() {
        let (owner, runs) = ("causeway".to_owned(), "root".to_owned());
        let before = "runuser -u causeway --".to_owned();
        let error = ledger::Error::NotOwner { dir: "/data".into(), owner, runs, before };
        assert_eq!(Error::from(error).exit_code(), 78);
    }
}
