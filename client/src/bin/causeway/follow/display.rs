//! How followed jobs are shown: bars on a terminal, lines in a log, events as JSON.

use std::io::{self, IsTerminal};

use causeway::v1::Job;
use causeway::view;
use causeway::watch::Event;

use super::bars::Bars;
use super::lines::Lines;
use super::tracker::Tracker;
use crate::print::{self, Out, can_draw, plain};

/// More jobs than this are drawn at ticks alone.
const DRAWN_AT_ONCE_MAX: usize = 64;

/// Shows jobs as they change.
pub trait Display {
    /// Every event, before it is taken in.
    fn event(&mut self, event: &Event) -> anyhow::Result<()>;
    /// What is true after the event.
    fn changed(&mut self, tracker: &Tracker, event: &Event);
    /// A job ended; it is no longer tracked.
    fn ended(&mut self, job: &Job) -> anyhow::Result<()>;
    /// Some time has passed.
    fn tick(&mut self, tracker: &Tracker);
    /// Takes away what is not to stay on the screen.
    fn finish(&mut self);
    /// Nobody reads on.
    fn is_closed(&self) -> bool;
}

/// On stderr: bars when it is a terminal that can show them, else plain lines.
#[derive(Debug)]
pub struct Progress {
    form: Form,
    /// An outage is announced once, however many tries it takes.
    is_lost: bool,
}

#[derive(Debug)]
enum Form {
    Bars(Bars),
    Lines(Lines),
}

impl Progress {
    pub fn new(out: &Out) -> Self {
        let form = match io::stderr().is_terminal() && can_draw() {
            true => Form::Bars(Bars::new(out.has_notes_colour())),
            false => Form::Lines(Lines::new()),
        };
        Self { form, is_lost: false }
    }

    fn say(&self, text: &str) {
        match &self.form {
            Form::Bars(bars) => bars.say(text),
            Form::Lines(_) => print::note(plain(text)),
        }
    }
}

impl Display for Progress {
    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Lost { reason, .. } => {
                if !std::mem::replace(&mut self.is_lost, true) {
                    self.say(&format!("{reason}; trying again"));
                }
            }
            Event::Restored { .. } => {
                self.is_lost = false;
                self.say("connected again");
            }
            Event::Reset { .. } | Event::SnapshotEnd | Event::Job(_) | Event::Progress(_) => {}
        }
        Ok(())
    }

    fn changed(&mut self, tracker: &Tracker, event: &Event) {
        match &mut self.form {
            Form::Bars(bars) if is_drawn_at(event, tracker.jobs().len()) => bars.draw(tracker),
            Form::Bars(_) => {}
            Form::Lines(lines) => lines.changed(tracker, event),
        }
    }

    fn ended(&mut self, job: &Job) -> anyhow::Result<()> {
        if let Form::Lines(lines) = &mut self.form {
            lines.ended(job);
        }
        self.say(&super::figures::ending(job));
        Ok(())
    }

    fn tick(&mut self, tracker: &Tracker) {
        match &mut self.form {
            Form::Bars(bars) => bars.draw(tracker),
            Form::Lines(lines) => lines.tick(tracker),
        }
    }

    fn finish(&mut self) {
        match &mut self.form {
            Form::Bars(bars) => bars.clear(),
            Form::Lines(_) => {}
        }
    }

    /// A closed stderr does not end the wait: the exit code is what was asked for.
    fn is_closed(&self) -> bool {
        false
    }
}

/// Drawing looks at every job: with many, once an event would be quadratic, and ticks have to do.
fn is_drawn_at(event: &Event, tracked: usize) -> bool {
    tracked <= DRAWN_AT_ONCE_MAX && matches!(event, Event::Job(_))
}

/// On stdout, one event a line; endings that are not successes on stderr too.
#[derive(Debug)]
pub struct Events<'a> {
    out: &'a mut Out,
}

impl<'a> Events<'a> {
    pub fn new(out: &'a mut Out) -> Self {
        Self { out }
    }
}

impl Display for Events<'_> {
    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        self.out.json(&view::Event::from(event))
    }

    fn changed(&mut self, _: &Tracker, _: &Event) {}

    fn ended(&mut self, job: &Job) -> anyhow::Result<()> {
        if job.state() != causeway::v1::JobState::Succeeded {
            self.out.error(super::figures::ending(job));
        }
        Ok(())
    }

    fn tick(&mut self, _: &Tracker) {}

    fn finish(&mut self) {}

    fn is_closed(&self) -> bool {
        self.out.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 100,000 jobs a drawing an event would sort them 100,000 times.
    #[test]
    fn few_jobs_are_drawn_as_they_change_and_many_at_ticks() {
        let job = Event::Job(Box::default());
        assert!(is_drawn_at(&job, 1) && is_drawn_at(&job, DRAWN_AT_ONCE_MAX));
        assert!(!is_drawn_at(&job, DRAWN_AT_ONCE_MAX + 1));
        assert!(!is_drawn_at(&Event::Progress(Box::default()), 1));
        assert!(!is_drawn_at(&Event::SnapshotEnd, 1));
    }
}
