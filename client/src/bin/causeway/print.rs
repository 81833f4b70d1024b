//! Where text goes: stdout for answers, stderr for everything else.
//!
//! # Invariants
//! - A reader that closed its end (`| head`) is not an error: what follows is dropped. A submission that
//!   was under way is still finished, and lists and watches end by asking [`Out::is_closed`]. Any other
//!   reason why stdout cannot be written is [`Unwritable`].
//! - What the daemon passes on (keys, reasons) cannot steer the terminal: [`plain`] takes control
//!   characters out, of a note whoever writes it.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use clap::ColorChoice;
use serde::Serialize;

use crate::cli::Format;

/// The output cannot be written, and not because its reader has left: the disk is full, say.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the output")]
pub struct Unwritable(#[source] pub io::Error);

/// Stdout, in the form that was asked for.
#[derive(Debug)]
pub struct Out {
    format: Format,
    colour: bool,
    /// On stderr.
    notes_colour: bool,
    closed: bool,
}

impl Out {
    pub fn new(format: Format, choice: ColorChoice) -> Self {
        let colour = format == Format::Table && wants_colour(choice, &io::stdout());
        let notes_colour = wants_colour(choice, &io::stderr());
        Self { format, colour, notes_colour, closed: false }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether people look at it on a terminal that wants colour.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// The same of stderr.
    pub fn has_notes_colour(&self) -> bool {
        self.notes_colour
    }

    /// A line on stderr that says what went wrong.
    pub fn error(&self, text: impl Display) {
        error(text, self.notes_colour);
    }

    /// Nobody reads on: a list or a stream may end here.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// One object on one line.
    pub fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value)?;
        self.line(text)
    }

    pub fn line(&mut self, text: impl Display) -> anyhow::Result<()> {
        self.write(&format!("{text}\n"))
    }

    pub fn write(&mut self, text: &str) -> anyhow::Result<()> {
        if self.closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => Ok(other.map_err(Unwritable)?),
        }
    }
}

/// What was asked for; else as the terminal and the environment say.
pub fn wants_colour(choice: ColorChoice, stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb,
    }
}

/// Whether the terminal, if there is one, can move its cursor. Where TERM says nothing, none is known to.
pub fn can_draw() -> bool {
    is_drawing(std::env::var_os("TERM").as_deref())
}

fn is_drawing(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| term != "dumb" && !term.is_empty())
}

/// A line on stderr, or several. A closed stderr has nobody to tell.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{}", plain_lines(&text.to_string()));
}

/// A line on stderr that says what went wrong.
pub fn error(text: impl Display, colour: bool) {
    let label = match colour {
        true => "\x1b[1;31merror:\x1b[0m",
        false => "error:",
    };
    let _ = writeln!(io::stderr(), "{label} {}", plain(&text.to_string()));
}

/// Text with control characters and changes of writing direction made visible.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        let steers = character.is_control()
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match steers {
            true => plain.extend(character.escape_unicode()),
            false => plain.push(character),
        }
    }
    plain
}

/// The same of each line of a text that has several.
fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bars on such a terminal are hidden, and a wait of hours would say nothing at all.
    #[test]
    fn only_a_terminal_with_a_name_is_drawn_on() {
        for (term, is_drawn_on) in [("xterm-256color", true), ("dumb", false), ("", false)] {
            assert_eq!(is_drawing(Some(OsStr::new(term))), is_drawn_on, "{term}");
        }
        assert!(!is_drawing(None));
    }

    /// An object key may hold any character, and `show` must not run it.
    #[test]
    fn escape_sequences_are_shown_not_obeyed() {
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert_eq!(plain("ключ/鍵 1.bin"), "ключ/鍵 1.bin");
        assert_eq!(
            plain_lines("#  IMAGE\n1  \x1b[2Jami-1\r"),
            "#  IMAGE\n1  \\u{1b}[2Jami-1\\u{d}"
        );
    }
}
