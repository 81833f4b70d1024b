//! Which limits are in force at each remote: the one place that switches them.
//!
//! The clock on the wall is looked at once a minute at the least, so that a clock that was set, or a
//! host that slept, does not leave yesterday's limits in force.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};

use super::Error;
use crate::base::{InForce, Limits, LimitsChange, Rules, clock};
use crate::config::{Config, RemoteConfig};
use crate::control::LimitsRefused;
use crate::ledger::{self, Ledger};
use crate::model::{RemoteName, Timestamp};
use crate::pipeline::Remotes;

const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A clock may be behind the timer by a little: one more look costs nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The rules of all remotes.
#[derive(Debug)]
pub(super) struct LimitBook {
    remotes: Arc<Remotes>,
    pages: Mutex<BTreeMap<RemoteName, Page>>,
    changed: Notify,
    /// Whose turn it is to change them for good.
    turn: Semaphore,
}

#[derive(Debug)]
struct Page {
    rules: Rules,
    in_force: Option<InForce>,
}

impl LimitBook {
    /// The configuration's rules, with what was persisted in the ledger.
    pub(super) fn new(
        config: &Config,
        ledger: &Ledger,
        remotes: &Arc<Remotes>,
    ) -> Result<Self, Error> {
        let mut pages = BTreeMap::new();
        for (name, remote) in &config.remotes {
            let kept = persisted(ledger, name)?;
            let rules = Rules::new(remote.limits, remote.schedule.clone(), kept);
            pages.insert(name.clone(), Page { rules, in_force: None });
        }
        let book = Self::of_pages(Arc::clone(remotes), pages);
        book.enforce();
        Ok(book)
    }

    fn of_pages(remotes: Arc<Remotes>, pages: BTreeMap<RemoteName, Page>) -> Self {
        let pages = Mutex::new(pages);
        Self { remotes, pages, changed: Notify::new(), turn: Semaphore::new(1) }
    }

    /// Switches limits when their time comes. Never ends.
    pub(super) async fn follow(&self) {
        loop {
            let next =
                self.enforce().map(|at| Duration::from_millis(at.millis_since(clock::now())));
            let wait = next.map_or(LOOK_EVERY, |wait| (wait + LOOK_AGAIN).min(LOOK_EVERY));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// The limits in force, by remote.
    pub(super) fn in_force(&self) -> Vec<(RemoteName, InForce)> {
        let now = clock::now();
        let mut pages = self.lock();
        pages.iter_mut().map(|(name, page)| (name.clone(), page.rules.in_force(now))).collect()
    }

    /// The same of one remote.
    pub(super) fn of(&self, name: &RemoteName) -> Option<InForce> {
        Some(self.lock().get_mut(name)?.rules.in_force(clock::now()))
    }

    /// What a person changes until the daemon ends, over what is in force.
    pub(super) fn set(&self, name: &RemoteName, change: LimitsChange) {
        self.change(name, |rules| rules.set(change, false, clock::now()));
    }

    /// What a person changes for good, or forgets without a change: first in the ledger, then in force. To be
    /// seen to its end.
    pub(super) async fn keep(
        &self,
        ledger: &Ledger,
        name: &RemoteName,
        change: Option<LimitsChange>,
        actor: &str,
    ) -> Result<(), LimitsRefused> {
        // Two at once would each keep what the other has not changed yet. It is fair, and never closed.
        let _turn = self.turn.acquire().await;
        let kept = match change {
            Some(change) => Some(self.kept_with(name, change).ok_or(LimitsRefused::NoSuchRemote)?),
            None => None,
        };
        let written = ledger.put_setting(&key(name), kept, actor).await;
        // Where the audit log alone cannot be written, the ledger has it: what a restart finds is in force.
        if matches!(written, Ok(()) | Err(ledger::Error::Audit(_))) {
            self.change(name, |rules| match change {
                Some(change) => rules.set(change, true, clock::now()),
                None => rules.reset(),
            });
        }
        Ok(written?)
    }

    /// What a remote keeps across restarts once this change is persisted, as the ledger has it.
    fn kept_with(&self, name: &RemoteName, change: LimitsChange) -> Option<String> {
        let named = self.lock().get(name)?.rules.kept_with(change);
        serde_json::to_string(&Kept { named }).ok()
    }

    /// What a reloaded configuration says. What was set live is over, what was persisted stays.
    pub(super) fn reload(&self, name: &RemoteName, remote: &RemoteConfig) {
        self.change(name, |rules| rules.reload(remote.limits, remote.schedule.clone()));
    }

    fn change(&self, name: &RemoteName, change: impl FnOnce(&mut Rules)) {
        if let Some(page) = self.lock().get_mut(name) {
            change(&mut page.rules);
        }
        self.enforce();
        self.changed.notify_one();
    }

    /// Puts in force what holds now, and says when that changes next.
    fn enforce(&self) -> Option<Timestamp> {
        let now = clock::now();
        let mut next = None;
        for (name, page) in self.lock().iter_mut() {
            let found = page.rules.in_force(now);
            next = found.until.into_iter().chain(next).min();
            if page.in_force.replace(found) == Some(found) {
                continue;
            }
            let InForce { limits, paused, origin, until } = found;
            let Some(remote) = self.remotes.get(name) else { continue };
            let until = until.map(clock::rfc3339);
            remote.pace().set(limits);
            remote.pace().close(paused.then(|| match &until {
                Some(until) => format!("{name} is paused by its schedule until {until}"),
                None => format!("{name} is paused by its schedule"),
            }));
            tracing::info!(remote = %name, ?limits, paused, ?origin, until, "limits in force");
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RemoteName, Page>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where persisted limits are kept in the ledger.
pub(super) fn key(remote: &RemoteName) -> String {
    format!("limits/{remote}")
}

/// What the ledger keeps of a remote. Before, it kept the limits bare, all three of them: a daemon of then
/// cannot read this, says so, and goes by the configuration, where it would take what is not named for
/// unlimited.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    named: LimitsChange,
}

impl Kept {
    fn read(text: &str) -> Result<LimitsChange, serde_json::Error> {
        let kept: serde_json::Value = serde_json::from_str(text)?;
        if kept.get("named").is_some() {
            return Self::deserialize(kept).map(|kept| kept.named);
        }
        Limits::deserialize(kept).map(LimitsChange::from)
    }
}

/// What was set with `--persist`; it outlives the configuration's.
fn persisted(ledger: &Ledger, name: &RemoteName) -> Result<LimitsChange, Error> {
    let Some(text) = ledger.setting(&key(name))? else { return Ok(LimitsChange::default()) };
    let kept = Kept::read(&text).inspect_err(|error| {
        tracing::warn!(
            remote = %name, %error,
            "the persisted limits cannot be read, and the configuration's are in force: set \
             them again with `causeway limits set {name} … --persist`, or \
                 forget them with `causeway limits reset {name}`"
        );
    });
    Ok(kept.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use jiff::{ToSpan as _, Zoned};

    use super::*;
    use crate::base::schedule::{Entry, Rule, Schedule};
    use crate::base::{NoObserver, Pace};
    use crate::model::Bandwidth;
    use crate::remote::{Credentials, Options, Remote};

    fn read(rate: u64) -> Limits {
        Limits { read_bandwidth: Some(Bandwidth(rate)), ..Limits::default() }
    }

    /// A window from a second on, for a second.
    fn soon() -> Entry {
        let now = Zoned::now().with_time_zone(TimeZone::UTC);
        let time = |seconds: i64| now.checked_add(seconds.seconds()).expect("in range").time();
        let (from, to) = (time(1), Some(time(2)));
        let days = std::iter::successors(Some(now.weekday()), |day| Some(day.next()));
        let rule = Rule::Limits(read(7));
        Entry { days: days.take(7).collect(), from, to, zone: TimeZone::UTC, rule }
    }

    async fn until(pace: &Pace, limits: Limits) {
        let switched = async {
            while pace.limits() != limits {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), switched).await.expect("it is switched");
    }

    /// The configuration's limits hold in their place: nobody must believe that theirs still do.
    #[tokio::test]
    async fn persisted_limits_that_cannot_be_read_are_told_with_what_to_do() {
        let dir = tempfile::tempdir().expect("room for a test");
        let ledger = Ledger::open(dir.path(), Arc::new(NoObserver)).expect("our own");
        let names = ["gov", "com"].map(|name| name.parse::<RemoteName>().expect("legal"));
        let kept = serde_json::to_string(&read(7)).expect("plain data");
        for (name, text) in names.iter().zip(["{\"read_bandwidth\": \"fast\"}", &kept]) {
            ledger.put_setting(&key(name), Some(text.into()), "uid:0").await.expect("written");
        }
        let path = dir.path().join("log");
        let log = std::fs::File::create(&path).expect("room for a test");
        let log = tracing_subscriber::fmt().with_writer(Arc::new(log)).with_ansi(false).finish();
        let found = tracing::subscriber::with_default(log, || {
            names.each_ref().map(|name| persisted(&ledger, name).expect("readable"))
        });
        assert_eq!(found, [LimitsChange::default(), read(7).into()], "bare ones are all three");
        let told = std::fs::read_to_string(&path).expect("it was written");
        assert_eq!(told.lines().count(), 1, "{told}");
        for part in [
            "WARN",
            "remote=gov",
            "`causeway limits set gov … --persist`",
            "`causeway limits reset gov`",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn what_is_kept_is_read_as_it_was_named() {
        let named = LimitsChange {
            read_bandwidth: Some(None),
            requests_per_second: Some(Some(7)),
            ..LimitsChange::default()
        };
        let text = serde_json::to_string(&Kept { named }).expect("plain data");
        assert_eq!(text, r#"{"named":{"read_bandwidth":0,"requests_per_second":7}}"#);
        assert_eq!(Kept::read(&text).expect("our own"), named);
        assert!(
            serde_json::from_str::<Limits>(&text).is_err(),
            "a daemon of before is not to take it for limits"
        );
        for bad in [r#"{"named":{"pace":1}}"#, r#"{"named":7}"#, "7", "", r#"{"named":{},"and":1}"#]
        {
            assert!(Kept::read(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_in_the_ledger_and_in_force() {
        let dir = tempfile::tempdir().expect("room for a test");
        let ledger = Ledger::open(dir.path(), Arc::new(NoObserver)).expect("our own");
        let name: RemoteName = "gov".parse().expect("legal");
        let rules = Rules::new(read(1), Schedule::default(), LimitsChange::default());
        let pages = BTreeMap::from([(name.clone(), Page { rules, in_force: None })]);
        let book = LimitBook::of_pages(Arc::default(), pages);
        let keep = async |change| book.keep(&ledger, &name, change, "uid:0").await;
        let stands = || {
            let kept = persisted(&ledger, &name).expect("readable");
            (kept.apply(read(1)), book.of(&name).expect("a remote").limits)
        };

        let rate = |rate| Some(Some(Bandwidth(rate)));
        let reading = LimitsChange { read_bandwidth: rate(2), ..LimitsChange::default() };
        let writing = LimitsChange { write_bandwidth: rate(3), ..LimitsChange::default() };
        let both = Limits { write_bandwidth: Some(Bandwidth(3)), ..read(2) };
        let (one, other) = tokio::join!(keep(Some(reading)), keep(Some(writing)));
        one.and(other).expect("kept");
        assert_eq!(stands(), (both, both), "neither has forgotten the other");
        keep(None).await.expect("forgotten");
        assert_eq!(stands(), (read(1), read(1)));
        let nowhere = "nowhere".parse().expect("legal");
        let refused = book.keep(&ledger, &nowhere, Some(reading), "uid:0").await;
        assert!(matches!(refused, Err(LimitsRefused::NoSuchRemote)), "{refused:?}");
    }

    /// By the real clock, to the second: both ends of a window, and a reload in front of it.
    #[tokio::test]
    async fn limits_are_switched_at_both_ends_of_a_window() {
        let name: RemoteName = "gov".parse().expect("legal");
        let options = Options {
            name: name.clone(),
            region: "us-gov-west-1".into(),
            credentials: Credentials::Imds,
            expected_account: None,
            fips: false,
            dual_stack: false,
            path_style: false,
            s3_endpoint: Some("https://localhost:1".into()),
            sts_endpoint: None,
            ec2_endpoint: None,
            ssm_endpoint: None,
            ca_bundle: None,
            limits: Limits::default(),
        };
        let remote = Remote::build(options, Arc::new(NoObserver)).await.expect("legal");
        let pace = Arc::clone(remote.pace());
        let remotes = Arc::new(Remotes::from([(name.clone(), Arc::new(remote))]));
        let rules = Rules::new(read(1), Schedule::default(), LimitsChange::default());
        let pages = BTreeMap::from([(name.clone(), Page { rules, in_force: None })]);
        let book = Arc::new(LimitBook::of_pages(remotes, pages));
        let following = tokio::spawn({
            let book = Arc::clone(&book);
            async move { book.follow().await }
        });
        until(&pace, read(1)).await;
        book.change(&name, |rules| rules.reload(read(2), Schedule::new(vec![soon()])));
        assert_eq!(pace.limits(), read(2));
        until(&pace, read(7)).await;
        until(&pace, read(2)).await;
        following.abort();
    }
}
