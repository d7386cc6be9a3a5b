//! A list to choose from: what the keys change, and how it looks on a screen of any size.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The last row of the screen.
const HELP: &str = "type to filter, arrows to move, Enter to choose, Esc to leave";

/// The mark of text that was cut off.
const CUT: &str = "…";

/// Fewer columns than these are not worth the start of a description.
const MIN_DESCRIPTION: usize = 6;

/// Rows besides those of the list: the question and the help.
const OTHER_ROWS: usize = 2;

/// One of the things to choose from, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Tells it from the others.
    pub(super) name: String,
    /// Shown behind the name, as far as it fits.
    pub(super) description: String,
}

/// The list and the state of the choice.
pub(super) struct Menu<'a> {
    question: &'a str,
    entries: &'a [Entry],
    filter: String,
    /// Entries that match the filter.
    matching: Vec<usize>,
    /// An index into `matching`.
    selected: usize,
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// The screen has changed.
    Redraw,
    /// This entry is chosen.
    Chosen(usize),
    /// The user chooses nothing.
    Left,
}

impl<'a> Menu<'a> {
    pub(super) fn new(question: &'a str, entries: &'a [Entry]) -> Self {
        Self { question, entries, filter: String::new(), matching: (0..entries.len()).collect(), selected: 0 }
    }

    /// Reacts to a key on a screen with this number of rows.
    pub(super) fn press(&mut self, key: KeyEvent, height: u16) -> Reaction {
        let last = self.matching.len().saturating_sub(1);
        let before = self.selected.checked_sub(1).unwrap_or(last);
        let after = if self.selected < last { self.selected + 1 } else { 0 };
        let page = page(height);
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Reaction::Left,
            KeyCode::Char('c' | 'd') if control => return Reaction::Left,
            KeyCode::Enter => {
                return self
                    .matching
                    .get(self.selected)
                    .map_or(Reaction::Redraw, |entry| Reaction::Chosen(*entry));
            }
            KeyCode::Up => self.selected = before,
            KeyCode::Char('p') if control => self.selected = before,
            KeyCode::Down | KeyCode::Tab => self.selected = after,
            KeyCode::Char('n') if control => self.selected = after,
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(page),
            KeyCode::PageDown => self.selected = (self.selected + page).min(last),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            KeyCode::Char('u') if control => self.change_filter(String::clear),
            KeyCode::Backspace => self.change_filter(|filter| {
                filter.pop();
            }),
            KeyCode::Char(character) if !control && !character.is_control() => {
                self.change_filter(|filter| filter.push(character));
            }
            _ => {}
        }
        Reaction::Redraw
    }

    /// The rows of a screen of this size, at most `height` of them, each narrower than `width` columns: a terminal that
    /// wraps a row shows another list than the one that the keys move in.
    pub(super) fn rows(&self, width: u16, height: u16) -> Vec<String> {
        let columns = usize::from(width).saturating_sub(1).max(1);
        let visible = page(height).min(self.matching.len());
        // The selected entry stays in the middle, except near the ends.
        let first = self.selected.saturating_sub(visible / 2).min(self.matching.len() - visible);
        let names = self.entries.iter().map(|entry| entry.name.width()).max().unwrap_or_default();
        let list = self.matching.iter().enumerate().skip(first).take(visible).filter_map(|(index, entry)| {
            let mark = if index == self.selected { "> " } else { "  " };
            Some(format!("{mark}{}", row(self.entries.get(*entry)?, names, columns.saturating_sub(2))))
        });
        let question = (height > 1).then(|| keep_end(&self.prompt(), columns));
        let help = (usize::from(height) > OTHER_ROWS).then(|| keep_start(&self.help(), columns));
        question.into_iter().chain(list).chain(help).collect()
    }

    /// The column behind the filter, where the cursor belongs, in a row of this many columns.
    pub(super) fn cursor(&self, width: u16) -> u16 {
        let end = self.prompt().width().min(usize::from(width).saturating_sub(1));
        u16::try_from(end).unwrap_or_default()
    }

    fn prompt(&self) -> String {
        format!("{} {}", self.question, self.filter)
    }

    fn help(&self) -> String {
        let all = self.entries.len();
        if self.matching.is_empty() {
            format!("none of {all}: {HELP}")
        } else {
            format!("{} of {all}: {HELP}", self.selected + 1)
        }
    }

    /// Every word of the filter must be in the entry, in any case.
    fn change_filter(&mut self, change: impl FnOnce(&mut String)) {
        change(&mut self.filter);
        let filter = self.filter.to_lowercase();
        let matches = |entry: &Entry| {
            let text = format!("{}  {}", entry.name, entry.description).to_lowercase();
            filter.split_whitespace().all(|word| text.contains(word))
        };
        let matching = self.entries.iter().enumerate().filter(|(_, entry)| matches(entry));
        self.matching = matching.map(|(index, _)| index).collect();
        self.selected = 0;
    }
}

/// The rows of the list on a screen with `height` rows.
fn page(height: u16) -> usize {
    usize::from(height).saturating_sub(OTHER_ROWS).max(1)
}

/// Name and description in `columns`. The name comes first: where it does not fit, both its ends stay, because names often
/// differ in the last part.
fn row(entry: &Entry, names: usize, columns: usize) -> String {
    let name = keep_ends(&entry.name, columns);
    let padding = " ".repeat(names.min(columns).saturating_sub(name.width()));
    let rest = columns.saturating_sub(names.min(columns) + 2);
    if rest < MIN_DESCRIPTION {
        return name;
    }
    format!("{name}{padding}  {}", keep_start(&entry.description, rest))
}

fn keep_start(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    format!("{}{CUT}", first_columns(text.chars(), columns.saturating_sub(1)))
}

fn keep_end(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    format!("{CUT}{}", last_columns(text, columns.saturating_sub(1)))
}

fn keep_ends(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let kept = columns.saturating_sub(1);
    format!("{}{CUT}{}", first_columns(text.chars(), kept / 2), last_columns(text, kept - kept / 2))
}

fn first_columns(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    let fits = |character: &char| {
        used += character.width().unwrap_or_default();
        used <= columns
    };
    characters.take_while(fits).collect()
}

fn last_columns(text: &str, columns: usize) -> String {
    first_columns(text.chars().rev(), columns).chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "Which target?";

    fn entries(count: usize) -> Vec<Entry> {
        let entry = |number| Entry {
            name: format!("orders-production-database-{number:02}:reader"),
            description: format!(
                "orders-{number:02}.cluster-abcdefghijkl.us-east-1.rds.amazonaws.com:5432 in us-east-1"
            ),
        };
        (0..count).map(entry).collect()
    }

    fn press(menu: &mut Menu<'_>, code: KeyCode, height: u16) -> Reaction {
        menu.press(KeyEvent::new(code, KeyModifiers::NONE), height)
    }

    #[test]
    fn every_screen_shows_the_question_and_one_selected_row() {
        let entries = entries(40);
        for (width, height) in [(80, 24), (132, 10), (40, 12), (24, 3), (200, 60)] {
            let mut menu = Menu::new(QUESTION, &entries);
            for step in 0..40 {
                let rows = menu.rows(width, height);
                assert!(rows.len() <= usize::from(height), "{rows:#?}");
                assert!(rows.iter().all(|row| row.width() < usize::from(width)), "{rows:#?}");
                assert!(rows[0].starts_with(QUESTION), "{rows:#?}");
                let selected: Vec<_> = rows.iter().filter(|row| row.starts_with('>')).collect();
                assert_eq!(selected.len(), 1, "{rows:#?}");
                assert!(selected[0].contains(&format!("{step:02}:reader")), "{step}: {rows:#?}");
                assert_eq!(press(&mut menu, KeyCode::Down, height), Reaction::Redraw);
            }
            assert_eq!(press(&mut menu, KeyCode::Enter, height), Reaction::Chosen(0), "the list has no end");
        }
    }

    #[test]
    fn a_screen_of_one_or_two_rows_shows_the_selected_one() {
        let entries = entries(3);
        let menu = Menu::new(QUESTION, &entries);
        assert_eq!(menu.rows(40, 2).len(), 2);
        let only = menu.rows(10, 1);
        assert!(only.len() == 1 && only[0].starts_with("> ") && only[0].width() < 10, "{only:?}");
        assert!(menu.rows(0, 0).len() <= 1);
    }

    #[test]
    fn the_filter_searches_name_and_description() {
        let mut entries = entries(20);
        entries[7].description = "Users.example:5432".into();
        let mut menu = Menu::new(QUESTION, &entries);
        press(&mut menu, KeyCode::End, 24);
        for letter in "users 07".chars() {
            press(&mut menu, KeyCode::Char(letter), 24);
        }
        let rows = menu.rows(80, 24);
        assert_eq!(rows[0], "Which target? users 07");
        assert!(rows.len() == 3 && rows[2].starts_with("1 of 20: "), "{rows:#?}");
        assert_eq!(menu.cursor(80), 22);
        assert_eq!(press(&mut menu, KeyCode::Enter, 24), Reaction::Chosen(7));
        press(&mut menu, KeyCode::Char('x'), 24);
        assert_eq!(press(&mut menu, KeyCode::Enter, 24), Reaction::Redraw, "nothing matches");
        assert!(menu.rows(80, 24)[1].starts_with("none of 20"));
        press(&mut menu, KeyCode::Backspace, 24);
        assert_eq!(press(&mut menu, KeyCode::Enter, 24), Reaction::Chosen(7));
        menu.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL), 24);
        assert_eq!(menu.rows(80, 24).len(), 22);
    }

    #[test]
    fn the_keys_move_and_leave() {
        let entries = entries(30);
        let mut menu = Menu::new(QUESTION, &entries);
        for (code, expected) in [
            (KeyCode::Up, 29),
            (KeyCode::Down, 0),
            (KeyCode::PageDown, 10),
            (KeyCode::PageDown, 20),
            (KeyCode::PageDown, 29),
            (KeyCode::PageUp, 19),
            (KeyCode::Home, 0),
            (KeyCode::End, 29),
            (KeyCode::Left, 29),
        ] {
            press(&mut menu, code, 12);
            assert_eq!(press(&mut menu, KeyCode::Enter, 12), Reaction::Chosen(expected), "{code:?}");
        }
        assert_eq!(press(&mut menu, KeyCode::Esc, 12), Reaction::Left);
        assert_eq!(menu.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), 12), Reaction::Left);
    }

    #[test]
    fn long_names_keep_both_ends_and_wide_letters_count_twice() {
        assert_eq!(keep_ends("orders-production-01", 11), "order…on-01");
        assert_eq!(keep_start("数据库一", 5), "数据…");
        assert_eq!(keep_end("数据库一", 4), "…一");
    }
}
