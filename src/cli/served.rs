//! The targets of a client that serves several: a table, and how to connect.

use std::borrow::Cow;

use super::banner::{psql_flags, quoted};
use super::columns::aligned;
use crate::app::Served;
use crate::net::Address;
use crate::process::{Sanitized, Style};

const TITLES: [&str; 4] = ["TARGET", "ADDRESS", "PORT", "DATABASE"];

/// In place of a port that cannot be used; the log has the reason.
const NO_PORT: &str = "in use";

/// The targets of a client, and the address that all of them share.
pub(super) struct ServedTargets<'a> {
    /// The targets, by name.
    pub(super) targets: &'a [Served],
    /// The name of the upstream proxy in between; absent with `--direct`.
    pub(super) upstream: Option<&'a str>,
    /// Where connections name their target.
    pub(super) shared: &'a Address,
}

impl ServedTargets<'_> {
    /// The table, and the command for the address that all share.
    pub(super) fn render(&self, style: Style) -> String {
        let route = match self.upstream {
            Some(upstream) => {
                format!("through the upstream proxy {}", style.bold(&Sanitized(upstream).to_string()))
            }
            None => "directly".to_owned(),
        };
        let example = self.targets.first().map_or(Cow::Borrowed("TARGET/DATABASE"), |served| {
            let database = served.target.database.as_deref().unwrap_or("YOUR_DATABASE");
            Cow::Owned(format!("{}/{database}", served.target.name))
        });
        let (shared, example) = (self.shared, Sanitized(&example).to_string());
        let (table, state) = if self.targets.is_empty() {
            (String::new(), "no target is known yet; each gets its port when AWS lists it")
        } else {
            let rows: Vec<_> = self.targets.iter().map(row).collect();
            (aligned(&TITLES, &rows, style) + "\n", "each target has its port")
        };
        let rule = format!("Ready: {state}, {route}. At {shared} the database names the target");
        let command = match psql_flags(self.shared) {
            Some(flags) => style.bold(&format!("psql {flags} -d {} -U YOUR_DATABASE_USER", quoted(&example))),
            None => format!("database {example}"),
        };
        format!("{table}{rule}:\n\n\t{command}\n\n")
    }
}

/// In the order of [`TITLES`].
fn row(Served { target, port }: &Served) -> Vec<String> {
    vec![
        Sanitized(&target.name).to_string(),
        Sanitized(&target.address).to_string(),
        port.map_or(NO_PORT.to_owned(), |port| port.to_string()),
        Sanitized(target.database.as_deref().unwrap_or_default()).to_string(),
    ]
}
