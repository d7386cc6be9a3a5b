//! The list as a table for a terminal, as lines with tabs for other programs, or as JSON.

use std::io::{self, IsTerminal};

use super::entry::Entry;
use crate::cli::args::{OutputFormat, TargetsArguments};
use crate::cli::columns::aligned;
use crate::cli::output::CLEAR;
use crate::process::{CommandError, Sanitized, Style};

const TITLES: [&str; 9] =
    ["NAME", "KIND", "ENGINE", "VERSION", "ENDPOINT", "REGION", "ACCOUNT", "DATABASE", "LOCAL PORT"];

/// The title behind the others with `--hidden`.
const REASON: &str = "NOT A TARGET BECAUSE";

/// How the list is written.
pub(super) struct Layout {
    form: Form,
    /// There is a column for the reasons.
    hidden: bool,
    /// Further lists follow.
    watch: bool,
}

enum Form {
    /// Columns with titles.
    Table(Style),
    /// One line for each entry, its fields separated by tabs.
    Lines,
    /// One JSON array on one line.
    Json,
}

impl Layout {
    /// The layout for standard output.
    pub(super) fn new(arguments: &TargetsArguments) -> Self {
        let form = match arguments.output {
            OutputFormat::Json => Form::Json,
            OutputFormat::Text if io::stdout().is_terminal() => Form::Table(Style::of_stdout()),
            OutputFormat::Text => Form::Lines,
        };
        Self { form, hidden: arguments.hidden, watch: arguments.watch }
    }

    /// The text of one list. On a terminal it replaces the one before; elsewhere an empty line separates it from the next.
    pub(super) fn render(&self, entries: &[Entry]) -> Result<String, CommandError> {
        Ok(match self.form {
            Form::Json => serde_json::to_string(entries).map_err(CommandError::runtime)? + "\n",
            Form::Lines => {
                let line = |entry: &Entry| self.cells(entry, "").join("\t") + "\n";
                let end = if self.watch { "\n" } else { "" };
                entries.iter().map(line).collect::<String>() + end
            }
            Form::Table(style) => {
                let clear = if self.watch && style.coloured { CLEAR } else { "" };
                format!("{clear}{}", self.table(entries, style))
            }
        })
    }

    fn table(&self, entries: &[Entry], style: Style) -> String {
        let titles: Vec<_> = TITLES.into_iter().chain(self.hidden.then_some(REASON)).collect();
        let rows: Vec<_> = entries.iter().map(|entry| self.cells(entry, "-")).collect();
        aligned(&titles, &rows, style)
    }

    /// The cells under the titles. The names come from tags, the configuration and AWS.
    fn cells(&self, entry: &Entry, unknown: &str) -> Vec<String> {
        let text = |text: &str| Sanitized(text).to_string();
        let known = |value: &Option<String>| value.as_deref().map_or_else(|| unknown.to_owned(), text);
        let port = entry.local_port.map_or_else(|| unknown.to_owned(), |port| port.to_string());
        let mut cells = vec![
            text(&entry.name),
            text(&entry.kind),
            known(&entry.engine),
            known(&entry.version),
            known(&entry.endpoint),
            known(&entry.region),
            known(&entry.account),
            known(&entry.database),
            port,
        ];
        if self.hidden {
            cells.push(entry.reason.as_deref().map(text).unwrap_or_default());
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> [Entry; 2] {
        let orders = Entry {
            name: "orders".into(),
            kind: "instance".into(),
            engine: Some("postgres".into()),
            version: Some("16.4".into()),
            endpoint: Some("orders.abc.eu-west-1.rds.amazonaws.com:5432".into()),
            region: Some("eu-west-1".into()),
            account: Some("123456789012".into()),
            database: Some("app".into()),
            local_port: Some(29_820),
            reason: None,
        };
        let hidden = Entry {
            name: "x\n\u{1b}[2J".into(),
            endpoint: None,
            local_port: None,
            reason: Some("IAM is off".into()),
            ..orders.clone()
        };
        [orders, hidden]
    }

    fn render(form: Form, hidden: bool, watch: bool) -> String {
        Layout { form, hidden, watch }.render(&entries()).unwrap()
    }

    #[test]
    fn a_terminal_gets_columns_and_a_pipe_fields() {
        let table = render(Form::Table(Style { coloured: false }), true, true);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        let column = lines[0].find("REGION").unwrap();
        assert!(lines.iter().skip(1).all(|line| line[column..].starts_with("eu-west-1  ")), "{table}");
        assert!(
            lines[2].starts_with(r"x\n\u{1b}[2J") && lines[2].ends_with("-           IAM is off"),
            "{table}"
        );
        assert!(!render(Form::Table(Style { coloured: false }), false, false).contains("IAM is off"));
        let text = render(Form::Lines, false, false);
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "orders\tinstance\tpostgres\t16.4\torders.abc.eu-west-1.rds.amazonaws.com:5432\teu-west-1\t123456789012\tapp\t29820"
        );
        let hidden = render(Form::Lines, true, true);
        assert!(
            hidden.contains("\tapp\t29820\t\n") && hidden.ends_with("\tapp\t\tIAM is off\n\n"),
            "{hidden:?}"
        );
    }

    #[test]
    fn json_is_one_line_and_unknown_fields_are_null() {
        let json = render(Form::Json, true, true);
        assert_eq!(json.matches('\n').count(), 1, "{json}");
        let list: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(list[1]["endpoint"], serde_json::Value::Null);
        assert_eq!((list[0].get("reason"), &list[1]["reason"]), (None, &"IAM is off".into()));
    }
}
