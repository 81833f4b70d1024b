//! `top`: the daemon on a whole screen, live.
//!
//! The feed asks the daemon, the model says what is true, the view draws it; keys and answers change the model,
//! and nothing else does. The loop here only connects them, and is the one place that knows the clock.
//!
//! # Invariants
//! - The terminal is given back as it was, however this ends.
//! - No action is waited for: keys are answered while the daemon thinks.

mod feed;
mod filter;
mod model;
mod screen;
mod sort;
mod theme;
mod view;

use std::time::Duration;

use anyhow::bail;
use causeway::client::Action;
use causeway::v1::{ActionResponse, JobState, Selection};
use causeway::{Client, Error, Exit};
use crossterm::event::{Event, EventStream};
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::cli::Top;
use crate::print::{Out, Unwritable};
use crate::table;
use feed::{Picture, Wanted, feed};
use model::{Act, Effect, Model};
pub use screen::Stopped;
use screen::{Screen, Signals};
use theme::Theme;

/// Ages and countdowns move by seconds.
const TICK: Duration = Duration::from_secs(1);
/// Keys that were typed ahead are taken together, with one drawing: a pasted book must not be drawn letter by
/// letter.
const KEYS_AT_ONCE: usize = 64;
/// Actions under way at once: beyond it, keys that act are refused.
const ACTS_MAX: usize = 16;

pub async fn top(client: &Client, out: &Out, arguments: &Top) -> anyhow::Result<Exit> {
    if out.is_json() || !screen::is_possible() {
        bail!("not a terminal that can show a screen: use `causeway watch --output json`");
    }
    if !screen::has_size() {
        bail!("the terminal says that it has no size: `stty cols 80 rows 24` gives it one");
    }
    // A daemon that is not there, or that refuses, is told as every command tells it, before the screen.
    client.status().await?;
    let mut signals = Signals::new()?;
    let mut screen = Screen::enter()?;
    let ended = run(client, out, arguments, &mut screen, &mut signals).await;
    drop(screen);
    ended
}

/// What came of an action.
type Outcome = Result<String, String>;

async fn run(
    client: &Client,
    out: &Out,
    arguments: &Top,
    screen: &mut Screen,
    signals: &mut Signals,
) -> anyhow::Result<Exit> {
    let theme = Theme::new(out.has_colour());
    let mut model = Model::new(Timestamp::now(), &arguments.filter);
    let (wanted, asked) = watch::channel(model.wanted());
    let (pictures, mut seen) = mpsc::channel::<Result<Box<Picture>, Error>>(1);
    let feeding = tokio::spawn(feed(client.clone(), arguments.every, asked, pictures));
    let _feeding = AbortOnDrop(feeding.abort_handle());
    let (outcomes, mut acted) = mpsc::channel::<Outcome>(ACTS_MAX);
    let mut keys = EventStream::new();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        screen.draw(&mut model, theme).map_err(Unwritable)?;
        let mut effects = Vec::new();
        tokio::select! {
            biased;
            signal = signals.next() => match signal {
                screen::Signal::Suspend => effects.push(Effect::Suspend),
                screen::Signal::End(stopped) => return Err(stopped.into()),
            },
            key = keys.next() => {
                // The terminal is gone.
                let Some(key) = key else { return Ok(Exit::Done) };
                effects.extend(take_keys(&mut model, key?, &mut keys)?);
            }
            Some(picture) = seen.recv() => match picture {
                Ok(picture) => model.see(*picture),
                Err(error) if is_final(&error) => return Err(error.into()),
                Err(error) => model.lose(format!("{:#}", anyhow::Error::from(error))),
            },
            Some(outcome) = acted.recv() => model.told(outcome),
            _ = tick.tick() => {}
        }
        model.tick(Timestamp::now());
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(Exit::Done),
                Effect::Suspend => screen.suspend()?,
                Effect::Ask => {}
                Effect::Act(job, act) => start(client, &outcomes, &mut model, job, act),
            }
        }
        want(&wanted, &model);
    }
}

/// Whether asking again is of no use: somebody has to change something first.
fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. } | Error::Unsupported { .. } | Error::Incomplete { .. }
    )
}

/// Tells the feed what is looked at, where that has changed.
fn want(wanted: &watch::Sender<Wanted>, model: &Model) {
    wanted.send_if_modified(|known| {
        let now = model.wanted();
        let is_new = *known != now;
        *known = now;
        is_new
    });
}

/// The key, and those that wait behind it.
fn take_keys(
    model: &mut Model,
    first: Event,
    keys: &mut EventStream,
) -> anyhow::Result<Vec<Effect>> {
    let (mut effects, mut is_asked, was_asking) = (Vec::new(), false, model.is_asking());
    let mut event = Some(first);
    for _ in 0..KEYS_AT_ONCE {
        if let Some(Event::Key(key)) = event
            && !is_asked
        {
            effects.extend(model.key(key));
            // What waits was typed before the question could be read, and is no answer to it.
            is_asked = model.is_asking() && !was_asking;
        }
        event = match keys.next().now_or_never() {
            Some(Some(event)) => Some(event?),
            Some(None) | None => break,
        };
    }
    Ok(effects)
}

/// Begins an action. Its outcome comes by the channel.
fn start(
    client: &Client,
    outcomes: &mpsc::Sender<Outcome>,
    model: &mut Model,
    job: String,
    act: Act,
) {
    let Ok(place) = outcomes.clone().try_reserve_owned() else {
        model.told(Err("too many actions are under way: wait for their answers".into()));
        return;
    };
    let client = client.clone();
    tokio::spawn(async move {
        let selection = Selection { job_ids: vec![job], filter: None, all: false };
        let answer = match act {
            Act::Change(action) => client.act(action, selection).await,
            Act::Reprioritize(priority) => client.reprioritize(selection, priority).await,
        };
        place.send(outcome(answer, act));
    });
}

/// In a line: what is so now, or why it is not.
fn outcome(answer: Result<ActionResponse, Error>, act: Act) -> Outcome {
    let answer = answer.map_err(|error| match error.remedy() {
        Some(remedy) => format!("{error}: {remedy}"),
        None => error.to_string(),
    })?;
    let Some(result) = answer.results.first() else { return Err("no such job".into()) };
    let job = view::short(&result.job_id);
    if let Some(fault) = &result.fault {
        // The line is short, and the message has the id in full.
        return Err(fault.message.replace(&result.job_id, job));
    }
    let more = match (act, result.state()) {
        (Act::Change(Action::Pause), JobState::Running) => ", what is done is kept",
        (Act::Change(Action::Cancel), JobState::Running | JobState::Queued) => {
            ", its upload is aborted"
        }
        (Act::Change(_) | Act::Reprioritize(_), _) => "",
    };
    Ok(format!("{job}: {}{more}", table::after(act, result.state())))
}

/// Ends the feed with the screen.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use causeway::v1::{ActionResult, Fault};

    use super::*;

    const PAUSE: Act = Act::Change(Action::Pause);

    fn answered(state: JobState, fault: Option<Fault>) -> Result<ActionResponse, Error> {
        let result = ActionResult { job_id: "01K7Z3M8Q4T5V6W7".into(), state: state.into(), fault };
        Ok(ActionResponse { results: vec![result], ..Default::default() })
    }

    #[test]
    fn an_outcome_says_what_is_so_now() {
        let told = |state, act| outcome(answered(state, None), act);
        assert_eq!(
            told(JobState::Queued, Act::Reprioritize(30)),
            Ok("Q4T5V6W7: priority 30".into())
        );
        assert_eq!(told(JobState::Paused, PAUSE), Ok("Q4T5V6W7: paused".into()));
        let soon = told(JobState::Running, PAUSE);
        assert_eq!(soon, Ok("Q4T5V6W7: pausing, what is done is kept".into()));
        let aborted = told(JobState::Queued, Act::Change(Action::Cancel));
        assert_eq!(aborted, Ok("Q4T5V6W7: cancelling, its upload is aborted".into()));
    }

    #[test]
    fn a_refusal_says_why_and_a_missing_right_who_gives_it() {
        let fault = Fault { code: 9, message: "job 01K7Z3M8Q4T5V6W7 has ended".into() };
        let refused = outcome(answered(JobState::Failed, Some(fault)), PAUSE);
        assert_eq!(refused, Err("job Q4T5V6W7 has ended".into()));
        let error = Error::PermissionDenied { message: "role viewer may not pause".into() };
        let denied = outcome(Err(error), PAUSE).expect_err("denied");
        assert!(
            denied.starts_with("not permitted: role viewer may not pause: an admin"),
            "{denied}"
        );
    }
}
