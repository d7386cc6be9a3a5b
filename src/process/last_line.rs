//! The last line of the terminal: what the process does now. Log lines go above it.
//!
//! A process has one standard error, and so one such line. It exists only on a terminal that can move its cursor.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anstyle_query::term_supports_color;
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::Style;
use super::terminal::is_in_background;

/// The line that is shown. A thread that writes to standard error holds the lock meanwhile.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Work that takes longer has a spinner.
const PATIENCE: Duration = Duration::from_millis(500);

/// The time between two pictures of a spinner.
const SPIN: Duration = Duration::from_millis(100);

/// The time between two texts of a status line.
const PERIOD: Duration = Duration::from_secs(1);

/// How long the end of a status line waits for a terminal that takes no output.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The columns that a terminal needs for its echo of Ctrl-C, so that it does not begin another line.
const ECHO: u16 = 3;

/// Writes to standard error, above the line if there is one.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    match &*SHOWN.lock() {
        Some(line) => line.suspend(write),
        None => write(),
    }
}

/// Does the work. If it takes longer than half a second, a spinner shows this text until it is done.
pub(crate) async fn spin_during<T>(text: &str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = timeout(PATIENCE, &mut work).await {
        return done;
    }
    let line = Shown::new("{spinner} {wide_msg}", text.to_owned());
    if let Some(Shown(line)) = &line {
        line.enable_steady_tick(SPIN);
    }
    work.await
}

/// A line about the state of the process, until this is dropped.
pub(crate) struct StatusLine {
    /// Its end stops the thread that writes the line.
    stop: Option<Sender<()>>,
    /// Ends with that thread.
    running: Receiver<()>,
}

impl StatusLine {
    /// Shows this text, and a new one every second; absent where there is no terminal. While the process is in the background of
    /// its terminal, it shows nothing.
    pub(crate) fn start(text: impl FnMut() -> String + Send + 'static) -> Option<Self> {
        if !is_possible() {
            return None;
        }
        let ((stop, stopped), (runs, running)) = (mpsc::channel(), mpsc::channel());
        // A terminal can stop its output (Ctrl-S), which must stop nothing else.
        let thread = thread::Builder::new().name("status".into()).spawn(move || {
            write(text, &stopped);
            drop::<Sender<()>>(runs);
        });
        thread.ok().map(|_| Self { stop: Some(stop), running })
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ended = self.running.recv_timeout(LAST_WAIT);
    }
}

/// Writes the status line until the other end of the channel is dropped.
fn write(mut text: impl FnMut() -> String, stopped: &Receiver<()>) {
    let mut shown: Option<Shown> = None;
    loop {
        if is_in_background() {
            if let Some(shown) = shown.take() {
                shown.leave();
            }
        } else {
            let text = Style::of_stderr().dim(&text());
            match &shown {
                Some(Shown(line)) => line.set_message(text),
                None => shown = Shown::new("{wide_msg}", text),
            }
        }
        if stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Whether a line on standard error can be written again.
fn is_possible() -> bool {
    io::stderr().is_terminal() && term_supports_color()
}

/// The line on the terminal. Dropping it clears it.
struct Shown(ProgressBar);

impl Shown {
    /// Absent where another line is shown, and where none is possible.
    fn new(template: &str, text: String) -> Option<Self> {
        let mut shown = SHOWN.lock();
        if shown.is_some() || !is_possible() {
            return None;
        }
        let terminal = ProgressDrawTarget::term_like_with_hz(Box::new(Narrow(Term::buffered_stderr())), 20);
        let line = ProgressBar::with_draw_target(None, terminal);
        line.set_style(ProgressStyle::with_template(template).ok()?);
        line.set_message(text);
        *shown = Some(line.clone());
        Some(Self(line))
    }

    /// Ends it without a write to the terminal.
    fn leave(self) {
        let _shown = SHOWN.lock();
        self.0.set_draw_target(ProgressDrawTarget::hidden());
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let mut shown = SHOWN.lock();
        self.0.finish_and_clear();
        *shown = None;
    }
}

/// The terminal without its last columns.
#[derive(Debug)]
struct Narrow(Term);

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        TermLike::width(&self.0).saturating_sub(ECHO).max(1)
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.0.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_right(columns)
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.0.move_cursor_left(columns)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
