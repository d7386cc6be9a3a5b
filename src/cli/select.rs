//! Lets the user choose from a list on the terminal. The list is drawn on the alternate screen, which a terminal never
//! wraps into the lines before it, and again whenever its size changes.

use std::io::{self, Write};

use crossterm::event::{self, Event, KeyEventKind};
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, queue};

use super::menu::{Entry, Menu, Reaction};

/// The size of a terminal that reports none.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// The index of the chosen entry; `None` if the user leaves the list.
pub(super) fn select(question: &str, entries: &[Entry]) -> io::Result<Option<usize>> {
    let mut screen = Screen::enter()?;
    let mut menu = Menu::new(question, entries);
    loop {
        let (width, height) = size();
        screen.draw(&menu, width, height)?;
        // Any other event, such as a new size, draws the list again.
        let Event::Key(key) = event::read()? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match menu.press(key, height) {
            Reaction::Redraw => {}
            Reaction::Chosen(index) => return Ok(Some(index)),
            Reaction::Left => return Ok(None),
        }
    }
}

fn size() -> (u16, u16) {
    terminal::size().ok().filter(|(width, height)| *width > 0 && *height > 0).unwrap_or(DEFAULT_SIZE)
}

/// The alternate screen. Dropping it restores the terminal.
struct Screen(io::Stderr);

impl Screen {
    fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let mut screen = Self(io::stderr());
        execute!(screen.0, EnterAlternateScreen)?;
        Ok(screen)
    }

    fn draw(&mut self, menu: &Menu<'_>, width: u16, height: u16) -> io::Result<()> {
        queue!(self.0, cursor::MoveTo(0, 0), Clear(ClearType::All))?;
        for (index, row) in menu.rows(width, height).iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\r\n" };
            queue!(self.0, Print(line_end), Print(row))?;
        }
        queue!(self.0, cursor::MoveTo(menu.cursor(width), 0))?;
        self.0.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _left = execute!(self.0, LeaveAlternateScreen);
        let _restored = terminal::disable_raw_mode();
    }
}
