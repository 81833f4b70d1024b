//! The terminal: taken, drawn on, lent back, and given back.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use nix::sys::signal;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use super::model::Model;
use super::theme::Theme;
use super::view;
use crate::print::can_draw;

/// A signal ended the screen. Shells report it as 128 and its number.
#[derive(Debug, thiserror::Error)]
#[error("ended by signal {0}; the jobs go on")]
pub struct Stopped(pub u8);

/// Whether there is a terminal on both ends that can move its cursor.
pub fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && can_draw()
}

/// A terminal of a container or a serial line may have none: nothing would be seen.
pub fn has_size() -> bool {
    crossterm::terminal::size().is_ok_and(|(columns, rows)| columns > 0 && rows > 0)
}

type Cells = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// Draws everything anew, in few large writes.
fn blank() -> io::Result<Cells> {
    crossterm::execute!(io::stdout(), Clear(ClearType::All))?;
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(32 << 10, io::stdout())))
}

/// The terminal in raw mode, on its other screen. Dropping it gives both back.
pub struct Screen {
    terminal: Cells,
}

impl Screen {
    pub fn enter() -> io::Result<Self> {
        // A panic's message would be lost on the other screen, and the shell be left in raw mode.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
        take()?;
        let terminal = blank().inspect_err(|_| leave())?;
        Ok(Self { terminal })
    }

    /// Draws what has changed. The model learns how many rows its list has.
    pub fn draw(&mut self, model: &mut Model, theme: Theme) -> io::Result<()> {
        self.terminal.draw(|frame| {
            let area = frame.area();
            model.rows = view::places(model, area).rows();
            view::draw(model, theme, area, frame.buffer_mut());
        })?;
        Ok(())
    }

    /// As Ctrl-Z does with other programs: back to the shell until `fg`.
    pub fn suspend(&mut self) -> io::Result<()> {
        leave();
        // SIGSTOP, since SIGTSTP is listened to, and would only come back here.
        signal::raise(signal::Signal::SIGSTOP)?;
        take()?;
        // Nothing is known of the screen any more. Terminal::clear would ask for the cursor's place, and the
        // answer would go to whoever reads the keys.
        self.terminal = blank()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    let taken = crossterm::execute!(
        io::stdout(),
        EnterAlternateScreen,
        Hide,
        // What is pasted is no keys.
        EnableBracketedPaste
    );
    if taken.is_err() {
        leave();
    }
    taken
}

/// Whatever of it fails, there is nobody left to tell.
fn leave() {
    let mut stdout = io::stdout();
    let _ = crossterm::execute!(stdout, DisableBracketedPaste, Show, LeaveAlternateScreen);
    let _ = stdout.flush();
    let _ = disable_raw_mode();
}

/// What a signal asks for.
pub enum Signal {
    Suspend,
    End(Stopped),
}

/// The signals that others send: keys come as keys.
pub struct Signals {
    interrupt: Listener,
    terminate: Listener,
    hangup: Listener,
    stop: Listener,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            stop: signal(SignalKind::from_raw(signal::Signal::SIGTSTP as i32))?,
        })
    }

    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End(Stopped(2)),
            _ = self.terminate.recv() => Signal::End(Stopped(15)),
            _ = self.hangup.recv() => Signal::End(Stopped(1)),
            _ = self.stop.recv() => Signal::Suspend,
        }
    }
}
