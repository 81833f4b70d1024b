//! Tells webhooks what happens to jobs: signed, again and again until somebody says yes, and beside the jobs.
//!
//! What is to be told waits in the ledger, written with the change itself. One task a webhook sends it,
//! a few at a time, the longest-waiting first; the order of arrival is not promised.
//! <https://www.standardwebhooks.com>
//!
//! # Invariants
//! - A receiver that is slow, wrong or gone costs connections of its own and nothing else: jobs, the ledger
//!   and other webhooks do not wait for it.
//! - Only 2xx ends a delivery. 410 ends the webhook, until the daemon starts anew.
//! - A URL's path may be a secret, as the key is: neither is in a log, an error or an answer.

mod line;
mod sign;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use reqwest::{StatusCode, header};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::base::{Measure, SharedObserver, chain, clock};
use crate::egress::{self, Egress};
use crate::ledger::{self, Ledger, NOTICE_LIFETIME, Notice, PENDING_MAX, WebhookRule};
use crate::model::{JobEvent, Timestamp};
use line::Line;
pub use sign::{NotAKey, SigningKey};

/// How long a receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that a receiver's own wish to wait is followed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// So many that were dropped meanwhile are known at the most, besides those that wait.
const STALE_MAX: usize = 2 * PENDING_MAX;
/// Told and not yet written down as told, at the most: so many are sent again after a crash.
const TOLD_MAX: usize = 64;

/// One `[webhooks.NAME]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    pub name: String,
    /// Its path may be a secret.
    pub url: Url,
    pub key: SigningKey,
    pub events: Vec<JobEvent>,
    pub all_jobs: bool,
    /// PEM certificates trusted besides the system's.
    pub ca_bundle: Option<PathBuf>,
}

impl Webhook {
    /// What the ledger has to know of it.
    pub fn rule(&self) -> WebhookRule {
        let Self { name, events, all_jobs, .. } = self;
        WebhookRule { name: name.clone(), events: events.clone(), all_jobs: *all_jobs }
    }

    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({} at {})", self.name, self.host())
    }
}

/// How one webhook stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    pub name: String,
    /// Without the path.
    pub host: String,
    /// Notices that wait.
    pub pending: u64,
    /// Since the daemon started.
    pub delivered: u64,
    pub last_delivered_at: Option<Timestamp>,
    /// What went wrong last, until a delivery works again.
    pub last_error: Option<String>,
    pub last_error_at: Option<Timestamp>,
}

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    NotAllowed(String),
    #[error("no answer: {0}")]
    Unanswered(String),
    #[error("no answer within {} seconds", PATIENCE.as_secs())]
    Late,
    #[error("the receiver says {status}")]
    Refused { status: StatusCode, retry_after: Option<Duration> },
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

impl Error {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::GONE, .. })
    }

    /// The receiver works, and does not take this notice: that says nothing of the others.
    fn is_of_the_notice(&self) -> bool {
        const ABOUT_ONE: [StatusCode; 4] = [
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ];
        matches!(self, Self::Refused { status, retry_after: None } if ABOUT_ONE.contains(status))
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What became of a notice.
enum Outcome {
    Delivered,
    /// It is not there any more, or not worth telling; with the word to count that is not counted yet.
    Over(Option<&'static str>),
    Failed(Error),
}

/// All webhooks.
#[derive(Debug)]
pub struct Notifier {
    ledger: Ledger,
    egress: Egress,
    observer: SharedObserver,
    hooks: Vec<Hook>,
}

#[derive(Debug)]
struct Hook {
    webhook: Webhook,
    client: reqwest::Client,
    told: Mutex<Status>,
    /// That notices are dropped was said, and none was taken since.
    is_dropping: AtomicBool,
}

impl Notifier {
    /// Reads the bundles, and asks nobody.
    ///
    /// # Errors
    /// Where a webhook's `ca_bundle` cannot be used.
    pub fn new(
        webhooks: Vec<Webhook>,
        ledger: Ledger,
        egress: Egress,
        observer: SharedObserver,
    ) -> Result<Arc<Self>, egress::Error> {
        let hooks = webhooks.into_iter().map(|webhook| {
            let bundle = webhook.ca_bundle.as_ref().map(std::fs::read).transpose();
            let bundle = bundle.map_err(crate::remote::trust::Error::Read)?;
            let client = egress.client(&webhook.url, bundle.as_deref())?;
            let (name, host) = (webhook.name.clone(), webhook.host());
            let told = Mutex::new(Status { name, host, ..Status::default() });
            Ok(Hook { webhook, client, told, is_dropping: AtomicBool::new(false) })
        });
        let hooks = hooks.collect::<Result<_, egress::Error>>()?;
        Ok(Arc::new(Self { ledger, egress, observer, hooks }))
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hooks.iter().map(|hook| hook.webhook.name.as_str())
    }

    /// How each stands.
    pub fn status(&self) -> Vec<Status> {
        let one = |hook: &Hook| Status {
            pending: self.ledger.notices_pending(&hook.webhook.name) as u64,
            ..hook.told().clone()
        };
        self.hooks.iter().map(one).collect()
    }

    /// Sends until it is told to stop. What is not answered then is sent again by the next daemon.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        futures::future::join_all(self.hooks.iter().map(|hook| self.serve(hook, &stop))).await;
    }

    /// Sends one webhook's notices. Ends when the ledger does, or the receiver is gone for good.
    async fn serve(&self, hook: &Hook, stop: &CancellationToken) {
        let name = hook.webhook.name.as_str();
        let mut published = self.ledger.subscribe();
        let mut line = Line::default();
        let (mut flying, mut over) = (FuturesUnordered::new(), Vec::new());
        loop {
            published.mark_unchanged();
            line.add(self.ledger.notices(name, line.newest()), Instant::now());
            self.count_dropped(hook);
            if line.len() > STALE_MAX {
                line.keep(&self.ledger.notices(name, None));
            }
            while let Some(cursor) = line.next(Instant::now()) {
                let is_failing = line.is_failing() || line.has_failed(cursor);
                flying.push(async move { (cursor, self.deliver(hook, cursor, is_failing).await) });
            }
            if (flying.is_empty() || over.len() >= TOLD_MAX) && self.forget(hook, &over) {
                over.clear();
            }
            tokio::select! {
                () = stop.cancelled() => {
                    self.forget(hook, &over);
                    return;
                }
                Some((cursor, outcome)) = flying.next() => {
                    if let Outcome::Failed(error) = outcome {
                        if error.is_gone() {
                            return self.give_up(hook);
                        }
                        let now = Instant::now();
                        if error.is_of_the_notice() {
                            line.refused(cursor, now);
                        } else {
                            line.failed(cursor, now, error.retry_after());
                        }
                        self.note_failure(hook, &error);
                    } else {
                        over.push(cursor);
                        line.ended(cursor, matches!(outcome, Outcome::Delivered));
                        self.note_end(hook, &outcome);
                    }
                }
                changed = published.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = at(line.wakes_at()) => {}
            }
        }
    }

    /// Whether it is written down. If not, it is tried again after the next delivery.
    fn forget(&self, hook: &Hook, over: &[u64]) -> bool {
        let name = &hook.webhook.name;
        let written = self.ledger.forget_notices(name, over);
        if let Err(error) = &written {
            tracing::warn!(webhook = %name, %error, "what was told is not written down: it may be told again");
        }
        written.is_ok()
    }

    async fn deliver(&self, hook: &Hook, cursor: u64, is_failing: bool) -> Outcome {
        let notice = match self.ledger.notice(&hook.webhook.name, cursor) {
            Ok(Some(notice)) => notice,
            Ok(None) => return Outcome::Over(None),
            Err(error @ ledger::Error::Corrupt { .. }) => {
                tracing::error!(%error, "a notice is lost");
                return Outcome::Over(Some("lost"));
            }
            Err(error) => return Outcome::Failed(error.into()),
        };
        // Where nothing works, or it alone is refused, it is not worth another wait; else it is worth a try.
        let waited = Duration::from_millis(clock::now().millis_since(notice.at));
        if is_failing && waited > NOTICE_LIFETIME {
            return Outcome::Over(Some("expired"));
        }
        match self.post(hook, &notice).await {
            Ok(()) => Outcome::Delivered,
            Err(error) => Outcome::Failed(error),
        }
    }

    async fn post(&self, hook: &Hook, notice: &Notice) -> Result<(), Error> {
        let Webhook { url, key, .. } = &hook.webhook;
        self.egress.check(url).map_err(|refused| Error::NotAllowed(refused.to_string()))?;
        let at = clock::now().0 / 1000;
        let request = hook
            .client
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &notice.id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", key.sign(&notice.id, at, &notice.body))
            .body(notice.body.clone());
        let answer = match tokio::time::timeout(PATIENCE, request.send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let error = error.without_url();
                return Err(match egress::refused(&error) {
                    Some(refused) => Error::NotAllowed(refused.to_string()),
                    None => Error::Unanswered(chain(&error)),
                });
            }
            Err(_) => return Err(Error::Late),
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let asked = answer.headers().get(header::RETRY_AFTER).and_then(|it| it.to_str().ok());
        let seconds = asked.and_then(|seconds| seconds.trim().parse().ok());
        let retry_after = seconds.map(|it| Duration::from_secs(it).min(RETRY_AFTER_MAX));
        Err(Error::Refused { status, retry_after })
    }

    fn note_end(&self, hook: &Hook, outcome: &Outcome) {
        match outcome {
            Outcome::Over(None) | Outcome::Failed(_) => return,
            Outcome::Over(Some(why)) => return self.note_dropped(hook, why, 1),
            Outcome::Delivered => self.count(hook, "delivered", 1),
        }
        hook.is_dropping.store(false, Ordering::Relaxed);
        let mut told = hook.told();
        told.delivered += 1;
        told.last_delivered_at = Some(clock::now());
        if told.last_error.take().is_some() {
            tracing::info!(webhook = %told.name, "webhook deliveries work again");
        }
    }

    /// Said once, until a delivery works again.
    fn note_failure(&self, hook: &Hook, error: &Error) {
        self.count(hook, "failed", 1);
        let mut told = hook.told();
        let is_new = told.last_error.replace(error.to_string()).is_none();
        told.last_error_at = Some(clock::now());
        if is_new {
            tracing::warn!(webhook = %told.name, host = %told.host, %error, "a webhook delivery failed: it is tried again for 3 days");
        }
    }

    fn count_dropped(&self, hook: &Hook) {
        let dropped = self.ledger.notices_dropped(&hook.webhook.name);
        if dropped > 0 {
            self.note_dropped(hook, "dropped", dropped);
        }
    }

    /// Said once, until a delivery works again.
    fn note_dropped(&self, hook: &Hook, why: &'static str, count: u64) {
        self.count(hook, why, count);
        if !hook.is_dropping.swap(true, Ordering::Relaxed) {
            tracing::warn!(webhook = %hook.webhook.name, why, "notices are dropped: they waited for 3 days, or too many wait");
        }
    }

    fn give_up(&self, hook: &Hook) {
        let name = &hook.webhook.name;
        let dropped = self.ledger.mute_webhook(name).unwrap_or_default();
        // The one that was answered is gone at the least; the alert is made from this.
        self.count(hook, "gone", dropped.max(1) as u64);
        tracing::warn!(webhook = %name, dropped, "the receiver says 410 Gone: nothing more is sent to it until the daemon starts anew");
        let mut told = hook.told();
        told.last_error = Some("the receiver says 410 Gone: nothing more is sent".to_owned());
        told.last_error_at = Some(clock::now());
    }

    fn count(&self, hook: &Hook, outcome: &'static str, count: u64) {
        self.observer.record(Measure::Webhook { webhook: &hook.webhook.name, outcome, count });
    }
}

impl Hook {
    /// Plain data that every holder leaves whole.
    fn told(&self) -> std::sync::MutexGuard<'_, Status> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
