//! The list of sessions as text: a table for a terminal, lines with tabs for other programs.

use std::io::{self, IsTerminal};
use std::time::Duration;

use crate::admin::SessionLine;
use crate::cli::columns::aligned;
use crate::cli::output::CLEAR;
use crate::process::{Sanitized, Style};

const TITLES: [&str; 10] =
    ["ID", "SINCE", "PEER", "USER", "DATABASE", "TARGET", "IDENTITY", "SENT", "RECEIVED", "IDLE"];

/// How the list is written.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Columns with titles, and units for people.
    Table(Style),
    /// One line for each session, its fields separated by tabs; exact numbers.
    Lines,
}

impl Layout {
    /// The layout for standard output.
    pub(super) fn of_stdout() -> Self {
        if io::stdout().is_terminal() { Self::Table(Style::of_stdout()) } else { Self::Lines }
    }

    /// The text. `again`: it replaces the one before on a terminal.
    pub(super) fn render(self, sessions: &[SessionLine], again: bool) -> String {
        match self {
            Self::Lines => sessions.iter().map(|session| exact(session).join("\t") + "\n").collect(),
            Self::Table(style) => {
                let clear = if again && style.coloured { CLEAR } else { "" };
                let rows: Vec<_> = sessions.iter().map(|session| readable(session).to_vec()).collect();
                format!("{clear}{}", aligned(&TITLES, &rows, style))
            }
        }
    }
}

fn exact(session: &SessionLine) -> [String; 10] {
    let numbers = [session.sent, session.received, session.idle_seconds].map(|number| number.to_string());
    row(session, &session.since, numbers)
}

fn readable(session: &SessionLine) -> [String; 10] {
    let idle = humantime::format_duration(Duration::from_secs(session.idle_seconds)).to_string();
    let since =
        session.since.split_once('.').map_or(session.since.clone(), |(second, _)| format!("{second}Z"));
    row(session, &since, [size(session.sent), size(session.received), idle])
}

/// In the order of [`TITLES`]. The names come from peers.
fn row(session: &SessionLine, since: &str, [sent, received, idle]: [String; 3]) -> [String; 10] {
    let identity = if session.identity.is_empty() && !session.identity_claimed.is_empty() {
        format!("{} (not verified)", session.identity_claimed)
    } else {
        session.identity.clone()
    };
    let name = |name: &str| Sanitized(name).to_string();
    [
        session.id.to_string(),
        name(since),
        name(&session.peer),
        name(&session.user),
        name(&session.database),
        name(&session.target),
        name(&identity),
        sent,
        received,
        idle,
    ]
}

/// Bytes with a unit, in tenths.
fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut units) = (bytes / 100, ["kB", "MB", "GB", "TB"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if tenths < 10_000 {
            break;
        }
        (tenths, unit) = (tenths / 1000, larger);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: u64, user: &str) -> SessionLine {
        SessionLine {
            id,
            since: "2026-11-22T04:54:54.185Z".into(),
            peer: "10.0.0.3:4711".into(),
            user: user.into(),
            database: "app".into(),
            target: "orders-db".into(),
            identity: String::new(),
            identity_claimed: "AKIA".into(),
            sent: 999,
            received: 1_234_567,
            idle_seconds: 3723,
        }
    }

    #[test]
    fn a_terminal_gets_aligned_columns_and_a_pipe_exact_fields() {
        let sessions = [session(7, "alice"), session(1000, "b\n\u{1b}[2J")];
        let table = Layout::Table(Style { coloured: false }).render(&sessions, true);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        let peer = lines[0].find("PEER").unwrap();
        assert!(lines.iter().skip(1).all(|line| line[peer..].starts_with("10.0.0.3:4711")), "{table}");
        assert!(lines[1].ends_with("AKIA (not verified)  999 B  1.2 MB    1h 2m 3s"), "{table}");
        assert!(table.contains(r"b\n\u{1b}[2J") && !table.contains('\u{1b}'), "{table}");
        let text = Layout::Lines.render(&sessions[..1], true);
        assert_eq!(
            text,
            "7\t2026-11-22T04:54:54.185Z\t10.0.0.3:4711\talice\tapp\torders-db\tAKIA (not verified)\t999\t1234567\t3723\n"
        );
        assert_eq!(Layout::Lines.render(&[], false), "");
    }

    #[test]
    fn bytes_have_the_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1000, "1.0 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (12_345_678_901, "12.3 GB"),
            (5_000_000_000_000_000, "5000.0 TB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
